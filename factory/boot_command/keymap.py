"""Which keys a character needs, per keyboard layout of the guest.

Keys are QEMU's ``QKeyCode`` names (QAPI ``ui.json``). They name *positions*: ``q`` is the key right of Tab whatever is
printed on it, so that a guest with a French layout shows ``a`` for it. A layout is therefore a table from position to
characters, as the guest's console and X11 (xkeyboard-config) agree on them; only what both agree on is listed. Boot
loaders (isolinux, GRUB, the UEFI shell) read ``us`` whatever the installer uses later.

A combining character (U+0300 …) in a table stands for a dead key: the accent alone is that key and then space; a letter
with the accent is that key and then the letter.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from factory.boot_command.actions import Action, Hold, Literal, Release
from factory.errors import Place, Problem, TemplateError

SHIFT, ALTGR = "shift", "alt_r"
_LEVELS: tuple[tuple[str, ...], ...] = ((), (SHIFT,), (ALTGR,), (SHIFT, ALTGR))

SPECIAL_KEYCODES: Mapping[str, str] = {
    "bs": "backspace", "del": "delete", "enter": "ret", "return": "ret", "esc": "esc", "tab": "tab",
    "spacebar": "spc", "menu": "menu", "insert": "insert", "home": "home", "end": "end",
    "pageUp": "pgup", "pageDown": "pgdn", "up": "up", "down": "down", "left": "left", "right": "right",
    **{f"f{n}": f"f{n}" for n in range(1, 13)},
    "leftShift": "shift", "rightShift": "shift_r", "leftCtrl": "ctrl", "rightCtrl": "ctrl_r",
    "leftAlt": "alt", "rightAlt": "alt_r", "leftSuper": "meta_l", "rightSuper": "meta_r",
    # X11 keysyms FFE9, FFEA, FFE7 and FFE8, that is what QEMU's VNC server makes of them
    "leftCommand": "alt", "rightCommand": "alt_r", "leftOption": "meta_l", "rightOption": "meta_r",
}  # fmt: skip
"""Special key of the boot command → QKeyCode."""

_CONTROL = {" ": "spc", "\n": "ret", "\r": "ret", "\t": "tab", "\b": "backspace", "\x1b": "esc"}
_PUNCTUATION = (
    "grave_accent", "minus", "equal", "bracket_left", "bracket_right", "backslash", "semicolon", "apostrophe",
    "comma", "dot", "slash", "less",
)  # fmt: skip
_DEAD = {"\u0302": "^", "\u0301": "´", "\u0300": "`", "\u0308": "¨"}
_NONE = "\0"


@dataclass(frozen=True, slots=True)
class Chord:
    """One key, pressed while its modifiers are held. All are QKeyCodes."""

    key: str
    modifiers: tuple[str, ...] = ()


class UntypableCharacter(ValueError):
    """The layout has no keys for a character."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A keyboard layout: character → the chords that type it, one after the other."""

    name: str
    _chords: Mapping[str, tuple[Chord, ...]] = field(repr=False)
    _characters: Mapping[tuple[Chord, ...], str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        characters = {chords: c for c, chords in reversed(list(self._chords.items())) if c.isprintable()}
        object.__setattr__(self, "_characters", characters)

    @property
    def characters(self) -> frozenset[str]:
        """Everything that can be typed, without composed letters in other normal forms."""
        return frozenset(self._chords)

    def chords(self, character: str) -> tuple[Chord, ...]:
        """Raises: UntypableCharacter."""
        try:
            return self._chords[unicodedata.normalize("NFC", character)]
        except KeyError:
            shown = character if character.isprintable() else repr(character)
            raise UntypableCharacter(
                f"the keyboard layout '{self.name}' can't type {shown!r} (U+{ord(character[0]):04X})"
            ) from None

    def shows(self, chords: Sequence[Chord]) -> tuple[str, ...]:
        """What a guest with this layout shows for *chords*, in order; empty where the table does not know.

        A dead key and the key behind it are one entry.
        """
        shown: list[str] = []
        waiting = tuple(chords)
        while waiting:
            length = 2 if waiting[:2] in self._characters else 1
            shown.append(self._characters.get(waiting[:length], ""))
            waiting = waiting[length:]
        return tuple(shown)

    def keycodes(self, key: str) -> tuple[Chord, ...]:
        """The chords of a key as actions name it: a special key or one character. Raises: UntypableCharacter."""
        return self.chords(key) if len(key) == 1 else (Chord(SPECIAL_KEYCODES[key]),)


def layout(name: str) -> Layout:
    """The layout called *name*. Raises: TemplateError with the nearest name."""
    try:
        return LAYOUTS[name]
    except KeyError:
        close = difflib.get_close_matches(name, LAYOUTS, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(LAYOUTS)}"
        raise TemplateError(f"unknown keyboard layout '{name}'", hint=hint) from None


def check(actions: Iterable[Action], keyboard: Layout, *, origin: str = "boot command") -> tuple[Problem, ...]:
    """Every character among *actions* that *keyboard* can't type, with its column, each character once."""
    problems: dict[str, Problem] = {}
    for action in actions:
        match action:
            case Literal(key, column) | Hold(key, column) | Release(key, column) if len(key) == 1:
                try:
                    chords = keyboard.chords(key)
                except UntypableCharacter as error:
                    others = [n for n, other in LAYOUTS.items() if key in other.characters]
                    hint = f"the layouts that can: {', '.join(others)}" if others else "no known layout can"
                    problems.setdefault(key, Problem(str(error), Place(origin, 1, column), hint))
                    continue
                if len(chords) > 1 and not isinstance(action, Literal):
                    message = f"{key!r} takes several keys in the layout '{keyboard.name}', so it can't be held"
                    problems.setdefault(key, Problem(message, Place(origin, 1, column)))
            case _:
                pass
    return tuple(problems.values())


def _build(name: str, digits: tuple[str, ...], letters: Mapping[str, str], other: Mapping[str, str]) -> Layout:
    """Makes a layout.

    Args:
        digits: for the keys 1 … 9, 0 the characters of the levels plain, shift, AltGr, shift+AltGr.
        letters: position → letter, where they differ from the US layout.
        other: position → characters of the levels.
    """
    positions: dict[str, str] = dict(zip("1234567890", digits, strict=True))
    for position in "abcdefghijklmnopqrstuvwxyz":
        letter = letters.get(position, position)
        if letter:
            positions[position] = letter + letter.upper()
    for position, characters in other.items():
        # A letter's key may have AltGr levels too: those are appended to its two letters.
        positions[position] = positions.get(position, "") + characters
    chords: dict[str, tuple[Chord, ...]] = {c: (Chord(k),) for c, k in _CONTROL.items()}
    dead: dict[str, Chord] = {}
    for level in range(len(_LEVELS)):
        for position, characters in positions.items():
            character = characters[level : level + 1]
            if not character or character == _NONE:
                continue
            chord = Chord(position, _LEVELS[level])
            if character in _DEAD:
                dead.setdefault(character, chord)
            else:
                chords.setdefault(character, (chord,))
    for accent, chord in dead.items():
        chords.setdefault(_DEAD[accent], (chord, Chord("spc")))
        for base in "aeiouyAEIOUY":
            composed = unicodedata.normalize("NFC", base + accent)
            if len(composed) == 1 and composed.isprintable() and ord(composed) < 0x100:
                chords.setdefault(composed, (chord, *chords[base]))
    return Layout(name, chords)


def _rows(**keys: str) -> dict[str, str]:
    return keys


def _layouts() -> dict[str, Layout]:
    us = _build(
        "us",
        ("1!", "2@", "3#", "4$", "5%", "6^", "7&", "8*", "9(", "0)"),
        {},
        dict(zip(_PUNCTUATION, ("`~", "-_", "=+", "[{", "]}", "\\|", ";:", "'\"", ",<", ".>", "/?", ""), strict=True)),
    )
    gb = _build(
        "gb",
        ("1!", '2"', "3£", "4$€", "5%", "6^", "7&", "8*", "9(", "0)"),
        {},
        dict(zip(_PUNCTUATION, ("`¬", "-_", "=+", "[{", "]}", "#~", ";:", "'@", ",<", ".>", "/?", "\\|"), strict=True)),
    )
    german_digits = ("1!", '2"²', "3§³", "4$", "5%", "6&", "7/{", "8([", "9)]", "0=}")
    german = _rows(
        minus="ß?\\", bracket_left="üÜ", bracket_right="+*~", backslash="#'", semicolon="öÖ", apostrophe="äÄ",
        comma=",;", dot=".:", slash="-_", less="<>|", q="@", e="€", m="µ",
    )  # fmt: skip
    swapped = {"y": "z", "z": "y"}
    de = _build("de", german_digits, swapped, german | _rows(grave_accent="\u0302°", equal="\u0301\u0300"))
    plain = _build("de-nodeadkeys", german_digits, swapped, german | _rows(grave_accent="^°", equal="´`"))
    fr = _build(
        "fr",
        ("&1", "é2~", '"3#', "'4{", "(5[", "-6|", "è7`", "_8\\", "ç9^", "à0@"),
        {"q": "a", "w": "z", "a": "q", "z": "w", "m": ""},
        _rows(
            grave_accent="²", minus=")°]", equal="=+}", bracket_left="\u0302\u0308", bracket_right="$£¤",
            semicolon="mM", apostrophe="ù%", backslash="*µ", m=",?", comma=";.", dot=":/", slash="!§", less="<>",
            e="€",
        ),
    )  # fmt: skip
    return {each.name: each for each in (us, gb, de, plain, fr)}


LAYOUTS: Mapping[str, Layout] = _layouts()
"""Name → layout: us, gb, de, de-nodeadkeys, fr."""
