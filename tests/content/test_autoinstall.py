"""Ubuntu's answers, judged by cloud-init and by what the installer's own schema says.

The facts are those of subiquity's ``autoinstall-schema.json`` and reference manual (version 1, 2026): names of the
sections, their types, what is required. An unknown name is only a warning there; here it is an error.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.content.shipped import KEY, answer, answers, loaded, program

UBUNTU = ["ubuntu-22.04", "ubuntu-24.04"]
MAPPING, LIST, TEXT = (dict,), (list,), (str,)
SECTIONS: Mapping[str, tuple[type, ...]] = {
    "version": (int,),
    "interactive-sections": LIST,
    "early-commands": LIST,
    "late-commands": LIST,
    "error-commands": LIST,
    "reporting": MAPPING,
    "user-data": MAPPING,
    "packages": LIST,
    "debconf-selections": TEXT,
    "locale": TEXT,
    "refresh-installer": MAPPING,
    "kernel": MAPPING,
    "kernel-crash-dumps": MAPPING,
    "keyboard": MAPPING,
    "source": MAPPING,
    "network": MAPPING,
    "ubuntu-pro": MAPPING,
    "proxy": (str, type(None)),
    "apt": MAPPING,
    "storage": MAPPING,
    "identity": MAPPING,
    "ssh": MAPPING,
    "snaps": LIST,
    "codecs": MAPPING,
    "drivers": MAPPING,
    "oem": MAPPING,
    "timezone": TEXT,
    "updates": TEXT,
    "shutdown": TEXT,
}
MEMBERS: Mapping[str, set[str]] = {
    "refresh-installer": {"update", "channel"},
    "keyboard": {"layout", "variant", "toggle"},
    "source": {"search_drivers", "id"},
    "ssh": {"install-server", "authorized-keys", "allow-pw"},
    "apt": {
        "preserve_sources_list", "primary", "mirror-selection", "geoip", "sources", "disable_components", "preferences",
        "fallback",
    },
    "storage": {"layout", "config", "swap", "grub", "version"},
}  # fmt: skip
CHOICES: Mapping[str, set[str]] = {"updates": {"security", "all"}, "shutdown": {"reboot", "poweroff"}}


def problems(autoinstall: Mapping[str, Any]) -> list[str]:
    """What the installer would not take, or would ignore."""
    found = [f"unknown section {name}" for name in autoinstall if name not in SECTIONS]
    for name, value in autoinstall.items():
        if name in SECTIONS and (not isinstance(value, SECTIONS[name]) or isinstance(value, bool)):
            found.append(f"{name} is a {type(value).__name__}")
        if name in MEMBERS and isinstance(value, dict):
            found += [f"unknown member {name}.{member}" for member in set(value) - MEMBERS[name]]
        if name in CHOICES and value not in CHOICES[name]:
            found.append(f"{name} can't be {value!r}")
    for name in ("early-commands", "late-commands", "error-commands"):
        for command in autoinstall.get(name, []):
            if not isinstance(command, (str, list)):
                found.append(f"a command in {name} is a {type(command).__name__}: {command!r}")
    if autoinstall.get("version") != 1:
        found.append("version must be 1")
    if "identity" not in autoinstall and "user-data" not in autoinstall:
        found.append("either identity or user-data must be there")
    if "keyboard" in autoinstall and "layout" not in autoinstall["keyboard"]:
        found.append("keyboard has no layout")
    return found


def autoinstall_of(text: str) -> dict[str, Any]:
    assert text.startswith("#cloud-config\n"), "cloud-init takes it for nothing without this line"
    (name, section), *rest = yaml.safe_load(text).items()
    assert name == "autoinstall"
    assert rest == []
    assert isinstance(section, dict)
    return section


@pytest.mark.unit
@pytest.mark.parametrize("name", UBUNTU)
@pytest.mark.parametrize("layout", ["direct", "lvm"])
@pytest.mark.parametrize("mirror", ["", "http://mirror.example/ubuntu"])
def test_the_installer_takes_it(name: str, layout: str, mirror: str) -> None:
    section = autoinstall_of(answer(name, "user-data", layout=layout, mirror=mirror))
    assert problems(section) == []
    assert section["storage"]["layout"]["name"] == layout
    assert ("mirror-selection" in section["apt"]) is bool(mirror)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"keyborad": {"layout": "us"}}, "unknown section keyborad"),
        ({"shutdown": "restart"}, "shutdown can't be 'restart'"),
        ({"late-commands": [{"echo a": "b"}]}, "a command in late-commands is a dict: {'echo a': 'b'}"),
        ({"ssh": {"authorized_keys": []}}, "unknown member ssh.authorized_keys"),
        ({"version": 2}, "version must be 1"),
    ],
)
def test_what_the_installer_would_not_take_is_found(change: dict[str, Any], problem: str) -> None:
    assert problems({**autoinstall_of(answer("ubuntu-24.04", "user-data")), **change}) == [problem]


@pytest.mark.unit
@pytest.mark.parametrize("name", UBUNTU)
def test_the_builds_key_opens_root_and_nothing_else_does(name: str) -> None:
    section = autoinstall_of(answer(name, "user-data"))
    assert "identity" not in section
    assert section["user-data"]["users"] == [{"name": "root", "lock_passwd": True}]  # no default user besides
    assert section["user-data"]["disable_root"] is False
    assert section["ssh"] == {"install-server": True, "allow-pw": False}
    assert any(f"'{KEY}' > /target/root/.ssh/authorized_keys" in c for c in section["late-commands"])


@pytest.mark.unit
def test_one_rule_for_whatever_card_a_clone_has() -> None:
    network = autoinstall_of(answer("ubuntu-24.04", "user-data"))["network"]
    (card,) = network["ethernets"].values()
    assert card["match"] == {"name": "e*"}
    assert card["dhcp4"] is True


@pytest.mark.unit
def test_one_disk_of_several_can_be_named() -> None:
    section = autoinstall_of(answer("ubuntu-24.04", "user-data", more={"install": {"disk": "/dev/vdb"}}))
    assert section["storage"]["layout"]["match"] == {"path": "/dev/vdb"}


@pytest.mark.unit
@pytest.mark.parametrize("name", UBUNTU)
def test_cloud_init_finds_its_three_files(name: str) -> None:
    files = answers(loaded(name))
    assert {"user-data", "meta-data", "vendor-data"} <= set(files)
    assert yaml.safe_load(files["meta-data"])["instance-id"]


@pytest.mark.machine
@pytest.mark.parametrize("name", UBUNTU)
def test_cloud_init_takes_it(name: str, tmp_path: Path) -> None:
    checker = program("cloud-init", "cloud-init")
    file = tmp_path / "user-data"
    file.write_text(answer(name, "user-data"))
    assert judged(checker, file) == (0, "")


@pytest.mark.machine
@pytest.mark.parametrize("name", UBUNTU)
def test_cloud_init_takes_what_the_installed_system_gets(name: str, tmp_path: Path) -> None:
    checker = program("cloud-init", "cloud-init")
    file = tmp_path / "user-data"
    inner = autoinstall_of(answer(name, "user-data"))["user-data"]
    file.write_text("#cloud-config\n" + yaml.safe_dump(inner))
    assert judged(checker, file) == (0, "")


@pytest.mark.machine
def test_cloud_init_refuses_a_wrong_one(tmp_path: Path) -> None:
    checker = program("cloud-init", "cloud-init")
    file = tmp_path / "user-data"
    file.write_text("#cloud-config\nusers: {}\ndisable_root: perhaps\n")
    code, said = judged(checker, file)
    assert code != 0
    assert "disable_root" in said


def judged(checker: str, file: Path) -> tuple[int, str]:
    """Exit code and complaints of ``cloud-init schema``."""
    result = subprocess.run([checker, "schema", "-c", str(file)], capture_output=True, text=True, check=False)
    said = (result.stdout + result.stderr).splitlines()
    return result.returncode, "\n".join(line for line in said if line and not line.startswith("Valid cloud-config"))


@pytest.mark.machine
@pytest.mark.parametrize("name", UBUNTU)
def test_its_commands_are_shell(name: str, tmp_path: Path) -> None:
    section = autoinstall_of(answer(name, "user-data", more={"vars": {"root_password": "Open sesame"}}))
    shellcheck = program("shellcheck", "shellcheck")
    for number, command in enumerate([*section["early-commands"], *section["late-commands"]]):
        file = tmp_path / f"{number}.sh"
        file.write_text(command)
        checked = subprocess.run(
            [shellcheck, "-s", "sh", "-e", "SC2016", str(file)], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout
