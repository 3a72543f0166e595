"""Flags of Packer's commands that say how it prints, or that mean nothing here and are taken all the same."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
WITHOUT_MEANING = (
    "warn-on-undeclared-var", "no-warn-undeclared-var", "ignore-prerelease-plugins", "use-sequential-evaluation",
    "skip-enforcement", "debug",
)  # fmt: skip
NAMES = (*WITHOUT_MEANING, "evaluate-datasources", "color", "timestamp-ui", "machine-readable")
"""Long options that may be written with one dash, as Packer's users do."""


@dataclass(frozen=True, slots=True)
class PackerFlags:
    """How output looks. ``color`` is False only where it was asked for."""

    color: bool = True
    timestamps: bool = False
    machine_readable: bool = False
    evaluates: bool = False
    """Whether ``validate`` reads data sources, too."""

    def say(self, text: str, kind: str = "say") -> None:
        """Prints *text* for a person, or for a program where that was asked for."""
        if self.machine_readable:
            from factory.cli.report.machine_readable import say

            say(click.unstyle(text), kind)
        else:
            click.echo(text)

    def apply(self) -> None:
        """For the whole process: styles are dropped, lines get the time in front of them."""
        if not self.color:
            context = click.get_current_context(silent=True)
            if context is not None:
                context.color = False
            os.environ["NO_COLOR"] = "1"
        if self.timestamps:
            from factory.cli.report.timestamps import Timestamped

            sys.stderr = Timestamped(sys.stderr)


def packer_flags(function: F) -> F:
    """Adds them all; the command gets one argument ``packer``."""

    @functools.wraps(function)
    def command(*arguments: Any, **options: Any) -> Any:
        for name in WITHOUT_MEANING:
            options.pop(name.replace("-", "_"))
        flags = PackerFlags(
            options.pop("color").lower() not in ("false", "0", "no", "off"),
            options.pop("timestamp_ui"),
            options.pop("machine_readable"),
            options.pop("evaluate_datasources"),
        )
        return function(*arguments, packer=flags, **options)

    decorated: Any = command
    for name in WITHOUT_MEANING:
        decorated = click.option(f"--{name}", is_flag=True, hidden=True)(decorated)
    decorated = click.option("--evaluate-datasources", is_flag=True, hidden=True)(decorated)
    decorated = click.option("--machine-readable", is_flag=True, help="Print lines as Packer's -machine-readable.")(
        decorated
    )
    decorated = click.option("--timestamp-ui", is_flag=True, help="Begin each line with the time.")(decorated)
    decorated = click.option(
        "--color", default="true", metavar="BOOL", show_default=True, help="False prints without colours."
    )(decorated)
    result: F = decorated
    return result
