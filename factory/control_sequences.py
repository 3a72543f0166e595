"""Text with a terminal's control sequences (ECMA-48; xterm's "Control Sequences"): taken apart, or without them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from factory.visible import CSI, STRING, UNSEEN

FARTHEST = 255
"""The rightmost column that a sequence moves to, from 0: who measures a terminal asks for column 32766."""
ALTERNATE = frozenset({"?47", "?1047", "?1049"})
"""Modes that show another screen: editors and pagers use it, and leave the first one as it was."""
_LONGEST = 4096
"""Characters that a sequence may have so that its end is waited for."""
_TOKEN = re.compile(
    rf"(?P<text>[^\t\n{UNSEEN}]+)"
    rf"|{CSI}(?P<parameters>[0-?]*)(?P<between>[ -/]*)(?P<final>[@-~]?)"  # without a final byte it is broken off
    r"|\x1b\](?:P[0-9A-Fa-f]{7}|R)"  # Linux' console: a palette, which has no end (console_codes(4))
    rf"|{STRING}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b(?P<selects>[ -/]*)(?P<escape>[0-~])"
    rf"|(?P<control>[\t\n{UNSEEN}])",
)
_CONTROLS = re.compile(f"[{UNSEEN}]")
_CUT = re.compile(rf"(?:{CSI}[0-?]*[ -/]*|(?!\x1b\](?:P[0-9A-Fa-f]{{7}}|R)){STRING}\x1b?|\x1b[ -/]*)\Z")
"""What may become a sequence when more comes."""
_ELSEWHERE = frozenset("ABDEFGHSTZ`defr")
"""Final bytes of what moves the cursor to another place than behind what was written last."""


def tokens(text: str) -> Iterator[re.Match[str]]:
    """Takes *text* apart: ``text``, one ``control`` character, ``escape`` with what it ``selects``, or a control
    sequence's ``parameters``, ``between`` and ``final`` (empty when it is broken off). Control strings have no group.
    """
    return _TOKEN.finditer(text)


def uncut(text: str) -> tuple[str, str]:
    """*text* up to a sequence whose end is still to come, and the rest; one that is too long has no end."""
    cut = _CUT.search(text, max(0, len(text) - _LONGEST))
    return (text[: cut.start()], text[cut.start() :]) if cut else (text, "")


def numbers(parameters: str) -> list[int]:
    """A sequence's numbers, 0 where none stands; large ones as 99999. Private ones (``<=>?``) are no numbers."""
    return [_number(n) for n in parameters.split(";")]


def _number(digits: str) -> int:
    digits = digits.lstrip("0")
    if not digits.isascii() or not digits.isdigit():
        return 0
    return int(digits) if len(digits) < 6 else 99_999


class PlainText:
    """Takes the control sequences out of a text that comes in pieces, cut anywhere.

    Colours and modes vanish. Where the cursor is moved to another place, or back to the start of the line, what is
    written next begins a line; where it is moved on in its line there are blanks.
    """

    def __init__(self) -> None:
        self._rest = ""
        self._moved = False
        self._saved: bool | None = None
        self._last = "\n"

    def feed(self, piece: str) -> str:
        """What *piece* adds."""
        text, self._rest = uncut(self._rest + piece)
        return "".join(map(self._token, tokens(text)))

    def _token(self, token: re.Match[str]) -> str:
        if token["text"]:
            return self._written(token["text"])
        match token["control"] or token["escape"] or token["final"]:
            case "\n" | "\x0b" | "\x0c" | "\x85":
                self._moved, self._last = False, "\n"
                return "\n"
            case "\t" as blank:
                return self._written(blank)
            case "\r" | "\x84" | "\x8d":
                self._moved = True
            case final if token["final"]:
                return self._sequence(final, token["parameters"])
            case "7":
                self._saved = self._moved
            case "8":
                self._restore()
            case "D" | "E" | "M" | "c" if token["escape"] and not token["selects"]:
                self._moved = True
        return ""

    def _sequence(self, final: str, parameters: str) -> str:
        first = numbers(parameters)[0]
        if final in "Ca" and not self._moved:
            return self._written(" " * min(max(1, first), FARTHEST))
        if final in _ELSEWHERE or (final == "J" and first) or (final in "hl" and parameters in ALTERNATE):
            self._moved = True
        elif final == "s" and not parameters:
            self._saved = self._moved
        elif final == "u" and not parameters:
            self._restore()
        return ""

    def _restore(self) -> None:
        """Who only measures the terminal writes nothing between saving the cursor and restoring it."""
        self._moved = True if self._saved is None else self._saved
        self._saved = None

    def _written(self, text: str) -> str:
        begins = "\n" if self._moved and self._last != "\n" else ""
        self._moved, self._saved, self._last = False, None, text[-1]
        return begins + text


def plain(text: str) -> str:
    """*text* as a person reads it: see ``PlainText``."""
    return PlainText().feed(text) if _CONTROLS.search(text) else text
