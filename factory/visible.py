"""Text from a guest, an ISO or another program as it may be shown: it writes, and does nothing else to a terminal.

Colours (SGR) stay. Other control sequences go: they move the cursor, set a window's title, answer as if typed. Single
control characters, also those of C1 that begin such a sequence in one byte, and what turns the direction of writing
around are U+FFFD: a line must read as it stands there.
"""

from __future__ import annotations

import re

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Unicode's controls of direction (UAX 9)."""
_SEPARATORS = "\u2028\u2029\ufeff"
UNSEEN = f"\x00-\x08\x0b-\x1f\x7f-\x9f{_BIDI}{_SEPARATORS}"
"""As in a regular expression's brackets: characters that are no text; TAB and LF are."""
_COLOUR = r"\x1b\[[0-9;:]*m"
CSI = r"(?:\x1b\[|\x9b)"
"""Begins a control sequence (ECMA-48), its 8-bit form included."""
STRING = r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*"
"""A control string without its end: OSC, DCS, SOS, PM, APC. None of those that are used goes over several lines."""
_SEQUENCE = rf"{CSI}[0-?]*[ -/]*[@-~]|{STRING}(?:\x07|\x1b\\|\x9c)|\x1b[ -/]*[0-~]"
_SHOWN = re.compile(f"({_COLOUR})|{_SEQUENCE}|([{UNSEEN}])")
_ESCAPED = re.compile(f"[\x7f-\x9f{_BIDI}{_SEPARATORS}]")


def visible(text: str) -> str:
    """*text* for a terminal. Lines may be coloured, by us or by others."""
    return _SHOWN.sub(lambda found: found[1] or ("\ufffd" if found[2] else ""), text) if text else text


def visible_json(document: str) -> str:
    """*document*, which is JSON, with the same characters escaped: it means what it meant."""
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", document)
