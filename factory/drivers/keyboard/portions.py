"""Cuts what is to be typed into portions: runs of text, pieces of a line, batches of keys that fit the queue. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from factory.boot_command.actions import Action, Literal
from factory.boot_command.keymap import Chord

_EXTENDED = frozenset(
    "alt_r ctrl_r meta_l meta_r menu insert delete home end pgup pgdn up down left right".split()  # noqa: SIM905
)


def runs(actions: Sequence[Action]) -> Iterator[str | Action]:
    """Actions, with neighbouring literals joined to one text."""
    text = ""
    for action in actions:
        if isinstance(action, Literal):
            text += action.character
            continue
        if text:
            yield text
            text = ""
        yield action
    if text:
        yield text


def pieces(text: str, size: int) -> Iterator[str]:
    """Cuts *text* so that no piece but the last ends with a blank: a lost blank shows when something follows it."""
    while len(text) > size:
        cut = len(text[:size].rstrip()) or size
        yield text[:cut]
        text = text[cut:]
    if text:
        yield text


def batches(chords: Sequence[Chord], limit: int) -> Iterator[list[Chord]]:
    batch: list[Chord] = []
    used = 0
    for chord in chords:
        size = _queue_bytes(chord)
        if batch and used + size > limit:
            yield batch
            batch, used = [], 0
        batch.append(chord)
        used += size
    if batch:
        yield batch


def _queue_bytes(chord: Chord) -> int:
    """Bytes of PS/2 queue that a chord takes (scan code set 2): one down, two up, and one more each with prefix E0."""
    return sum(5 if code in _EXTENDED else 3 for code in (chord.key, *chord.modifiers))


def event(code: str, *, down: bool) -> dict[str, Any]:
    return {"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": code}}}
