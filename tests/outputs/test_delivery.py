"""What is delivered appears whole, and what it replaces is never gone before."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from factory.outputs import delivery
from factory.outputs.delivery import deliver, exchange

pytestmark = pytest.mark.unit


def artifact(folder: Path, words: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "disk").write_text(words)
    (folder / "SHA256SUMS").write_text(words)
    return folder


def test_the_first_one_appears_by_one_rename(tmp_path: Path) -> None:
    deliver(artifact(tmp_path / ".staging/one", "new"), tmp_path / "image")
    assert (tmp_path / "image/disk").read_text() == "new"
    assert not list((tmp_path / ".staging").iterdir())


def test_a_reader_finds_the_old_one_or_the_new_one_at_every_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_fsync", lambda path: None)  # slow, and nothing that a reader sees
    place = artifact(tmp_path / "image", "0")
    over, missed, seen = threading.Event(), list[str](), set[str]()

    def read() -> None:
        while not over.is_set():
            try:
                folder = os.open(place, os.O_RDONLY)
            except FileNotFoundError as error:
                missed.append(str(error))
                continue
            seen.add(str(os.fstat(folder).st_ino))
            os.close(folder)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(1, 200):
            deliver(artifact(tmp_path / f".staging/{number}", str(number)), place)
    finally:
        over.set()
        reader.join()
    assert (place / "disk").read_text() == (place / "SHA256SUMS").read_text() == "199"
    assert len(seen) > 1
    assert not missed
    assert not list((tmp_path / ".staging").iterdir())


def test_where_names_can_not_be_exchanged_the_old_one_steps_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "exchange", lambda one, other: False)
    place = artifact(tmp_path / "image", "old")
    deliver(artifact(tmp_path / ".staging/one", "new"), place)
    assert (place / "disk").read_text() == "new"
    assert not list((tmp_path / ".staging").iterdir())


def test_a_failed_delivery_leaves_the_old_one_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "exchange", lambda one, other: False)
    place, source = artifact(tmp_path / "image", "old"), artifact(tmp_path / ".staging/one", "new")
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self == source:
            raise OSError(errno.EIO, "a disk that fails")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="a disk that fails"):
        deliver(source, place)
    assert (place / "disk").read_text() == "old"


def test_names_on_two_file_systems_or_of_nothing_are_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing-here"):
        exchange(artifact(tmp_path / "one", "1"), tmp_path / "nothing-here")
    # A file system that can't exchange names says so, and nothing has happened.
    assert not exchange(Path("/proc/self/status"), Path("/proc/self/stat"))
