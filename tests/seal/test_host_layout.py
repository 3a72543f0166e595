"""The layout of disks as it is read on the host: what is mounted where, and what nobody would clean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from factory.disk.fat import Fat
from factory.disk.reader import open_disk
from factory.seal.host_layout import read_layout
from factory.seal.layout import Layout
from factory.seal.model import Family, Init
from tests.seal.dirty_disk import MIB, program, write_tree

pytestmark = pytest.mark.machine

SYSTEM = {"etc/os-release": "ID=debian\n", "etc/passwd": "root:x:0:0::/root:/bin/sh\n"}
OWN, VENDOR = "etc/systemd/system", "usr/lib/systemd/system"
HOME_UNIT = "[Mount]\nWhat=/dev/sda2\nWhere=/home\n"
WANTED = {f"{OWN}/local-fs.target.wants/home.mount": "/usr/lib/systemd/system/home.mount"}
BOB = {"bob/.bash_history": "the history of bob\n"}
BOOT = {"vmlinuz-6.1.0": "", "grub/grub.cfg": ""}
LINUX, HOME = "linux", "933AC7E1-2EB4-4F13-B844-0E14E2AEF915"


def make_disk(
    folder: Path,
    fstab: str,
    *parts: tuple[Mapping[str, str], str],
    root: Sequence[str] = (),
    system: Mapping[str, str] = SYSTEM,
    links: Mapping[str, str] = {},
) -> Path:
    """A *system* with the empty folders *root* and *links* on a disk, and more partitions: ``(files, type)``."""
    trees = [({**system, "etc/fstab": f"/dev/sda1 / ext4 defaults 0 1\n{fstab}"}, LINUX), *parts]
    disk = folder / "disk.raw"
    with disk.open("wb") as stream:
        stream.truncate((len(trees) * 16 + 2) * MIB)
    table = "".join(f"start={1 + 16 * n}MiB,size=16MiB,type={kind}\n" for n, (_, kind) in enumerate(trees))
    program("sfdisk", "-q", disk, text=f"label: gpt\n{table}")
    for number, (files, _) in enumerate(trees):
        tree = folder / f"tree{number}"
        tree.mkdir()
        write_tree(tree, files)
        for name in root if number == 0 else ():
            (tree / name).mkdir(parents=True)
        for name, target in links.items() if number == 0 else ():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).symlink_to(target)
        offset = (1 + 16 * number) * MIB
        program("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-E", f"offset={offset}", "-d", tree, disk, "16M")
    return disk


def layout_of(disk: Path) -> Layout:
    with open_disk(disk, "raw") as reader:
        layout = read_layout([reader])
    assert layout is not None
    return layout


def told(layout: Layout) -> tuple[list[str], list[str]]:
    """``(mount points, what is unseen)``."""
    return [m.point for m in layout.mounts], [u.place for u in layout.unseen]


def test_a_mount_point_that_is_missing_is_told(tmp_path: Path) -> None:
    layout = layout_of(make_disk(tmp_path, "/dev/sda2 /home ext4 defaults 0 2\n", (BOB, LINUX)))
    assert told(layout) == (["/"], ["/home"])
    assert [m.device for m in layout.others] == ["/dev/sda2"], "its free space is trimmed all the same"
    assert "make it in a provisioner" in layout.unseen[0].why


def test_a_mount_point_below_another_mount_is_looked_for_there(tmp_path: Path) -> None:
    fstab = "/dev/sda2 /boot ext4\n/dev/sda3 /boot/efi ext4\n/dev/sda4 /boot/gone ext4\n"
    disk = make_disk(tmp_path, fstab, ({"efi/x": ""}, LINUX), (BOB, LINUX), (BOB, LINUX), root=["boot"])
    assert told(layout_of(disk)) == (["/", "/boot", "/boot/efi"], ["/boot/gone"])


def test_a_mount_point_behind_a_link_is_left_to_the_appliance(tmp_path: Path) -> None:
    disk = make_disk(tmp_path, "/dev/sda2 /srv ext4\n", (BOB, LINUX), root=["var/srv"])
    program("debugfs", "-w", "-R", "symlink /srv var/srv", f"{disk}?offset={MIB}")
    with open_disk(disk, "raw") as reader:
        assert read_layout([reader]) is None


def test_what_nothing_names_is_told_when_it_holds_files(tmp_path: Path) -> None:
    disk = make_disk(tmp_path, "", (BOB, LINUX), (BOOT, LINUX), ({}, LINUX), (BOB, "uefi"), root=["home"])
    assert told(layout_of(disk)) == (["/"], ["/dev/sda2"])


@pytest.mark.parametrize(
    ("files", "links"),
    [
        ({f"{OWN}/home.mount": HOME_UNIT}, {}),
        ({f"{OWN}/home.mount": HOME_UNIT.replace("/dev/sda2", '"/dev/sda2"')}, {}),
        ({f"{VENDOR}/home.mount": HOME_UNIT}, {f"{OWN}/home.mount": "/usr/lib/systemd/system/home.mount"}),
        (
            {f"{VENDOR}/home.mount": HOME_UNIT},
            {f"{OWN}/home.mount": "../../../lib/systemd/system/home.mount", "lib": "usr/lib"},
        ),
        ({f"{VENDOR}/home.mount": HOME_UNIT}, WANTED),
        ({"opt/units/home.mount": HOME_UNIT}, {f"{OWN}/home.mount": "/opt/units/home.mount"}),
    ],
    ids=["own", "quoted", "link", "relative link", "vendor's", "elsewhere"],
)
def test_a_mount_unit_counts_as_a_line_of_fstab(files: dict[str, str], links: dict[str, str], tmp_path: Path) -> None:
    disk = make_disk(tmp_path, "", (BOB, LINUX), root=["home"], system={**SYSTEM, **files}, links=links)
    assert told(layout_of(disk)) == (["/", "/home"], [])


@pytest.mark.parametrize(("links", "unseen"), [(WANTED, ["/home"]), ({}, [])], ids=["enabled", "disabled"])
def test_a_unit_for_a_disk_that_is_not_there_counts_where_a_boot_starts_it(
    links: dict[str, str], unseen: list[str], tmp_path: Path
) -> None:
    gone = {f"{VENDOR}/home.mount": HOME_UNIT.replace("/dev/sda2", "LABEL=gone")}
    assert told(layout_of(make_disk(tmp_path, "", system={**SYSTEM, **gone}, links=links))) == (["/"], unseen)


@pytest.mark.parametrize("target", ["/dev/null", "home.mount", "/no/such"], ids=["masked", "circle", "dangling"])
def test_a_unit_that_is_none_hides_the_vendors(target: str, tmp_path: Path) -> None:
    system = {**SYSTEM, f"{VENDOR}/home.mount": HOME_UNIT}
    disk = make_disk(tmp_path, "", (BOB, LINUX), root=["home"], system=system, links={f"{OWN}/home.mount": target})
    assert told(layout_of(disk)) == (["/"], ["/dev/sda2"])


def test_a_file_in_the_place_of_a_folder_holds_no_units(tmp_path: Path) -> None:
    files = {f"{OWN}/x.wants": "home.mount" * 1000, "usr/local/lib": "a", "lib/systemd/system": HOME_UNIT}
    disk = make_disk(tmp_path, "", (BOB, LINUX), root=["home"], system={**SYSTEM, **files})
    assert told(layout_of(disk)) == (["/"], ["/dev/sda2"])


def test_what_the_guest_is_stands_behind_links_too(tmp_path: Path) -> None:
    system = {"usr/share/release": "ID=debian\n", "usr/lib/systemd/systemd": ""}
    links = {"etc/os-release": "../usr/share/release", "lib": "usr/lib", "sbin": "usr/lib/systemd"}
    guest = layout_of(make_disk(tmp_path, "", system=system, links=links)).guest
    assert (guest.family, guest.init) == (Family.DEBIAN, Init.SYSTEMD)


@pytest.mark.parametrize(
    ("folder", "points", "unseen"), [("home", ["/", "/home"], []), ("home/al", ["/"], ["/dev/sda2"])]
)
def test_a_partition_of_the_type_home_goes_on_an_empty_folder(
    folder: str, points: list[str], unseen: list[str], tmp_path: Path
) -> None:
    assert told(layout_of(make_disk(tmp_path, "", (BOB, HOME), root=[folder]))) == (points, unseen)


@pytest.mark.parametrize("bits", [12, 16, 32])
def test_names_on_a_fat_are_read(bits: int, tmp_path: Path) -> None:
    image = tmp_path / "fat"
    with image.open("wb") as stream:
        stream.truncate({12: 4, 16: 32, 32: 64}[bits] * MIB)
    program("mkfs.vfat", "-F", bits, "-n", "LABEL", image)
    names = ["EFI", "READ.ME", "a name that is longer than thirteen characters.txt"] + [f"file{n}" for n in range(60)]
    for name in names:
        (tmp_path / name).write_text("x")
    program("mcopy", "-i", image, *(tmp_path / name for name in names), "::")
    program("mdel", "-i", image, "::file3")
    with open_disk(image, "raw") as reader:
        assert {n.lower() for n in Fat(reader).names()} == {n.lower() for n in names if n != "file3"}
