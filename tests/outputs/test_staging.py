from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from factory.errors import HostError
from factory.outputs.staging import STAGING, output_errors, staging_folder, sweep_staging

pytestmark = pytest.mark.unit

guarded: list[str] = []


@contextmanager
def guard(folder: Path) -> Iterator[None]:
    guarded.append(folder.name)
    yield
    guarded.remove(folder.name)


def test_a_staging_folder_that_was_not_renamed_is_gone_afterwards(tmp_path: Path) -> None:
    with staging_folder(tmp_path, "image", guard) as folder:
        (folder / "image.raw").write_text("half")
        assert guarded == [folder.name]
    assert list(tmp_path.iterdir()) == []
    assert guarded == []


def test_a_renamed_one_stays(tmp_path: Path) -> None:
    with staging_folder(tmp_path, "image", guard) as folder:
        (folder / "image.raw").write_text("whole")
        folder.rename(tmp_path / "image")
    assert (tmp_path / "image" / "image.raw").read_text() == "whole"
    assert [p.name for p in tmp_path.iterdir()] == ["image"]


def test_what_a_killed_build_left_is_removed_and_what_grows_is_not(tmp_path: Path) -> None:
    left = tmp_path / STAGING / "image-dead"
    left.mkdir(parents=True)
    (left / "image.raw").write_text("half")
    with staging_folder(tmp_path, "image", guard) as one, staging_folder(tmp_path, "image", guard) as other:
        assert not left.exists()
        assert one != other
        assert sweep_staging(tmp_path) == ()
        assert one.exists()


def test_sweeping_where_nothing_is(tmp_path: Path) -> None:
    assert sweep_staging(tmp_path / "nowhere") == ()


def test_a_place_where_no_folder_can_be_made_is_an_error() -> None:
    """Linux makes none in /proc, and says that there is no such file, as of a parent that is gone."""
    with pytest.raises(FileNotFoundError, match="/proc"), staging_folder(Path("/proc/output"), "image", guard):
        pytest.fail("made in /proc")


def test_what_happens_to_the_output_folder_is_told_with_a_way_out() -> None:
    with (
        pytest.raises(HostError, match=r"/proc/output.*No such file") as caught,
        output_errors(Path("out")),
        staging_folder(Path("/proc/output"), "image", guard),
    ):
        pytest.fail("made in /proc")
    assert "--output" in caught.value.hint
    with pytest.raises(HostError, match="out: Input/output error"), output_errors(Path("out")):
        raise OSError(errno.EIO, "Input/output error")
    with pytest.raises(OSError, match="No space"), output_errors(Path("out")):  # whoever knows of disks tells it
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_that_cannot_be_opened_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factory.outputs.staging._lock", lambda folder: None)
    with pytest.raises(OSError, match="can't be opened"), staging_folder(tmp_path, "image", guard):
        pytest.fail("claimed what it could not lock")
    assert list((tmp_path / STAGING).iterdir()) == []
