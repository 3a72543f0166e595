"""Live layers: the memory of a running guest in a file, and its disks on new overlays, at the same instant.

The guest runs while its memory is written (``migrate`` to a file), until so little of it is new that the rest takes no
time. Then it stands still, each disk gets its overlay (``blockdev-snapshot``), the rest and the devices' state are
written, and it goes on (``cont``). To resume, QEMU is started with the same devices on overlays of the layer and with
``MachineSpec.incoming``. QEMU: ``docs/devel/migration`` and ``qapi/migration.json``.
"""

from __future__ import annotations

import asyncio
import shlex
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
STANDSTILL = Duration(0.03)
"""The guest is stopped once what is left to write takes no longer, as QEMU estimates it (``downtime-limit``)."""
ROUNDS = 4
"""A guest that still writes faster than that after so many rounds over its memory is stopped all the same."""
CANCEL_PATIENCE = Duration(30)
_LOOK_EVERY = Duration(0.05)
_ENDED = frozenset({"completed", "failed", "cancelled"})
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
        capabilities = [{"capability": name, "state": True} for name in ("events", "pause-before-switchover")]
        await machine.execute("migrate-set-capabilities", {"capabilities": capabilities})
        limits = {"max-bandwidth": _UNLIMITED, "downtime-limit": round(STANDSTILL * 1000)}
        await machine.execute("migrate-set-parameters", limits)
        switch = await self._prepare_overlays(machine, overlays)
        deadline = Deadline.after(PATIENCE, f"the guest's memory ({machine.spec.memory}) to be written")
        migration = _Migration(machine)
        try:
            await migration.begin(self._uri(memory))
            if await migration.nearly_done(deadline):
                await machine.execute("transaction", {"actions": switch})
                await asyncio.to_thread(while_paused)
                if variables and machine.spec.uefi:
                    await _move_variables(machine, machine.spec.uefi, variables)
                await machine.execute("migrate-continue", {"state": "pre-switchover"})
                await migration.end(deadline)
        finally:
            await migration.let_go_on()
        await self._check_written(machine, memory)
        return migration.standstill

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

    async def _check_written(self, machine: Machine, memory: Path) -> None:
        state = await machine.execute("query-migrate")
        if state["status"] == "completed":
            return
        # What has been written is still there: QEMU's own words are no more than "broken pipe".
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

    def _uri(self, memory: Path) -> str:
        numbers = self._qemu_version.split(".")[:2]
        if all(number.isdigit() for number in numbers) and tuple(int(n) for n in numbers) >= _FILE_URI:
            return f"file:{memory.absolute()}"
        return f"exec:cat > {shlex.quote(str(memory.absolute()))}"


class _Migration:
    """What QEMU tells of the migration that is under way, and for how long the guest stands still for it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._status, self._stopped, self._changed = "failed", 0.0, asyncio.Event()
        self._stop_hearing = machine.subscribe(self._hear)
        self.standstill = 0.0

    def _hear(self, name: str, data: Mapping[str, Any]) -> None:
        if name == "STOP" and not self._stopped:
            self._stopped = time.monotonic()
        elif name == "MIGRATION":
            self._status = str(data.get("status"))
            self._changed.set()

    async def begin(self, uri: str) -> None:
        self._status = "begun"
        try:
            await self._machine.execute("migrate", {"uri": uri})
        except StepError:
            self._status = "failed"
            raise

    async def nearly_done(self, deadline: Deadline) -> bool:
        """Waits until the guest stands still and only the last of it is to be written; False when that has failed.

        Raises: DeadlineExpired.
        """
        wanted, insisted = _ENDED | {"pre-switchover"}, False
        while not await self._reached(wanted, _LOOK_EVERY):
            if deadline.expired:
                raise deadline.error()
            memory = (await self._machine.execute("query-migrate")).get("ram", {})
            if memory.get("dirty-sync-count", 0) > ROUNDS and not insisted:
                insisted = True
                await self._machine.execute("stop")
        return self._status == "pre-switchover"

    async def end(self, deadline: Deadline) -> None:
        """Waits for the end, good or bad. Raises: DeadlineExpired."""
        while not await self._reached(_ENDED, deadline.left):
            if deadline.expired:
                raise deadline.error()

    async def let_go_on(self) -> None:
        """The guest runs again, whatever has become of its memory."""
        if self._status not in _ENDED:
            await self._machine.execute("migrate_cancel")
            await self._reached(_ENDED, CANCEL_PATIENCE)
        self._stop_hearing()
        # QEMU tells the end a moment before it is over, and refuses `cont` until then.
        await poll(self._is_over, Deadline.after(CANCEL_PATIENCE, "QEMU to end a migration"), every=Duration(0.002))
        await self._machine.execute("cont")
        self.standstill = time.monotonic() - self._stopped if self._stopped else 0.0

    async def _reached(self, statuses: frozenset[str], within: Duration) -> bool:
        ends = time.monotonic() + within
        while self._status not in statuses:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), max(0.0, ends - time.monotonic()))
            except TimeoutError:
                return False
        return True

    async def _is_over(self) -> bool | None:
        return True if (await self._machine.execute("query-status"))["status"] != "finish-migrate" else None


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
