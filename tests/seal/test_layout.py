"""What fstab and os-release say, and what the appliance calls the same devices."""

from __future__ import annotations

import pytest

from factory.errors import TemplateError, VerificationFailed
from factory.seal.files import Case, PathIndex, expand_braces, topmost
from factory.seal.findings import FINDINGS, check_allow
from factory.seal.layout import Layout, guest_of
from factory.seal.model import Family, GuestInfo
from factory.seal.mounts import Mount, identities, parse_fstab, plan_mounts, resolve
from factory.seal.report import SealReport
from factory.seal.unseen import Unseen, judge_unseen

pytestmark = pytest.mark.unit

DEVICES = {
    "/dev/sda1": {"TYPE": "vfat", "UUID": "12AB-34CD", "LABEL": "EFI", "PART_ENTRY_UUID": "aaaa-01"},
    "/dev/sda2": {"TYPE": "ext4", "UUID": "0f9c-Root", "PART_ENTRY_NAME": "root"},
    "/dev/sdb1": {"TYPE": "xfs", "UUID": "b1"},
    "/dev/vg-a/lv_b": {"TYPE": "ext4", "UUID": "lv"},
    "/dev/sdc": {"TYPE": "ext4", "UUID": "whole"},
}


@pytest.mark.parametrize(
    ("source", "device"),
    [
        ("UUID=12AB-34CD", "/dev/sda1"),
        ("uuid=12ab-34cd", "/dev/sda1"),
        ('UUID="0f9c-Root"', "/dev/sda2"),
        ("LABEL=EFI", "/dev/sda1"),
        ("PARTUUID=aaaa-01", "/dev/sda1"),
        ("PARTLABEL=root", "/dev/sda2"),
        ("/dev/disk/by-uuid/b1", "/dev/sdb1"),
        ("/dev/disk/by-partlabel/root", "/dev/sda2"),
        ("/dev/vda2", "/dev/sda2"),
        ("/dev/sda2", "/dev/sda2"),
        ("/dev/xvdb1", "/dev/sdb1"),
        ("/dev/nvme0n1p2", "/dev/sda2"),
        ("/dev/nvme1n1p1", "/dev/sdb1"),
        ("/dev/mmcblk0p1", "/dev/sda1"),
        ("/dev/vdc", "/dev/sdc"),
        ("/dev/mapper/vg--a-lv_b", "/dev/vg-a/lv_b"),
        ("/dev/vg-a/lv_b", "/dev/vg-a/lv_b"),
        ("UUID=other", None),
        ("/dev/vdz9", None),
        ("server:/export", None),
    ],
)
def test_devices_are_found_by_every_name(source: str, device: str | None) -> None:
    assert resolve(source, identities(DEVICES)) == device


def test_fstab_is_read_with_comments_and_escapes() -> None:
    entries = parse_fstab("# a comment\n\nUUID=1 / ext4 rw,noatime 0 1\nLABEL=a /mnt/two\\040words xfs\nbroken\n")
    assert [(e.source, e.point, e.type, e.options) for e in entries] == [
        ("UUID=1", "/", "ext4", ("rw", "noatime")),
        ("LABEL=a", "/mnt/two words", "xfs", ()),
    ]


@pytest.mark.parametrize(
    ("text", "family", "version"),
    [
        ('ID=debian\nVERSION_ID="12"\n', Family.DEBIAN, "12"),
        ("ID=linuxmint\nID_LIKE=ubuntu\nVERSION_ID=21\n", Family.DEBIAN, "21"),
        ('ID="somethingnew"\nID_LIKE="rhel fedora"\n', Family.REDHAT, ""),
        ("ID='opensuse-leap'\n", Family.SUSE, ""),
        ("ID=alpine\nVERSION_ID=3.20.1\n", Family.ALPINE, "3.20.1"),
        ("ID=tinyos\n", Family.LINUX, ""),
        ("", Family.LINUX, ""),
    ],
)
def test_families_are_known_by_id_or_likeness(text: str, family: Family, version: str) -> None:
    guest = guest_of(text)
    assert (guest.family, guest.version) == (family, version)


def test_mounts_are_read_only_for_the_proof() -> None:
    layout = Layout(mounts=(Mount("/dev/sda2", "/", "btrfs", "subvol=@"), Mount("/dev/sda1", "/boot/efi", "vfat")))
    assert layout.mount_calls(read_only=True) == [
        ("mount_options", "ro,subvol=@", "/dev/sda2", "/"),
        ("mount_options", "ro", "/dev/sda1", "/boot/efi"),
    ]
    assert layout.mount_calls(read_only=False)[0][1] == "noatime,subvol=@"


