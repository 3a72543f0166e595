"""The manifest's schema is published, what is written fits it, and what doesn't fit is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factory.errors import VerificationFailed
from factory.outputs.hardware import OvfHardware
from factory.outputs.hardware_for_verify import target_machine
from factory.outputs.manifest import schema, write_manifest
from factory.outputs.manifest_model import read_manifest
from factory.outputs.model import Exported, Exports, Part
from factory.quantity import Size
from factory.template.output_options import Ova

pytestmark = pytest.mark.unit

PUBLISHED = Path(__file__).parents[2] / "docs" / "reference" / "manifest.schema.json"
DIGEST = "0" * 64
EXPORTS = Exports(
    (
        Exported(
            Path("x.ova"), "ova", Size(5), DIGEST, Size(10), "import it", (Part("main", "d.vmdk", "vmdk", 512, 4),),
            target=target_machine(Ova()),
        ),
    ),
    "x",
    OvfHardware(uefi=True),
    {"ova": 1.5},
)  # fmt: skip


def test_the_published_schema_is_that_of_the_code() -> None:
    assert PUBLISHED.read_text() == schema(), "write factory.outputs.manifest.schema() to docs/reference again"


def test_what_is_written_can_be_read_back(tmp_path: Path) -> None:
    (tmp_path / "seal.json").write_text("{}")
    seal = {"proven": True, "problems": [], "guest": {"family": "debian"}}
    write_manifest(tmp_path, EXPORTS, about={"template": "images/x.yml"}, seal=seal, verify={"clones": 2})
    manifest = read_manifest(tmp_path / "manifest.json")
    (file,) = manifest.files
    assert file.disks[0].offset == 512
    assert file.target is not None
    assert file.target.bus == "lsilogic"
    assert manifest.hardware.firmware == "uefi"
    assert manifest.seal is not None
    assert manifest.seal.proven
    assert manifest.verify == {"clones": 2}
    assert json.loads((tmp_path / "manifest.json").read_text())["template"] == "images/x.yml"
    names = [line.split("  ")[1] for line in (tmp_path / "SHA256SUMS").read_text().splitlines()]
    assert names == ["x.ova", "manifest.json", "seal.json"]


@pytest.mark.parametrize("text", ["", "{}", '{"format": 2, "name": "x", "hardware": {}, "files": []}'])
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(VerificationFailed, match="no manifest of factory"):
        read_manifest(tmp_path / "manifest.json")
    with pytest.raises(VerificationFailed, match="No such file"):
        read_manifest(tmp_path / "nothing.json")
