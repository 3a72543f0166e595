"""What of a disk belongs to no partition, no partition table and no boot loader: nobody may miss it.

Left alone: what GRUB embeds behind the MBR (``boot.img`` tells its first sector, ``diskboot.img`` lists the rest),
loaders of boards that lie before the first partition (whether they can be told or not), and metadata of RAIDs and of
Windows' dynamic disks.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator, Sequence

from factory.disk.partitions import partitions
from factory.disk.reader import DiskReader

_SECTOR = 512
_TRACK = 63 * _SECTOR
_EXTENDED = frozenset({0x05, 0x0F, 0x85})
_LDM = 0x42
_TAIL = 2**20
"""RAID superblocks at the end of a whole disk lie within its last 128 KiB; dynamic disks use the last MiB."""
_BOARDS = (
    (0x2000 + 4, b"eGON"),  # Allwinner
    (0x20000 + 4, b"eGON"),
    (0x8000, b"RKNS"),  # Rockchip, and its older loaders (enciphered, always the same)
    (0x8000, b"\x3b\x8c\xdc\xfc"),
    (0x400, b"\xd1\x00\x20"),  # NXP i.MX: an image vector table
    (0x8000, b"\xd1\x00\x20"),
    (0x8400, b"\xd1\x00\x20"),
    (0x200 + 16, b"@AML"),  # Amlogic
    (0x20000 + 20, b"CHSETTINGS"),  # TI
    (0x200 + 20, b"CHSETTINGS"),
)
_CHAIN_LOADERS = (b"Missing operating system", b"Operating system load error", b"Invalid partition table")
"""What boot records say that are one sector, and start a partition: Windows', syslinux', Debian's mbr."""
_RAIDS = ((-1024, b"Intel Raid ISM"), (-512, b"\xde\x11\xde\x11"), (-512, b"\x11\xde\x11\xde"))


class Loaders(enum.Enum):
    """What may lie before the first partition of a machine's disks."""

    OF_PCS = enum.auto()
    """A BIOS starts the code of the MBR, a UEFI a file: what is no table and no part of a known loader is nobody's."""
    ANY = enum.auto()
    """Boards start code from sectors that their chips are made for, and many of these loaders say nothing of what they
    are (Samsung's Exynos and Marvell's Armada from sector 1): all before the first partition may be one."""


def gaps(reader: DiskReader, loaders: Loaders) -> list[tuple[int, int]]:
    """``(offset, length)`` in bytes, in order; nothing of a disk without a partition table. Raises: ValueError.

    An MBR with an entry that begins at the MBR itself is no table: FreeBSD's boot1 has one, where no disk is divided.
    """
    parts = partitions(reader)
    sector = reader.read(0, _SECTOR)
    if any(p.number == 0 or p.offset == 0 for p in parts) or _has_dynamic_volumes(reader, sector):
        return []
    is_gpt = any(sector[446 + 16 * n + 4] == 0xEE for n in range(4))
    taken = [(p.offset, p.offset + p.length) for p in parts]
    taken += _gpt_tables(reader) if is_gpt else [(0, _SECTOR), *_extended_tables(reader, sector)]
    first = min((p.offset for p in parts), default=reader.size)
    if parts:
        taken += _loaders(reader, sector, first, loaders, is_gpt=is_gpt)
    if _has_raid(reader):
        taken.append((max(0, reader.size - _TAIL), reader.size))
    found, at = [], 0
    for start, end in sorted(taken):
        if start > at:
            found.append((at, min(start, reader.size) - at))
        at = max(at, end)
        if at >= reader.size:
            break
    if at < reader.size:
        found.append((at, reader.size - at))
    return [(offset, length) for offset, length in found if length > 0]


def bytes_left_to_loaders(reader: DiskReader, loaders: Loaders) -> int:
    """How many bytes other than zero are no gap only because *loaders* may have them. Raises: as ``gaps``."""
    left = set(gaps(reader, Loaders.OF_PCS)) - set(gaps(reader, loaders))
    count = 0
    for offset, length in left:
        for at in range(offset, offset + length, _TAIL):
            data = reader.read(at, min(_TAIL, offset + length - at))
            count += len(data) - data.count(0)
    return count


