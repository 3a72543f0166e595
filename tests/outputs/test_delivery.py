"""What is delivered appears whole, and what it replaces is never gone before."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path

import pytest

from factory.errors import StepError
from factory.outputs import delivery
from factory.outputs.delivery import deliver, exchange, foreign_files, refuse_foreign

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


def test_what_factory_did_not_put_there_is_never_replaced(tmp_path: Path) -> None:
    place = tmp_path / "image"
    refuse_foreign(place)
    place.mkdir()
    refuse_foreign(place)
    manifest = {"files": [{"path": "image.qcow2"}, {"path": "oci/index.json"}]}
    (place / "oci").mkdir()
    for name in ("image.qcow2", "oci/index.json", "SHA256SUMS", "seal.json", "seal.html"):
        (place / name).touch()
    assert foreign_files(place) == ["SHA256SUMS", "image.qcow2", "oci/index.json", "seal.html", "seal.json"]
    (place / "manifest.json").write_text(json.dumps(manifest))
    refuse_foreign(place)
    (place / "notes").mkdir()
    (place / "notes/thesis.tex").touch()
    (place / "image.qcow2.bak").symlink_to("image.qcow2")
    with pytest.raises(StepError, match=r"image holds what factory did not put there: image\.qcow2\.bak and 1 more"):
        refuse_foreign(place)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": 3}', '{"files": [{}]}'])
def test_a_manifest_of_others_names_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    assert foreign_files(tmp_path) == ["manifest.json"]


def test_a_file_or_a_link_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(StepError, match="is no folder of an artifact"):
            refuse_foreign(tmp_path / name)
