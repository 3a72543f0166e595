"""Which file systems of a disk a guest mounts, which it does not, and which of these hold what is to be cleaned."""

from __future__ import annotations

import pytest

from factory.seal.mount_units import enabled_units, entries_of_units, files_of_units, parse_mount_unit, with_units
from factory.seal.mounts import Mount, by_type, parse_fstab, plan_mounts
from factory.seal.unclaimed import is_of_a_loader, judge_unclaimed

pytestmark = pytest.mark.unit

HOME, EFI = "933ac7e1-2eb4-4f13-b844-0e14e2aef915", "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[Mount]\nWhat=/dev/disk/by-uuid/1\nWhere=/srv/data\nType=ext4\n", ("/dev/disk/by-uuid/1", "/srv/data")),
        ("[Mount]\nWhat = LABEL=data\nWhere = /home\n", ("LABEL=data", "/home")),
        ("[Mount]\nWhat = \"/dev/sda2\"\nWhere='/home'\n", ("/dev/sda2", "/home")),
        ("[Mount]\nWhat=\\\n /dev/sda2\n#Where=/x\nWhere=/home\n", ("/dev/sda2", "/home")),
        ("[Mount]\nWhat=/var/lib/snapd/snaps/x.snap\nWhere=/snap/x/1\nType=squashfs\n", None),
        ("[Mount]\nWhat=nas:/home\nWhere=/home\nType=nfs\n", None),
        ("[Mount]\nWhat=tmpfs\nWhere=/tmp\nType=tmpfs\n", None),
        ("", None),
    ],
)
def test_a_mount_unit_says_what_goes_where(text: str, place: tuple[str, str] | None) -> None:
    entry = parse_mount_unit(text)
    assert (None if entry is None else (entry.source, entry.point)) == place


def unit(source: str, point: str, more: str = "") -> list[str]:
    return [f"[Mount]\nWhat={source}\nWhere={point}\n{more}"]


def test_units_stand_beside_fstab_and_below_it() -> None:
    units = {"a": unit("LABEL=a", "/home/"), "b": unit("LABEL=b", "/srv"), "c": unit("LABEL=gone", "/data")}
    entries = with_units(parse_fstab("LABEL=c /home ext4\n"), entries_of_units(units, {"a", "b", "c"}))
    plan = plan_mounts(entries, {"/dev/sda3": "xfs"}, {"label=c": "/dev/sda2", "label=b": "/dev/sda3"})
    assert plan.mounts == (Mount("/dev/sda2", "/home", ""), Mount("/dev/sda3", "/srv", "xfs"))
    assert [u.place for u in plan.unseen] == ["/data"]


@pytest.mark.parametrize(
    ("source", "enabled", "points", "unseen"),
    [
        ("LABEL=here", True, ["/data"], []),
        ("LABEL=here", False, ["/data"], []),
        ("LABEL=gone", True, [], ["/data"]),
        ("LABEL=gone", False, [], []),
        ("LABEL=root", False, [], []),  # it has its place
    ],
)
def test_a_unit_that_nothing_starts_tells_a_place_and_demands_none(
    source: str, enabled: bool, points: list[str], unseen: list[str]
) -> None:
    names = {"data.mount"} if enabled else set[str]()
    entries = entries_of_units({"data.mount": unit(source, "/data", "Options=noauto,rw")}, names)
    devices = {"label=here": "/dev/sda2", "label=root": "/dev/sda1"}
    plan = plan_mounts([*parse_fstab("LABEL=root / ext4"), *entries], {}, devices)
    assert ([m.point for m in plan.mounts], [u.place for u in plan.unseen]) == (points, unseen)


def test_the_first_folder_has_a_unit_and_its_drop_ins_follow_by_name() -> None:
    own, vendor = "/etc/systemd/system", "/usr/lib/systemd/system"
    paths = [
        f"{own}/home.mount",
        f"{own}/home.mount.d/b.conf",
        f"{own}/local-fs.target.wants/srv.mount",
        f"{own}/x.service",
        f"{vendor}/data.automount.requires/y.service",
        f"{vendor}/home.mount",
        f"{vendor}/home.mount.d/a.conf",
        f"{vendor}/home.mount.d/b.conf",
        f"{vendor}/multi-user.target.requires/data.automount",
        f"{vendor}/srv.mount",
    ]
    assert files_of_units(paths) == {
        "home.mount": [f"{own}/home.mount", f"{vendor}/home.mount.d/a.conf", f"{own}/home.mount.d/b.conf"],
        "srv.mount": [f"{vendor}/srv.mount"],
    }
    assert enabled_units(paths) == {"srv.mount", "data.mount"}


