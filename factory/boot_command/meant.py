"""Guesses at what an unknown token of a boot command was meant to be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from factory.boot_command.actions import SPECIAL_KEYS

_KEYS = {
    "ctrl": "leftCtrl", "control": "leftCtrl", "shift": "leftShift", "alt": "leftAlt", "altgr": "rightAlt",
    "win": "leftSuper", "super": "leftSuper", "meta": "leftSuper", "command": "leftSuper", "option": "leftAlt",
    "space": "spacebar", "backspace": "bs", "escape": "esc", "delete": "del", "ins": "insert", "ret": "return",
    "cr": "enter", "lf": "enter", "newline": "enter", "pgup": "pageUp", "pgdn": "pageDown", "pgdown": "pageDown",
}  # fmt: skip
"""What people call keys."""
_WAITS = {
    "waittext": ("waitText", ' "…"'), "waitserial": ("waitSerial", ' "…"'), "waitstill": ("waitStill", " 2s"),
    "waitseed": ("waitSeed", ""),
}  # fmt: skip
_UNITS = {"sec": "s", "min": "m", "hour": "h", "hr": "h", "milli": "ms", "msec": "ms"}
"""How people begin the names of units."""
_BLIND = re.compile(r"wait[\s:=]*(?P<times>(?:[0-9.,]+\s*[a-zµ]*\s*)+)")
_TIME = re.compile(r"(?P<number>[0-9.,]+)\s*(?P<unit>[a-zµ]*)")


def meant(word: str) -> Iterator[str]:
    """Tokens that ``<word>`` may stand for, the likeliest first; not all of them need be right."""
    lowered = word.strip().lower()
    if match := _BLIND.fullmatch(lowered):
        yield f"<wait{''.join(_time(*time.groups()) for time in _TIME.finditer(match['times']))}>"
    state = next((s for s in ("Off", "On") if lowered.endswith(s.lower()) and lowered[: -len(s)] in _KEYS), "")
    stem = lowered[: -len(state)] if state else lowered
    if stem in _KEYS:
        yield f"<{_KEYS[stem]}{state}>"
    yield from _sensed(word.strip())
    known = {"wait": "wait", "lt": "lt"} | SPECIAL_KEYS
    known |= {k + s.lower(): v + s for k, v in SPECIAL_KEYS.items() for s in ("On", "Off")}
    for close in difflib.get_close_matches(lowered, [*known, *_KEYS], n=3, cutoff=0.7):
        yield f"<{known.get(close) or _KEYS[close]}>"


def _sensed(word: str) -> Iterator[str]:
    """A wait whose name is misspelt: with the arguments that it has, else with some that show how it is written."""
    name, arguments = re.fullmatch(r"(\w*)(.*)", word, re.DOTALL).groups()  # type: ignore[union-attr]
    for close in difflib.get_close_matches(name.lower(), _WAITS, n=1, cutoff=0.7):
        yield f"<{_WAITS[close][0]}{arguments}>" if arguments.strip() else ""
        yield f"<{_WAITS[close][0]}{_WAITS[close][1]}>"


def _time(number: str, unit: str) -> str:
    """A number with its unit as a wait has it: no leading zero, a digit before the point, a unit after a fraction."""
    whole, point, fraction = number.replace(",", ".").partition(".")
    unit = next((short for name, short in _UNITS.items() if unit.startswith(name)), unit)
    return f"{whole.lstrip('0') or '0'}{point if fraction else ''}{fraction}{unit or ('s' if fraction else '')}"
