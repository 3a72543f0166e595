"""Compares what was typed with what the screen shows for it. Pure: screens are lists of lines.

A line that is being typed may wrap, with or without a mark (GRUB writes a backslash), at the right edge or before it
(isolinux begins a new row after as many characters as a row has, prompt not counted), scroll the screen, or run out of
a field at its left edge; so only the tail of what is known to be there is looked for, and in a narrow field
(``field``) what it still shows of the line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from factory.boot_command.keymap import Layout
from factory.drivers.keyboard.field import LEAST, Field, end_of_known, end_shown, field_with
from factory.drivers.keyboard.insertion import block, common_end, common_start, insertion, is_full
from factory.drivers.keyboard.likeness import is_mask, lacks_keys, misread_by, resembles, stands_for
from factory.drivers.keyboard.wrap import FRAME, places
from factory.drivers.screen.glyphs import UNKNOWN

_TAIL = 24
_NARROWEST = 40  # no screen has fewer columns
_BESIDE = 2  # other rows that may change while a line is typed whose letters are not those of the text
_UNTOLD = 2  # of an echo with other letters: one character alone may be anything's
_SCROLLED = 4  # rows, by one chunk at most


class Echo(Enum):
    RIGHT = "right"
    WRONG = "wrong"  # the text is there, but not as it was typed
    UNSEEN = "unseen"  # nothing like it is there: no echo (a password), or not yet


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a typed text came out. ``shown`` is what stands in its place (only where it is WRONG)."""

    echo: Echo
    shown: str = ""
    row: int = -1  # where that begins
    field: int = 0
    """Characters of the line that a field shows which has scrolled the others out; 0 where none is known to have."""


def judge(
    before: Sequence[str], after: Sequence[str], known: str, chunk: str, keyboard: Layout | None = None
) -> Judgement:
    """Looks for *chunk* on the screen *after*.

    Args:
        before: the screen before *chunk* was typed.
        known: what was typed on the same line before *chunk* and came out right.
        keyboard: the layout that it was typed in; what a guest with another one shows for it is known then.
    """
    before = _scrolled(before, after)
    changed = _changed_rows(before, after)
    if not changed:
        return Judgement(Echo.UNSEEN)
    for place in _right(before, after, known, chunk, changed):
        stands = _as_it_stands(before, after, known, chunk, changed, place)
        if stands is not None:
            shown = _as_indented(stands, known, chunk)
            return Judgement(Echo.WRONG, shown, place[0]) if stands else Judgement(Echo.RIGHT)
    if field := _in_field(before, after, known, chunk, changed):
        return Judgement(Echo.RIGHT, field=field)
    for new in _new_texts(before, after, known, changed):
        text, typed = new.text.strip(), chunk.strip()
        if 2 * text.count(UNKNOWN) > len(text):  # nobody can say what it is
            continue
        if not text or (not known.strip() and is_mask(text, typed)):
            continue
        if new.wrapped:  # blanks at the end of a row can't be seen
            text, typed = text.replace(" ", ""), typed.replace(" ", "")
        as_long = new.at_a_prompt and stands_for(text, typed) and (new.located or len(text) >= _UNTOLD)
        if as_long or resembles(text, typed) or (keyboard and misread_by(text, typed, keyboard)):
            return Judgement(Echo.WRONG, _as_indented(new.text, known, chunk), new.row)
        # A prompt may have appeared with the first key.
        last = text if known.strip() else text.split()[-1]
        told = last != text and last[-1] not in ":>#$?" and resembles(last, typed)
        if new.all_of_it and (told or lacks_keys(last, typed)):
            return Judgement(Echo.WRONG, last, new.row)
    return Judgement(Echo.UNSEEN)


def _as_indented(shown: str, known: str, chunk: str) -> str:
    """*shown* with the blanks before it that were typed: where nothing is known one may be the prompt's."""
    typed = len(chunk) - len(chunk.lstrip())
    there = len(shown) - len(shown.lstrip())
    return shown if known.strip() else shown[min(there, 1) if there > typed else 0 :]