def _gpt_tables(reader: DiskReader) -> Iterator[tuple[int, int]]:
    """The protective MBR, and each header with its entries (UEFI specification 2.10, chapter 5.3)."""
    yield 0, 2 * _SECTOR
    header = reader.read(_SECTOR, 92)
    if header[:8] != b"EFI PART":
        raise ValueError("a GPT without a header")
    (backup,) = struct.unpack_from("<Q", header, 32)
    yield _entries(header)
    second = reader.read(backup * _SECTOR, 92) if backup * _SECTOR + _SECTOR <= reader.size else b""
    if second[:8] == b"EFI PART":
        yield backup * _SECTOR, (backup + 1) * _SECTOR
        yield _entries(second)
    else:  # cut, or never written: the place where one belongs
        yield reader.size - 33 * _SECTOR, reader.size


def _entries(header: bytes) -> tuple[int, int]:
    start, count, size = struct.unpack_from("<QII", header, 72)
    return start * _SECTOR, start * _SECTOR + -(-count * size // _SECTOR) * _SECTOR


def _extended_tables(reader: DiskReader, sector: bytes) -> Iterator[tuple[int, int]]:
    """Each sector that is a link of the chain of logical partitions."""
    for number in range(4):
        kind, start = sector[446 + 16 * number + 4], struct.unpack_from("<I", sector, 446 + 16 * number + 8)[0]
        link, seen = start, set[int]()
        while kind in _EXTENDED and link not in seen and len(seen) < 128:
            seen.add(link)
            yield link * _SECTOR, (link + 1) * _SECTOR
            table = reader.read(link * _SECTOR, _SECTOR)
            if table[510:512] != b"\x55\xaa" or table[446 + 16 + 4] not in _EXTENDED:
                break
            link = start + struct.unpack_from("<I", table, 446 + 16 + 8)[0]


def _loaders(reader: DiskReader, sector: bytes, first: int, loaders: Loaders, *, is_gpt: bool) -> list[tuple[int, int]]:
    """What of the place before the *first* partition (a byte) a boot loader has."""
    if any(reader.read(at, len(magic)) == magic for at, magic in _BOARDS if at < first):
        return [(0, first)]
    core = _core_of_grub(reader, sector, first)
    if core is not None:
        return core
    is_chain_loader = any(words in sector for words in _CHAIN_LOADERS)
    if loaders is Loaders.ANY and not is_chain_loader:
        return [(0, first)]
    is_known = not sector[:440].strip(b"\0") or is_chain_loader
    # Of an unknown loader, the track that DOS left to it; a GPT leaves it none.
    return [] if is_known or is_gpt else [(0, min(_TRACK, first))]


def _core_of_grub(reader: DiskReader, sector: bytes, first: int) -> list[tuple[int, int]] | None:
    """Nothing when its core lies in a partition; None when the MBR holds no GRUB 2."""
    (kernel,) = struct.unpack_from("<Q", sector, 0x5C)
    start = kernel * _SECTOR
    if b"GRUB" not in sector or not 0 < start < reader.size:
        return None
    lists, sectors = reader.read(start, _SECTOR), 1
    if b"loading" not in lists:
        return None
    for at in range(_SECTOR - 12, 0, -12):
        _, count, _ = struct.unpack_from("<QHH", lists, at)
        if not count or count > 0x4000:
            break
        sectors += count
    # As much again is its Reed-Solomon code, which mends the core when somebody has written into it.
    return [(start, min(first, start + 2 * sectors * _SECTOR))] if start < first else []


def _has_dynamic_volumes(reader: DiskReader, sector: bytes) -> bool:
    return any(sector[446 + 16 * n + 4] == _LDM for n in range(4)) or reader.read(6 * _SECTOR, 8) == b"PRIVHEAD"


def _has_raid(reader: DiskReader) -> bool:
    """md with its superblock at the end (0.90 and 1.0, ``md_p.h``), Intel's, and DDF."""
    size = reader.size
    places: Sequence[tuple[int, bytes]] = [(size + at, magic) for at, magic in _RAIDS]
    old = (size & ~0xFFFF) - 0x10000
    new = (size // _SECTOR - 16) // 8 * 8 * _SECTOR
    places = [*places, (old, b"\xfc\x4e\x2b\xa9"), (old, b"\xa9\x2b\x4e\xfc"), (new, b"\xfc\x4e\x2b\xa9")]
    return any(at >= 0 and reader.read(at, len(magic)) == magic for at, magic in places)
