"""Starts QEMU for the tests of hands and senses, and speaks QMP with it: nothing but what they need."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from factory.deadline import Deadline, poll
from factory.errors import StepError
from factory.quantity import Duration

BUDGET = Duration(30)


class TinyQemu:
    """A ``drivers.protocols.Qmp``."""

    def __init__(self, folder: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.folder = folder
        self.debug = folder / "debug"
        self.serial = folder / "serial"
        self._reader = reader
        self._writer = writer
        self._lock = asyncio.Lock()

    async def execute(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        message: dict[str, Any] = {"execute": command}
        if arguments is not None:
            message["arguments"] = dict(arguments)
        async with self._lock:
            self._writer.write(json.dumps(message).encode() + b"\n")
            await self._writer.drain()
            while True:
                answer = json.loads(await self._reader.readline())
                if "return" in answer:
                    return answer["return"]
                if "error" in answer:
                    raise StepError(answer["error"]["desc"])

    def serial_text(self) -> str:
        return self.serial.read_bytes().decode(errors="replace") if self.serial.exists() else ""

    async def sent(self, count: int) -> bytes:
        """Waits until the guest has sent so many bytes to the debug console; returns all of them."""

        async def enough() -> bytes | None:
            data = self.debug.read_bytes() if self.debug.exists() else b""
            return data if len(data) >= count else None

        return await poll(enough, Deadline.after(BUDGET, f"{count} bytes from the guest"), every=Duration(0.05))


@asynccontextmanager
async def tiny_qemu(*arguments: str, boot_sector: bytes | None = None, vga: str = "std") -> AsyncIterator[TinyQemu]:
    with tempfile.TemporaryDirectory(prefix="hs") as name:
        folder = Path(name)
        argv = [
            "qemu-system-x86_64", "-accel", "tcg", "-display", "none", "-nodefaults", "-vga", vga, "-m", "64",
            "-qmp", f"unix:{folder}/qmp,server=on,wait=off", "-debugcon", f"file:{folder}/debug",
            "-serial", f"file:{folder}/serial", *arguments,
        ]  # fmt: skip
        if boot_sector is not None:
            (folder / "disk").write_bytes(boot_sector)
            argv += ["-drive", f"file={folder}/disk,format=raw,if=ide"]
        process = await asyncio.create_subprocess_exec(*argv)
        try:
            reader, writer = await _connect(folder / "qmp", process)
            await reader.readline()
            machine = TinyQemu(folder, reader, writer)
            await machine.execute("qmp_capabilities")
            yield machine
            writer.close()
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _connect(
    socket: Path, process: asyncio.subprocess.Process
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async def attempt() -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        if process.returncode is not None:
            raise StepError(f"QEMU ended with {process.returncode}")
        try:
            return await asyncio.open_unix_connection(socket, limit=16 * 2**20)
        except OSError:
            return None

    return await poll(attempt, Deadline.after(BUDGET, "QEMU's control socket"), every=Duration(0.02))


def drive(path: Path, *, media: str = "disk", interface: str = "ide") -> Sequence[str]:
    return ("-drive", f"file={path},format=raw,if={interface},media={media},readonly=on")
