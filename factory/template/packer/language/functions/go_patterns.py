"""Rewrites a regular expression of Go's (RE2) for Python's engine, piece by piece."""

from __future__ import annotations

import re

from factory.template.packer.language.functions.character_classes import (
    SPACE,
    Ranges,
    complement,
    in_bracket,
    posix_class,
    unicode_class,
)
from factory.template.packer.language.functions.registry import FunctionError

_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}
_REPEAT = re.compile(r"[*+?]|\{\d+(?:,\d*)?\}")
_GROUP = re.compile(r"\((?:\?(?:P?<\w+>|[a-zA-Z-]*[:)]))?")
_HEX = re.compile(r"\\x\{([0-9a-fA-F]{1,6})\}")
_OCTAL = re.compile(r"\\([1-7][0-7]{1,2}|0[0-7]{0,2})")
_UNICODE = re.compile(r"\\([pP])(?:\{(\^?)(\w+)\}|(\w))")
_POSIX = re.compile(r"\[:(\^?\w+):\]")
_LITERAL = re.compile(r"\\Q(.*?)(?:\\E|\Z)", re.DOTALL)


def translate(pattern: str) -> tuple[str, re.RegexFlag]:
    """The pattern and its flags for ``re``. Raises: FunctionError for what is not supported."""
    return _Translation(pattern).whole()


class _Translation:
    def __init__(self, pattern: str) -> None:
        self.pattern, self.position = pattern, 0
        self.flags: re.RegexFlag = re.ASCII
        self.ungreedy = False

    def whole(self) -> tuple[str, re.RegexFlag]:
        # Go allows flags anywhere and lets them hold for the rest of the group; Python at the start or with a colon.
        if leading := re.match(r"\(\?([imsU]+)\)", self.pattern):
            self.position = leading.end()
            for letter in leading[1]:
                self.flags |= _FLAGS.get(letter, re.ASCII)
            self.ungreedy = "U" in leading[1]
        pieces: list[str] = []
        while self.position < len(self.pattern):
            pieces.append(self._piece())
        return "".join(pieces), self.flags

    def _take(self, expression: re.Pattern[str]) -> re.Match[str] | None:
        found = expression.match(self.pattern, self.position)
        if found:
            self.position = found.end()
        return found

    def _next(self) -> str:
        self.position += 1
        return self.pattern[self.position - 1]

    def _piece(self) -> str:
        if found := self._take(_LITERAL):
            return re.escape(found[1])
        if found := self._take(_REPEAT):
            return found[0] + self._greed()
        if found := self._take(_GROUP):
            return self._group(found[0])
        c = self._next()
        if c == "\\":
            self.position -= 1
            return self._escape(inside=False)
        if c == "[":
            return self._bracket()
        if c == "$" and not self.flags & re.MULTILINE:
            return r"\Z"
        return "\\" + c if c in "{}" else c  # a brace that repeats nothing is plain in Go

    def _greed(self) -> str:
        lazy = self.pattern.startswith("?", self.position)
        self.position += lazy
        return "?" if lazy != self.ungreedy else ""

    def _group(self, opening: str) -> str:
        if opening.startswith("(?") and "U" in opening.partition("<")[0]:
            raise FunctionError("the flag U (ungreedy) is supported at the start alone", 0, hint="write *? and +?")
        return opening.replace("(?<", "(?P<")

    def _escape(self, *, inside: bool) -> str:
        """What stands behind a backslash; *inside* of brackets a class is written without its own."""
        if found := self._take(_UNICODE):
            ranges = unicode_class(found[3] or found[4])
            if ranges is None:
                raise FunctionError(f"the character class “{found[0]}” is not supported", 0)
            negated = (found[1] == "P") != bool(found[2])
            return self._class(complement(ranges) if negated else ranges, inside)
        if found := self._take(_HEX):
            return self._code(int(found[1], 16))
        if found := self._take(_OCTAL):
            return self._code(int(found[1], 8))
        self.position += 1
        letter = self._next() if self.position < len(self.pattern) else ""
        if letter in ("s", "S"):
            return self._class(SPACE if letter == "s" else complement(SPACE), inside)
        return r"\Z" if letter == "z" and not inside else "\\" + letter

    @staticmethod
    def _class(ranges: Ranges, inside: bool) -> str:
        return in_bracket(ranges) if inside else f"[{in_bracket(ranges)}]"

    @staticmethod
    def _code(code: int) -> str:
        if code > 0x10FFFF:
            raise FunctionError(f"there is no character {code:x}", 0)
        return re.escape(chr(code))

    def _bracket(self) -> str:
        pieces = ["["]
        if self.pattern.startswith("^", self.position):
            pieces.append(self._next())
        first = True
        while self.position < len(self.pattern):
            if found := self._take(_POSIX):
                ranges = posix_class(found[1])
                if ranges is None:
                    raise FunctionError(f"the character class “{found[0]}” is not supported", 0)
                pieces.append(in_bracket(ranges))
            elif self.pattern.startswith("\\", self.position):
                pieces.append(self._escape(inside=True))
            else:
                c = self._next()
                if c == "]" and not first:
                    pieces.append(c)
                    break
                pieces.append("\\" + c if c in "[]&|~" else c)  # Python warns of two of them in a row
            first = False
        return "".join(pieces)
