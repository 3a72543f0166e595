"""Outputs and post-processors of other people: entry points in the group ``factory.outputs``, loaded when used.

An entry point is a callable that takes the options of the template (a mapping) and gives an ``OutputPlugin``: in a
template of Packer's, the post-processor of that name.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from factory.errors import PluginError

GROUP = "factory.outputs"


class OutputPlugin(Protocol):
    async def write(self, images: Sequence[Path], folder: Path, name: str) -> Sequence[Path]:
        """Makes files in *folder* out of a machine's disk images (the first one boots). Returns their paths.

        Args:
            name: of the build, for the names of the files.

        Raises: StepError when it can't.
        """


def has_output(name: str) -> bool:
    """Whether one is registered under *name*; imports nothing."""
    return any(entry.name == name for entry in importlib.metadata.entry_points(group=GROUP))


def missing_output(name: str) -> PluginError:
    """The error for a name that nobody has registered."""
    there = ", ".join(sorted(e.name for e in importlib.metadata.entry_points(group=GROUP))) or "none"
    return PluginError(
        f"no post-processor or output is called {name!r} (plug-ins installed: {there})",
        hint=f"install a package that has it: one with the entry point {name!r} in the group {GROUP}",
    )


def load_output(name: str, options: Mapping[str, Any]) -> OutputPlugin:
    """Raises: PluginError when there is none of that name, or it can't be used."""
    entry = next((e for e in importlib.metadata.entry_points(group=GROUP) if e.name == name), None)
    if entry is None:
        raise missing_output(name)
    try:
        plugin: OutputPlugin = entry.load()(options)
    except Exception as error:
        raise PluginError(f"the plug-in {name!r} can't be used: {error}") from error
    return plugin
