"""The manifest's schema is published, what is written fits it, and what doesn't fit is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factory.drivers.machine_spec import Bus
from factory.errors import StepError, VerificationFailed
from factory.outputs.hardware import OvfHardware
from factory.outputs.hardware_for_verify import TargetMachine, target_machine
from factory.outputs.manifest import differing, exports_of, schema, write_manifest
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
    assert Request.from_json(manifest.verify.request.model_dump()) == Request(run=("true",))
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


def forged(folder: Path, place: Sequence[str | int], value: object) -> Path:
    """A manifest in which one value is another: as if somebody else had written it."""
    drivers = {"kernel": "6.1", "early": ["ahci"], "all": [], "unknown": "", "missing": []}
    write_manifest(folder, EXPORTS, about={"drivers": drivers}, verify=VERIFY)
    path = folder / "manifest.json"
    data: Any = json.loads(path.read_text())
    inner = data
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    path.write_text(json.dumps(data))
    return path


_DISK = ("files", 0, "disks", 0)
_REQUEST = ("verify", "request")


@pytest.mark.parametrize(
    ("place", "values"),
    [
        (("name",), ["a/b", "..", "", "/x", "x\x1b[2J", "x\n", "x" * 300]),
        (("files", 0, "path"), ["/etc/passwd", "../x", "a/../../x", "a//b", "./x", "", "x\u202e", "x\n", "é" * 150]),
        (("files", 0, "format"), ["", "a b", "../x"]),
        ((*_DISK, "disk"), ["/tmp/precious", "../x", "..", "", "a/b", "a,b", "1", "a" * 25, "main\n"]),
        ((*_DISK, "name"), ["/x", "a/../x", "a\x1b", ""]),
        ((*_DISK, "format"), ["nbd", "qcow2,x", "../x", ""]),
        ((*_DISK, "offset"), [-1, 2**70]),
        ((*_DISK, "length"), [-1, 2**70]),
        (("files", 0, "target", "nic"), ["virtio-net-pci,romfile=/some/file", "a b", "-x", "e1000=1"]),
        (("files", 0, "target", "bus"), ["virtio,x=y", ""]),
        (("files", 0, "target", "machine"), ["microvm", "q35,x=y"]),
        (("hardware", "firmware"), ["/some/file"]),
        (("hardware", "cpus"), [0, -1, "1,x=y"]),
        (("hardware", "nics"), [-1, 10**9]),
        ((*_REQUEST, "port"), [0, 70000, "22,restrict=off"]),
        ((*_REQUEST, "user"), ["../../etc", "a/b", "a:b", "a\nb", {}]),
        ((*_REQUEST, "clones"), [0, -1, 10**9]),
        ((*_REQUEST, "deadline"), [-1, "soon"]),
        ((*_REQUEST, "login"), ["telnet"]),
        ((*_REQUEST, "hostname"), ["x"]),
        ((*_REQUEST, "formats"), ["some", ["../x"]]),
        (("seal",), [{"proven": True, "report": "../seal.json"}]),
    ],
)  # fmt: skip
def test_nothing_in_it_leads_elsewhere_or_adds_an_argument(
    place: Sequence[str | int], values: Sequence[object], tmp_path: Path
) -> None:
    for value in values:
        with pytest.raises(VerificationFailed, match="no manifest of factory") as caught:
            read_manifest(forged(tmp_path, place, value))
        assert "pattern" not in caught.value.message, "a regular expression tells nobody anything"
        assert len(caught.value.message) < 400


def test_no_two_disks_and_no_two_files_of_one_name(tmp_path: Path) -> None:
    disk = {"disk": "main", "name": "x", "format": "raw"}
    with pytest.raises(VerificationFailed, match="two of its disks are called 'main'"):
        read_manifest(forged(tmp_path, ("files", 0, "disks"), [disk, disk]))
    file = json.loads((tmp_path / "manifest.json").read_text())["files"][0] | {"disks": [disk]}
    with pytest.raises(VerificationFailed, match=r"two of its files are called 'x\.ova'"):
        read_manifest(forged(tmp_path, ("files",), [file, file]))


def test_words_for_people_do_nothing_to_a_terminal(tmp_path: Path) -> None:
    manifest = read_manifest(forged(tmp_path, ("drivers", "kernel"), "6.1\x1b]0;title\x07\x1b[2J\u202e"))
    assert manifest.drivers is not None
    assert manifest.drivers.kernel == "6.1\ufffd"
    words = read_manifest(forged(tmp_path, ("verify", "booted", 0, "banner"), "SSH-2.0-x\x1b[2J"))
    assert words.verify is not None
    assert words.verify.booted[0].banner == "SSH-2.0-x"


@pytest.mark.parametrize("name", ["debian-12", "My VM", "..x", ".x", "x.y", "é"])
def test_usual_and_odd_names_are_taken(name: str, tmp_path: Path) -> None:
    assert read_manifest(forged(tmp_path, ("name",), name)).name == name
    assert read_manifest(forged(tmp_path, ("files", 0, "path"), f"a/{name}")).files[0].path == f"a/{name}"


def test_a_list_of_checksums_that_can_not_be_followed_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.ova").write_bytes(b"12345")
    write_manifest(tmp_path, EXPORTS, about={})
    listing = tmp_path / "SHA256SUMS"
    listing.write_text(listing.read_text() + f"{DIGEST}  {'x' * 300}\n{DIGEST}  ../y\nhello\n")
    told = list(differing(tmp_path))
    assert told[0] == "x.ova is not what was exported: its SHA-256 differs"
    assert told[1] == f"{'x' * 300} can't be read: File name too long"
    assert "names no file of the artifact" in told[2]
    assert "names no file of the artifact" in told[3]
    assert len(told) == 4


def test_what_can_not_be_promised_is_not_written(tmp_path: Path) -> None:
    odd = replace(EXPORTS, files=(replace(EXPORTS.files[0], path=Path("x\n.ova")),))
    with pytest.raises(StepError, match=r"can't be described: files\.0\.path: 'x\\n\.ova' can't stand there"):
        write_manifest(tmp_path, odd, about={})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("nic", ["rtl8139", "virtio-net-pci-non-transitional", ""])
def test_a_template_may_name_any_card_or_none(nic: str, tmp_path: Path) -> None:
    machine = TargetMachine("pc", Bus.USB, nic, "KVM")
    write_manifest(tmp_path, replace(EXPORTS, files=(replace(EXPORTS.files[0], target=machine),)), about={})
    assert exports_of(read_manifest(tmp_path / "manifest.json")).files[0].target == machine
