"""What lies outside of partitions, tables and loaders: on disks written here byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from factory.disk.gaps import Loaders, bytes_left_to_loaders, gaps

pytestmark = pytest.mark.unit

SECTOR, SECTORS = 512, 8192


class Disk:
    """In memory; ``put`` writes to a sector."""

    def __init__(self, sectors: int = SECTORS) -> None:
        self._data = bytearray(sectors * SECTOR)
        self.size = len(self._data)

    def put(self, sector: int, content: bytes, at: int = 0) -> None:
        start = sector * SECTOR + at
        self._data[start : start + len(content)] = content

    def extents(self) -> Iterator[tuple[int, int]]:
        yield 0, self.size

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self._data[offset : offset + length]).ljust(length, b"\0")


def mbr(*entries: tuple[int, int, int], code: bytes = b"", at: int = 0, disk: Disk | None = None) -> Disk:
    """Of partitions ``(type, first sector, sectors)``."""
    disk = disk or Disk()
    disk.put(at, code)
    for number, (kind, start, count) in enumerate(entries):
        disk.put(at, struct.pack("<4xB3xII", kind, start, count), 446 + 16 * number)
    disk.put(at, b"\x55\xaa", 510)
    return disk


def gpt(*parts: tuple[int, int], backup: int = SECTORS - 1) -> Disk:
    """Of partitions ``(first, last)``."""
    disk = mbr((0xEE, 1, SECTORS - 1))
    for header, other, table in ((1, backup, 2), (backup, 1, backup - 32)):
        disk.put(header, struct.pack("<8s16xQQ32xQII", b"EFI PART", header, other, table, 128, 128))
        for number, (first, last) in enumerate(parts):
            disk.put(table, struct.pack("<16s16sQQ", b"type" * 4, b"uuid" * 4, first, last), 128 * number)
    return disk


def found(disk: Disk, loaders: Loaders = Loaders.OF_PCS) -> list[tuple[int, int]]:
    """``(first, last)`` sectors."""
    return [(offset // SECTOR, (offset + length) // SECTOR - 1) for offset, length in gaps(disk, loaders)]


def test_a_gpt_keeps_its_tables_at_both_ends() -> None:
    assert found(gpt((2048, 4095), (5000, 5999))) == [(34, 2047), (4096, 4999), (6000, SECTORS - 34)]


def test_a_backup_table_that_was_left_in_the_middle_stays_where_the_header_says() -> None:
    assert found(gpt((2048, 4095), backup=6000)) == [(34, 2047), (4096, 5967), (6001, SECTORS - 1)]


def test_a_gpt_without_backup_keeps_the_place_of_one() -> None:
    disk = gpt((2048, 4095))
    disk.put(SECTORS - 1, bytes(SECTOR))
    assert found(disk) == [(34, 2047), (4096, SECTORS - 34)]


def test_a_gpt_that_is_broken_is_no_reason_to_guess() -> None:
    with pytest.raises(ValueError, match="GPT"):
        gaps(mbr((0xEE, 1, SECTORS - 1)), Loaders.ANY)


def test_an_mbr_and_its_chain_of_logical_partitions() -> None:
    disk = mbr((0x83, 2048, 1000), (0x05, 4096, 3000))
    mbr((0x83, 100, 400), (0x05, 1000, 600), at=4096, disk=disk)
    mbr((0x83, 100, 500), at=5096, disk=disk)
    assert found(disk) == [(1, 2047), (3048, 4095), (4097, 4195), (4596, 5095), (5097, 5195), (5696, SECTORS - 1)]


def test_a_disk_without_a_table_has_none() -> None:
    assert found(Disk()) == []


GRUB = b"\xeb\x63".ljust(0x5C, b"\0") + struct.pack("<Q", 1) + b"\x90" * 64 + b"GRUB \0Geom\0Hard Disk\0"


def with_grub(disk: Disk, first: int = 1) -> Disk:
    """GRUB's core: its first sector, and 60 more."""
    disk.put(0, GRUB.replace(struct.pack("<Q", 1), struct.pack("<Q", first)))
    disk.put(first, b"\x52\xe8" + b"loading\0")
    disk.put(first, struct.pack("<QHH", first + 1, 60, 0x820), SECTOR - 12)
    return disk


