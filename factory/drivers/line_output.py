"""A command's output on its way from the thread that reads it to the event loop: in lines, and as tails."""

from __future__ import annotations

import asyncio
import codecs
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from factory.drivers.protocols import OnLine
from factory.drivers.threads import give_up, post
from factory.errors import Evidence
from factory.quantity import Size

_LONGEST_LINE = 64 * 1024
_BACKLOG = 64
"""Pieces of output that may be waiting for the event loop."""


@dataclass(slots=True)
class Tail:
    """The last bytes of a stream."""

    limit: Size = Size(64 * 1024)
    _data: bytearray = field(default_factory=bytearray)

    def add(self, data: bytes) -> None:
        self._data += data
        if len(self._data) > 2 * self.limit:
            del self._data[: -int(self.limit)]

    def text(self) -> str:
        return bytes(self._data[-int(self.limit) :]).decode("utf-8", "replace")


class Lines:
    """Cuts a byte stream into lines.

    A lone carriage return overwrites the line, as progress bars do: only what is shown last is kept. A line without
    end is given out in pieces.
    """

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""

    def add(self, data: bytes) -> list[str]:
        *lines, self._rest = (self._rest + self._decode(data)).split("\n")
        while len(self._rest) > _LONGEST_LINE:
            lines.append(self._rest[:_LONGEST_LINE])
            self._rest = self._rest[_LONGEST_LINE:]
        return [_last_shown(line) for line in lines]

    def end(self) -> list[str]:
        rest, self._rest = self._rest + self._decode(b"", True), ""
        return [_last_shown(rest)] if rest else []


def _last_shown(line: str) -> str:
    return next((part for part in reversed(line.split("\r")) if part), "")


class LineOutput:
    """Takes a command's output in the reading thread and hands its lines to the event loop, not faster than it can."""

    def __init__(self, on_line: OnLine | None, abort: Callable[[], None]) -> None:
        self.tails = {"stdout": Tail(), "stderr": Tail()}
        self.last_line = ""
        self._lines = {"stdout": Lines(), "stderr": Lines()}
        self._on_line = on_line
        self._abort = abort
        self._loop = asyncio.get_running_loop()
        self._room = threading.BoundedSemaphore(_BACKLOG)
        self._stopped = threading.Event()
        self._failure: Exception | None = None

    def take(self, stream: str, data: bytes) -> None:
        self.tails[stream].add(data)
        lines = self._lines[stream].add(data)
        if lines:
            while not self._room.acquire(timeout=1):
                if self._stopped.is_set():
                    return
            post(self._loop, lambda: self._deliver_and_free(stream, lines))

    def _deliver_and_free(self, stream: str, lines: list[str]) -> None:
        self._room.release()
        if not self._stopped.is_set():
            self._deliver(stream, lines)

    def _deliver(self, stream: str, lines: list[str]) -> None:
        self.last_line = next((line for line in reversed(lines) if line.strip()), self.last_line)
        if self._on_line is None or self._failure is not None:
            return
        try:
            for line in lines:
                self._on_line(stream, line)
        except Exception as error:  # the event loop would swallow it: finish() raises it
            self._failure = error
            give_up(self._abort)

    def stop(self) -> None:
        self._stopped.set()

    def finish(self) -> None:
        """Gives out lines without an end. Raises: as ``raise_failure``."""
        for stream, lines in self._lines.items():
            self._deliver(stream, lines.end())
        self.raise_failure()

    def raise_failure(self) -> None:
        """Raises: what the receiver of lines raised, if it did."""
        if self._failure is not None:
            raise self._failure

    def seen(self) -> str:
        """What to say of it when time is up."""
        return f"the last line was: {self.last_line}" if self.last_line else "it printed nothing"

    def evidence(self) -> Evidence:
        return Evidence(stderr=self.tails["stderr"].text(), notes=tuple(self.tails["stdout"].text().splitlines()[-20:]))
