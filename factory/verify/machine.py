"""One machine from one delivered file: what it is made of, and waiting until it is up."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import time
import uuid
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from factory.deadline import Deadline, pause
from factory.drivers.machine_spec import DiskSpec, Forward, MachineSpec, NicSpec
from factory.drivers.protocols import Credentials, GuestAddress, GuestConnection, Machine
from factory.errors import Evidence, FactoryError, VerificationFailed
from factory.events import Emit, GuestOutput
from factory.outputs.hardware_for_verify import KVM, TargetMachine
from factory.quantity import Duration, Size
from factory.verify.guest_words import ASK, ASK_SIZE, SHELL, identity, prompts, stopped
from factory.verify.model import NO_LOGIN, Bench, Boot, Request, Seen

_LOOK_EVERY = Duration(1)
GROWTH_PATIENCE = Duration(300)
"""From the first login on; resize2fs takes a minute for a large disk on a slow host."""
_LOOK_AT_SCREEN = 5  # every so many looks: reading it costs more
_TAIL = Size(16 * 1024)


def machine_spec(
    bench: Bench, boot: Boot, target: TargetMachine, disks: Mapping[str, Path], request: Request, folder: Path
) -> MachineSpec:
    """The machine: the image's CPUs, memory and firmware; the target's buses and cards; an identity of its own.

    The UEFI variables of the build are there where the target would have them; every other platform starts a machine
    with empty ones, and so does this.
    """
    digest = hashlib.sha256(f"{folder} {boot.key}".encode()).digest()
    address = int.from_bytes(digest[:3])
    forwards = (Forward(request.port),) if request.login != NO_LOGIN else ()
    own = target.stands_for == KVM and not target.instead
    spec = replace(
        bench.spec,
        machine_type=bench.machine_types[target.type],
        disks=tuple(DiskSpec(d, path, bus=target.bus, boot_index=i) for i, (d, path) in enumerate(disks.items())),
        nics=tuple(
            NicSpec(n.id, target.nic, _mac(address + i), forwards if i == 0 else ())
            for i, n in enumerate(bench.spec.nics)
        ),
        serial_log=folder / "serial.log",
        tpm=None,
        extra_args=("-uuid", str(uuid.UUID(bytes=digest[:16])), *(bench.spec.extra_args if own else ())),
        replaced_switches=bench.spec.replaced_switches if own else frozenset(),
    )
    if spec.uefi:
        source = bench.uefi_variables if target.stands_for == KVM else bench.fresh_variables
        assert source is not None
        variables = folder / "uefi-variables.fd"
        shutil.copyfile(source, variables)
        spec = replace(spec, uefi=replace(spec.uefi, variables=variables))
    return spec


async def look(
    bench: Bench, machine: Machine, request: Request, seen: Seen, key: Path | None,
    *, network: bool, folder: Path, emit: Emit,
) -> None:  # fmt: skip
    """Waits until the guest is up, asks it what it is, and runs the request's commands; fills in *seen*.

    *network*: whether the guest has a driver for its card. Raises: VerificationFailed, GuestUnreachable,
    MachineStalled.
    """
    started = time.monotonic()
    whole = Deadline.after(request.deadline, "the exported image to come up")
    if request.login == NO_LOGIN or not network:
        async with bench.watch(machine, whole) as deadline:
            await _unless_it_stops(bench, machine, _prompt(bench, machine, deadline))
        seen.by, seen.up_after = "login prompt", time.monotonic() - started
        if not network:
            seen.notes.append("the guest has no driver for this network card: nobody could log in to ask more")
        await _picture(machine, folder)
        return
    address = GuestAddress("127.0.0.1", await machine.forwarded_port(request.port))
    async with bench.watch(machine, whole) as deadline:
        seen.banner = await _unless_it_stops(bench, machine, bench.probe(address, deadline=deadline, emit=emit))
    seen.by, seen.up_after = "ssh", time.monotonic() - started
    await _picture(machine, folder)
    if key is None:
        seen.notes.append("nobody logged in: commands, units and identity were not looked at")
        return
    credentials = Credentials(request.user, private_key=key)
    async with AsyncExitStack() as stack:
        async with bench.watch(machine, deadline) as watched:
            connection = await stack.enter_async_context(
                bench.communicator.connect(address, credentials, deadline=watched, emit=emit)
            )
        async with bench.watch(machine, deadline, connection) as watched:
            await _ask(connection, request, seen, watched)
            for command in request.run:
                await _run(connection, command, seen, watched, emit)


def _mac(number: int) -> str:
    """An address in QEMU's range (52:54:00), by the lowest 24 bits of *number*."""
    return "52:54:00:" + (number & 0xFFFFFF).to_bytes(3).hex(":")


