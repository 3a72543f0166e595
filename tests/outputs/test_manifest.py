"""The manifest's schema is published, what is written fits it, and what doesn't fit is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factory.drivers.machine_spec import Bus
from factory.errors import VerificationFailed
from factory.outputs.hardware import OvfHardware
from factory.outputs.hardware_for_verify import TargetMachine, target_machine
from factory.outputs.manifest import exports_of, schema, write_manifest
from factory.outputs.manifest_model import read_manifest
from factory.outputs.model import Exported, Exports, Part
from factory.quantity import Size
from factory.template.output_options import Ova
from factory.verify.model import Boot, Identity, Request, Seen, Verdict

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

_SEEN = Seen(
    Boot(EXPORTS.files[0], 1, (TargetMachine("q35", Bus.PVSCSI, "vmxnet3", "VMware", "no driver"),)),
    by="ssh",
    identity=Identity("1", ("ssh-ed25519 SHA256:x",)),
)
VERIFY = Verdict(Request(run=("true",)), [_SEEN]).to_json()


def test_the_published_schema_is_that_of_the_code() -> None:
    assert PUBLISHED.read_text() == schema(), "write factory.outputs.manifest.schema() to docs/reference again"


def test_what_is_written_can_be_read_back(tmp_path: Path) -> None:
    (tmp_path / "seal.json").write_text("{}")
    seal = {"proven": True, "problems": [], "guest": {"family": "debian"}}
    write_manifest(tmp_path, EXPORTS, about={"template": "images/x.yml"}, seal=seal, verify=VERIFY)
    manifest = read_manifest(tmp_path / "manifest.json")
    (file,) = manifest.files
    assert file.disks[0].offset == 512
    assert file.target is not None
    assert file.target.bus == "lsilogic"
    assert manifest.hardware.firmware == "uefi"
    assert manifest.seal is not None
    assert manifest.seal.proven
    assert manifest.verify is not None
    assert manifest.verify.booted[0].hardware.instead == "no driver"
    assert Request.from_json(manifest.verify.request) == Request(run=("true",))
    again = exports_of(manifest)
    assert again.files == EXPORTS.files
    assert again.hardware == EXPORTS.hardware
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
