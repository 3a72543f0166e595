"""What a guest writes to its serial line, as events: whole lines, a few times a second, and bounded in a flood.

Events are redacted and kept in the journal; the raw log is masked only when the machine has ended. A failure can be
explained from them at any time.
"""

from __future__ import annotations

import asyncio
import codecs

from factory.events import Emit, SerialOutput
from factory.quantity import Duration, Size

GATHER = Duration(0.5)
SETTLED = 4
"""A line without an end, such as a prompt, is told when so many rounds have brought nothing more: a secret that is
being typed is not cut in two, for then nobody would recognise it."""
PER_ROUND = Size(16 * 1024)
IN_ALL = Size(8 * 2**20)
_LONGEST_LINE = 16 * 1024


class SerialEvents:
    """Takes what the line brings (``feed``). ``close`` tells the rest."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._pending = ""
        self._skipped = 0
        self._told = 0
        self._idle = 0
        self._timer: asyncio.TimerHandle | None = None

    def feed(self, data: bytes) -> None:
        self._idle = 0
        room = PER_ROUND - len(self._pending)
        self._pending += self._decode(data[: max(0, room)])
        self._skipped += max(0, len(data) - max(0, room))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(float(GATHER), self._round)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tell(self._pending)
        self._pending = ""

    def _round(self) -> None:
        self._timer = None
        end = self._pending.rfind("\n") + 1
        self._idle += 1
        if self._idle > SETTLED or self._skipped or len(self._pending) - end > _LONGEST_LINE:
            end = len(self._pending)
        text, self._pending = self._pending[:end], self._pending[end:]
        self._tell(text)
        if self._pending:
            self._timer = asyncio.get_running_loop().call_later(float(GATHER), self._round)

    def _tell(self, text: str) -> None:
        if self._skipped:
            text += f"\n[… {self._skipped} bytes more at once: see the serial log]\n"
            self._skipped = 0
        if not text or self._told > IN_ALL:
            return
        self._told += len(text)
        if self._told > IN_ALL:
            text += f"\n[… more than {IN_ALL} in all: see the serial log]\n"
        self._emit(SerialOutput(text.replace("\r\n", "\n")))
