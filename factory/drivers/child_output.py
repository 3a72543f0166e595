"""What a child process says: into a log file, a bounded tail, and line by line to whoever listens."""

from __future__ import annotations

import asyncio
import codecs
import os
from collections.abc import Callable
from typing import IO

from factory.quantity import Size

LONGEST_LINE = Size(16 * 2**20)

OnText = Callable[[str], None]


class OutputStream:
    """Reads one output pipe of a child without blocking. ``error`` is what the callback raised, the first time."""

    def __init__(self, pipe: IO[bytes], keep: Size, log: IO[bytes] | None, on_line: OnText | None) -> None:
        self._pipe, self._keep, self._log, self._on_line = pipe, int(keep), log, on_line
        self._tail = bytearray()
        self.cut = False
        self.error: Exception | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""
        self._loop = asyncio.get_running_loop()
        self.ended = asyncio.Event()
        os.set_blocking(pipe.fileno(), False)
        self._loop.add_reader(pipe.fileno(), self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._pipe.fileno(), 256 * 1024)
        except BlockingIOError:
            return
        if not data:
            self.close()
            return
        if self._log is not None:
            self._log.write(data)
        self._tail += data
        if len(self._tail) > 2 * self._keep + 4096:  # cut rarely: each cut moves all bytes
            self._cut()
        self._feed(self._decoder.decode(data))

    def _cut(self) -> None:
        if len(self._tail) > self._keep:
            del self._tail[: len(self._tail) - self._keep]
            self.cut = True

    def _feed(self, text: str) -> None:
        if self._on_line is None:
            return
        # Progress bars end their lines with a lone CR; both are ends of a line.
        *lines, self._line = (self._line + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        if len(self._line) > LONGEST_LINE:
            lines, self._line = [*lines, self._line], ""
        for line in lines:
            self._tell(line)

    def _tell(self, line: str) -> None:
        if self._on_line is not None and self.error is None:
            try:
                self._on_line(line)
            except Exception as error:  # the event loop would swallow it: the waiter raises it
                self.error = error

    def close(self) -> None:
        if self.ended.is_set():
            return
        self._loop.remove_reader(self._pipe.fileno())
        self._pipe.close()
        self.ended.set()
        self._feed(self._decoder.decode(b"", final=True))
        if self._line:
            last, self._line = self._line, ""
            self._tell(last)

    @property
    def text(self) -> str:
        self._cut()
        return self._tail.decode("utf-8", "replace")
