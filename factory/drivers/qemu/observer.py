"""A visitor on a running machine's second monitor: reads its screen from another process, beside the build.

QEMU serves one visitor at a time on that socket, so each visit is short: connect, look, leave.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from factory.deadline import Deadline
from factory.drivers.qemu.qmp import ConnectionLost, QmpConnection
from factory.errors import DeadlineExpired, StepError
from factory.quantity import Duration, Size

PATIENCE = Duration(15)
"""For another visitor to leave, and for QEMU to answer while it writes its memory to a file."""


class MachineGone(StepError):
    """The machine that somebody looks at has ended."""


class Observer:
    """Implements ``screen.senses.ScreenMachine`` while a ``visit`` lasts. Keeps nothing open between visits."""

    def __init__(self, monitor: Path, serial_log: Path) -> None:
        self._monitor, self._serial_log = monitor, serial_log
        self._qmp: QmpConnection | None = None

    @asynccontextmanager
    async def visit(self) -> AsyncIterator[None]:
        """Raises: MachineGone, DeadlineExpired when QEMU does not come to talk to us."""
        connected = socket.socket(socket.AF_UNIX)
        try:
            connected.connect(str(self._monitor))
        except OSError as error:
            connected.close()
            raise MachineGone(f"the machine does not answer: {error.strerror}", hint=_OVER) from error
        qmp = QmpConnection("observer", _ignore)
        deadline = Deadline.after(PATIENCE, "QEMU to serve another visitor")
        try:
            await qmp.connect(connected, deadline)
        except ConnectionLost as error:
            raise MachineGone("the machine has just ended", hint=_OVER) from error
        except DeadlineExpired:
            connected.close()
            raise
        self._qmp = qmp
        try:
            yield
        finally:
            self._qmp = None
            await qmp.close()

    async def execute(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Raises: MachineGone; StepError with QEMU's words when it refuses."""
        assert self._qmp is not None, "only while a visit lasts"
        try:
            return await self._qmp.execute(command, arguments, patience=PATIENCE)
        except ConnectionLost as error:
            raise MachineGone("the machine has ended", hint=_OVER) from error

    async def screenshot(self, path: Path) -> None:
        """Writes a PNG of the screen, whole or not at all. Raises: StepError when there is no display, OSError."""
        picture = path.absolute().with_name(f".{path.name}.part")
        try:
            await self.execute("screendump", {"filename": str(picture)})
            await asyncio.to_thread(_to_png, picture)
            os.replace(picture, path)
        finally:
            picture.unlink(missing_ok=True)

    def serial_text(self, limit: Size = Size(64 * 1024)) -> str:
        """The tail of the log that QEMU writes of the first serial line."""
        try:
            with self._serial_log.open("rb") as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - int(limit)))
                return log.read().decode("utf-8", "replace").replace("\r\n", "\n")
        except FileNotFoundError:
            return ""


_OVER = "`factory runs` lists the runs; the run directory keeps its logs and its last screens"


def _ignore(name: str, data: Mapping[str, Any]) -> None:
    """Events are the build's business."""


def _to_png(picture: Path) -> None:
    from PIL import Image

    with Image.open(picture) as image:
        image.load()
        image.save(picture, format="PNG")
