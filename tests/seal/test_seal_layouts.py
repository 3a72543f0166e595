"""Disks that only the appliance can read: LVM with XFS, free extents, btrfs subvolumes, two disks at once."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from factory.deadline import Deadline
from factory.drivers.guestfs.appliance import GuestfsDriver
from factory.drivers.protocols import ApplianceDisk, DiskAccess
from factory.events import ignore
from factory.outputs.driver_needs import driver_needs
from factory.quantity import Duration
from factory.seal.guest_access import opened
from factory.seal.logical_volumes import LogicalVolumes
from factory.seal.model import Family, SealOptions
from factory.seal.report import SealReport
from factory.seal.seal import seal
from factory.secret import Secret
from factory.template.output_options import Ova, Qcow2
from tests.disk.test_driver_readiness import cpio
from tests.seal.dirty_disk import program
from tests.seal.rpm_database import header, in_sqlite

pytestmark = pytest.mark.machine

MIB = 2**20
DELETED, SWAPPED, LEFT = "deleted-from-xfs-4711", "swapped-out-secret-0815", "left-in-free-extents-1234"
NEEDS = driver_needs(Ova(controller="pvscsi", network="vmxnet3")) + driver_needs(Qcow2())
KEY = "-----BEGIN PRIVATE KEY-----\n" + "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n" * 3
FSTAB = """\
/dev/mapper/vg-root / xfs defaults 0 0
/dev/vg/swap none swap sw 0 0
LABEL=data /home btrfs subvol=@home 0 0
/dev/sda1 /not-there ext4 defaults 0 0
UUID=00000000-0000-0000-0000-000000000000 /mnt ext4 defaults 0 0
"""


def make_disks(driver: GuestfsDriver, folder: Path) -> list[ApplianceDisk]:
    """Built by one launch: a Fedora on LVM and XFS, its homes on a btrfs of the second disk."""
    disks = [ApplianceDisk(folder / "first.raw", "raw", "main"), ApplianceDisk(folder / "second.raw", "raw", "data")]
    for disk, size in zip(disks, (700, 300), strict=True):
        with disk.path.open("wb") as stream:
            stream.truncate(size * MIB)
    files = {
        "/etc/os-release": "ID=fedora\nVERSION_ID=40\nPRETTY_NAME='Fedora 40'\n",
        "/etc/fstab": FSTAB,
        "/etc/machine-id": "0" * 32,
        "/etc/selinux/config": "SELINUX=enforcing\n",
        "/etc/passwd": "root:x:0:0::/root:/bin/sh\n",
        "/var/lib/systemd/random-seed": "x" * 512,
        "/var/cache/dnf/x/big.rpm": "y" * 9000,
        "/home/a/.bash_history": "history\n",
        "/boot/vmlinuz-6.1.0": "kernel",
        "/usr/lib64/libgnutls.so.30": f"self-test\n{KEY}",
        "/opt/app/tls/key.pem": KEY,
        "/usr/lib64/libown.so": f"nobody ships this\n{KEY}",
        "/usr/lib/systemd/system/boot.mount": '[Mount]\nWhat = "/dev/disk/by-label/boot"\nWhere=/boot\n',
        "/etc/systemd/system/var-gone.mount": "[Mount]\nWhat=LABEL=gone\nWhere=/var/gone\n",  # nothing starts it
        "/usr/lib/modules/6.1.0/modules.dep": "kernel/drivers/net/vmxnet3/vmxnet3.ko.xz:\n",
    }
    shipped = header("gnutls", {(path := "/usr/lib64/libgnutls.so.30"): files[path].encode()})
    initramfs = gzip.compress(cpio(folder / "initramfs", ["usr/lib/modules/6.1.0/kernel/vmw_pvscsi.ko.xz"]))

    async def build() -> None:
        async with driver.launch(
            disks, access=DiskAccess.READ_WRITE, runtime_dir=folder / "run",
            deadline=Deadline.after(Duration(900), "the disks to be made"), emit=ignore,
        ) as g:  # fmt: skip
            await g.batch(
                [
                    ("part_init", "/dev/sda", "gpt"),
                    ("part_add", "/dev/sda", "p", 2048, 133119),
                    ("part_add", "/dev/sda", "p", 133120, 1400831),
                    ("mkfs", "ext4", "/dev/sda1", {"label": "boot"}),
                    ("pvcreate", "/dev/sda2"),
                    ("vgcreate", "vg", ["/dev/sda2"]),
                    ("lvcreate", "root", "vg", 400),
                    ("lvcreate", "swap", "vg", 32),
                    ("lvcreate", "gone", "vg", 64),
                    ("mkfs", "xfs", "/dev/vg/root"),
                    ("mkswap", "/dev/vg/swap", {"label": "SW"}),
                    ("lvcreate", "stray", "vg", 32),
                    ("mkfs", "ext4", "/dev/vg/stray"),
                    ("mount", "/dev/vg/stray", "/"),
                    ("mkdir", "/bob"),
                    ("umount_all",),
                    ("part_add", "/dev/sda", "p", 1400832, 1417215),
                    ("part_set_gpt_type", "/dev/sda", 3, "3B8F8425-20E0-4F3B-907F-1A25A76F98E8"),
                    ("mkfs", "ext4", "/dev/sda3"),
                    ("mount", "/dev/sda3", "/"),
                    ("write", "/old.bak", b"history\n"),
                    ("umount_all",),
                    ("mkfs_btrfs", ["/dev/sdb"], {"label": "data"}),
                    ("pwrite_device", "/dev/vg/swap", SWAPPED.encode(), 8192),
                    ("pwrite_device", "/dev/vg/gone", LEFT.encode(), 4096 * 5),
                    ("sync",),
                    ("lvremove", "/dev/vg/gone"),
                    ("mount", "/dev/sdb", "/"),
                    ("btrfs_subvolume_create", "/@home"),
                    ("umount_all",),
                    ("mount", "/dev/vg/root", "/"),
                    ("mkdir", "/boot"),
                    ("mkdir", "/home"),
                    ("mkdir", "/srv"),
                    ("mount", "/dev/sda1", "/boot"),
                    ("mount_options", "subvol=@home", "/dev/sdb", "/home"),
                ]
            )
            for path, content in files.items():
                await g.batch([("mkdir_p", path.rsplit("/", 1)[0]), ("write", path, content.encode())])
            await g.call("write", "/boot/initramfs-6.1.0.img", initramfs)
            wants = "/etc/systemd/system/local-fs.target.wants"
            await g.call("mkdir_p", wants)
            for place in ("/etc/systemd/system", wants):
                await g.call("ln_s", "/usr/lib/systemd/system/boot.mount", f"{place}/boot.mount")
            await g.call("mkdir_p", "/usr/lib/sysimage/rpm")
            await g.call("write", "/usr/lib/sysimage/rpm/rpmdb.sqlite", in_sqlite(shipped))
            await g.batch([("write", "/tmp-file", DELETED.encode() * 500), ("sync",), ("rm", "/tmp-file"), ("sync",)])

    asyncio.run(build())
    return disks


@pytest.fixture(scope="module")
def dirty_disks(tmp_path_factory: pytest.TempPathFactory, appliance_driver: GuestfsDriver) -> list[ApplianceDisk]:
    return make_disks(appliance_driver, tmp_path_factory.mktemp("dirty-layouts"))


@pytest.fixture(scope="module")
def sealed(
    tmp_path_factory: pytest.TempPathFactory, appliance_driver: GuestfsDriver, dirty_disks: list[ApplianceDisk]
) -> tuple[list[ApplianceDisk], SealReport]:
    folder = tmp_path_factory.mktemp("layouts")
    disks = [replace(d, path=folder / d.path.name) for d in dirty_disks]
    for before, disk in zip(dirty_disks, disks, strict=True):
        program("cp", "--sparse=always", before.path, disk.path)
    raw = b"".join(d.path.read_bytes() for d in disks)
    assert all(word.encode() in raw for word in (DELETED, SWAPPED, LEFT)), (
        "the disks are not as dirty as they should be"
    )
    secrets = {name: Secret(name) for name in (DELETED, SWAPPED, LEFT)}
    options = SealOptions(
        secrets=secrets,
        shrink=True,
        only=("+lvm-uuids", "+fs-uuids"),
        needs=NEEDS,
        allow=(
            "private-key:/opt/*",
            "private-key:/usr/lib64/libown.so",
            "unseen:/mnt",
            "unseen:/not-there",
            "unseen:/dev/vg/stray",
        ),
    )
    report = asyncio.run(seal(disks, options, driver=appliance_driver, runtime_dir=folder / "run", emit=ignore))
    return disks, report


def test_all_is_clean_to_a_plain_search(sealed: tuple[list[ApplianceDisk], SealReport]) -> None:
    disks, report = sealed
    raw = b"".join(d.path.read_bytes() for d in disks)
    assert not [word for word in (DELETED, SWAPPED, LEFT) if word.encode() in raw]
    assert b"history\n" not in raw
    assert report.problems == ()


def test_every_part_was_found(sealed: tuple[list[ApplianceDisk], SealReport]) -> None:
    _, report = sealed
    assert report.guest.family is Family.REDHAT
    methods = {t.device: t.method for t in report.trimmed}
    assert methods["/dev/vg/root"] == "fstrim"
    assert methods["/dev/sdb"] == "fstrim"
    assert methods["/dev/vg/swap"] == "discard"
    assert methods["vg (free extents)"] == "discard"
    worked = {d.name for d in report.operations if d.paths}
    assert {"rpm-cache", "random-seed", "shell-history"} <= worked


def test_ids_of_devices_are_new(sealed: tuple[list[ApplianceDisk], SealReport]) -> None:
    _, report = sealed
    changed = {d.name: d.paths for d in report.operations if d.name.endswith("-uuids")}
    assert changed == {"fs-uuids": 6, "lvm-uuids": 2}  # all file systems and swap; one physical volume, one group


def test_what_could_not_be_done_is_said(sealed: tuple[list[ApplianceDisk], SealReport]) -> None:
    _, report = sealed
    notes = "\n".join(report.notes)
    assert [(u.place, u.allowed) for u in report.unseen] == [
        ("/mnt", True),
        ("/not-there", True),
        ("/dev/vg/stray", True),
    ]
    assert report.unseen[2].why.endswith("it holds bob")
    assert "UUID=00000000" in report.unseen[0].why
    assert "not shrunk: the root is no ext file system" in notes
    assert "secret scan only" not in notes, "all that is free was read back"
    assert report.shrunk == ()


def test_free_space_below_lvm_was_read_back(sealed: tuple[list[ApplianceDisk], SealReport]) -> None:
    _, report = sealed
    found = {f.place: f for f in report.free_space}
    assert {place: f.type for place, f in found.items()} == {
        "partition 1 of disk main": "ext",
        "partition 3 of disk main": "ext",
        "logical volume vg/stray": "ext",
        "partition 0 of disk data": "btrfs",
        "logical volume vg/root": "xfs",
        "logical volume vg/swap": "swap",
        "free extents of vg": "LVM",
        "disk main outside of all partitions": "gaps",
    }
    assert found["logical volume vg/root"].free > 300 * MIB
    assert found["logical volume vg/swap"].free == 32 * MIB - 4096
    assert found["free extents of vg"].free > 64 * MIB
    assert not any(f.dirty for f in report.free_space)


def test_what_looks_like_a_secret_is_traced_to_its_file_on_xfs_on_lvm(
    sealed: tuple[list[ApplianceDisk], SealReport],
) -> None:
    """Enterprise Linux keeps its root so, and ships libraries with keys for their self-tests: they are no finding."""
    _, report = sealed
    assert {(f.where, f.reason) for f in report.findings} == {
        ("/usr/lib64/libgnutls.so.30", "shipped by gnutls"),
        ("/usr/lib64/libown.so", "allowed by the template"),
        ("/opt/app/tls/key.pem", "allowed by the template"),
    }


def test_drivers_are_told_by_the_appliance_where_the_host_can_not_look(
    sealed: tuple[list[ApplianceDisk], SealReport],
) -> None:
    _, report = sealed
    assert report.drivers == {
        "kernel": "6.1.0", "early": ["vmw_pvscsi"], "all": ["vmw_pvscsi", "vmxnet3"], "unknown": "",
    }  # fmt: skip
    assert [m.split(" (")[0] for m in report.missing_drivers] == [
        "VMware: no SCSI disk driver in the initramfs",
        "KVM: no bus driver in the initramfs",
        "KVM: no disk driver in the initramfs",
        "KVM: no network driver among the kernel's modules",
    ]


def test_what_lies_below_lvm_before_the_seal_is_seen(dirty_disks: list[ApplianceDisk]) -> None:
    """The same reader on the same disks, unsealed: what was deleted and swapped out counts."""
    with opened(dirty_disks) as readers:
        found = list(LogicalVolumes(dict(zip(("main", "data"), readers, strict=True))).free_space())
    dirty = {f.place: f.dirty for f in found}
    assert dirty["logical volume vg/root"] >= len(DELETED) * 500
    assert dirty["logical volume vg/swap"] == dirty["free extents of vg"] == 4096
