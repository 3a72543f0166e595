"""The reader that is not libguestfs, on a disk that nobody has sealed: it sees what dumpe2fs and a plain search see."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.disk.gaps import Loaders
from factory.disk.reader import open_disk
from factory.errors import VerificationFailed
from factory.seal.free_space import SWAP, FreeSpace
from factory.seal.model import GuestInfo
from factory.seal.report import SealReport, judge
from factory.seal.second_look import FREE, OUTSIDE, SecondLook
from factory.seal.secret_scan import Hit, Needles, scan
from factory.secret import Secret
from tests.seal.dirty_disk import CANARIES, DirtyDisk, make_dirty_debian
from tests.seal.test_seal import Sealed

pytestmark = pytest.mark.machine

GAP = "planted-between-the-partitions"


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> DirtyDisk:
    disk = make_dirty_debian(tmp_path_factory.mktemp("second-look"))
    with disk.path.open("r+b") as stream:
        stream.seek(40 * 512)
        stream.write(GAP.encode())
    return disk


@pytest.fixture(scope="module")
def hits(dirty: DirtyDisk) -> list[Hit]:
    secrets = {name: Secret(value) for name, value in {**CANARIES, "gap": GAP}.items()}
    with open_disk(dirty.path, "raw") as reader:
        return scan(reader, "main", Needles.of(secrets))


def test_freed_blocks_that_keep_their_contents_are_counted(dirty: DirtyDisk) -> None:
    with open_disk(dirty.path, "raw") as reader:
        found = {f.type: f for f in SecondLook(reader, "main", loaders=Loaders.OF_PCS).free_space()}
    by_dumpe2fs = Sealed(dirty, dirty.path, SealReport(GuestInfo()), ()).dirty_free_bytes()
    assert 0 < by_dumpe2fs <= found["ext"].dirty < by_dumpe2fs + 20 * 4096, "whole blocks, and no others"
    assert found["ext"].dirty % 4096 == 0
    assert found["swap"].dirty > 0
    assert found["gaps"].dirty == 1024, "two sectors"


def test_each_secret_is_placed_where_it_lies(dirty: DirtyDisk, hits: list[Hit]) -> None:
    with open_disk(dirty.path, "raw") as reader:
        places = SecondLook(reader, "main", loaders=Loaders.OF_PCS).places(hits)
    where: dict[str, set[str]] = {}
    for hit, place in zip(hits, places, strict=True):
        where.setdefault(hit.name, set()).add(place.where)
    assert where["secret:gap"] == {OUTSIDE}
    assert where["secret:canary3"] == {"/var/log/secrets.log", "/tmp/provision.sh"}
    assert where["secret:canary13"] == {FREE}
    assert where["secret:canary23"] == {SWAP, "/swapfile"}


def test_a_known_secret_can_be_allowed_by_name_only(hits: list[Hit], dirty: DirtyDisk) -> None:
    with open_disk(dirty.path, "raw") as reader:
        places = SecondLook(reader, "main", loaders=Loaders.OF_PCS).places(hits)
    findings = judge(hits, places, ["secret:canary3:/var/log/*", "secret:gap"])
    allowed = {(f.name, f.where) for f in findings if f.allowed}
    assert allowed == {("secret:gap", OUTSIDE), ("secret:canary3", "/var/log/secrets.log")}
    assert all(f.excerpt == "" for f in findings), "not even the first letters of a secret that we were told"


def test_a_report_with_dirty_free_space_proves_nothing() -> None:
    report = SealReport(GuestInfo(), free_space=(FreeSpace("main", 3, "ext", 2**20, 4096),))
    with pytest.raises(VerificationFailed, match="4096 bytes of free space on partition 3 of disk main keep"):
        report.require_proven()


def test_a_file_system_that_is_not_read_here_is_said_to_be_unchecked(tmp_path: Path) -> None:
    path = tmp_path / "xfs.raw"
    path.write_bytes(b"XFSB".ljust(2**20, b"\0"))
    with open_disk(path, "raw") as reader:
        look = SecondLook(reader, "main", loaders=Loaders.OF_PCS)
        assert look.free_space() == []
        assert look.unchecked == ["partition 0 of disk main (xfs)"]
