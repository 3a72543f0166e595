"""What lies in the output folder may be anybody's: a manifest that is not as ours are counts as none."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from factory.engine.delivered import is_current, read_manifest

pytestmark = pytest.mark.unit

_FILE = {"path": "x.raw", "size": 1, "sha256": hashlib.sha256(b"x").hexdigest()}


def test_an_artifact_as_it_was_delivered_is_current(tmp_path: Path) -> None:
    (tmp_path / "x.raw").write_bytes(b"x")
    (tmp_path / "manifest.json").write_text(json.dumps({"key": "k", "files": [_FILE]}))
    assert is_current(tmp_path, "k", tmp_path / "stamps.json")
    assert not is_current(tmp_path, "other", tmp_path / "stamps.json")
    (tmp_path / "x.raw").write_bytes(b"y")
    assert not is_current(tmp_path, "k", tmp_path / "stamps.json")


@pytest.mark.parametrize(
    "files",
    [
        "x", 1, ["x"], [{}], [{**_FILE, "path": ""}], [{**_FILE, "path": "/x.raw"}], [{**_FILE, "path": "../x.raw"}],
        [{**_FILE, "path": 1}], [{**_FILE, "size": "1"}], [{**_FILE, "sha256": None}],
    ],
)  # fmt: skip
def test_a_manifest_that_is_not_as_ours_counts_as_none(files: object, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"key": "k", "files": files}))
    assert read_manifest(tmp_path) is None
    assert not is_current(tmp_path, "k", tmp_path / "stamps.json")


def test_a_deep_manifest_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[" * 100_000)
    assert read_manifest(tmp_path) is None
