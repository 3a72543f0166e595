"""What a serial line shows: the screen of the terminal that its bytes are written for.

Firmware, GRUB and installers place text with the control sequences of a VT100 (ECMA-48); kernels and shells just print
lines. Lines are kept as long as they come: a real terminal's right edge would only cut log lines in two.
"""

from __future__ import annotations

import re

from factory.visible import UNSEEN

ROWS = 25
_TOKEN = re.compile(
    r"(?:\x1b\[|\x9b)(?P<arguments>[0-9;?]*)[ -/]*(?P<command>[@-~])"
    r"|\x1b[()][0-9A-Za-z]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)|\x1b."
    rf"|(?P<text>[^\t\n{UNSEEN}]+)|(?P<control>[\t\n{UNSEEN}])",
    re.DOTALL,
)
"""Control sequences have a form of 7 bits and one of 8, which begins with a single character of C1."""


class Terminal:
    """A terminal of unlimited width that remembers what has scrolled away."""

    def __init__(self, rows: int = ROWS) -> None:
        self._rows = rows
        self._lines: list[str] = [""]
        self._top = 0
        self._row = 0
        self._column = 0

    def feed(self, text: str) -> None:
        for token in _TOKEN.finditer(text):
            if token["text"]:
                self._write(token["text"])
            elif token["control"]:
                self._control(token["control"])
            elif token["command"]:
                self._sequence(token["command"], token["arguments"])

    def screen(self) -> tuple[str, ...]:
        """The last screenful, without blanks at the ends of lines and blank lines at the end."""
        lines = [line.rstrip() for line in self._lines[self._top :]]
        while lines and not lines[-1]:
            lines.pop()
        return tuple(lines)

    def _write(self, text: str) -> None:
        line = self._lines[self._row]
        if len(line) < self._column:
            line = line.ljust(self._column)
        self._lines[self._row] = line[: self._column] + text + line[self._column + len(text) :]
        self._column += len(text)

    def _control(self, character: str) -> None:
        match character:
            case "\r":
                self._column = 0
            case "\n" | "\x0b" | "\x0c":
                # ``protocols.Machine.serial_text`` gives lines that end with LF alone.
                self._go(self._row + 1)
                self._column = 0
            case "\b":
                self._column = max(0, self._column - 1)
            case "\t":
                self._column += 8 - self._column % 8

    def _sequence(self, command: str, arguments: str) -> None:
        numbers = [int(n) if n.isdigit() else 0 for n in arguments.lstrip("?").split(";")]
        count = max(1, numbers[0])
        match command:
            case "H" | "f":
                self._go(self._top + count - 1)
                self._column = max(1, numbers[1] if len(numbers) > 1 else 1) - 1
            case "A":
                self._row = max(self._top, self._row - count)
            case "B":
                self._go(min(self._row + count, self._top + self._rows - 1))
            case "C":
                self._column += count
            case "D":
                self._column = max(0, self._column - count)
            case "G":
                self._column = count - 1
            case "d":
                self._go(self._top + count - 1)
            case "J":
                self._erase_screen(numbers[0])
            case "K":
                line = self._lines[self._row]
                kept = {0: line[: self._column], 1: " " * self._column + line[self._column :]}
                self._lines[self._row] = kept.get(numbers[0], "")

    def _erase_screen(self, what: int) -> None:
        if what == 0:
            self._lines[self._row] = self._lines[self._row][: self._column]
            del self._lines[self._row + 1 :]
        elif what == 1:
            for row in range(self._top, self._row):
                self._lines[row] = ""
        else:
            # What was there scrolls away instead of being lost.
            row = self._row - self._top
            self._top = len(self._lines)
            self._lines += [""] * (row + 1)
            self._row = self._top + row

    def _go(self, row: int) -> None:
        while len(self._lines) <= row:
            self._lines.append("")
        self._row = row
        self._top = max(self._top, row - self._rows + 1)


def terminal_lines(text: str, rows: int = ROWS) -> tuple[str, ...]:
    """The screen after *text* has been written to an empty terminal."""
    terminal = Terminal(rows)
    terminal.feed(text)
    return terminal.screen()
