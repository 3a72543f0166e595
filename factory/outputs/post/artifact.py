"""What post-processors take and give."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory.drivers.protocols import Programs
from factory.events import Emit


@dataclass(frozen=True, slots=True)
class Artifact:
    """Files by the names that a person sees: relative ones start in the folder that the command runs in.

    ``folder`` is set for what a build delivered: removing the artifact removes it with everything in it.
    """

    files: tuple[str, ...]
    id: str = ""
    folder: Path | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the post-processors of one build share. ``time`` is the moment of the build, seconds since 1970."""

    build: str
    builder: str
    run_id: str
    working: Path
    programs: Programs
    run_scripts: Callable[[Mapping[str, Any]], Awaitable[None]]
    """Runs a script on this host by the options of Packer's shell-local."""
    emit: Emit
    time: int
    truncated: set[Path] = field(default_factory=set)
    """Manifests that this run has begun anew, because it was told to overwrite."""
    overwrites: frozenset[str] = frozenset()
    """Holds "manifest" when an old manifest is to be replaced instead of added to."""

    def path(self, name: str) -> Path:
        return self.working / name


def remove(artifact: Artifact, around: Surroundings) -> None:
    """Deletes the artifact's files, and the folder that the build made for them."""
    for name in artifact.files:
        with contextlib.suppress(FileNotFoundError):
            around.path(name).unlink()
    if artifact.folder and artifact.folder.is_dir():
        shutil.rmtree(artifact.folder)
