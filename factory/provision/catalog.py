"""Provisioners by name: those of ours that have no section of their own in a template, and other people's.

Others register theirs as an entry point in the group ``factory.provisioners``: a callable that takes the template's
options (a mapping) and gives a ``provision.context.Provisioner``. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from factory.errors import PluginError, StepError
from factory.provision.context import Provisioner

GROUP = "factory.provisioners"
BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "ansible-local": "factory.provision.ansible_local:make",
        "await-command": "factory.provision.waits:make_await_command",
        "breakpoint": "factory.provision.waits:make_breakpoint",
        "goss": "factory.provision.goss:make",
        "powershell": "factory.provision.windows_scripts:make_powershell",
        "shell-local": "factory.provision.shell_local:make",
        "sleep": "factory.provision.waits:make_sleep",
        "windows-shell": "factory.provision.windows_scripts:make_windows_shell",
        "windows-update": "factory.provision.windows_update:make",
    }
)
"""Declared as an entry point would: module and callable."""

Maker = Callable[[Mapping[str, Any]], Provisioner]


def has_provisioner(name: str) -> bool:
    """Whether ``load_provisioner`` would find it; imports nothing."""
    return name in BUILT_IN or any(e.name == name for e in importlib.metadata.entry_points(group=GROUP))


def missing_provisioner(name: str) -> PluginError:
    """The error for a name that nobody has registered."""
    there = sorted({*BUILT_IN, *(e.name for e in importlib.metadata.entry_points(group=GROUP))})
    close = difflib.get_close_matches(name, [*there, "shell", "file", "ansible", "windows-restart"], 1)
    meant = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(there)}"
    return PluginError(
        f"no provisioner is called {name!r} ({meant})",
        hint=f"install a package that has it: one with the entry point {name!r} in the group {GROUP}",
    )


def load_provisioner(name: str, options: Mapping[str, Any]) -> Provisioner:
    """Raises: PluginError that says which there are, or why it can't be used."""
    try:
        return _maker(name)(options)
    except (PluginError, StepError):
        raise
    except Exception as error:
        raise PluginError(f"the provisioner {name!r} can't be used: {error}") from error


def _maker(name: str) -> Maker:
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        maker: Maker = getattr(importlib.import_module(module), attribute)
        return maker
    entry = next((e for e in importlib.metadata.entry_points(group=GROUP) if e.name == name), None)
    if entry is None:
        raise missing_provisioner(name)
    loaded: Maker = entry.load()
    return loaded
