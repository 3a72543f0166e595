"""Outputs and post-processors of other people: entry points in the group ``factory.outputs``, loaded when used.

An entry point is a callable that takes the options of the template (a mapping) and gives an ``OutputPlugin``: in a
template of Packer's, the post-processor of that name.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from factory.errors import FactoryError, PluginError
from factory.outputs import products
from factory.outputs.model import Exported, Work
from factory.template.output_options import PluginOutput

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


async def export_plugin(options: PluginOutput, work: Work) -> list[Exported]:
    """What a plug-in makes of the disks; it gets a self-contained qcow2 of each. Raises: PluginError, StepError."""
    plugin = load_output(options.name, options.options)
    images = [await products.qcow2(work, disk, "zlib", "1.1") for disk in work.disks]
    try:
        made = await plugin.write(images, work.staging, work.name)
    except FactoryError:
        raise
    except Exception as error:
        raise PluginError(f"the output {options.name!r} has failed: {type(error).__name__}: {error}") from error
    return [await work.exported(_inside(path, work.staging, options.name), options.name) for path in made]


def _inside(path: Path, folder: Path, name: str) -> Path:
    whole = folder / path
    if not whole.is_file() or not whole.resolve().is_relative_to(folder.resolve()):
        raise PluginError(f"the output {name!r} says that it made {path}, which is no file in {folder}")
    return whole


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