async def _picture(machine: Machine, folder: Path) -> None:
    try:
        await machine.screenshot(folder / "booted.png")
    except FactoryError:
        return  # a machine without a display


async def _ask(connection: GuestConnection, request: Request, seen: Seen, deadline: Deadline) -> None:
    result = await connection.run(SHELL, deadline=deadline, stdin=ASK)
    seen.identity = found = identity(result.stdout)
    if found is None:
        words = (result.stderr or result.stdout).strip().splitlines()
        seen.notes.append(f"the guest could not be asked for its identity: {words[-1] if words else 'it said nothing'}")
        return
    failed = [unit for unit in found.failed_units if unit not in request.allow_failed]
    if failed:
        raise VerificationFailed(
            f"units have failed in the booted image: {', '.join(failed)}",
            hint="look at the serial log, mend them, or name them in `verify.allow_failed`",
        )
    if request.grow:
        seen.identity = replace(found, root_bytes=await _grown(connection, found.root_bytes, seen.disk_bytes, deadline))


async def _grown(connection: GuestConnection, size: int, disk: int, deadline: Deadline) -> int:
    """The root file system's size once it is larger than the image's *disk* was: it grows while others log in already.

    Raises: VerificationFailed.
    """
    growth = deadline.within(GROWTH_PATIENCE, "the root file system to grow into the larger disk")
    while size <= disk:
        if growth.expired:
            raise VerificationFailed(
                growth.error(seen=f"it has {Size(size)}").message,
                hint="`verify.grow` asks for it: does the image grow at first boot (`seal.shrink`, cloud-init's "
                "growpart)?",
            )
        await pause(_LOOK_EVERY)
        result = await connection.run(SHELL, deadline=deadline, stdin=ASK_SIZE)
        found = identity(result.stdout)
        size = found.root_bytes if found else size
    return size


async def _run(connection: GuestConnection, command: str, seen: Seen, deadline: Deadline, emit: Emit) -> None:
    """One of ``verify.run``. Raises: VerificationFailed."""

    def on_line(stream: str, line: str) -> None:
        emit(GuestOutput(f"verify {seen.boot.key}", stream, line))

    result = await connection.run(command, deadline=deadline, on_line=on_line)
    seen.commands.append({"command": command, "exit_status": result.exit_status})
    if result.exit_status != 0:
        words = (result.stderr or result.stdout).strip().splitlines()
        last = f": {words[-1]}" if words else ""
        raise VerificationFailed(
            f"{command!r} ended with {result.exit_status} in the booted image{last}",
            hint="what `verify.run` names must end with 0",
        )


async def _unless_it_stops(bench: Bench, machine: Machine, waiting: object) -> str:
    """Awaits *waiting*, and ends early when the guest has said that it will not come up.

    Raises: VerificationFailed with the guest's own words.
    """
    try:
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(_watch(bench, machine))
            try:
                return await waiting  # type: ignore[misc, no-any-return]
            finally:
                watcher.cancel()
    except BaseExceptionGroup as errors:
        known = [e for e in errors.exceptions if isinstance(e, FactoryError)]
        if not known:
            raise
        raise known[0] from None


async def _watch(bench: Bench, machine: Machine) -> None:
    looks = 0
    while True:
        await pause(_LOOK_EVERY)
        looks += 1
        words = stopped(await asyncio.to_thread(machine.serial_text, _TAIL))
        if not words and looks % _LOOK_AT_SCREEN == 0:
            words = stopped(await _screen(bench, machine))
        if words:
            raise VerificationFailed(f"the guest stopped: {words}", hint="look at the serial log and the screenshot")


async def _screen(bench: Bench, machine: Machine) -> str:
    try:
        return await bench.screens.read_text(machine) if bench.screens else ""
    except FactoryError:
        return ""


async def _prompt(bench: Bench, machine: Machine, deadline: Deadline) -> str:
    """Waits for a getty on the serial line or on the screen. Raises: DeadlineExpired."""
    while not deadline.expired:
        for text in (await asyncio.to_thread(machine.serial_text, _TAIL), await _screen(bench, machine)):
            if prompts(text):
                return "login prompt"
        await pause(_LOOK_EVERY)
    raise deadline.error(seen="neither the serial line nor the screen shows a login prompt")


async def evidence(bench: Bench, machine: Machine, folder: Path) -> Evidence:
    """What explains a failure while the machine is still there."""
    screenshot = folder / "failure.png"
    try:
        await machine.screenshot(screenshot)
    except (FactoryError, OSError):
        screenshot = folder / "none.png"
    return Evidence(
        argv=machine.argv,
        serial=await asyncio.to_thread(machine.serial_text, _TAIL),
        screen=await _screen(bench, machine),
        screenshot=screenshot if screenshot.exists() else None,
        files=tuple(sorted(p for p in folder.iterdir() if p.suffix in (".log", ".argv"))),
    )
