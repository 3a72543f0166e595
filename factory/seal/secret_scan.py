"""Looks for secrets in everything that a disk holds: files, free space, swap, gaps between partitions.

The raw bytes are searched once, for all patterns at the same time (Aho-Corasick); a candidate is checked as a whole. A
secret is not seen that lies across two pieces of a fragmented file, inside a compressed or encrypted file, or in a code
that none of the patterns is in (base32, base64 of base64, a dump of UTF-16): docs/reference/seal.md lists it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from factory.disk.reader import DiskReader
from factory.seal.secret_checks import Check, checks_of, checks_of_code
from factory.seal.secret_shapes import SHAPES
from factory.secret import Secret, codes, encodings

SHORTEST = 6
"""Characters: what is shorter occurs on every disk by chance."""
_PIECE, _STEP, _FEW_PIECES = 24, 8, 160
"""Characters of base64 or hex that are taken for a piece of a secret: 12 bytes of it or more."""
_DUMPED, _MOST_DUMPED = _PIECE // 2, 64
"""Bytes: the same of a dump, and how much of a long secret is looked for in one."""
_SECTOR = 512
"""Bytes: what is found again in one of these is told once. It is of one file, for no file system has smaller blocks."""
_CHUNK = 8 * 2**20
KNOWN = ("secret:", "build-key:")
"""How the names begin of what a build tells us, its variables and the numbers of its keys; all else is a likeness."""


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
    checks: tuple[tuple[bytes, Check], ...]
    skipped: tuple[str, ...] = ()

    @classmethod
    def of(cls, secrets: Mapping[str, Secret[str]], build_keys: Sequence[str] = ()) -> Needles:
        literals: dict[bytes, str] = {}
        checks: list[tuple[bytes, Check]] = []
        skipped = []
        for name, secret in secrets.items():
            value = secret.reveal()
            spellings = set(_spellings(value)) if len(value) >= SHORTEST else set()
            if not spellings:
                skipped.append(name)
            for spelling in spellings:
                literals.setdefault(spelling, f"secret:{name}")
            for code in set(_codes(value)) if spellings else ():
                if SHORTEST <= len(code) < 2 * _PIECE:  # either side of a break may be shorter than a piece
                    checks += checks_of_code(f"secret:{name}", code)
        for number, line in enumerate(build_keys, 1):
            body = next((word for word in line.split() if word.startswith("AAAA")), "")
            if body:
                literals.setdefault(body.encode(), f"build-key:{number}")
        checks += [check for shape in SHAPES for check in checks_of(shape)]
        return cls(tuple(literals.items()), tuple(checks), tuple(skipped))


def _spellings(value: str) -> Iterator[bytes]:
    """Every form under which a secret may lie on a disk; a line of armour ("-----BEGIN …") tells nothing by itself."""
    for text in encodings(value):
        if not text.startswith("-----") or "\n" in text:
            yield from (text.encode(form) for form in ("utf-8", "utf-16-le", "utf-16-be") if len(text) >= SHORTEST)
    for text in _codes(value):
        yield from (piece.encode() for piece in _pieces(text))
    yield from (text.encode() for text in _dumps(_without_armour(value).encode()[:_MOST_DUMPED]))


def _without_armour(value: str) -> str:
    return "\n".join(line for line in value.splitlines() if not line.startswith("-----"))


def _codes(value: str) -> Iterator[str]:
    return codes(_without_armour(value))


def _pieces(code: str) -> Iterator[str]:
    """What is left of base64 or hex in one line, wherever a program has wrapped it."""
    steps = 1 if len(code) <= _FEW_PIECES else _STEP
    yield from (code[i : i + _PIECE] for i in range(0, len(code) - _PIECE + 1, steps))


def _dumps(raw: bytes) -> Iterator[str]:
    """As programs show bytes in hex, of a secret or a piece of it that stands in one row."""
    for start in range(max(1, len(raw) - _DUMPED + 1)):
        piece = raw[start : start + _DUMPED]
        if len(piece) < SHORTEST:
            return
        yield piece.hex(" ", -2)  # xxd: two bytes together, from either of them on
        yield f"{piece[:1].hex()} {piece[1:].hex(' ', -2)}"
        for code in (piece.hex(" "), piece.hex(" ").upper()):
            yield from (code.replace(" ", by) for by in " :-")  # hexdump, openssl, .NET
            yield from (by.lstrip(", ") + code.replace(" ", by) for by in (", 0x", ",0x", "\\x"))  # xxd -i, programs


def scan(
    reader: DiskReader, disk: str, needles: Needles, progress: Callable[[int, int], None] | None = None
) -> list[Hit]:
    """All hits on one disk, by offset. CPU-bound (150 to 350 MB/s): run it in a thread."""
    from ahocorasick_rs import BytesAhoCorasick, Implementation

    patterns = [literal for literal, _ in needles.literals] + [trigger for trigger, _ in needles.checks]
    automaton = BytesAhoCorasick(patterns, implementation=Implementation.DFA)
    overlap = max(len(p) for p in patterns) - 1
    extents = list(reader.extents())
    total, done = sum(length for _, length in extents), 0
    hits: dict[tuple[str, int], Hit] = {}
    last: dict[str, int] = {}
    for offset, data in _chunks(reader, extents, overlap):
        for index, start, _ in automaton.find_matches_as_indexes(data, overlapping=True):
            if index < len(needles.literals):
                name, at, excerpt = needles.literals[index][1], offset + start, ""
            else:
                check = needles.checks[index - len(needles.literals)][1]
                found = _checked(check, reader, offset + start)
                if found is None:
                    continue
                name, (at, excerpt) = check.name, found
            if name.startswith(KNOWN):
                if last.get(name) == at // _SECTOR:
                    continue
                last[name] = at // _SECTOR
            hits.setdefault((name, at), Hit(name, disk, at, excerpt))
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


def _checked(check: Check, reader: DiskReader, offset: int) -> tuple[int, str] | None:
    """Where a secret begins of which a trigger is at *offset*, and what of it may be shown."""
    before, behind = check.reach
    start = max(0, offset - before)
    found = check.find(reader.read(start, min(offset - start + behind, reader.size - start)), offset - start)
    return (start + found[0], _excerpt(found[1]) if found[1] else "") if found is not None else None


def _excerpt(value: bytes) -> str:
    shown = value[: 24 if value.startswith(b"-----") else 4]
    return "".join(chr(b) if 32 <= b < 127 else "·" for b in shown) + "…"
