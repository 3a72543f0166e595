"""A Packer template's output directory appears whole, whatever stood there."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.steps.deliver import _put_in_place

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("before", ["nothing", "folder", "file", "link"])
def test_the_new_folder_is_in_place_and_nothing_else_is_left(tmp_path: Path, before: str) -> None:
    draft, folder, elsewhere = tmp_path / ".output.draft", tmp_path / "output", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    draft.mkdir()
    (draft / "disk").write_text("new")
    if before == "folder":
        folder.mkdir()
        (folder / "disk").write_text("old")
        (folder / "old").touch()
    elif before == "file":
        folder.touch()
    elif before == "link":
        folder.symlink_to(elsewhere)
    _put_in_place(draft, folder)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"disk": "new"}
    assert not folder.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "output"]
    assert (elsewhere / "kept").exists()
