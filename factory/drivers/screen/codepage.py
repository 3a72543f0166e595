"""Code page 437 as a VGA card shows it: every one of the 256 codes is a glyph, the control codes too."""

from __future__ import annotations

_CONTROLS = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"

CP437: tuple[str, ...] = (
    *_CONTROLS,
    *(chr(code) for code in range(0x20, 0x7F)),
    "⌂",
    *(bytes([code]).decode("cp437") for code in range(0x80, 0xFF)),
    " ",  # 0xFF is a blank, as 0x00
)
"""Code → character. Codes 0x00, 0x20 and 0xFF are all blank on the screen, so all three read as a space."""


def decode(codes: bytes) -> str:
    return "".join([CP437[code] for code in codes])
