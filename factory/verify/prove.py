"""Boots an artifact's files, as many at once as fit, and compares the machines."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from factory.deadline import Deadline
from factory.disk.driver_readiness import Drivers
from factory.errors import FactoryError, StepError, VerificationFailed
from factory.events import Emit, Note
from factory.outputs.hardware_for_verify import Firmware, TargetMachine, drives_nic
from factory.outputs.model import Exports
from factory.quantity import Duration, Size
from factory.verify import disks, machine
from factory.verify.boot_plan import at_once, companions, plan_boots
from factory.verify.disks import Base
from factory.verify.guest_words import compare
from factory.verify.let_in import NoSuchUser
from factory.verify.model import Bench, Boot, Request, Seen, Verdict

_KEY_COMMENT = "factory-verify"
_GROWTH = Size(2**30)


@dataclass(frozen=True, slots=True)
class Places:
    """``artifact`` holds the delivered files, ``logs`` is kept, ``runtime`` (short) and ``scratch`` go afterwards."""

    artifact: Path
    logs: Path
    runtime: Path

    @property
    def scratch(self) -> Path:
        return self.logs / ".scratch"


async def prove(
    exports: Exports, request: Request, bench: Bench, places: Places, drivers: Drivers, emit: Emit
) -> Verdict:
    """Starts every machine that *request* asks for. What failed is in the verdict, not raised.

    Raises: VerificationFailed when a format is asked for that is not there; HostError when nobody can be logged in
    because libguestfs does not work here.
    """
    boots = plan_boots(exports.files, request, drivers, _firmware(bench))
    places.scratch.mkdir(parents=True, mode=0o700)
    try:
        return await _Proof(exports, request, bench, places, drivers, emit).run(boots)
    finally:
        await asyncio.to_thread(shutil.rmtree, places.scratch, True)


def _firmware(bench: Bench) -> Firmware:
    if bench.spec.uefi is None:
        return Firmware.BIOS
    return Firmware.SECURE_BOOT if bench.spec.uefi.secure_boot else Firmware.UEFI


class _Proof:
    def __init__(
        self, exports: Exports, request: Request, bench: Bench, places: Places, drivers: Drivers, emit: Emit
    ) -> None:
        self._exports, self._request, self._bench = exports, request, bench
        self._places, self._drivers, self._emit = places, drivers, emit
        self._bases: dict[Path, list[Base]] = {}
        self._locks: dict[Path, asyncio.Lock] = {}
        self._admitted: Mapping[str, Path] = {}
        self._key: Path | None = None

    async def run(self, boots: tuple[Boot, ...]) -> Verdict:
        seen = [Seen(boot) for boot in boots]
        if self._request.asks:
            await self._let_in(seen)
        memory = await asyncio.to_thread(_available_memory)
        slots = asyncio.Semaphore(at_once(self._bench.spec.memory, memory, os.cpu_count() or 1))

        async def one(number: int, result: Seen) -> None:
            async with slots:
                await self._boot(number, result)

        async with asyncio.TaskGroup() as group:
            for number, result in enumerate(seen):
                if result.error is None:
                    group.create_task(one(number, result))
        machines = [(s.boot.key, s.identity) for s in seen if s.identity]
        compared, problems = compare(machines, self._request.hostname)
        return Verdict(self._request, seen, compared, problems)

    async def _let_in(self, seen: Sequence[Seen]) -> None:
        """Makes a key, and overlays in which it opens the door, on the first file that can be opened."""
        for result in seen:
            try:
                found = await self._disks_of(result.boot)
            except FactoryError as error:
                result.error = error
                continue
            private, public = self._bench.keys(_KEY_COMMENT)
            path = self._places.scratch / "key"
            path.touch(mode=0o600)
            path.write_bytes(private)
            deadline = Deadline.after(self._request.deadline, "the appliance to let the verifier in")
            try:
                self._admitted = await disks.admit(
                    found, self._places.scratch / "admitted", user=self._request.user, public_key=public,
                    images=self._bench.images, driver=self._bench.appliance, runtime_dir=self._places.runtime,
                    deadline=deadline, emit=self._emit,
                )  # fmt: skip
            except NoSuchUser as error:
                # All formats hold the same disk: each boot would wait for its whole deadline to say less.
                self._emit(Note(f"nobody can log in: {error.message}", "warning"))
                for one in seen:
                    one.error = one.error or VerificationFailed(
                        error.message, hint=f"{error.hint}; `factory verify --no-login` proves the rest"
                    )
                return
            except StepError as error:
                if self._request.run:
                    raise
                # A guest that libguestfs can't write to (UFS, an encrypted root): its banner is all that it can show.
                self._emit(Note(f"nobody can be let into the image: {error.message}", "warning"))
                return
            self._key = path
            return

    async def _disks_of(self, boot: Boot) -> list[Base]:
        path = boot.file.path
        async with self._locks.setdefault(path, asyncio.Lock()):
            if path not in self._bases:
                files = companions(boot.file, self._exports.files, self._exports.name)
                scratch = self._places.scratch / f"file{self._exports.files.index(boot.file)}"
                self._bases[path] = await disks.bases(files, self._places.artifact, scratch, self._bench.images)
        return self._bases[path]

    async def _boot(self, number: int, seen: Seen) -> None:
        """Tries the machines of a boot one after the other until one comes up."""
        started = time.monotonic()
        for attempt, target in enumerate(seen.boot.choices):
            seen.machine, seen.error = target, None
            key = seen.boot.key if not attempt else f"{seen.boot.key}-try-{attempt + 1}"
            folder = _new_folder(self._places.logs, key)
            try:
                await self._start(number, seen, target, folder)
                break
            except FactoryError as error:
                seen.error = error
                if seen.by:
                    break  # it came up, and something else is wrong: other hardware would not mend that
                if attempt + 1 < len(seen.boot.choices):
                    seen.notes.append(f"did not come up on {target}: {error.message}")
            finally:
                for overlay in folder.glob("*.qcow2"):
                    overlay.unlink()
        seen.seconds = time.monotonic() - started
        self._tell(seen)

    async def _start(self, number: int, seen: Seen, target: TargetMachine, folder: Path) -> None:
        bench, request = self._bench, self._request
        bases = await self._disks_of(seen.boot)
        seen.disk_bytes = bases[0].size
        larger = Size(max(_GROWTH, bases[0].size // 2)) if request.grow else Size(0)
        made = await disks.overlays(bases, self._admitted, folder, bench.images, larger)
        spec = await asyncio.to_thread(machine.machine_spec, bench, seen.boot, target, made, request, folder)
        runtime = self._places.runtime / f"v{number}"
        async with bench.machines.start(spec, runtime_dir=runtime, log_dir=folder, emit=self._emit) as running:
            await running.resume()
            network = drives_nic(target, self._drivers)
            try:
                await machine.look(
                    bench, running, request, seen, self._key, network=network, folder=folder, emit=self._emit
                )
            except FactoryError as error:
                with suppress(FactoryError):
                    error.evidence = await machine.evidence(bench, running, folder)
                raise

    def _tell(self, seen: Seen) -> None:
        used = seen.machine or seen.boot.choices[0]
        if seen.error:
            self._emit(Note(f"{seen.boot.key} on {used}: {seen.error.message}", "warning"))
            return
        why = f" ({used.instead})" if used.instead else ""
        self._emit(Note(f"{seen.boot.key}: up after {Duration(seen.up_after)} on {used}, by {seen.by}{why}"))


def _new_folder(parent: Path, name: str) -> Path:
    """*name*, or that and a number: two files of an artifact may lie in different folders under one name."""
    for number in count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        with suppress(FileExistsError):
            folder.mkdir(parents=True, mode=0o700)
            break
    return folder


def failures(verdict: Verdict) -> list[str]:
    """Everything that is wrong, in words."""
    return [f"{s.boot.key}: {s.error.message}" for s in verdict.seen if s.error] + list(verdict.problems)


def in_brief(verdict: Verdict) -> str:
    """How many machines came up and how many of them do not pass; what is wrong with each was said when seen."""
    came_up, wrong = sum(bool(s.by) for s in verdict.seen), sum(bool(s.error and s.by) for s in verdict.seen)
    text = f"{came_up} of {len(verdict.seen)} machines came up"
    if wrong:
        text += f", {wrong} of them {'does' if wrong == 1 else 'do'} not pass"
    return f"{text}; {verdict.problems[0]}" if verdict.problems else text


def _available_memory() -> Size:
    """What Linux says that programs can still have; 2 GiB where it does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return Size(int(line.split()[1]) * 1024)
    except (OSError, ValueError, IndexError):
        pass
    return Size(2 * 2**30)
