"""``factory lint`` on OVAs as they should be, as they should not be, and mended."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from factory.cli.program import cli
from factory.errors import StepError
from factory.outputs.lint_ova import RULES
from tests.outputs.test_lint_ova import SPOILT, Parts, parts

pytestmark = pytest.mark.unit

__all__ = ["parts"]  # the fixture


def lint(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["lint", *(str(a) for a in arguments)])


def spoilt(parts: Parts, path: Path, rule: str) -> Path:
    SPOILT[rule](parts)
    return parts.build(path)


def test_every_rule_is_told_of_a_good_one(parts: Parts, tmp_path: Path) -> None:
    result = lint(parts.build(tmp_path / "x.ova"))
    assert result.exit_code == 0
    assert [line.split()[1] for line in result.output.splitlines() if line.startswith("✓")] == [r.name for r in RULES]
    assert result.output.endswith("no rule is broken\n")


def test_a_broken_rule_says_why_it_matters_and_fails(parts: Parts, tmp_path: Path) -> None:
    path = spoilt(parts, tmp_path / "x.ova", "system-type")
    result = lint(path)
    assert result.exit_code == 8
    assert "✗ system-type        its VirtualSystemType is 'virtualbox-2.2'" in result.output
    assert "Unsupported hardware family" in result.output
    assert "1 of 22 rules are broken; --fix mends 1" in result.output


def test_fix_writes_beside_and_leaves_the_original(parts: Parts, tmp_path: Path) -> None:
    path = spoilt(parts, tmp_path / "x.ova", "system-type")
    before = path.read_bytes()
    result = lint(path, "--fix", "-o", tmp_path / "y.ova")
    assert result.exit_code == 0, result.output
    assert "(mended)" in result.output
    assert path.read_bytes() == before
    assert lint(tmp_path / "y.ova").exit_code == 0


def test_fix_in_place(parts: Parts, tmp_path: Path) -> None:
    path = spoilt(parts, tmp_path / "x.ova", "descriptor-first")
    assert lint(path, "--fix").exit_code == 0
    assert lint(path).exit_code == 0
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".ova"] == ["x.ova"]


def test_what_can_t_be_mended_still_fails_and_nothing_is_written(parts: Parts, tmp_path: Path) -> None:
    path = spoilt(parts, tmp_path / "x.ova", "firmware")
    result = lint(path, "--fix", "-o", tmp_path / "y.ova")
    assert result.exit_code == 8
    assert not (tmp_path / "y.ova").exists()


def test_a_damaged_one_is_not_mended(parts: Parts, tmp_path: Path) -> None:
    SPOILT["manifest-place"](parts)
    path = spoilt(parts, tmp_path / "x.ova", "manifest-digests")
    before = path.read_bytes()
    result = lint(path, "--fix")
    assert isinstance(result.exception, StepError)
    assert "can't be mended" in str(result.exception)
    assert path.read_bytes() == before


def test_json_holds_all_of_it(parts: Parts, tmp_path: Path) -> None:
    result = lint(spoilt(parts, tmp_path / "x.ova", "firmware"), "--json")
    assert result.exit_code == 8
    (data,) = json.loads(result.output)
    assert {r["rule"] for r in data["rules"] if not r["ok"]} == {"firmware"}
    assert all(r["why"] and r["title"] for r in data["rules"])


def test_an_output_needs_fix(parts: Parts, tmp_path: Path) -> None:
    result = lint(parts.build(tmp_path / "x.ova"), "-o", tmp_path / "y.ova")
    assert result.exit_code == 2
    assert "--output is for one OVA, with --fix" in result.output


def test_what_is_there_already_is_not_overwritten(parts: Parts, tmp_path: Path) -> None:
    path, other = spoilt(parts, tmp_path / "x.ova", "descriptor-first"), tmp_path / "other.ova"
    other.write_bytes(b"somebody's")
    result = lint(path, "--fix", "-o", other)
    assert result.exit_code == 2
    assert "is there already" in result.output
    assert other.read_bytes() == b"somebody's"


def test_no_mending_is_promised_where_none_is_possible(tmp_path: Path) -> None:
    path = tmp_path / "noovf.ova"
    with tarfile.open(path, "w") as tar:
        for name in ("./x.mf", "./x.vmdk"):
            tar.addfile(tarfile.TarInfo(name))
    result = lint(path)
    assert result.exit_code == 8
    assert "--fix mends" not in result.output
    assert isinstance(lint(path, "--fix").exception, StepError)
