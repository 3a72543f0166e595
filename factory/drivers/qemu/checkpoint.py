"""Live layers: the memory of a running guest in a file, and its disks on new overlays, at the same instant.

The guest stands still (``stop``), each disk gets its overlay (``blockdev-snapshot``), the memory is migrated to a file,
and the guest goes on (``cont``). To resume, QEMU is started with the same devices on overlays of the layer and with
``MachineSpec.incoming``. QEMU: ``docs/devel/migration`` and ``qapi/migration.json``.

It must not run while its memory is written, as it may between computers: before QEMU 9.0 writes get lost under TCG then
(``cpu_physical_memory_sync_dirty_bitmap`` forgot the TLB; decision 32).
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from factory.deadline import Deadline, poll
from factory.drivers.machine_spec import Discard, DiskSpec, MachineSpec, UefiSpec
from factory.drivers.protocols import Machine
from factory.drivers.qemu.arguments import VARIABLES_NODE
from factory.errors import StepError, StoreError
from factory.quantity import Duration

PATIENCE = Duration(900)
"""For the memory to reach its file: some 10 s per GiB on a slow disk, on a loaded host."""
_ENDED = frozenset({"completed", "failed", "cancelled"})
_MEMORY_FILE = "factory-memory"
_NEXT_TO_NOTHING = 4 * 2**20  # bytes
_UNLIMITED = 2**40  # bytes per second; QEMU's default is meant for a network between data centres
_DEVICES = "2"
"""Of every machine (``drivers/qemu/arguments``): raise it when one is added, for memory knows them all."""
_FILE_URI = (8, 2)  # the QEMU version that brought `file:`


class QemuCheckpoints:
    """Implements ``protocols.Checkpoints``. *host_cpu* names the CPU that ``-cpu host`` shows to guests."""

    def __init__(self, qemu_version: str, *, host_cpu: str = "") -> None:
        self._qemu_version = qemu_version
        self._host_cpu = host_cpu

    async def save(
        self, machine: Machine, *, memory: Path, overlays: Mapping[str, Path], while_paused: Callable[[], None],
        variables: Path | None = None,
    ) -> float:  # fmt: skip
        """See ``protocols.Checkpoints``. A guest that can't be checkpointed is found out before it is stopped."""
        await self._refuse_what_cannot_migrate(machine)
        missing = {disk.id for disk in machine.spec.disks if not disk.read_only} - set(overlays)
        if missing:
            raise ValueError(f"no overlay for {', '.join(sorted(missing))}: the layer's disk would be written on")
        await machine.execute("migrate-set-capabilities", {"capabilities": [{"capability": "events", "state": True}]})
        await machine.execute("migrate-set-parameters", {"max-bandwidth": _UNLIMITED})
        switch = await self._prepare_overlays(machine, overlays)
        destination = await self._open(machine, memory)
        before = time.monotonic()
        await machine.execute("stop")
        try:
            await machine.execute("transaction", {"actions": switch})
            await asyncio.to_thread(while_paused)
            if variables and machine.spec.uefi:
                await _move_variables(machine, machine.spec.uefi, variables)
            await self._write_memory(machine, memory, destination)
        finally:
            await machine.execute("cont")
        return time.monotonic() - before

    def fingerprint(self, spec: MachineSpec) -> Mapping[str, str]:
        found = {
            "qemu": self._qemu_version,
            "accelerator": spec.accelerator,
            "machine_type": spec.machine_type,
            "cpu": spec.cpu.model,
            "cpus": str(spec.cpu.count),
            "memory": str(int(spec.memory)),
            "display": spec.display,
            "devices": _DEVICES,
        }
        shows_host = spec.cpu.model == "host" or (spec.cpu.model == "max" and spec.accelerator != "tcg")
        return {**found, "host_cpu": self._host_cpu} if shows_host else found

    async def _refuse_what_cannot_migrate(self, machine: Machine) -> None:
        reasons = (await machine.execute("query-migrate")).get("blocked-reasons", [])
        if reasons:
            raise StepError(
                f"this machine's memory can't be kept: {'; '.join(reasons)}",
                hint="use `layers: off`, or another bus: NVMe disks can't be migrated by QEMU",
            )

    async def _prepare_overlays(self, machine: Machine, overlays: Mapping[str, Path]) -> list[dict[str, Any]]:
        """Opens the overlays. Returns the actions that put all disks on them, for one transaction: all, or none."""
        specs = {disk.id: disk for disk in machine.spec.disks}
        nodes = await _top_nodes(machine)
        actions = []
        for identifier, path in overlays.items():
            name = await _free_name(machine, identifier)
            await machine.execute("blockdev-add", _overlay_node(specs[identifier], name, path))
            actions.append({"type": "blockdev-snapshot", "data": {"node": nodes[identifier], "overlay": name}})
        return actions

    async def _open(self, machine: Machine, memory: Path) -> str:
        """The migration URI that writes *memory*. Raises: StepError."""
        numbers = self._qemu_version.split(".")[:2]
        if all(number.isdigit() for number in numbers) and tuple(int(n) for n in numbers) >= _FILE_URI:
            return f"file:{memory.absolute()}"
        try:
            # Not `exec:cat`: a pipe to another process takes several times as long on a busy host.
            with memory.open("wb", buffering=0) as stream:
                await machine.send_file(_MEMORY_FILE, stream.fileno())
        except OSError as error:
            raise StepError(f"the guest's memory could not be written: {error}") from error
        return f"fd:{_MEMORY_FILE}"

    async def _write_memory(self, machine: Machine, memory: Path, destination: str) -> None:
        ended = asyncio.Event()

        def hear(name: str, data: Mapping[str, Any]) -> None:
            if name == "MIGRATION" and data.get("status") in _ENDED:
                ended.set()

        stop_hearing = machine.subscribe(hear)
        deadline = Deadline.after(PATIENCE, f"the guest's memory ({machine.spec.memory}) to be written")
        try:
            await machine.execute("migrate", {"uri": destination})
            await deadline.bound(ended.wait())
            # QEMU tells the end a moment before it is over, and refuses `cont` until then.
            await poll(lambda: _has_finished(machine), deadline, every=Duration(0.002))
        finally:
            stop_hearing()
        state = await machine.execute("query-migrate")
        if state["status"] == "completed":
            return
        if shutil.disk_usage(memory.parent if memory.parent.is_dir() else "/").free < _NEXT_TO_NOTHING:
            raise StoreError(
                f"no space left in {memory.parent}: the guest's memory could not be written",
                hint="free space there, run `factory cache gc`, set FACTORY_CACHE to a larger disk, or use "
                "`--layers off`",
            )
        raise StepError(
            f"the guest's memory could not be written: {state.get('error-desc', state['status'])}",
            hint="is there enough free space for the cache?",
        )


