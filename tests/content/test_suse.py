"""openSUSE's answers: AutoYaST's XML and Agama's JSON, held by the structure that their manuals demand."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import pytest

from tests.content.shipped import KEY, answer

pytestmark = pytest.mark.unit

NS = "{http://www.suse.com/1.0/yast2ns}"
TYPE = "{http://www.suse.com/1.0/configns}type"
SECTIONS = {
    "general", "report", "language", "keyboard", "timezone", "networking", "firewall", "partitioning", "bootloader",
    "software", "services-manager", "kdump", "users",
}  # fmt: skip
LISTS = {"partitioning", "partitions", "packages", "patterns", "products", "users", "interfaces", "zones", "services",
         "authorized_keys", "enable"}  # fmt: skip

WORDS = {"update_nvram"}
"""What YaST's boot loader module keeps as the words `true` and `false`, not as a truth value."""


def autoyast(cloud_init: str = "true") -> ET.Element:
    return ET.fromstring(answer("opensuse-leap-15", "autoinst.xml", cloud_init=cloud_init))


def local(element: ET.Element) -> str:
    return element.tag.removeprefix(NS)


def one(element: ET.Element, path: str) -> ET.Element:
    found = element.findall("/".join(NS + part for part in path.split("/")))
    assert len(found) == 1, path
    return found[0]


def text(element: ET.Element, path: str) -> str:
    return (one(element, path).text or "").strip()


def wrongly_typed(profile: ET.Element) -> Iterator[str]:
    """AutoYaST takes what has no type for text or a mapping: a list, a number or a truth value must say what it is."""
    for element in profile.iter():
        kind, value = element.get(TYPE), (element.text or "").strip()
        children = [local(child) for child in element]
        if value in ("true", "false") and not children and kind != "boolean" and local(element) not in WORDS:
            yield f"{local(element)} is no boolean"
        if kind == "integer" and not value.lstrip("-").isdigit():
            yield f"{local(element)} is no number: {value!r}"
        if kind == "boolean" and value not in ("true", "false"):
            yield f"{local(element)} is neither true nor false: {value!r}"
        if len(children) != len(set(children)) and kind != "list":
            yield f"{local(element)} repeats its members, and is no list"
        if kind == "list" and value:
            yield f"{local(element)} is a list with text"
    # `services` is a mapping below services-manager and a list in a firewall's zone
    for name in LISTS - {"services"}:
        yield from (f"{name} is no list" for e in profile.iter(NS + name) if e.get(TYPE) != "list")


def test_autoyast_has_its_sections_and_no_others() -> None:
    profile = autoyast()
    assert local(profile) == "profile"
    assert {local(section) for section in profile} == SECTIONS


def test_every_value_says_its_type() -> None:
    assert list(wrongly_typed(autoyast())) == []


def test_a_list_that_does_not_say_so_is_found() -> None:
    source = answer("opensuse-leap-15", "autoinst.xml").replace('<packages config:type="list">', "<packages>")
    assert sorted(set(wrongly_typed(ET.fromstring(source)))) == [
        "packages is no list",
        "packages repeats its members, and is no list",
    ]


def test_autoyast_asks_nothing_and_restarts_once() -> None:
    profile = autoyast()
    assert text(profile, "general/mode/confirm") == "false"
    assert text(profile, "general/mode/second_stage") == "false"
    for kind in ("messages", "warnings", "errors", "yesno_messages"):
        assert text(profile, f"report/{kind}/timeout") == "0"


def test_autoyast_puts_the_root_file_system_last() -> None:
    partitions = one(autoyast(), "partitioning/drive/partitions")
    assert [p.findtext(NS + "mount") for p in partitions] == [None, "/boot/efi", "/"]
    assert [p.findtext(NS + "partition_id") for p in partitions] == ["263", "259", None]
    assert partitions[-1].findtext(NS + "size") == "max"


def test_autoyast_lets_in_the_builds_key_only() -> None:
    user = one(autoyast(), "users/user")
    assert text(user, "username") == "root"
    assert text(user, "user_password") == "!"
    assert text(user, "authorized_keys/listentry") == KEY


def test_autoyast_leaves_cloud_init_out_when_told() -> None:
    packages = [e.text for e in one(autoyast(cloud_init="false"), "software/packages")]
    assert "cloud-init" not in packages
    assert "openssh" in packages
    assert "cloud-init" in [e.text for e in one(autoyast(), "software/packages")]


def agama(**more: Any) -> dict[str, Any]:
    found = json.loads(answer("opensuse-leap-16", "profile.json", more=more))
    assert isinstance(found, dict)
    return found


# Agama refuses a profile with a name that it does not know (rust/share/profile.schema.json, 2026).
AGAMA = {
    "$schema", "files", "scripts", "bootloader", "dasd", "zfcp", "hostname", "proxy", "ntp", "security", "software",
    "questions", "product", "network", "user", "root", "l10n", "localization", "storage", "legacyAutoyastStorage",
    "iscsi", "access",
}  # fmt: skip
AGAMA_MEMBERS = {
    "product": {"id", "mode", "registrationCode", "registrationEmail", "registrationUrl", "addons"},
    "localization": {"language", "keyboard", "timezone"},
    "root": {"password", "hashedPassword", "sshPublicKey", "sshPublicKeys"},
    "questions": {"policy", "answers"},
    "scripts": {"pre", "postPartitioning", "post", "init"},
    "storage": {"boot", "drives", "volumeGroups", "mdRaids"},
    "software": {"patterns", "packages", "onlyRequired", "extraRepositories"},
    "bootloader": {"stopOnBootMenu", "timeout", "extraKernelParams", "updateNvram"},
    "hostname": {"static", "transient"},
}


@pytest.mark.parametrize("password", [None, 'Open "sesame"'])
def test_agama_knows_every_name(password: str | None) -> None:
    profile = agama(vars={"root_password": password} if password else {})
    assert set(profile) <= AGAMA
    for name, members in AGAMA_MEMBERS.items():
        assert set(profile[name]) <= members, name
    assert ("password" in profile["root"]) is bool(password)
    for script in profile["scripts"]["post"]:
        assert set(script) == {"name", "chroot", "content"}
        assert script["content"].startswith("#!/bin/sh")


def test_agama_asks_nothing_and_cuts_the_disk_anew() -> None:
    profile = agama()
    assert profile["questions"] == {"policy": "auto"}
    assert profile["product"]["id"] == "openSUSE_Leap"
    (drive,) = profile["storage"]["drives"]
    assert drive["partitions"][0] == {"search": "*", "delete": True}
    assert drive["partitions"][1]["filesystem"]["path"] == "/"
    assert profile["root"]["sshPublicKey"] == KEY


def test_agama_takes_one_disk_of_several() -> None:
    assert agama(install={"disk": "/dev/vdb"})["storage"]["drives"][0]["search"] == "/dev/vdb"
