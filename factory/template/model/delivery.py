"""Delivery as Packer does it: files of given names in a given folder, and post-processors that go on from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

RUN_ID_MARK = "\ue000run-id\ue001"
"""Stands in the options of post-processors for the id of the command, which only the running build knows."""


@dataclass(frozen=True, slots=True)
class PostProcess:
    """One link of a chain. ``kind`` is one of ours or a plug-in's name; ``keeps_input`` leaves what came in."""

    kind: str
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    keeps_input: bool = False

    def with_run_id(self, run_id: str) -> PostProcess:
        return replace(self, options=_filled_in(self.options, run_id))


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where the artifact goes: ``folder`` holds the disks as ``file_name``, ``file_name-1``, … and nothing of ours.

    ``folder_name`` is how the template names it, clean: post-processors list files below it so.
    ``build`` and ``builder`` are the names that post-processors use; ``working`` is where relative names start.
    """

    folder: Path
    folder_name: str
    file_name: str
    format: str
    compress: bool
    build: str
    builder: str
    working: Path
    overwrites: bool = False
    """A folder that is there already is replaced."""
    lists_variables: bool = True
    """False leaves the UEFI variables out of what post-processors see."""
    hardware: Mapping[str, Any] = field(default_factory=dict)
    chains: tuple[tuple[PostProcess, ...], ...] = ()


def _filled_in(value: Any, run_id: str) -> Any:
    if isinstance(value, str):
        return value.replace(RUN_ID_MARK, run_id)
    if isinstance(value, Mapping):
        return {key: _filled_in(one, run_id) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_filled_in(one, run_id) for one in value]
    return value
