"""Finds a typed line in a field that is narrower than the line, and scrolls it out at its left edge. Pure.

Menu editors of boot loaders and dialogs of installers have such fields. Before and after, the same columns show an
older and a newer end of the line; what stands left and right of them stays. A line of which the guest has thrown away
the beginning looks much like that, so a field is one only where all that it shows is the line's end, and more of it
than was typed now: what a guest throws away is gone from what is typed behind it, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from factory.drivers.keyboard.insertion import common_end

LEAST = 4
"""Characters of the line that are no chance where they stand."""
_FILL = " _"  # what fields show behind their text
_MORE = frozenset("<«‹◀◄←…")  # … and before it, when some of it has gone out
_CHANCE = 2  # characters before a field which may be those that went out of it: it is called ": ", or is framed


@dataclass(frozen=True, slots=True)
class Field:
    """The columns in which a row shows the end of a line: of its first character, and behind its last one.

    ``whole``: nothing of the line has gone out.
    """

    begin: int
    end: int
    whole: bool

    @property
    def shown(self) -> int:
        return self.end - self.begin


def field_with(old: str, new: str, known: str) -> Field | None:
    """Where *old* shows the end of *known*, in what may be a field; None when it does not.

    Args:
        new: the row now. It tells what stands right of the field: that has stayed.
    """
    known = known.rstrip()
    found: Field | None = None
    for end in range(1, len(old.rstrip()) + 1):
        shown = common_end(old[:end], known)
        enough = shown >= max(1, min(LEAST, len(known)), found.shown if found else 0)
        if enough and _is_end(end, old, old, new):
            found = Field(end - shown, end, shown == len(known))
    return found


def end_shown(old: str, new: str, known: str, typed: str, field: Field) -> int:
    """How many of the last characters of a line the *field* shows that has scrolled *typed* in, or has room for it.

    Returns: 0 when it is no such field, or shows something else than the end of ``known + typed``.
    """
    line, known = (known + typed).rstrip(), known.rstrip()
    added = len(line) - len(known)

    fill = old[field.end : field.end + 1]

    def ends(column: int) -> bool:
        came_twice = new[column : column + 1] == line[-1] != fill
        return not came_twice and _is_end(column, new, old, new)

    if new.startswith(old[field.begin : field.end], field.begin):
        # It has not moved: what was typed must stand behind it, whether or not that could be a line's end by chance.
        end = field.end + added
        stands = new[:end] == old[: field.end] + line[len(known) :] and ends(end)
        return field.shown + added if stands else 0
    least = max(added + min(LEAST, len(known)), field.shown // 2)
    for begin in _begins(old, new, field):
        for shown in range(min(len(line) - 1, len(new) - begin, field.shown + added - 1), least - 1, -1):
            if new.startswith(line[-shown:], begin) and ends(begin + shown):
                return shown
    return 0


def end_of_known(old: str, new: str, known: str, field: Field) -> int | None:
    """The column just behind the end of *known* in a *field* which has scrolled, or has scrolled back."""
    known = known.rstrip()
    most, column = 0, 0
    for begin in _begins(old, new, field):
        shown = next((n for n in range(len(known), 0, -1) if new.startswith(known[-n:], begin)), 0)
        if shown > most and (shown >= min(LEAST, len(known)) or _is_end(begin + shown, new, old, new)):
            most, column = shown, begin + shown
    return column if most else None


def _begins(old: str, new: str, field: Field) -> Iterator[int]:
    """The columns where the field may begin: what stands left of it has stayed, but for a mark that more is there."""
    last = field.begin if field.whole else field.begin + _CHANCE
    for begin in range(field.begin, last + 1):
        if new[:begin] == old[:begin]:
            yield begin
    if field.whole and new[: field.begin] == old[: field.begin] and new[field.begin : field.begin + 1] in _MORE:
        yield field.begin + 1


def _is_end(column: int, row: str, old: str, new: str) -> bool:
    """Whether a field's text may end before *column* of *row*: its fill is behind it, and what stays right of it."""
    width = max(len(old.rstrip()), len(new.rstrip()))
    stays = width - common_end(old.rstrip().ljust(width), new.rstrip().ljust(width))
    if row[column:stays].strip(_FILL):
        return False
    return not (row[column - 1 : column].isalnum() and row[column : column + 1].isalnum())  # none ends within a word
