"""What a serial line shows: the screen of the terminal that its bytes are written for.

Firmware, GRUB, loaders and installers place text with the control sequences of a VT100 and its successors (ECMA-48;
xterm's "Control Sequences"); kernels and shells just print lines. Lines are kept as long as they come: a real
terminal's right edge would only cut log lines in two.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from factory.control_sequences import ALTERNATE, FARTHEST, numbers, tokens, uncut

ROWS = 25
_TAB = 8
_DRAWN = str.maketrans("`afgjklmnopqrstuvwxyz{|}~", "◆▒°±┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·")
"""The VT100's special graphics, of which frames are drawn where the line is not UTF-8."""


@dataclass(slots=True)
class _Pen:
    """What ESC 7 saves: where is written, and how."""

    row: int = 0
    column: int = 0
    graphics: tuple[bool, bool] = (False, False)
    """Whether the sets G0 and G1 are special graphics."""
    shifted: bool = False
    """G1 is in use."""
    origin: bool = False
    """Rows are counted within the scroll region."""


class Terminal:
    """A terminal of so many rows and of unlimited width."""

    def __init__(self, rows: int = ROWS) -> None:
        self._rows = rows
        self._rest = ""
        self._reset()

    def feed(self, text: str) -> None:
        """Writes *text*, which may be cut anywhere; a control sequence that is cut waits for its end."""
        whole, self._rest = uncut(self._rest + text)
        for token in tokens(whole):
            if token["text"]:
                self._write(token["text"])
            elif token["control"]:
                self._control(token["control"])
            elif token["escape"]:
                self._escape(token["selects"], token["escape"])
            elif token["final"]:
                self._sequence(token["parameters"], token["between"], token["final"])

    def screen(self) -> tuple[str, ...]:
        """What it shows, without blanks at the ends of lines and blank lines at the end."""
        lines = [line.rstrip() for line in self._lines]
        while lines and not lines[-1]:
            lines.pop()
        return tuple(lines)

    def _reset(self) -> None:
        self._lines = [""] * self._rows
        self._covered: tuple[list[str], _Pen] | None = None
        """The first screen, and the cursor on it, while the alternate one is shown."""
        self._pen, self._saved = _Pen(), _Pen()
        self._top, self._bottom = 0, self._rows - 1
        self._inserts = False
        self._last = ""

    # --- text and single characters -------------------------------------------------------------------------------

    def _write(self, text: str) -> None:
        if self._pen.graphics[self._pen.shifted]:
            text = text.translate(_DRAWN)
        before, behind = self._halves()
        self._lines[self._pen.row] = before + text + (behind if self._inserts else behind[len(text) :])
        self._pen.column += len(text)
        self._last = text[-1]

    def _halves(self) -> tuple[str, str]:
        """The cursor's line before the cursor, with blanks up to it, and from it on."""
        line, column = self._lines[self._pen.row], self._pen.column
        return line[:column].ljust(column), line[column:]

    def _control(self, character: str) -> None:
        match character:
            case "\r":
                self._pen.column = 0
            case "\n":
                # ``protocols.Machine.serial_text`` gives lines that end with LF alone.
                self._pen.column = 0
                self._down()
            case "\x0b" | "\x0c" | "\x84":
                self._down()
            case "\x85":
                self._pen.column = 0
                self._down()
            case "\x8d":
                self._up()
            case "\b":
                self._pen.column = max(0, self._pen.column - 1)
            case "\t":
                self._pen.column += _TAB - self._pen.column % _TAB
            case "\x0e" | "\x0f":
                self._pen.shifted = character == "\x0e"

    def _escape(self, selects: str, character: str) -> None:
        if selects in ("(", ")"):
            graphics = list(self._pen.graphics)
            graphics[selects == ")"] = character == "0"
            self._pen.graphics = (graphics[0], graphics[1])
        elif not selects:
            match character:
                case "7":
                    self._saved = replace(self._pen)
                case "8":
                    self._pen = replace(self._saved)
                case "D" | "E" | "M":
                    self._control({"D": "\x84", "E": "\x85", "M": "\x8d"}[character])
                case "c":
                    self._reset()

    # --- control sequences ----------------------------------------------------------------------------------------

    def _sequence(self, parameters: str, between: str, command: str) -> None:
        if between:
            if (between, command) == ("!", "p"):  # DECSTR: a soft reset, which systemd begins with
                self._top, self._bottom, self._inserts = 0, self._rows - 1, False
                self._pen.origin, self._pen.graphics, self._pen.shifted = False, (False, False), False
        elif command in "hl":
            self._set_mode(command, parameters)
        elif parameters[:1] == "?" and command in "JK":
            self._edit(command, numbers(parameters[1:])[0])
        elif parameters[:1] not in ("<", "=", ">", "?"):
            given = numbers(parameters)
            self._move(command, given)
            self._edit(command, given[0])
            self._scroll_and_save(command, given)

    def _move(self, command: str, given: list[int]) -> None:
        count, row, column = max(1, given[0]), self._pen.row, self._pen.column
        match command:
            case "H" | "f":
                self._address(count, max(1, given[1] if len(given) > 1 else 1) - 1)
            case "d":
                self._address(count, column)
            case "A" | "F":
                self._go(max(row - count, self._top if row >= self._top else 0), 0 if command == "F" else column)
            case "B" | "E" | "e":
                last = self._bottom if row <= self._bottom else self._rows - 1
                self._go(min(row + count, last), 0 if command == "E" else column)
            case "C" | "a":
                self._go(row, column + count)
            case "D":
                self._go(row, column - count)
            case "G" | "`":
                self._go(row, count - 1)
            case "I":
                self._go(row, column - column % _TAB + _TAB * count)
            case "Z":
                self._go(row, (-(-column // _TAB) - count) * _TAB)

    def _address(self, row: int, column: int) -> None:
        """Goes to a row, counted from 1, within the scroll region where that was asked for."""
        first, last = (self._top, self._bottom) if self._pen.origin else (0, self._rows - 1)
        self._go(min(first + row - 1, last), column)

    def _go(self, row: int, column: int) -> None:
        """A column may lie as far to the right as the line goes, or as a real terminal might."""
        self._pen.row = row
        self._pen.column = max(0, min(column, max(FARTHEST, len(self._lines[row]))))

    def _edit(self, command: str, number: int) -> None:
        """Changes the cursor's line, or the lines around it."""
        row, count = self._pen.row, max(1, number)
        before, behind = self._halves()
        match command:
            case "J" if number < 3:  # 3 is what has scrolled away
                if number != 1:
                    self._lines[row + 1 :] = [""] * (self._rows - row - 1)
                if number != 0:
                    self._lines[:row] = [""] * row
                self._lines[row] = _erased(before, behind, number)
            case "K" if number < 3:
                self._lines[row] = _erased(before, behind, number)
            case "P":
                self._lines[row] = before + behind[count:]
            case "X":
                self._lines[row] = before + " " * min(count, len(behind)) + behind[count:]
            case "@":
                wide = max(FARTHEST + 1, len(before) + len(behind))
                self._lines[row] = (before + " " * min(count, FARTHEST + 1) + behind)[:wide]
            case "b" if self._last and self._pen.column <= FARTHEST:
                self._write(self._last * min(count, FARTHEST + 1 - self._pen.column))

    def _scroll_and_save(self, command: str, given: list[int]) -> None:
        count, row = max(1, given[0]), self._pen.row
        match command:
            case "L" | "M" if self._top <= row <= self._bottom:
                self._scroll(row, count if command == "M" else -count)
                self._pen.column = 0
            case "S":
                self._scroll(self._top, count)
            case "T" if len(given) == 1:  # with more numbers it is xterm's tracking of the mouse
                self._scroll(self._top, -count)
            case "r":
                last = min(given[1] if len(given) > 1 and given[1] else self._rows, self._rows)
                if count < last:
                    self._top, self._bottom = count - 1, last - 1
                    self._address(1, 0)
            case "s":
                self._saved = replace(self._pen)
            case "u":
                self._pen = replace(self._saved)

    def _set_mode(self, command: str, mode: str) -> None:
        if mode == "4":
            self._inserts = command == "h"
        elif mode == "?6":
            self._pen.origin = command == "h"
            self._address(1, 0)
        elif mode in ALTERNATE and command == "h" and self._covered is None:
            self._covered, self._lines = (self._lines, replace(self._pen)), [""] * self._rows
        elif mode in ALTERNATE and command == "l" and self._covered is not None:
            self._lines, pen = self._covered
            self._pen, self._covered = pen if mode == "?1049" else self._pen, None

    # --- scrolling ------------------------------------------------------------------------------------------------

    def _down(self) -> None:
        if self._pen.row == self._bottom:
            self._scroll(self._top, 1)
        elif self._pen.row < self._rows - 1:
            self._go(self._pen.row + 1, self._pen.column)

    def _up(self) -> None:
        if self._pen.row == self._top:
            self._scroll(self._top, -1)
        elif self._pen.row > 0:
            self._go(self._pen.row - 1, self._pen.column)

    def _scroll(self, first: int, count: int) -> None:
        """Moves the lines from *first* to the region's end up by *count*, or down where it is negative."""
        lines = self._lines[first : self._bottom + 1]
        blank = [""] * min(abs(count), len(lines))
        moved = [*lines[len(blank) :], *blank] if count > 0 else [*blank, *lines[: len(lines) - len(blank)]]
        self._lines[first : self._bottom + 1] = moved


def _erased(before: str, behind: str, what: int) -> str:
    """A line without what is behind the cursor (0), before and at it (1), or all (2)."""
    return {0: before, 1: " " * (len(before) + 1) + behind[1:]}.get(what, "")


def terminal_lines(text: str, rows: int = ROWS) -> tuple[str, ...]:
    """The screen after *text* has been written to an empty terminal."""
    terminal = Terminal(rows)
    terminal.feed(text)
    return terminal.screen()
