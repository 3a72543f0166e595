"""QEMU's firmware descriptors: what is read, what hides what, what is chosen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from factory.host.firmware import Firmware, choose, choose_secure, descriptor_folders, find_all

pytestmark = pytest.mark.unit

Q35 = {"architecture": "x86_64", "machine_type": "pc-q35-7.2"}
PC = {"architecture": "x86_64", "machine_type": "pc-i440fx-7.2"}


def describe(
    folder: Path, name: str, *features: str, machines: tuple[str, ...] = ("pc-q35-*",), **changes: Any
) -> Path:
    code, variables = folder / f"{name}.code", folder / f"{name}.vars"
    folder.mkdir(exist_ok=True)
    code.touch()
    variables.touch()
    mapping = {
        "device": "flash",
        "executable": {"filename": str(code), "format": "raw"},
        "nvram-template": {"filename": str(variables), "format": "qcow2"},
    }
    content = {
        "description": name,
        "interface-types": ["uefi"],
        "mapping": mapping,
        "targets": [{"architecture": "x86_64", "machines": list(machines)}],
        "features": list(features),
        "tags": [],
        **changes,
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return path


def debian(folder: Path) -> tuple[Firmware, ...]:
    """As Debian 12's ovmf has them."""
    describe(folder, "40-enrolled", "secure-boot", "requires-smm", "enrolled-keys")
    describe(folder, "50-secure", "secure-boot", "requires-smm")
    describe(folder, "60-plain", machines=("pc-i440fx-*", "pc-q35-*"))
    return find_all([folder])


def test_plain_firmware_is_chosen_over_what_comes_before_it(tmp_path: Path) -> None:
    found = choose(debian(tmp_path / "f"), **Q35)
    assert found is not None
    assert (found.description, found.needs_smm, found.variables_format) == ("60-plain", False, "qcow2")
    for_pc = choose(debian(tmp_path / "f"), **PC)
    assert for_pc is not None
    assert for_pc.description == "60-plain"


def test_secure_firmware_has_keys(tmp_path: Path) -> None:
    found = choose_secure(debian(tmp_path / "f"), **Q35)
    assert found is not None
    assert (found.description, found.needs_smm, found.secure_boot) == ("40-enrolled", True, True)
    assert choose_secure(debian(tmp_path / "f"), **PC) is None


def test_without_keys_nothing_is_enforced_so_it_serves_as_plain(tmp_path: Path) -> None:
    describe(tmp_path, "40-enrolled", "secure-boot", "requires-smm", "enrolled-keys")
    assert choose(find_all([tmp_path]), **Q35) is None
    describe(tmp_path, "50-secure", "secure-boot", "requires-smm")
    found = choose(find_all([tmp_path]), **Q35)
    assert found is not None
    assert found.needs_smm


def test_nothing_fits_another_architecture(tmp_path: Path) -> None:
    firmwares = debian(tmp_path / "f")
    assert choose(firmwares, architecture="aarch64", machine_type="virt-7.2") is None
    assert choose((), **Q35) is None


def test_users_descriptor_hides_the_distributions(tmp_path: Path) -> None:
    user, system = tmp_path / "user", tmp_path / "system"
    describe(system, "60-plain")
    describe(user, "60-plain", description="mine")
    assert [f.description for f in find_all([user, system])] == ["mine"]
    (user / "60-plain.json").write_text("")  # masked, without a replacement
    assert find_all([user, system]) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"interface-types": ["bios"]},
        {"mapping": {"device": "memory", "filename": "/x"}},
        {"mapping": {"device": "flash", "mode": "stateless", "executable": {"filename": "/x", "format": "raw"}}},
        {"targets": [{}]},
        {"mapping": []},
    ],
)
def test_what_cannot_be_used_is_left_out(tmp_path: Path, change: dict[str, Any]) -> None:
    describe(tmp_path, "10-odd", **change)
    (tmp_path / "20-torn.json").write_text("{")
    describe(tmp_path, "60-plain")
    assert [f.description for f in find_all([tmp_path, tmp_path / "absent"])] == ["60-plain"]


def test_a_descriptor_without_its_files_is_left_out(tmp_path: Path) -> None:
    describe(tmp_path, "60-plain")
    (tmp_path / "60-plain.code").unlink()
    assert find_all([tmp_path]) == ()


def test_folders_in_order() -> None:
    folders = descriptor_folders({"XDG_CONFIG_HOME": "/c", "HOME": "/h"})
    assert folders[:3] == (Path("/c/qemu/firmware"), Path("/etc/qemu/firmware"), Path("/usr/share/qemu/firmware"))
    assert descriptor_folders({"HOME": "/h"})[0] == Path("/h/.config/qemu/firmware")