def test_the_core_of_grub_stays_with_as_much_behind_it() -> None:
    assert found(with_grub(mbr((0x83, 2048, 6144)))) == [(123, 2047)]
    assert found(with_grub(mbr((0x83, 63, 8000)))) == [(8063, SECTORS - 1)]


def test_a_core_in_a_bios_boot_partition_needs_nothing_before_it() -> None:
    assert found(with_grub(gpt((2048, 4095), (4096, 8100)), first=2048))[0] == (34, 2047)


@pytest.mark.parametrize(
    ("code", "first"),
    [(b"\x33\xc0Missing operating system", 1), (b"\xfa\x31\xc0nobody knows", 63), (b"\xebGRUB of old", 63)],
)
def test_a_loader_that_is_not_known_keeps_the_first_track(code: bytes, first: int) -> None:
    assert found(mbr((0x83, 2048, 6144), code=code)) == [(first, 2047)]


@pytest.mark.parametrize(
    ("at", "magic"), [(0x2004, b"eGON.BT0"), (0x8000, b"RKNS"), (0x400, b"\xd1\x00\x20\x41"), (0x210, b"@AML")]
)
def test_the_loader_of_a_board_keeps_all_before_the_first_partition(at: int, magic: bytes) -> None:
    disk = mbr((0x83, 2048, 1000))
    disk.put(0, magic, at)
    assert found(disk) == [(3048, SECTORS - 1)]


def test_dynamic_disks_are_left_alone() -> None:
    assert found(mbr((0x42, 63, 4000))) == []


@pytest.mark.parametrize(
    ("sector", "magic"),
    [
        (SECTORS - 16, b"\xfc\x4e\x2b\xa9"),
        (SECTORS - 2, b"Intel Raid ISM Cfg"),
        (SECTORS - 1, b"\xde\x11\xde\x11"),
    ],
)
def test_a_raid_keeps_the_end_of_the_disk(sector: int, magic: bytes) -> None:
    disk = mbr((0x83, 2048, 1000))
    disk.put(sector, magic)
    assert found(disk) == [(1, 2047), (3048, SECTORS - 2049)]


@pytest.mark.parametrize("code", [b"", b"\xfa\x31\xc0nobody knows"])
@pytest.mark.parametrize("table", [mbr, None])
def test_what_no_pc_starts_from_keeps_all_before_the_first_partition(code: bytes, table: object) -> None:
    """Boards by Samsung and Marvell start from sector 1, without a word by which their loaders could be told."""
    disk = mbr((0x83, 2048, 1000), code=code) if table else gpt((2048, 3047))
    assert found(disk, Loaders.ANY)[0] == (3048, SECTORS - 1 if table else SECTORS - 34)
    assert found(disk, Loaders.OF_PCS)[0] == (63 if code and table else 1 if table else 34, 2047)


@pytest.mark.parametrize("code", [b"\x33\xc0Missing operating system", GRUB])
def test_a_pcs_loader_tells_a_pc(code: bytes) -> None:
    disk = mbr((0x83, 2048, 1000), code=code)
    if code == GRUB:
        with_grub(disk)
    assert gaps(disk, Loaders.ANY) == gaps(disk, Loaders.OF_PCS)


def test_what_is_left_to_a_loader_that_nobody_knows_is_told() -> None:
    disk = mbr((0x83, 2048, 1000))
    assert bytes_left_to_loaders(disk, Loaders.ANY) == 0
    disk.put(1, b"BL1" * 100)
    assert bytes_left_to_loaders(disk, Loaders.ANY) == 300
    assert bytes_left_to_loaders(disk, Loaders.OF_PCS) == 0


def test_an_entry_that_begins_at_the_table_itself_is_no_table_to_go_by() -> None:
    """FreeBSD's boot1 has one of 50000 sectors on a disk that is one file system."""
    assert found(mbr((0xA5, 0, 5000))) == []