def test_drop_ins_count_behind_the_unit_and_not_for_one_that_is_masked() -> None:
    changed = {
        "home.mount": [*unit("LABEL=a", "/home"), "[Mount]\nWhat=LABEL=b\n"],
        "srv.mount": ["", *unit("LABEL=c", "/srv")],
    }
    assert [(e.source, e.point) for e in entries_of_units(changed, ())] == [("LABEL=b", "/home")]


def test_the_type_of_a_partition_says_where_it_goes() -> None:
    facts = {name: {"TYPE": "ext4", "PART_ENTRY_TYPE": HOME.upper()} for name in ("/dev/sda2", "/dev/sda3")}
    facts["/dev/sda1"] = {"TYPE": "vfat", "PART_ENTRY_TYPE": EFI}
    assert by_type([], facts) == [Mount("/dev/sda2", "/home", "ext4")]
    assert by_type([Mount("/dev/sda2", "/var", "ext4")], facts) == [Mount("/dev/sda3", "/home", "ext4")]
    assert by_type([Mount("/dev/sdb", "/home", "ext4")], facts) == []
    assert [name for name in facts if is_of_a_loader(facts[name])] == ["/dev/sda1"]


@pytest.mark.parametrize(
    "names",
    [
        "",
        "lost+found",
        "System Volume Information,$RECYCLE.BIN",
        "lost+found,grub,vmlinuz-6.1.0-18-amd64,initrd.img-6.1.0-18-amd64,config-6.1.0-18-amd64,System.map-6.1.0,memtest86+x64.efi",
        "grub2,loader,efi,.vmlinuz-5.14.0.x86_64.hmac,vmlinuz-5.14.0.x86_64,initramfs-5.14.0.x86_64.img,symvers-5.14.gz",
        "vmlinuz-lts,initramfs-lts,config-6.6-lts,System.map-6.6-lts,extlinux.conf,boot",
        "EFI",
        "EFI,startup.nsh,NvVars",
        "Boot,bootmgr,BOOTNXT,System Volume Information,$RECYCLE.BIN,BOOTSECT.BAK",
        "Recovery,System Volume Information",
        "bootcode.bin,start4.elf,fixup4.dat,cmdline.txt,config.txt,kernel8.img,overlays,bcm2711-rpi-4-b.dtb,issue.txt",
        "extlinux,dtbs-lts,vmlinuz-lts,initramfs-lts,ldlinux.sys,ldlinux.c32,libutil.c32,intel-ucode.img,boot",
        "4fa3c1d29b7e4a6f8d0e5b6c7a819203,vmlinuz-0-rescue-4fa3c1d29b7e4a6f8d0e5b6c7a819203,loader,efi",
        "4fa3c1d29b7e4a6f8d0e5b6c7a819203,EFI,loader",  # of systemd-boot: its kernels lie in the folder
        "boot.scr,uEnv.txt,zImage,uInitrd-6.6,dtb-6.6,config-6.6,lost+found",
    ],
)
def test_a_partition_of_a_loader_and_an_empty_one_hold_nothing_of_the_guest(names: str) -> None:
    assert judge_unclaimed("/dev/sda2", "ext4", [n for n in names.split(",") if n]) is None


@pytest.mark.parametrize(
    ("names", "held"),
    [
        ("lost+found,bob", "bob"),
        ("bob,efi", "bob, efi"),  # a user may have any name
        ("lost+found,vmlinuz-6.1,initrd.img-6.1,secret-stuff", "secret-stuff, initrd.img-6.1 and 1 more"),
        ("vmlinuz,initrd.img,user-data,grub", "user-data, grub and 2 more"),
        ("bootcode.bin,start4.elf,config.txt,userconf.txt", "userconf.txt, bootcode.bin and 2 more"),
        ("config.txt,overlays", "config.txt, overlays"),  # a user's, where nothing boots
        ("etc,usr,var,boot,vmlinuz,initrd.img", "etc, usr and 4 more"),  # a second system
        ("4fa3c1d29b7e4a6f8d0e5b6c7a819203", "4fa3c1d29b7e4a6f8d0e5b6c7a819203"),  # a journal is called so too
        ("@,@home", "@, @home"),
        ("user-data,meta-data", "meta-data, user-data"),
        ("Users,bootmgr,Windows", "Users, Windows and 1 more"),
    ],
)
def test_what_holds_files_of_a_guest_is_told(names: str, held: str) -> None:
    unseen = judge_unclaimed("/dev/sda2", "ext4", names.split(","))
    assert unseen is not None
    assert unseen.allow_name == "unseen:/dev/sda2"
    assert str(unseen).endswith(f"it holds {held}")
