"""Text of one template file, and the way from an offset in it to a place that a person can find.

Lines and columns count from 1, columns in characters. A byte order mark is dropped and does not count; CRLF line ends
stay in the text, as heredocs keep them.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field

from factory.errors import Place, Problem, TemplateError

BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
LONGEST_SHOWN_LINE = 160


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One text with a name. One that lies inside another, such as a text in JSON, has its places there.

    *outer* is that other one, and *offsets* say where each character begins in it, and where the last one ends.
    """

    name: str
    text: str
    outer: Source | None = None
    offsets: Sequence[int] = ()
    _starts: list[int] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, name: str, text: str) -> Source:
        return cls(name, text.removeprefix(BYTE_ORDER_MARK))

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of *offset*."""
        if self.outer is not None:
            return self.outer.position(self._outside(offset))
        if not self._starts:
            self._starts.append(0)
            self._starts.extend(i + 1 for i, c in enumerate(self.text) if c == "\n")
        offset = min(max(offset, 0), len(self.text))
        line = bisect.bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def place(self, offset: int) -> Place:
        return Place(self.name, *self.position(offset))

    def line_at(self, offset: int) -> str:
        """The line that *offset* lies in, without its end; of a very long one, some characters beyond it."""
        if self.outer is not None:
            return self.outer.line_at(self._outside(offset))
        offset = min(max(offset, 0), len(self.text))
        start = self.text.rfind("\n", 0, offset) + 1
        end = self.text.find("\n", offset)
        line = self.text[start : len(self.text) if end < 0 else end].rstrip("\r")
        longest = offset - start + LONGEST_SHOWN_LINE
        return line if len(line) <= longest else line[: longest - 1] + "…"

    def _outside(self, offset: int) -> int:
        return self.offsets[min(max(offset, 0), len(self.offsets) - 1)]

    def span(self, start: int, end: int) -> Span:
        return Span(self, start, end)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a source, from *start* up to but not including *end*."""

    source: Source
    start: int
    end: int

    @property
    def place(self) -> Place:
        return self.source.place(self.start)

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        return Span(self.source, self.start, other.end)

    def problem(self, message: str, *, hint: str = "", severity: str = "error") -> Problem:
        """A problem at this stretch, with the source line that it stands in."""
        return Problem(message, self.place, hint, self.source.line_at(self.start), severity)

    def error(self, message: str, *, hint: str = "") -> TemplateError:
        return TemplateError([self.problem(message, hint=hint)], hint=hint)


NOWHERE = Span(Source("<built in>", ""), 0, 0)
"""Where a value that no file contains comes from."""