def so_far(before: Sequence[str], after: Sequence[str], known: str, chunk: str) -> int:
    """How much of *chunk* stands there as it was typed, when it only is not whole yet; 0 when it came out wrong."""
    shown = judge(before, after, known, chunk).shown.replace(" ", "")
    before = _scrolled(before, after)
    changed = _changed_rows(before, after)

    def stands(length: int) -> bool:
        begun = chunk[:length]
        return bool(_right(before, after, known, begun, changed) or _in_field(before, after, known, begun, changed))

    least, most = 0, len(chunk) if changed else 0
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if stands(middle) else (least, middle - 1)
    return least if shown in {"", chunk[:least].replace(" ", "")} else 0


def _right(
    before: Sequence[str], after: Sequence[str], known: str, chunk: str, changed: frozenset[int]
) -> list[tuple[int, int]]:
    """Rows and columns just behind *chunk*, where it stands behind all that was seen of the line; the last first.

    A part of that would not do: a line may say the same thing twice, and lack a key in the second one.
    """
    standing = _standing(tuple(before), known)
    if len(standing) < min(_TAIL, len(known.rstrip())):
        return []
    line = known[len(known.rstrip()) - len(standing) :] + chunk
    unread = len(line.replace(" ", "")) // 2  # no more: what is not known might be anything that has changed
    return sorted(places(after, line, changed, unread), reverse=True)


@lru_cache(maxsize=8)  # asked again with every look
def _standing(before: tuple[str, ...], known: str) -> str:
    """The end of *known*, as much of it as the screen shows."""
    known = known.rstrip()
    if any(known in line for line in before):
        return known
    least, most = 0, len(known)
    rows = frozenset(range(len(before)))
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if places(before, known[-middle:], rows) else (least, middle - 1)
    return known[len(known) - least :]


def _in_field(before: Sequence[str], after: Sequence[str], known: str, chunk: str, changed: frozenset[int]) -> int:
    """How much of the line's end stands in a field that has scrolled; without *known*, keys may as well be lost."""
    fields = _fields(before, after, known, changed)
    return max((end_shown(before[row], after[row], known, chunk, field) for row, field in fields), default=0)


def _fields(
    before: Sequence[str], after: Sequence[str], known: str, rows: frozenset[int]
) -> Iterator[tuple[int, Field]]:
    """The rows that may have shown the end of *known* in a field."""
    known = known.rstrip()
    for row in rows if known.strip() else ():
        field = field_with(before[row], after[row], known) if row < len(before) else None
        if not field:
            continue
        more = known[-field.shown - LEAST :]
        # A line that has wrapped into this row shows more of itself above.
        if field.whole or (row, field.end) not in places(before, more, frozenset({row})):
            yield row, field


def _as_it_stands(
    before: Sequence[str], after: Sequence[str], known: str, chunk: str, changed: frozenset[int], place: tuple[int, int]
) -> str | None:
    """What was typed, when *chunk* stands before *place*: empty when it is right, None when it stood there already.

    The first or last key may have come more than once. With nothing known that is only told where little else has
    changed: a key that has called up another screen stands anywhere on it.
    """
    row, end = place
    rows = block(changed, row)
    if not known and len(changed) - len(rows) > _BESIDE:
        return ""
    # A row that was cleared may lie beside the one that the chunk is in.
    for each in (rows, range(row, row + 1)) if end >= len(chunk) else (rows,):
        found = insertion(before, after, each, _width(after)) if known or len(changed) - len(each) <= _BESIDE else None
        texts = found.texts(known) if found else []
        if found and texts and (known or texts[0].count("\n") <= _BESIDE):
            return found.stands(chunk, known)
    # What else has changed hides what was put in: all that can be told is what stands to both sides.
    old, new = before[row].rstrip() if row < len(before) else "", after[row].rstrip()
    if not known and not _is_prompt(before, after, changed, row, common_start(old, new)):
        return ""
    first, last, start = chunk[0], chunk[-1], end - len(chunk)
    while not known and first != " " and start > len(old) and new[start - 1] == first:
        start -= 1
    while last != " " and new[end : end + 1] == last != old[end : end + 1]:
        end += 1
    shown = new[max(0, start) : end]
    return shown if len(shown) > len(chunk) else ""


