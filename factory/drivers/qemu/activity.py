"""What a machine is doing, without asking the guest: its disks, its connections, its serial line, screen and CPUs.

QEMU counts what its disks do (QMP ``query-blockstats``). It counts nothing for network cards, so the TCP connections
that its user network has opened are asked of the kernel (sock_diag(7)). The CPUs' time is that of QEMU's vCPU threads
(``query-cpus-fast``), from /proc.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from factory.drivers.protocols import Activity, Machine, reboots
from factory.drivers.qemu.news import News
from factory.drivers.qemu.silence import is_held, is_stopped, silent
from factory.drivers.qemu.sockets import TcpTraffic
from factory.drivers.screen.frame import Frame
from factory.drivers.screen.waits import added
from factory.errors import MachineDied, MachineSilent, StepError
from factory.quantity import Duration, Size

_PIECE = 48  # bytes: 16 pixels of a row
VISIBLE = 0.005
"""The share of a screen that must have changed for it to count: a cursor that blinks and a clock that ticks, such as
the Debian installer's status line shows, prove nothing. What changes bit by bit adds up, and counts in the end."""
_HEARD = Size(256 * 1024)
"""Of the serial line are listened to in one look."""
_READING = Duration(10)
"""For the text on a screen to be read: fonts are looked up for the first one."""
_ANSWER = Duration(10)
"""For QEMU to tell its counters."""
_TICKS = os.sysconf("SC_CLK_TCK")


class MachineProbe:
    """Looks at one machine, again and again.

    Args:
        picture: gives its screen, None when it has none.
        text: gives the screen's lines, None where they can't be read with certainty.
    """

    def __init__(
        self,
        machine: Machine,
        picture: Callable[[], Awaitable[Frame | None]],
        text: Callable[[], Awaitable[Sequence[str] | None]],
    ) -> None:
        self._machine, self._picture, self._text = machine, picture, text
        self._traffic = TcpTraffic(machine.pid)
        self._frame: Frame | None = None
        self._changes = 0
        self._reboots: tuple[float, ...] = ()
        self._heard = ""
        self._said = 0
        self._serial_news, self._screen_news = News(), News()
        self._lines: Sequence[str] | None = None
        machine.subscribe(lambda name, data: self._on_event(name, bool(data.get("guest"))))

    async def sample(self) -> Activity:
        """Raises: MachineDied; MachineSilent at once when QEMU's process is stopped."""
        if is_stopped(self._machine.pid):
            raise silent(self._machine.pid)
        try:
            async with asyncio.timeout(float(_ANSWER)):
                disk = await self._disk()
                cpu = await self._cpu()
        except TimeoutError:
            if is_held(self._machine.pid):
                raise silent(self._machine.pid, asked=f"waited {_ANSWER} for its counters") from None
            raise
        screen = await self._screen()
        network = await asyncio.to_thread(self._traffic.bytes)
        shown = "\n".join(self._lines or ())
        return Activity(time.monotonic(), disk, network, self._serial(), screen, cpu, self._reboots, shown)

    def _on_event(self, name: str, guest: bool) -> None:
        if name == "RESET" and guest:
            self._reboots = reboots([*self._reboots, time.monotonic()])

    async def _disk(self) -> int:
        try:
            devices = await self._machine.execute("query-blockstats")
        except (MachineDied, MachineSilent):
            raise
        except StepError:
            return 0
        kinds = ("rd_bytes", "wr_bytes", "unmap_bytes")
        return sum(int(device.get("stats", {}).get(kind, 0)) for device in devices for kind in kinds)

    async def _cpu(self) -> float:
        try:
            cpus = await self._machine.execute("query-cpus-fast")
        except (MachineDied, MachineSilent):
            raise
        except StepError:
            return 0.0
        threads = {int(cpu["thread-id"]) for cpu in cpus if "thread-id" in cpu}
        return sum(_thread_time(self._machine.pid, thread) for thread in threads)

    def _serial(self) -> int:
        """Bytes that said something new: no clock, nor the report that a kernel which hangs repeats for ever."""
        # Not the log: QEMU writes a character to it twice when the line was full and it tries again.
        before, self._heard = self._heard, self._machine.serial_text(_HEARD)
        said = added(before, self._heard)
        if said and self._serial_news.hear(said):
            self._said += len(said)
        return self._said

    async def _screen(self) -> int:
        frame = await self._picture()
        if frame is None:
            return self._changes
        if self._frame is None or await asyncio.to_thread(differs, self._frame, frame):
            news = await self._shows_news()
            self._changes += news and self._frame is not None
            self._frame = frame
        return self._changes

    async def _shows_news(self) -> bool:
        """False when all that has changed is text, and all of it was there before: it scrolls, and says the same."""
        try:
            async with asyncio.timeout(float(_READING)):
                lines = await self._text()
        except TimeoutError:
            lines = None
        before, self._lines = self._lines, lines
        if lines is None:
            return True
        new = self._screen_news.see(lines)
        return new or before is None or list(before) == list(lines)  # the same text: what changed was drawn


def differs(first: Frame, second: Frame) -> bool:
    """True when more than ``VISIBLE`` of the picture is another."""
    if (first.width, first.height) != (second.width, second.height):
        return True
    if first.pixels == second.pixels:
        return False
    a, b = first.pixels, second.pixels
    row, wanted = first.width * 3, len(a) / _PIECE * VISIBLE
    changed = 0
    for start in range(0, len(a), row):
        if a[start : start + row] != b[start : start + row]:
            changed += sum(a[i : i + _PIECE] != b[i : i + _PIECE] for i in range(start, start + row, _PIECE))
            if changed > wanted:
                return True
    return False


def _thread_time(pid: int, thread: int) -> float:
    """Seconds for which a thread has run or was kept waiting for a CPU; 0 when it is gone.

    On a loaded computer a guest that is starved must not look like one that sleeps: schedstat (Linux'
    Documentation/scheduler/sched-stats) counts both; where it is not there, proc(5) stat has the first.
    """
    task = Path(f"/proc/{pid}/task/{thread}")
    try:
        ran, waited, *_ = (task / "schedstat").read_text().split()
        return (int(ran) + int(waited)) / 1e9
    except (OSError, ValueError):
        pass
    try:
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
    except (OSError, IndexError, ValueError):
        return 0.0
