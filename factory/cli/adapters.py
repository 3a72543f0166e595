"""Small joints between the drivers as they are and the Protocols that steps ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from factory.boot_command.keymap import layout as keyboard_layout
from factory.boot_command.parse import Dialect, parse
from factory.deadline import Deadline
from factory.drivers import process
from factory.drivers.keyboard import Keyboard
from factory.drivers.protocols import BootWaits, Machine, OnLine, ProgramResult, TypingReport
from factory.drivers.ssh_keys import generate_build_key
from factory.events import Emit, Note


class GuestTypist:
    """``protocols.Typist``: parses the rendered boot command and types it."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact

    async def type(
        self, machine: Machine, command: str, *, dialect: str, layout: str, waits: BootWaits, emit: Emit
    ) -> TypingReport:
        parsed = parse(command, Dialect.PACKER if dialect == "packer" else Dialect.FACTORY)
        for warning in parsed.warnings:
            emit(Note(f"boot command: {warning}", "warning"))
        keyboard = Keyboard(machine, keyboard_layout(layout), emit=emit, redact=self._redact)
        report = await keyboard.type(parsed.actions, waits=waits)
        return TypingReport(report.characters, report.verified, report.retyped, report.duration, report.warnings)


class HostPrograms:
    """``protocols.Programs``: scripts of the project may need the network, so proxies are handed on."""

    async def run(
        self, argv: Sequence[str], *, deadline: Deadline, emit: Emit, cwd: Path | None = None,
        env: Mapping[str, str] | None = None, log: Path | None = None, on_line: OnLine | None = None,
    ) -> ProgramResult:  # fmt: skip
        result = await process.run(
            argv, deadline=deadline, emit=emit, cwd=cwd, env=env, log=log, inherit=process.PROXIES,
            on_stdout_line=(lambda line: on_line("stdout", line)) if on_line else None,
            on_stderr_line=(lambda line: on_line("stderr", line)) if on_line else None,
        )  # fmt: skip
        return ProgramResult(result.exit_status, result.stdout, result.stderr)


def make_build_key(comment: str) -> tuple[bytes, str]:
    """``protocols.KeyMaker``."""
    key = generate_build_key(comment)
    return key.private_pem.reveal(), key.public_line
