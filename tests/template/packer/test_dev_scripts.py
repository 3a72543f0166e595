"""``scripts/dev/corpus`` and ``scripts/dev/fuzz`` as they are called: with what ``scripts/dev/setup`` has installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.template.packer.written import build_with

pytestmark = pytest.mark.machine
SCRIPTS = Path(__file__).resolve().parents[3] / "scripts" / "dev"


def said(folder: Path, name: str, *arguments: str) -> str:
    """What the program prints when it is called from *folder*, where no virtual environment is active."""
    done = subprocess.run(
        [SCRIPTS / name, *arguments], cwd=folder, env={"PATH": "/usr/bin:/bin"},
        capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_corpus_runs_with_the_projects_own_python(tmp_path: Path) -> None:
    unit = tmp_path / "me__good" / "a.pkr.hcl"
    unit.parent.mkdir()
    unit.write_text(build_with("", ""))
    assert "1 of 1 units: 100.0 %" in said(tmp_path, "corpus", ".", "--least", "98")


def test_the_fuzzer_runs_with_the_projects_own_python(tmp_path: Path) -> None:
    assert said(tmp_path, "fuzz", "--count", "20").startswith("20 inputs")