def _put_in(before: Sequence[str], after: Sequence[str], known: str, rows: Sequence[int]) -> list[str]:
    """What may have been put in behind *known* into *rows*; nothing when more than that has changed."""
    found = insertion(before, after, rows, _width(after))
    return found.texts(known) if found else []


def left_over(before: Sequence[str], after: Sequence[str], known: str, row: int | None = None) -> str | None:
    """What still stands behind *known* after wiping: empty when all is gone, None when *known* is not seen.

    Args:
        row: of *after*, in which the line begins; only needed while nothing of it is known. Another row that changes
            (a clock, a log) is not to be wiped.
    """
    before = _scrolled(before, after)
    changed = _changed_rows(before, after)
    if not known.strip():
        texts = _new_texts(before, after, known, changed)
        text = next((new.text for new in texts if row is None or new.row == row), "")
        return _as_indented(text, "", "") or text
    found = _behind_known(before, after, known, changed, frozenset(range(len(after))))
    if not found:
        return None
    # Keys are taken back from the end: where a row has room left, what stands below it is not theirs.
    return found.text if found.fills else found.in_row


def row_now(row: int, then: Sequence[str], now: Sequence[str]) -> int:
    """Where a row of the screen *then* stands *now*, when that has scrolled."""
    return row - (len(then) - len(_scrolled(then, now)))


def _changed_rows(before: Sequence[str], after: Sequence[str]) -> frozenset[int]:
    padded = [*before, *[""] * (len(after) - len(before))]
    return frozenset(i for i, line in enumerate(after) if line.rstrip() != padded[i].rstrip())


@dataclass(frozen=True, slots=True)
class _NewText:
    """A text that came to stand on the screen. ``located``: behind the known part of the line."""

    text: str
    row: int
    located: bool
    at_a_prompt: bool
    """It stands where nothing was, behind the prompt, so that it is what was typed, or takes its place."""
    wrapped: bool
    in_row: str = ""  # what of it is in its first row
    fills: bool = True  # … which has no room left
    all_of_it: bool = False  # nothing else has changed in its row


def _new_texts(before: Sequence[str], after: Sequence[str], known: str, changed: frozenset[int]) -> Iterator[_NewText]:
    """The text that came to stand on the screen behind *known*; where nothing is known, what is new in each row."""
    if known.strip():
        found = _behind_known(before, after, known, changed, changed | {r - 1 for r in changed})
        if found:
            yield found
            return
    for row in sorted(changed):
        old = before[row] if row < len(before) else ""
        column = common_start(old, after[row])
        texts, wrapped = _behind(before, after, changed, row, column, "")
        # A blank that was typed first can't be told from those that were there, but by what it has moved on.
        put_in = [text for text in _put_in(before, after, "", range(row, row + 1)) if text.strip() == texts[0].strip()]
        for text in put_in[:1] or texts:
            asks = _is_prompt(before, after, changed, row, column)
            yield _NewText(text, row, False, asks, wrapped, all_of_it=bool(put_in) and len(changed) <= 1 + _BESIDE)


def _behind_known(
    before: Sequence[str], after: Sequence[str], known: str, changed: frozenset[int], rows: frozenset[int]
) -> _NewText | None:
    """The text behind *known*, where that stands and ends on one of *rows*."""
    ends = set(places(after, known[-_TAIL:], rows))
    stayed = ends.intersection(places(before, known[-_TAIL:], rows))
    place = max(stayed or ends, default=None)
    if not place:
        fields = _fields(before, after, known, rows)
        columns = [(row, end_of_known(before[row], after[row], known, field)) for row, field in fields]
        place = next(((row, column) for row, column in columns if column is not None), None)
    if not place:
        return None
    row, column = place
    old = before[row] if row < len(before) else ""
    (text, *_), wrapped = _behind(before, after, changed, row, column, known)
    (in_row, *_), _ = _behind(before, after, frozenset(), row, column, known)
    fills = is_full(after[row].rstrip(), _width(after))
    return _NewText(text, row, True, _on_blanks(old, after[row], column), wrapped, in_row, fills)


