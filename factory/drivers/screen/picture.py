"""Screenshots as PNG files."""

from __future__ import annotations

from pathlib import Path

from factory.drivers.screen.frame import Frame
from factory.log_files import owner_only


def save_png(path: Path, frame: Frame) -> int:
    """Writes *frame* whole or not at all, for its owner alone. Returns the file's size in bytes. Raises: OSError."""
    from PIL import Image

    picture = Image.frombytes("RGB", (frame.width, frame.height), frame.pixels)
    part = path.with_name(f".{path.name}.part")
    if picture.getcolors(256):
        picture = picture.quantize(256, dither=Image.Dither.NONE)  # a text screen: exact, and a third of the size
    with open(part, "wb", opener=owner_only) as stream:
        picture.save(stream, format="PNG")
    size = part.stat().st_size
    part.rename(path)
    return size