INDEX = PathIndex(
    [
        "/a",
        "/a/b",
        "/a/b/c.log",
        "/a/b/d.log.1",
        "/a/.hidden",
        "/ab",
        "/a/b/deep/er/x~",
        "/home/u/.ssh",
        "/home/v/.ssh/k",
    ]
)


@pytest.mark.parametrize(
    ("glob", "found"),
    [
        ("/a/*", ["/a/.hidden", "/a/b"]),
        ("/a/**", ["/a/.hidden", "/a/b", "/a/b/c.log", "/a/b/d.log.1", "/a/b/deep/er/x~"]),
        ("/a/**/*~", ["/a/b/deep/er/x~"]),
        ("/a/b/*.{log,log.1}", ["/a/b/c.log", "/a/b/d.log.1"]),
        ("/a/b/?.log", ["/a/b/c.log"]),
        ("/a/b/[!c].log.[0-9]", ["/a/b/d.log.1"]),
        ("/home/*/.ssh", ["/home/u/.ssh"]),
        ("/a", ["/a"]),
        ("/A", []),
        ("/nothing", []),
    ],
)
def test_globs(glob: str, found: list[str]) -> None:
    assert INDEX.find([glob]) == found


def test_an_index_forgets_trees_and_learns_files() -> None:
    index = PathIndex(["/a", "/a/b", "/a/b/c", "/a-b", "/a.b"])
    index.drop(["/a"])
    assert index.find(["/**"]) == ["/a-b", "/a.b"]
    index.add("/a")
    assert "/a" in index
    assert len(index) == 3
    assert index.find(["/a*"], keep=["/a.*"]) == ["/a", "/a-b"]


def test_case_is_ignored_where_the_guest_ignores_it() -> None:
    index = PathIndex(["/Windows/Temp/x"], Case.IGNORED)
    assert index.find(["/windows/temp/*"]) == ["/Windows/Temp/x"]
    assert PathIndex(["/Windows/Temp/x"]).find(["/windows/temp/*"]) == []


def test_small_parts() -> None:
    assert expand_braces("/{a,b{c,d}}/x") == ["/a/x", "/bc/x", "/bd/x"]
    assert topmost(["/a/b", "/a", "/a-b/c", "/a/b/c"]) == ["/a", "/a-b/c"]


@pytest.mark.parametrize(
    ("line", "unseen"),
    [
        ("UUID=1 /var ext4 defaults 0 2", ["/var"]),
        ("UUID=1 /home ext4 defaults,nofail 0 2", ["/home"]),
        ("/dev/sdb1 /home xfs", ["/home"]),
        ("pool/var /var zfs defaults", ["/var"]),
        ("UUID=2 /srv ext4 defaults", []),
        ("UUID=1 /mnt/usb ext4 nofail", []),
        ("/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto", []),
        ("nas:/x /home nfs4 defaults", []),
        ("//nas/x /home cifs defaults", []),
        ("sshfs#a@b: /home fuse defaults", []),
        ("tmpfs /tmp tmpfs defaults", []),
        ("/srv/home /home none bind", []),
    ],
)
def test_what_the_guest_has_elsewhere_is_unseen(line: str, unseen: list[str]) -> None:
    plan = plan_mounts(parse_fstab(f"UUID=0 / ext4\n{line}\n"), {"/dev/sda2": "ext4"}, {"uuid=2": "/dev/sda2"})
    assert [u.place for u in plan.unseen] == unseen


@pytest.mark.parametrize(
    ("allow", "proven"),
    [
        ((), False),
        (("unseen:/var",), True),
        (("unseen",), True),
        (("unseen:/var/*",), False),
        (("private-key",), False),
    ],
)
def test_what_is_unseen_is_not_proven_unless_it_is_allowed_by_name(allow: tuple[str, ...], proven: bool) -> None:
    report = SealReport(GuestInfo(), unseen=judge_unseen([Unseen("/var", "it is on another disk")], allow))
    assert report.proven is proven
    if not proven:
        with pytest.raises(VerificationFailed, match="/var was neither cleaned nor checked") as error:
            report.require_proven()
        assert "'unseen:/var'" in error.value.hint


@pytest.mark.parametrize(
    "entry", ["private-key", "private-key:/etc/x", "aws-*", "*", "unseen:/var", "secret:pw", "secret:*", "build-key:1"]
)
def test_an_allowance_that_can_match_is_taken(entry: str) -> None:
    check_allow([entry], FINDINGS)


@pytest.mark.parametrize("entry", ["privte-key", "privte-key:/etc/x", "private-key:etc/x", ""])
def test_an_allowance_that_matches_nothing_is_refused(entry: str) -> None:
    with pytest.raises(TemplateError, match="allows nothing") as error:
        check_allow([entry], FINDINGS)
    assert "private-key" in error.value.hint
