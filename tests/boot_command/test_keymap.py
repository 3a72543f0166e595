"""Keyboard layouts: held against QEMU's own tables, which were made from xkeyboard-config by others."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from factory.boot_command.actions import SPECIAL_KEYS
from factory.boot_command.keymap import LAYOUTS, SPECIAL_KEYCODES, Chord, UntypableCharacter, check, layout
from factory.boot_command.parse import parse
from factory.errors import TemplateError

pytestmark = pytest.mark.unit
QEMU_KEYMAPS = Path("/usr/share/qemu/keymaps")


def keys(text: str, name: str = "us") -> list[str]:
    return ["+".join((*c.modifiers, c.key)) for character in text for c in layout(name).chords(character)]


def test_shift_as_packer_does() -> None:
    assert keys("AbC") == ["shift+a", "b", "shift+c"]
    assert keys('~!@#$%^&*()_+{}|:"<>?') == [
        f"shift+{k}"
        for k in [
            "grave_accent",
            "1",
            "2",
            "3",
            "4",
            "5",
            "6",
            "7",
            "8",
            "9",
            "0",
            "minus",
            "equal",
            "bracket_left",
            "bracket_right",
            "backslash",
            "semicolon",
            "apostrophe",
            "comma",
            "dot",
            "slash",
        ]
    ]


@pytest.mark.parametrize("name", LAYOUTS)
def test_all_printable_ascii_can_be_typed(name: str) -> None:
    for character in string.printable[:95] + "\n\t":
        assert layout(name).chords(character)


@pytest.mark.parametrize("name", LAYOUTS)
def test_no_two_characters_share_their_keys(name: str) -> None:
    seen: dict[tuple[Chord, ...], str] = {}
    for character in sorted(layout(name).characters - {"\n", "\r"}):
        chords = layout(name).chords(character)
        assert seen.setdefault(chords, character) == character


def test_layouts_own_characters() -> None:
    assert keys("zyZ@ß{€", "de") == ["y", "z", "shift+y", "alt_r+q", "minus", "alt_r+7", "alt_r+e"]
    assert keys("aqm1é~", "fr") == ["q", "a", "semicolon", "shift+1", "2", "alt_r+2"]
    assert keys('£"@\\', "gb") == ["shift+3", "shift+2", "shift+apostrophe", "less"]


def test_dead_keys() -> None:
    assert keys("^é`", "de") == ["grave_accent", "spc", "equal", "e", "shift+equal", "spc"]
    assert keys("êÏ", "fr") == ["bracket_left", "e", "shift+bracket_left", "shift+i"]
    assert keys("^`", "de-nodeadkeys") == ["grave_accent", "shift+equal"]
    assert layout("fr").chords("e\u0302") == layout("fr").chords("ê")


def test_untypable_characters_are_named() -> None:
    with pytest.raises(UntypableCharacter, match="'us' can't type 'ß' \\(U\\+00DF\\)"):
        layout("us").chords("ß")


def test_check_gives_each_character_once_with_column() -> None:
    found = check(parse("a界ßß<enter>").actions, layout("us"))
    assert [str(p) for p in found] == [
        "boot command:1:2: the keyboard layout 'us' can't type '界' (U+754C) (no known layout can)",
        "boot command:1:3: the keyboard layout 'us' can't type 'ß' (U+00DF) (the layouts that can: de, de-nodeadkeys)",
    ]
    assert check(parse("linux /boot <wait><enter>").actions, layout("us")) == ()


def test_check_refuses_to_hold_what_takes_two_keys() -> None:
    assert "several keys" in check(parse("<^on><^off>").actions, layout("de"))[0].message
    assert check(parse("<aon><aoff>").actions, layout("de")) == ()


def test_unknown_layout() -> None:
    with pytest.raises(TemplateError, match=r"unknown keyboard layout 'dee'.*did you mean 'de'"):
        layout("dee")


def test_every_special_key_has_a_code() -> None:
    assert set(SPECIAL_KEYCODES) == set(SPECIAL_KEYS.values())


POSITIONS = dict(
    zip(
        [*range(0x02, 0x0E), *range(0x10, 0x1C), *range(0x1E, 0x2A), 0x2B, *range(0x2C, 0x36), 0x39, 0x56],
        [
            "1",
            "2",
            "3",
            "4",
            "5",
            "6",
            "7",
            "8",
            "9",
            "0",
            "minus",
            "equal",
            "q",
            "w",
            "e",
            "r",
            "t",
            "y",
            "u",
            "i",
            "o",
            "p",
            "bracket_left",
            "bracket_right",
            "a",
            "s",
            "d",
            "f",
            "g",
            "h",
            "j",
            "k",
            "l",
            "semicolon",
            "apostrophe",
            "grave_accent",
            "backslash",
            "z",
            "x",
            "c",
            "v",
            "b",
            "n",
            "m",
            "comma",
            "dot",
            "slash",
            "spc",
            "less",
        ],
        strict=True,
    )
)
"""Scan code set 1 → QKeyCode, of the keys that bear characters (QEMU's keymap files use the former)."""
KEYSYMS = {
    "exclam": "!", "quotedbl": '"', "numbersign": "#", "dollar": "$", "percent": "%", "ampersand": "&", "slash": "/",
    "apostrophe": "'", "parenleft": "(", "parenright": ")", "asterisk": "*", "plus": "+", "comma": ",", "minus": "-",
    "period": ".", "colon": ":", "semicolon": ";", "less": "<", "equal": "=", "greater": ">", "question": "?",
    "at": "@", "bracketleft": "[", "backslash": "\\", "bracketright": "]", "underscore": "_", "braceleft": "{",
    "bar": "|", "braceright": "}", "asciitilde": "~", "asciicircum": "^", "grave": "`", "sterling": "£", "section": "§",
    "degree": "°", "twosuperior": "²", "threesuperior": "³", "acute": "´", "diaeresis": "¨", "mu": "µ", "notsign": "¬",
    "EuroSign": "€", "currency": "¤", "ssharp": "ß", "adiaeresis": "ä", "odiaeresis": "ö", "udiaeresis": "ü",
    "Adiaeresis": "Ä", "Odiaeresis": "Ö", "Udiaeresis": "Ü", "eacute": "é", "egrave": "è", "agrave": "à",
    "ccedilla": "ç", "ugrave": "ù", "space": " ",
}  # fmt: skip


@pytest.mark.skipif(not QEMU_KEYMAPS.is_dir(), reason="QEMU's keymaps are not installed")
@pytest.mark.parametrize(("name", "file"), [("us", "en-us"), ("gb", "en-gb"), ("de", "de"), ("fr", "fr")])
def test_layouts_agree_with_qemus_own_tables(name: str, file: str) -> None:
    theirs: dict[tuple[str, tuple[str, ...]], str] = {}
    for line in (QEMU_KEYMAPS / file).read_text().splitlines():
        match = re.fullmatch(r"(\w+) (0x[0-9a-f]{2})((?: (?:shift|altgr))*)", line)
        if match and int(match[2], 16) in POSITIONS:
            character = KEYSYMS.get(match[1], match[1] if len(match[1]) == 1 else "")
            modifiers = tuple({"shift": "shift", "altgr": "alt_r"}[m] for m in match[3].split())
            theirs[POSITIONS[int(match[2], 16)], modifiers] = character
    compared = 0
    for character in layout(name).characters - set("\n\r\t\b\x1b"):
        chords = layout(name).chords(character)
        # Their tables have no dead keys: they call such a key by its accent.
        if len(chords) > 1 and chords[1] != Chord("spc"):
            continue
        expected = theirs.get((chords[0].key, chords[0].modifiers))
        if expected:  # a keysym that is not in our list, or a level that they do not have
            assert expected == character
            compared += 1
    assert compared >= 95
