"""A build in the lines that Packer's ``-machine-readable`` prints: ``time,target,type,data…``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click

from factory import __version__
from factory.cli.report.summary import Row
from factory.events import ArtifactReady, BuildFinished, GuestOutput, Note, PhaseStarted, Stamped, StepStarted
from factory.visible import visible


def machine_line(target: str, kind: str, *data: str) -> str:
    """One line. Commas and line ends in *data* are written as Packer writes them."""
    words = (visible(d.replace("\r", "\\r")).replace(",", "%!(PACKER_COMMA)").replace("\n", "\\n") for d in data)
    return ",".join([str(int(time.time())), target, kind, *words])


def say(text: str, kind: str = "say") -> None:
    """Prints *text* as what a person would be told, one line of it a line; *kind*: ``say``, ``message``, ``error``."""
    for line in text.split("\n"):
        click.echo(machine_line("", "ui", kind, line))


class MachineReadable:
    """A view: see ``report.view``."""

    def __init__(self) -> None:
        self._artifacts: dict[str, list[str]] = {}
        self._errors: dict[str, str] = {}
        self._line("", "version", __version__)

    def __call__(self, stamped: Stamped) -> None:
        event, build = stamped.event, stamped.build
        match event:
            case PhaseStarted(phase):
                self._line("", "ui", "say", f"==> {build}: {phase}")
            case StepStarted():
                self._line("", "ui", "say", f"==> {build}: {event.title}")
            case GuestOutput(_, _, line):
                self._line("", "ui", "message", f"    {build}: {line}")
            case Note(message, level):
                self._line("", "ui", "error" if level == "warning" else "message", f"    {build}: {message}")
            case ArtifactReady(path):
                self._artifacts.setdefault(build, []).append(path)
            case BuildFinished(_, "failed", _, message):
                self._errors[build] = message

    def tick(self) -> None:
        pass

    def failed(self, name: str, error: Exception) -> None:
        self._line("", "ui", "error", f"Build '{name}' errored: {error}")

    def end(self, rows: Sequence[Row]) -> None:
        if self._errors:
            self._line("", "error-count", str(len(self._errors)))
        for name, message in self._errors.items():
            self._line(name, "error", message)
        for name in (row.name for row in rows if row.state in ("built", "unchanged")):
            files = [f for f in self._artifacts.get(name, ()) if Path(f).exists()]
            self._line(name, "artifact-count", "1")
            self._line(name, "artifact", "0", "builder-id", "transcend.qemu")
            self._line(name, "artifact", "0", "id", "VM")
            self._line(name, "artifact", "0", "string", f"VM files: {' '.join(files)}")
            self._line(name, "artifact", "0", "files-count", str(len(files)))
            for number, file in enumerate(files):
                self._line(name, "artifact", "0", "file", str(number), file)
            self._line(name, "artifact", "0", "end")

    def _line(self, target: str, kind: str, *data: str) -> None:
        click.echo(machine_line(target, kind, *data))
