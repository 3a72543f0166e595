"""Looks for secrets in everything that a disk holds: files, free space, swap, gaps between partitions.

The raw bytes are searched, once, for all patterns at the same time (Aho-Corasick); a candidate is then checked against
its whole shape. A secret that lies across two pieces of a fragmented file, or inside a compressed file, is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from factory.disk.reader import DiskReader
from factory.seal.secret_shapes import SHAPES, Shape
from factory.secret import Secret, codes, encodings

SHORTEST = 6
"""Characters: what is shorter occurs on every disk by chance."""
_PIECE, _STEP, _FEW_PIECES = 24, 8, 160
"""Characters of base64 or hex that are taken for a piece of a secret: 12 bytes of it or more."""
_SECTOR = 512
"""Bytes: what is found again in one of these is told once. It is of one file, for no file system has smaller blocks."""
_CHUNK = 8 * 2**20
_BEFORE, _AFTER = 256, 4096


@dataclass(frozen=True, slots=True)
class Hit:
    """A secret on a disk: ``name`` is "secret:<its name>", "build-key:<n>" or the name of a shape."""

    name: str
    disk: str
    offset: int
    excerpt: str
    """The first characters of what looks like a secret; nothing of one that we were told."""


@dataclass(frozen=True, slots=True)
class Needles:
    """Everything to look for. ``skipped`` names secrets too short to be told from chance."""

    literals: tuple[tuple[bytes, str], ...]
    shapes: tuple[tuple[bytes, Shape], ...]
    skipped: tuple[str, ...] = ()

    @classmethod
    def of(cls, secrets: Mapping[str, Secret[str]], build_keys: Sequence[str] = ()) -> Needles:
        literals: dict[bytes, str] = {}
        skipped = []
        for name, secret in secrets.items():
            value = secret.reveal()
            spellings = set(_spellings(value)) if len(value) >= SHORTEST else set()
            if not spellings:
                skipped.append(name)
            for spelling in spellings:
                literals.setdefault(spelling, f"secret:{name}")
        for number, line in enumerate(build_keys, 1):
            body = next((word for word in line.split() if word.startswith("AAAA")), "")
            if body:
                literals.setdefault(body.encode(), f"build-key:{number}")
        shapes = tuple((trigger, shape) for shape in SHAPES for trigger in shape.triggers)
        return cls(tuple(literals.items()), shapes, tuple(skipped))


def _spellings(value: str) -> Iterator[bytes]:
    """Every form under which a secret may lie on a disk; a line of armour ("-----BEGIN …") tells nothing by itself."""
    for text in encodings(value):
        if not text.startswith("-----") or "\n" in text:
            yield from (text.encode(form) for form in ("utf-8", "utf-16-le", "utf-16-be") if len(text) >= SHORTEST)
    for text in codes("\n".join(line for line in value.splitlines() if not line.startswith("-----"))):
        yield from (piece.encode() for piece in _broken(text))


def _broken(code: str) -> Iterator[str]:
    """What is left of base64 or hex in one line, wherever a program has wrapped it."""
    steps = 1 if len(code) <= _FEW_PIECES else _STEP
    yield from (code[i : i + _PIECE] for i in range(0, len(code) - _PIECE + 1, steps))
    if SHORTEST <= len(code) < 2 * _PIECE:  # either side of the break may be shorter than a piece
        yield from (code[:i] + end + code[i:] for i in range(1, len(code)) for end in ("\n", "\r\n"))


def scan(
    reader: DiskReader, disk: str, needles: Needles, progress: Callable[[int, int], None] | None = None
) -> list[Hit]:
    """All hits on one disk, by offset. CPU-bound (150 to 350 MB/s): run it in a thread."""
    from ahocorasick_rs import BytesAhoCorasick, Implementation

    patterns = [literal for literal, _ in needles.literals] + [trigger for trigger, _ in needles.shapes]
    automaton = BytesAhoCorasick(patterns, implementation=Implementation.DFA)
    overlap = max(len(p) for p in patterns) - 1
    extents = list(reader.extents())
    total, done = sum(length for _, length in extents), 0
    hits: dict[tuple[str, int], Hit] = {}
    last: dict[str, int] = {}
    for offset, data in _chunks(reader, extents, overlap):
        for index, start, _ in automaton.find_matches_as_indexes(data, overlapping=True):
            found: Hit | None
            if index < len(needles.literals):
                name, at = needles.literals[index][1], offset + start
                found = Hit(name, disk, at, "") if last.get(name) != at // _SECTOR else None
                last[name] = at // _SECTOR
            else:
                found = _shape_hit(needles.shapes[index - len(needles.literals)][1], disk, reader, offset + start)
            if found is not None:
                hits.setdefault((found.name, found.offset), found)
        done = min(total, done + len(data))
        if progress is not None:
            progress(done, total)
    return sorted(hits.values(), key=lambda hit: hit.offset)


def _chunks(reader: DiskReader, extents: Sequence[tuple[int, int]], overlap: int) -> Iterator[tuple[int, bytes]]:
    end, tail = -1, b""
    for first, length in extents:
        for at in range(first, first + length, _CHUNK):
            data = reader.read(at, min(_CHUNK, first + length - at))
            before = tail if at == end else b""
            yield at - len(before), before + data
            end, tail = at + len(data), data[-overlap:] if overlap else b""


def _shape_hit(shape: Shape, disk: str, reader: DiskReader, offset: int) -> Hit | None:
    start = max(0, offset - _BEFORE)
    window = reader.read(start, min(_BEFORE + _AFTER, reader.size - start))
    for match in shape.pattern.finditer(window):
        if match.start() <= offset - start < match.end() and shape.matches(match):
            return Hit(shape.name, disk, start + match.start(), _excerpt(match[0]))
    return None


def _excerpt(value: bytes) -> str:
    shown = value[: 24 if value.startswith(b"-----") else 4]
    return "".join(chr(b) if 32 <= b < 127 else "·" for b in shown) + "…"
