"""Tells whether a text may be what became of another one, which was typed: and what has gone wrong then. Pure."""

from __future__ import annotations

import difflib
import re

from factory.boot_command.keymap import LAYOUTS, Layout

_SIMILAR = 0.6
_TELLING = 4  # characters in the order of those that were typed, which are no chance
_REPEATED = 8
_MASKS = frozenset("*•·●○■█▪∙#.xX")  # what prompts for passwords show instead


def misread_by(shown: str, typed: str, keyboard: Layout) -> str:
    """The layout of a guest that shows exactly *shown* for the keys of *typed*; empty when none of ours does.

    What is shown as it was typed was not misread.
    """
    if shown.strip() == typed.strip():
        return ""
    chords = [chord for character in typed.strip() for chord in keyboard.chords(character)]
    fits: dict[str, int] = {}
    for name, other in LAYOUTS.items():
        characters = other.shows(chords)
        told = sum(bool(c) for c in characters)
        differs = any(
            theirs and theirs != ours for theirs, ours in zip(characters, keyboard.shows(chords), strict=True)
        )
        # A key that has no character in the other layout shows nothing, or something that no table has.
        pattern = "".join(re.escape(c) or ".?" for c in characters)
        if name != keyboard.name and differs and 2 * told > len(characters) and re.fullmatch(pattern, shown.strip()):
            fits[name] = told
    return max(fits, key=lambda name: fits[name], default="")


def stands_for(shown: str, typed: str) -> bool:
    """Whether *shown* may be *typed* in other letters: as long, and with its blanks where that has them."""
    return len(shown) == len(typed) and all((a == " ") == (b == " ") for a, b in zip(shown, typed, strict=True))


def is_mask(shown: str, typed: str) -> bool:
    """Whether each key shows the same sign, whatever it is."""
    return len(set(shown)) == 1 and shown[0] in _MASKS and not (len(set(typed)) == 1 and shown[0] in "xX")


def resembles(shown: str, typed: str) -> bool:
    """Whether *shown* is what may become of *typed*: keys lost, many even, or come twice, or in the other case."""
    if len(shown) <= 2 * len(typed) + 2 and _similar(shown, typed):
        return True
    lost = len(shown) >= _TELLING and _is_among(shown, typed)
    repeated = set(shown) == set(typed) and len(shown) <= _REPEATED * len(typed) and _is_among(typed, shown)
    return lost or repeated


def lacks_keys(shown: str, typed: str) -> bool:
    """Whether *shown* is *typed* with keys lost, half of them at most; which a word that stands there may be, too."""
    return shown != typed and len(shown) >= max(2, (len(typed) + 1) // 2) and _is_among(shown, typed)


def way_out(shown: str, typed: str, keyboard: Layout | None = None) -> str:
    """What to try when *shown* stands where *typed* was typed: lost keys are no layout's fault."""
    if keyboard and (other := misread_by(shown, typed, keyboard)):
        always = "; boot loaders always do" if other == "us" else ""
        return f"the guest reads the layout '{other}' at this prompt{always}: set `keyboard: {other}`"
    lost, repeated = _is_among(shown.strip(), typed), _is_among(typed.strip(), shown)
    if lost or repeated:
        return (
            f'keys {"were lost" if lost else "came twice"}: wait for the prompt before typing (`<waitText "…">`); is '
            "this computer too busy to let the guest read its keyboard?"
        )
    return "is `keyboard:` the layout that the guest uses at this prompt? Boot loaders always use 'us'"


def _similar(shown: str, typed: str) -> bool:
    texts = [(shown, typed), (shown.lower(), typed.lower())]
    return any(difflib.SequenceMatcher(None, a, b, autojunk=False).ratio() >= _SIMILAR for a, b in texts)


def _is_among(few: str, many: str) -> bool:
    """Whether *few* are characters of *many*, in their order."""
    left = iter(many)
    return all(character in left for character in few)