async def _has_finished(machine: Machine) -> bool | None:
    return True if (await machine.execute("query-status"))["status"] != "finish-migrate" else None


async def _nodes(machine: Machine) -> set[str]:
    return {node["node-name"] for node in await machine.execute("query-named-block-nodes")}


async def _free_name(machine: Machine, prefix: str) -> str:
    """For a block node: the guest's machine may have been kept before."""
    taken = await _nodes(machine)
    return next(name for i in range(len(taken) + 1) if (name := f"{prefix}-at{i}") not in taken)


async def _move_variables(machine: Machine, uefi: UefiSpec, copy: Path) -> None:
    """The firmware's variables go on in *copy*: what the guest writes from now on is not of the layer."""
    if VARIABLES_NODE not in await _nodes(machine):  # the user's own arguments bring another firmware
        return
    name = await _free_name(machine, "variables")
    await machine.execute("blockdev-add", {"driver": "file", "node-name": name, "filename": str(copy.absolute())})
    node = {"driver": uefi.variables_format, "node-name": VARIABLES_NODE, "read-only": False, "file": name}
    await machine.execute("blockdev-reopen", {"options": [node]})


async def _top_nodes(machine: Machine) -> dict[str, str]:
    """For each disk's id, the block node that its device reads now."""
    nodes = {}
    for block in await machine.execute("query-block"):
        # Either the id itself, or a path such as /machine/peripheral/main/virtio-backend.
        words = str(block.get("qdev", "")).removeprefix("/machine/peripheral/").split("/")
        if "inserted" in block:
            nodes[words[0]] = str(block["inserted"]["node-name"])
    return nodes


def _overlay_node(disk: DiskSpec, name: str, path: Path) -> dict[str, Any]:
    return {
        "driver": "qcow2",
        "node-name": name,
        "discard": disk.discard.value,
        "detect-zeroes": "unmap" if disk.discard is Discard.UNMAP else "off",
        "cache": {"no-flush": not disk.flush},
        "backing": None,  # blockdev-snapshot puts what the guest has read so far beneath it
        "file": {"driver": "file", "filename": str(path.absolute())},
    }
