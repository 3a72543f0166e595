"""Whether libguestfs can work here: its binding, its appliance builder, and a kernel that this user may read."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from factory.deadline import Deadline
from factory.drivers.process import find_program, run
from factory.errors import FactoryError
from factory.quantity import Duration

_PATIENCE = Duration(60)
_VERSION = "import guestfs; v = guestfs.GuestFS().version(); print('%d.%d.%d' % (v['major'], v['minor'], v['release']))"


@dataclass(frozen=True, slots=True)
class ApplianceFacts:
    """``interpreter`` imports the binding (None: none does); ``kernel`` is readable (None: none is)."""

    interpreter: Path | None
    version: str
    supermin: Path | None
    kernel: Path | None
    unreadable_kernels: tuple[Path, ...] = ()

    @property
    def usable(self) -> bool:
        return None not in (self.interpreter, self.supermin, self.kernel)


async def survey() -> ApplianceFacts:
    """Looks, without building an appliance (that takes some 20 s, once)."""
    readable, closed = kernels()
    supermin = find_program("supermin")
    for interpreter in candidates():
        argv = [str(interpreter), "-c", _VERSION]
        try:
            result = await run(argv, deadline=Deadline.after(_PATIENCE, "libguestfs to be imported"), ok=None)
        except FactoryError:
            continue
        if result.exit_status == 0:
            version = result.stdout.strip()
            break
    else:
        interpreter, version = None, ""
    return ApplianceFacts(
        interpreter, version, Path(supermin) if supermin else None, readable[0] if readable else None, closed
    )


def candidates() -> Sequence[Path]:
    """Interpreters that may import the binding: ours, then the system's."""
    names = dict.fromkeys([sys.executable, "/usr/bin/python3"])
    return [Path(name) for name in names if name and os.access(name, os.X_OK)]


def kernels(
    boot: Path = Path("/boot"), modules: Path = Path("/lib/modules")
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Kernels that have modules: those that this user may read, newest first, and those that they may not.

    supermin needs both. Fedora keeps its kernels beside their modules, and there they are readable.
    """
    found = []
    for folder in sorted(modules.glob("*"), reverse=True):
        places = (boot / f"vmlinuz-{folder.name}", folder / "vmlinuz")
        found += [path for path in places if path.exists()]
    readable = tuple(path for path in found if os.access(path, os.R_OK))
    return readable, tuple(path for path in found if path not in readable)
