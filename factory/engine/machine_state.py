"""Carries a machine's state from a stored layer into the folder of the next one."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from factory.drivers.protocols import DiskImages
from factory.engine.filesystem import copy_file
from factory.engine.store import Draft, Layer
from factory.plan.resources import BUILD_SECRETS, TPM_STATE, UEFI_VARIABLES, MachineState, TpmAt, disk_file

SEAL_OVERLAY = {"cluster_size": "4k"}
"""A trimmed block of the guest (4 KiB) must free a whole cluster, or the overlay keeps the old bytes around it
(measured: 64 KiB clusters leaked 0.4 MiB of freed blocks, 4 KiB clusters none)."""


async def branch(
    layer: Layer | None, folder: Path, images: DiskImages, *, overlay_options: Mapping[str, str] | None = None
) -> MachineState:
    """Prepares *folder* to go on where *layer* ended: an overlay per disk, copies of what is small.

    Backing names are relative to the folder, so they stay true when it is renamed to its key.
    """
    if layer is None:
        return MachineState(folder)
    for disk in sorted(layer.path.glob("disk-*.qcow2")):
        await images.create(
            folder / disk.name, size=None, backing=f"../{layer.key}/{disk.name}", options=overlay_options
        )
    await asyncio.to_thread(copy_small, layer.path, folder)
    return MachineState(folder, layer.memory)


async def overlays_on(
    draft: Draft, folder: Path, disks: Sequence[str], images: DiskImages, *, options: Mapping[str, str] | None
) -> dict[str, Path]:
    """In *folder*, an overlay on each of the *disks* in *draft*, by id: what a running machine goes on with."""
    overlays = {disk: folder / disk_file(disk) for disk in disks}
    for disk, overlay in overlays.items():
        info = await images.info(draft.path / disk_file(disk))
        backing = f"../{draft.key}/{disk_file(disk)}"
        await images.create(overlay, size=info.virtual_size, backing=backing, options=options)
    return overlays


def move_on(source: Path, state: MachineState, tpm: TpmAt | None) -> None:
    """Copies what is small out of *source*, and has a running TPM go on in the copy. The guest stands still."""
    copy_small(source, state.folder)
    if tpm and tpm.state:
        fresh = tpm.state.with_name(f".{tpm.state.name}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(state.tpm.absolute())
        fresh.replace(tpm.state)


def copy_small(source: Path, folder: Path) -> None:
    """Copies firmware variables, TPM state and build secrets."""
    for name in (UEFI_VARIABLES, BUILD_SECRETS):
        if (source / name).exists():
            copy_file(source / name, folder / name)
    if (source / TPM_STATE).is_dir():
        shutil.copytree(
            source / TPM_STATE,
            folder / TPM_STATE,
            dirs_exist_ok=True,
            copy_function=lambda a, b: copy_file(Path(a), Path(b)),
        )
