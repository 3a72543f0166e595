"""Small joints between the drivers as they are and the Protocols that steps ask for."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from factory.boot_command.keymap import layout as keyboard_layout
from factory.boot_command.parse import Dialect, parse
from factory.deadline import Deadline
from factory.drivers import floppy, iso
from factory.drivers.iso_view import IsoView
from factory.drivers.keyboard.keyboard import Keyboard
from factory.drivers.machine_spec import MachineSpec
from factory.drivers.protocols import Activity, BootWaits, Machine, MachineDriver, Outcome, TypingReport
from factory.drivers.qemu.activity import MachineProbe
from factory.drivers.qemu.silence import is_stopped, silent
from factory.drivers.screen import ocr
from factory.drivers.screen.font_library import FontLibrary
from factory.drivers.screen.recorder import FOLDER, RecorderLimits, recording
from factory.drivers.screen.senses import Senses
from factory.drivers.screen.waits import ScreenWaits
from factory.drivers.ssh_keys import generate_build_key
from factory.engine.run_control import RunControl
from factory.events import Emit, Note
from factory.quantity import Duration
from factory.secret import Redactor


class GuestTypist:
    """``protocols.Typist``: parses the rendered boot command and types it."""

    def __init__(self, screens: MachineScreens) -> None:
        self._screens = screens

    async def type(
        self, machine: Machine, command: str, *, dialect: str, layout: str, waits: BootWaits, emit: Emit
    ) -> TypingReport:
        parsed = parse(command, Dialect.PACKER if dialect == "packer" else Dialect.FACTORY)
        for warning in parsed.warnings:
            emit(Note(str(warning), "warning"))
        senses = self._screens.senses(machine)
        keyboard = Keyboard(
            machine,
            keyboard_layout(layout),
            screen=senses,
            emit=emit,
            redact=senses.masked,
            secrets=senses.secrets,
        )
        report = await keyboard.type(parsed.actions, waits=waits)
        return TypingReport(report.characters, report.verified, report.retyped, report.duration, report.warnings)


class KnownMachines:
    """``protocols.MachineDriver`` that notes each living machine in the run directory, and records its screen."""

    def __init__(
        self, driver: MachineDriver, control: RunControl, screens: MachineScreens, limits: RecorderLimits
    ) -> None:
        self._driver, self._control, self._screens, self._limits = driver, control, screens, limits

    def start(
        self, spec: MachineSpec, *, runtime_dir: Path, log_dir: Path, emit: Emit
    ) -> AbstractAsyncContextManager[Machine]:
        return self._start(spec, runtime_dir, log_dir, emit)

    @asynccontextmanager
    async def _start(self, spec: MachineSpec, runtime_dir: Path, log_dir: Path, emit: Emit) -> AsyncIterator[Machine]:
        async with self._driver.start(spec, runtime_dir=runtime_dir, log_dir=log_dir, emit=emit) as machine:
            self._control.machine_started(log_dir, machine.pid, await machine.attachments())
            senses = self._screens.senses(machine)
            try:
                async with recording(senses, log_dir / FOLDER, self._limits, emit):
                    yield machine
            finally:
                self._control.machine_ended(machine.pid)

    def start_tpm(
        self, state_dir: Path, *, runtime_dir: Path, version: str, emit: Emit
    ) -> AbstractAsyncContextManager[Path]:
        return self._driver.start_tpm(state_dir, runtime_dir=runtime_dir, version=version, emit=emit)


def make_build_key(comment: str) -> tuple[bytes, str]:
    """``protocols.KeyMaker``."""
    key = generate_build_key(comment)
    return key.private_pem.reveal(), key.public_line


class DiscMaker:
    """``protocols.MediaMaker``."""

    async def make_cd(self, path: Path, label: str, files: Mapping[str, bytes | Path]) -> None:
        await iso.make_cd(path, label, files)

    async def make_floppy(self, path: Path, label: str, files: Mapping[str, bytes | Path]) -> None:
        await floppy.make_floppy(path, label, files)

    async def view(self, image: Path) -> IsoView:
        return await iso.view(image)

    async def extract(self, image: Path, files: Mapping[str, Path]) -> None:
        await iso.extract(image, files)


class MachineProbes:
    """``protocols.ActivityProbe``: one probe for each machine, which remembers what it has seen."""

    def __init__(self, screens: MachineScreens) -> None:
        self._screens = screens
        self._probes: dict[int, MachineProbe] = {}

    async def sample(self, machine: Machine) -> Activity:
        if machine.pid not in self._probes:
            senses = self._screens.senses(machine)
            self._probes[machine.pid] = MachineProbe(machine, senses.frame, senses.read_lines)
        return await self._probes[machine.pid].sample()


class MachineScreens:
    """``protocols.ScreenReader``: the senses of each machine, made when it is first looked at."""

    def __init__(self, fonts: Path, redactor: Redactor | None = None) -> None:
        self._fonts, self._redactor = fonts, redactor
        self._senses: dict[int, Senses] = {}
        self._waits: dict[tuple[int, str], ScreenWaits] = {}

    def senses(self, machine: Machine) -> Senses:
        """What reads this machine, and remembers its fonts and cell grid from one look to the next."""
        if machine.pid not in self._senses:
            library = FontLibrary(cache=self._fonts)
            self._senses[machine.pid] = Senses(machine, library, recogniser=ocr.recogniser(), redactor=self._redactor)
        return self._senses[machine.pid]

    def waits(self, machine: Machine, reader: str = "") -> ScreenWaits:
        key = (machine.pid, reader)
        if key not in self._waits:
            self._waits[key] = ScreenWaits(self.senses(machine), machine)
        return self._waits[key]

    async def read_text(self, machine: Machine) -> str:
        senses = self.senses(machine)
        return senses.shown(await senses.read_screen()).text

    async def save_picture(self, machine: Machine, path: Path) -> None:
        if is_stopped(machine.pid):
            raise silent(machine.pid)  # whoever explains a failure by it must not wait for it
        await self.senses(machine).save_picture(path)

    async def wait_for_text(self, machine: Machine, pattern: re.Pattern[str], deadline: Deadline) -> str:
        return (await self.waits(machine).for_text(pattern, deadline)).text

    async def wait_for_any(
        self, machine: Machine, outcomes: Sequence[Outcome], deadline: Deadline, *, reader: str = ""
    ) -> Outcome:
        outcome, _ = await self.waits(machine, reader).for_any(outcomes, deadline)
        return outcome

    async def wait_for_serial(
        self, machine: Machine, pattern: re.Pattern[str], deadline: Deadline, *, reader: str = ""
    ) -> str:
        return await self.waits(machine, reader).for_serial(pattern, deadline)

    async def wait_still(self, machine: Machine, still: Duration, deadline: Deadline) -> None:
        await self.waits(machine).for_still(still, deadline)
