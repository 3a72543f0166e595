"""Which drivers a guest's newest kernel has, through whoever can read its files: our own reader or the appliance."""

from __future__ import annotations

import asyncio
import posixpath

from factory.disk.driver_readiness import Drivers, drivers_of, named, newest_kernel, newest_release
from factory.disk.initramfs import UnreadableInitramfs, names
from factory.errors import StepError
from factory.seal.files import GuestFiles

_FOLDERS = ("/usr/lib/modules", "/lib/modules")


async def kernel_drivers(files: GuestFiles) -> Drivers:
    """As ``disk.driver_readiness.drivers``, of a guest whose file systems are at their places."""
    kernel = newest_kernel([posixpath.basename(p) for p in await files.find(["/boot/*"])])
    if kernel is None:
        return Drivers(unknown="no kernel was found in /boot")
    trees = await files.find([f"{folder}/*" for folder in _FOLDERS])
    release = kernel.release or newest_release([posixpath.basename(t) for t in trees])
    early: frozenset[str] | None = None
    if kernel.image:
        try:
            data = await files.read(f"/boot/{kernel.image}")
            early = frozenset(await asyncio.to_thread(lambda: set(names(data))))
        except (UnreadableInitramfs, ValueError, StepError) as error:
            return Drivers(release, unknown=f"the initramfs of the {named(release)} can't be read: {error}")
    builtin, every = [await _lines(files, release, f"modules.{kind}") for kind in ("builtin", "dep")]
    return drivers_of(release, early, builtin, every)


async def _lines(files: GuestFiles, release: str, name: str) -> list[str]:
    for path in await files.find([f"{folder}/{release}/{name}" for folder in _FOLDERS]):
        return (await files.read(path)).decode("utf-8", "replace").splitlines()
    return []
