"""Netplan's files lose what binds them to a network card, and not one character more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from factory.seal.model import Family, GuestInfo, SealOptions, Subject
from factory.seal.operations.netplan import check, unbind, unbound
from tests.seal.dirty_disk import write_tree
from tests.seal.folder_files import FolderFiles

pytestmark = pytest.mark.unit

WHOLE = """\
# written by hand
network:
  version: 2
  ethernets:
    eth0:            # the first
      dhcp4: yes
      match:
        macaddress: 52:54:00:12:34:56   # this card
      # its name
      set-name: eth0
      # below
      mtu: 0x5DC

    eth1:
      macaddress: 52:54:00:12:34:56
      match: {driver: virtio_net, macaddress: "52:54:00:00:00:02"}
  wifis:
    wlan0:
      access-points:
        "home":
          password: 01234567
"""
LEFT = """\
# written by hand
network:
  version: 2
  ethernets:
    eth0:            # the first
      dhcp4: yes
      # its name
      # below
      mtu: 0x5DC

    eth1:
      macaddress: 52:54:00:12:34:56
      match: {driver: virtio_net}
  wifis:
    wlan0:
      access-points:
        "home":
          password: 01234567
"""


def device(lines: str) -> str:
    return f"network:\n  ethernets:\n{lines}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (WHOLE, LEFT),
        (WHOLE.replace("\n", "\r\n"), LEFT.replace("\n", "\r\n")),
        (device("    a:\n      match: {macaddress: x}\n      set-name: a\n"), device("    a: {}\n")),
        (device("    a:\n      match:\n        macaddress: x"), device("    a: {}\n")),
        (device("    a: {match: {macaddress: x}, dhcp4: true}\n"), device("    a: {dhcp4: true}\n")),
        (device("    a: {dhcp4: true, match: {macaddress: x}, set-name: a}\n"), device("    a: {dhcp4: true}\n")),
        (device("    a: {match: {macaddress: x}}\n"), device("    a: {}\n")),
        (
            device("    a:\n      match:\n        name: e*\n        macaddress: x\n"),
            device("    a:\n      match:\n        name: e*\n"),
        ),
        (
            device(
                "    a:\n      match: &m\n        macaddress: x\n      mtu: 1\n    b:\n      match: *m\n      mtu: 2\n"
            ),
            device("    a:\n      mtu: 1\n    b:\n      mtu: 2\n"),
        ),
        ("{network: {ethernets: {a: {match: {macaddress: x}, set-name: a}}}}", "{network: {ethernets: {a: {}}}}"),
        (device("    a:\n      set-name: kept\n      match: {name: b}\n"), None),
        ("network: {version: 2}\n---\n[]\n", None),
        ("", None),
    ],
)
def test_only_what_binds_goes(before: str, after: str | None) -> None:
    assert unbound(before.encode()) == (before if after is None else after).encode()


def run(root: Path, content: str | bytes) -> list[str]:
    write_tree(root, {"etc/netplan/60-x.yaml": content})
    subject = Subject(FolderFiles(root), GuestInfo(Family.DEBIAN), SealOptions())
    asyncio.run(unbind(subject))
    return asyncio.run(check(subject))


@pytest.mark.parametrize("broken", [b"network:\n\tversion: 2\n", b"\xff\xfe\x00", b"a: [", b"a: *none\n"])
def test_a_file_that_is_no_yaml_stays_and_binds_nothing(broken: bytes, tmp_path: Path) -> None:
    assert run(tmp_path, broken) == []
    assert (tmp_path / "etc/netplan/60-x.yaml").read_bytes() == broken
    assert "no YAML that can be read" in run(tmp_path, broken + b"\n# macaddress: 52:54:00:12:34:56\n")[0]


def test_a_link_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "etc/netplan").mkdir(parents=True)
    (tmp_path / "etc/netplan/50-a.yaml").symlink_to("/nowhere")
    assert run(tmp_path, "network: {}\n") == []
