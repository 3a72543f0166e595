"""Lines with the time in front of them, as Packer's ``-timestamp-ui`` prints them."""

from __future__ import annotations

from datetime import UTC, datetime
from io import TextIOBase
from typing import TextIO


class Timestamped(TextIOBase):
    """A text stream before another one. No terminal: what moves would get a time for each of its movements."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._begins = stream, True

    @property
    def encoding(self) -> str:  # type: ignore[override]  # read-only here
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._stream.errors

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def write(self, text: str) -> int:
        if not isinstance(text, str):  # click asks a stream in this way whether it takes text or bytes
            raise TypeError(f"a text stream takes no {type(text).__name__}")
        now = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
        for line in text.splitlines(keepends=True):
            self._stream.write(f"{now}: {line}" if self._begins else line)
            self._begins = line.endswith("\n")
        return len(text)

    def flush(self) -> None:
        self._stream.flush()