def _is_prompt(before: Sequence[str], after: Sequence[str], changed: frozenset[int], row: int, column: int) -> bool:
    """Whether a line is typed at this place: a prompt stands before it, and the screen has not become another one.

    A log goes on below what was there, a clock and a countdown take the place of what was there, and a program that
    tells how far it is ("Loading ...") has no prompt.
    """
    old = before[row] if row < len(before) else ""
    prompt = old[:column].rstrip().strip(FRAME)
    if not prompt or prompt.endswith(".") or not _on_blanks(old, after[row], column):
        return False
    last = max(r for r, line in enumerate(after) if line.strip(FRAME))
    wrapped: list[int] = []
    at = row
    while (following := _next_row(after, changed, at)) is not None:
        wrapped.append(following)
        at = following
    asks = not prompt[-1].isalnum() or at == last
    return asks and len(changed - {row, *wrapped}) <= _BESIDE


def _on_blanks(old: str, new: str, column: int) -> bool:
    """Whether nothing stood where *new* has its text from *column* on."""
    end = len(new.rstrip()) - common_end(new.rstrip(), old.rstrip())
    return not old[column : max(end, column)].strip()


def _scrolled(before: Sequence[str], after: Sequence[str]) -> Sequence[str]:
    """*before*, moved up by as many rows as the screen has scrolled meanwhile."""

    def kept(by: int) -> int:
        return sum(bool(a.strip()) and a.rstrip() == b.rstrip() for a, b in zip(before[by:], after, strict=False))

    by = max(range(_SCROLLED + 1), key=lambda rows: (kept(rows), -rows))
    return before[by:]


def _behind(
    before: Sequence[str], after: Sequence[str], changed: frozenset[int], row: int, column: int, known: str
) -> tuple[list[str], bool]:
    """The text from a place on, in the rows that a wrapped line fills, as it may be; and whether it fills several."""
    old = before[row] if row < len(before) else ""
    rows = block(changed | {row}, row)
    moved = [old[column:], *(before[r] for r in rows[rows.index(row) + 1 :] if r < len(before))]
    if any(text.strip(FRAME) for text in moved) and after[row].startswith(old[:column]):
        for each in dict.fromkeys((range(row, rows.stop), range(row, row + 1))):
            if texts := _put_in(before, after, known, each):
                return list(dict.fromkeys(text.partition("\n")[0].rstrip() for text in texts)), len(each) > 1
    wrapped = False
    width = _width(after)
    text = after[row][column:]
    text = text[: len(text) - common_end(text, old[column:])] if old[column:].strip() else text
    while (following := _next_row(after, changed, row)) is not None:
        if len(after[row].rstrip()) < width - 1 and following < len(before) and before[following].strip(FRAME):
            break
        row, wrapped = following, True
        text = text.rstrip("\\ ") + _within_frame(before[row] if row < len(before) else "", after[row])
    return [text.rstrip()], wrapped


def _width(lines: Sequence[str]) -> int:
    return max(_NARROWEST, *(len(line.rstrip()) for line in lines))


def _within_frame(old: str, new: str) -> str:
    """What has come into a row, without what stands to both sides of it."""
    old, new = old.rstrip(), new.rstrip()
    begin = common_start(old, new)
    return new[begin : max(begin, len(new) - common_end(old, new))].strip()


def _next_row(after: Sequence[str], changed: frozenset[int], row: int) -> int | None:
    """The row that a wrapped line goes on in: the next changed one, with blank rows between at most."""
    for following in range(row + 1, min(row + 4, len(after))):
        if following in changed:
            return following
        if after[following].strip():
            return None
    return None
