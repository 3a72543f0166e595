from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from factory import digest
from factory.digest import content_digest, digest_of, file_digest, to_json, tree_digest
from factory.quantity import Size
from factory.secret import Secret

pytestmark = pytest.mark.unit


class Colour(enum.Enum):
    RED = "red"


class Bus(enum.StrEnum):
    NVME = "nvme"


def test_a_named_text_becomes_a_plain_one() -> None:
    """It is shown to people: `changed from 'virtio' to 'nvme'`."""
    assert type(to_json({"bus": Bus.NVME})["bus"]) is str  # type: ignore[index,call-overload]
    assert digest_of(Bus.NVME) == digest_of("nvme")


@dataclass(frozen=True)
class Thing:
    size: Size
    colour: Colour


def test_order_and_type_of_containers_do_not_count() -> None:
    assert digest_of({"a": 1, "b": [2]}) == digest_of({"b": (2,), "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": "1"})


def test_dataclasses_and_enums_become_plain_data() -> None:
    assert to_json(Thing(Size(5), Colour.RED)) == {"size": 5, "colour": "red"}


def test_a_secret_enters_under_the_salt_only() -> None:
    digest = digest_of(Secret("hunter22"), salt=b"one")
    assert digest == digest_of(Secret("hunter22"), salt=b"one")
    assert digest != digest_of(Secret("hunter22"), salt=b"two")
    assert digest != digest_of(Secret("hunter23"), salt=b"one")


def test_a_path_is_no_content() -> None:
    with pytest.raises(TypeError, match="no content"):
        digest_of(Path("x"))


def test_a_tree_counts_names_contents_and_the_executable_bit(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    script = tmp_path / "sub" / "a.sh"
    script.write_text("echo")
    before = tree_digest(tmp_path)
    script.chmod(0o755)
    executable = tree_digest(tmp_path)
    script.rename(tmp_path / "sub" / "b.sh")
    assert len({before, executable, tree_digest(tmp_path)}) == 3
    assert tree_digest(tmp_path / "sub" / "b.sh") == file_digest(tmp_path / "sub" / "b.sh")


def test_times_do_not_count(tmp_path: Path) -> None:
    import os

    (tmp_path / "a").write_text("x")
    before = tree_digest(tmp_path)
    os.utime(tmp_path / "a", (1, 1))
    assert tree_digest(tmp_path) == before


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file whose digest is remembered: it was written long ago."""
    monkeypatch.setattr(digest, "_TICK", -1)
    monkeypatch.setattr(digest, "LARGE", 4)
    monkeypatch.setattr(digest, "known_digests", {})
    path = tmp_path / "rootfs.tar"
    path.write_bytes(b"large")
    return path


def test_a_large_file_is_read_once_and_again_when_it_was_written(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    plain = digest.file_digest

    def reads(path: Path) -> str:
        read.append(path)
        return plain(path)

    monkeypatch.setattr(digest, "file_digest", reads)
    first = content_digest(large)
    assert content_digest(large) == first == plain(large)
    assert len(read) == 1
    stat = large.stat()
    large.write_bytes(b"other")
    os.utime(large, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # its change time can't be set back
    assert content_digest(large) == plain(large) != first


def test_what_was_written_a_moment_ago_is_read_again(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clocks of some file systems tick every two seconds: who saves twice in between leaves the same stamp."""
    monkeypatch.setattr(digest, "_TICK", 4_000_000_000)
    content_digest(large)
    assert digest.known_digests == {}


def test_a_small_file_is_always_read(tmp_path: Path) -> None:
    path = tmp_path / "script.sh"
    path.write_text("one")
    content_digest(path)
    assert str(path) not in digest.known_digests
