"""``scripts/dev/corpus`` and ``scripts/dev/fuzz``: what they say of right and of wrong templates."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from factory.errors import TemplateError
from tests.template.packer.fuzz import inputs
from tests.template.packer.written import build_with

pytestmark = pytest.mark.unit
SCRIPTS = Path(__file__).resolve().parents[3] / "scripts" / "dev"


def script(name: str) -> ModuleType:
    loader = importlib.machinery.SourceFileLoader(f"script_{name}", str(SCRIPTS / f"{name}.py"))
    loader_spec = importlib.util.spec_from_loader(loader.name, loader)
    assert loader_spec is not None
    module = importlib.util.module_from_spec(loader_spec)
    loader.exec_module(module)
    return module


def run(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    status: int = script(name).main()
    return status


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    files = {
        "me__good/a.pkr.hcl": 'variable "n" {\n  type = number\n}\n' + build_with("", "  cpus = var.n\n"),
        "me__bad/sub/a.pkr.hcl": build_with("", "  memry = 1\n"),
        "me__json/t.json": '{"variables": {"iso_checksum": null}, "builders": [{"type": "qemu", "iso_url": "x",'
        ' "iso_checksum": "{{user `iso_checksum`}}", "ssh_username": "r"}]}',
        "me__json/other.json": '{"builders": [{"type": "docker"}]}',
        "me__two/a.pkr.hcl": build_with("", ""),
        "me__two/b.pkr.hcl": build_with("", ""),
        "me__file/b.pkr.hcl": 'variable "kind" {\n  type = string\n}\n' + build_with("", "  format = var.kind\n"),
        "me__file/b.pkrvars.hcl": 'kind = "raw"\n',
        "me__empty/c.pkr.hcl": 'variable "m" {\n  default = ""\n}\n'
        + build_with("", '  machine_type = regex(".", var.m)\n'),
    }  # fmt: skip
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_units_that_are_found(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("corpus", monkeypatch, str(corpus)) == 0
    lines = capsys.readouterr().out.splitlines()
    verdicts = dict(line.split("\t") for line in lines[:-1])
    assert verdicts["me/good:./"] == "ok"
    assert verdicts["me/json:t.json"] == "ok"
    assert (verdicts["me/two:a.pkr.hcl"], verdicts["me/two:b.pkr.hcl"]) == ("ok", "ok")
    assert verdicts["me/file:./"] == "ok (b.pkrvars.hcl)"
    assert verdicts["me/empty:./"] == "ok (empty variables filled)"
    assert verdicts["me/bad:sub/"].startswith("sub/a.pkr.hcl:6:3: qemu has no option “memry”")
    assert lines[-1].startswith("6 of 7 units: 85.7 %")


def test_units_of_a_table_and_the_least_rate(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = corpus / "units.tsv"
    table.write_text("repo\tpath\nme/good\ta.pkr.hcl\nme/bad\tsub/a.pkr.hcl\nme/gone\tx.json\n")
    assert run("corpus", monkeypatch, str(corpus), "--units", str(table), "--least", "98") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "me/good:a.pkr.hcl\tok"
    assert lines[2] == "me/gone:x.json\tnot there"
    assert lines[3].startswith("1 of 3 units: 33.3 %")


def test_fuzz(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fuzz", monkeypatch, "--count", "50", "hcl", "go") == 0
    assert capsys.readouterr().out.startswith("50 inputs in ")

    def broken(text: str) -> None:
        raise KeyError(text) if "a" in text else TemplateError("fine")

    monkeypatch.setitem(inputs.TARGETS, "hcl", (broken, ["a", "b"], ["a"]))
    with pytest.raises(SystemExit, match="hcl: KeyError"):
        run("fuzz", monkeypatch, "--count", "50", "hcl")
