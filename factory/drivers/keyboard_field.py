"""Finds a typed line in a field that is narrower than the line, and scrolls it out at its left edge. Pure.

Menu editors of boot loaders and dialogs of installers have such fields. Before and after, the same columns show an
older and a newer end of the line; what stands left and right of them stays.
"""

from __future__ import annotations

from collections.abc import Iterator

_LEAST = 4
"""Characters of the line that are no chance where they stand."""
_FILL = (" ", " _")  # what fields show behind their text
_MORE = frozenset("<«‹◀◄←…")  # … and before it, when some of it has gone out


def end_shown(old: str, new: str, known: str, typed: str) -> int:
    """How many of the last characters of a line a field shows that has scrolled *typed* in, or has room for it.

    Args:
        old: the field's row while it showed the end of *known*.
        new: the row now.

    Returns: 0 when it is no such field, or shows something else than the end of ``known + typed``.
    """
    line, known = (known + typed).rstrip(), known.rstrip()
    fixed = _fixed(old, new)
    most = 0
    for before, after in _contents(old, new):
        # It may begin anywhere where both are ends of the line: what stands before it may end like that by chance.
        start = max(len(before) - _common_end(before, known), len(after) - _common_end(after, line))
        moved = start < len(before) and fixed < len(before)
        if moved and _begins_at(start, fixed, new) and len(after) - start >= min(_LEAST, len(line)):
            most = max(most, len(after) - start)
    if most or not (known_end := _known_end(old, new, known)):
        return most
    column, shown = known_end  # it has scrolled before, or has scrolled back
    goes_on = any(after == new[:column] + typed.rstrip() for _, after in _contents(old, new))
    return shown + len(typed.rstrip()) if goes_on else 0


def end_of_known(old: str, new: str, known: str) -> int | None:
    """The column just behind the end of *known* that a field shows, which has scrolled, or has scrolled back."""
    found = _known_end(old, new, known.rstrip())
    return found[0] if found else None


def _known_end(old: str, new: str, known: str) -> tuple[int, int] | None:
    """The column behind the end of *known* that a field shows, and how much of it that is."""
    fixed = _fixed(old, new)
    most, column = 0, 0
    for before, after in _contents(old, new):
        for start in range(len(before) - _common_end(before, known), len(before)):
            if not _begins_at(start, fixed, new):
                continue
            shown = next((n for n in range(len(known), 0, -1) if new.startswith(known[-n:], start)), 0)
            nothing_else = start + shown == len(after)
            if shown > most and (nothing_else or shown >= min(_LEAST, len(known))):
                most, column = shown, start + shown
    return (column, most) if most else None


def _fixed(old: str, new: str) -> int:
    return next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))


def _begins_at(column: int, fixed: int, new: str) -> bool:
    """Whether what stands left of a column has stayed, but for a mark that more stands there."""
    return column <= fixed or (column == fixed + 1 and new[fixed] in _MORE)


def _contents(old: str, new: str) -> Iterator[tuple[str, str]]:
    """Both rows up to where the field's text may end: without what stays right of the field, and without its fill."""
    old, new = old.rstrip(), new.rstrip()
    width = max(len(old), len(new))
    padded = old.ljust(width), new.ljust(width)
    for outside in range(_common_end(*padded) + 1):
        before, after = (row[: width - outside] for row in padded)
        if outside and after[-1:].isalnum() and padded[1][width - outside].isalnum():
            continue  # no field ends within a word
        for fill in _FILL:
            yield before.rstrip(fill), after.rstrip(fill)


def _common_end(first: str, second: str) -> int:
    return _fixed(first[::-1], second[::-1])
