from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

import pytest

from factory.engine.scratch import PREFIX, scratch_folder, sweep_scratch

pytestmark = pytest.mark.unit


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def leave(root: Path, name: str, *, age: int = 3600) -> Path:
    """A folder as a killed command leaves it."""
    folder = root / f"{PREFIX}{name}"
    folder.mkdir()
    moment = folder.stat().st_mtime - age
    os.utime(folder, (moment, moment))
    return folder


def test_everything_temporary_goes_with_the_command(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    with scratch_folder() as folder:
        assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(folder)
        Path(tempfile.mkdtemp(), "file").touch()
        assert sweep_scratch(root) == ()
    assert list(root.iterdir()) == []
    assert tempfile.gettempdir() == str(root)
    assert "TMPDIR" not in os.environ


def test_what_a_killed_command_left_is_removed_by_the_next(root: Path) -> None:
    left = leave(root, "dead")
    (left / "tree").mkdir()
    (left / "tree" / "file").write_text("half")
    with scratch_folder():
        assert not left.exists()


def test_what_lives_is_left(root: Path) -> None:
    alive, new, foreign = leave(root, "alive"), leave(root, "new", age=0), root / "factory-else"
    foreign.mkdir()
    descriptor = os.open(alive, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert sweep_scratch(root) == ()
    assert new.exists()
    os.close(descriptor)
    assert sweep_scratch(root) == (alive,)
    assert foreign.exists()


def test_a_link_is_not_followed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "precious").touch()
    (root / f"{PREFIX}link").symlink_to(elsewhere)
    assert sweep_scratch(root) == ()
    assert (elsewhere / "precious").exists()
