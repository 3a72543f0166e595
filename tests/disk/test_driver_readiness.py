"""Drivers are found in real initramfs archives, and missed where they are not."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from factory.disk.driver_readiness import Need, readiness
from factory.disk.ext import Ext
from factory.disk.initramfs import UnreadableInitramfs, _unlz4, names
from factory.disk.reader import open_disk
from tests.seal.dirty_disk import program, write_tree

pytestmark = pytest.mark.machine

DISK = Need("VMware", "disk", ("mptspi", "mptsas"))
NETWORK = Need("VMware", "network", ("vmxnet3",), early=False)
BUILTIN = Need("KVM", "bus", ("virtio_pci",))


def cpio(folder: Path, files: list[str]) -> bytes:
    write_tree(folder, {name: f"content of {name}" * 7 for name in files})
    listed = "\0".join(sorted({".", *(str(p.relative_to(folder)) for p in folder.rglob("*"))}))
    return subprocess.run(
        ["cpio", "--quiet", "-o", "-0", "-H", "newc"],
        input=listed.encode(),
        cwd=folder,
        capture_output=True,
        check=True,
    ).stdout


def lz4(data: bytes) -> bytes:
    """As the kernel takes it: the legacy format, by the program that distributions use."""
    return subprocess.run(["lz4", "-l", "-9", "-c"], input=data, capture_output=True, check=True).stdout


MODULES = ["lib/modules/6.1.0-10/kernel/drivers/message/fusion/mptspi.ko.xz", "init", "bin/sh"]


@pytest.mark.parametrize(
    "pack",
    [bytes, gzip.compress, lzma.compress, bz2.compress, zstd.compress, lz4],
    ids=["plain", "gzip", "xz", "bzip2", "zstd", "lz4"],
)
def test_an_archive_after_another_is_listed(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """As dracut and initramfs-tools write them: microcode first, uncompressed."""
    early = cpio(tmp_path / "early", ["kernel/x86/microcode/GenuineIntel.bin"])
    found = set(names(early + pack(cpio(tmp_path / "main", MODULES))))
    assert {*MODULES, "kernel/x86/microcode/GenuineIntel.bin"} <= found


@pytest.mark.parametrize(("head", "word"), [(b"\x04\x22\x4d\x18", "lz4"), (b"\x89LZO", "lzo"), (b"????", "begins")])
def test_what_can_not_be_read_is_named(head: bytes, word: str) -> None:
    with pytest.raises(UnreadableInitramfs, match=word):
        list(names(head + os.urandom(100)))


def test_lz4_gives_back_what_was_packed() -> None:
    """Long runs, matches that overlap what they write, noise, and more than one block of 8 MiB."""
    data = b"a" * 100_000 + os.urandom(5_000) + b"abcdefg" * 3_000 + os.urandom(300) * 40_000
    packed = lz4(data)
    assert len(packed) < len(data) / 10
    assert _unlz4(packed) == data
    assert _unlz4(packed + packed) == data + data
    with pytest.raises(UnreadableInitramfs, match="lz4"):
        _unlz4(packed[:8] + b"\xff" * 50_000)


def guest(folder: Path, initramfs: bytes, kernels: tuple[str, ...] = ("6.1.0-10",)) -> Path:
    tree: dict[str, str | bytes] = {"etc/hostname": "x"}
    for kernel in kernels:
        tree[f"boot/vmlinuz-{kernel}"] = "kernel"
        tree[f"lib/modules/{kernel}/modules.dep"] = "kernel/drivers/net/vmxnet3/vmxnet3.ko: kernel/x.ko\n"
        tree[f"lib/modules/{kernel}/modules.builtin"] = "kernel/drivers/virtio/virtio-pci.ko\n"
    if initramfs:
        tree[f"boot/initrd.img-{kernels[-1]}"] = initramfs
    write_tree(folder / "tree", tree)
    image = folder / "fs"
    with image.open("wb") as stream:
        stream.truncate(16 * 2**20)
    program("mke2fs", "-q", "-F", "-t", "ext4", "-d", folder / "tree", image)
    return image


def test_missing_drivers_are_named_with_what_mends_it(tmp_path: Path) -> None:
    image = guest(tmp_path, gzip.compress(cpio(tmp_path / "i", ["init"])))
    with open_disk(image, "raw") as reader:
        found = readiness(Ext(reader), [DISK, NETWORK, BUILTIN])
    assert found.missing == (DISK,)
    assert str(found.missing[0]) == "VMware: no disk driver in the initramfs (one of mptspi, mptsas)"
    assert "mptspi" in found.mend
    assert found.kernel == "6.1.0-10"


def test_drivers_of_the_newest_kernel_count(tmp_path: Path) -> None:
    image = guest(tmp_path, gzip.compress(cpio(tmp_path / "i", MODULES)), ("6.1.0-9", "6.1.0-10"))
    with open_disk(image, "raw") as reader:
        found = readiness(Ext(reader), [DISK, NETWORK])
    assert (found.kernel, found.missing, found.unknown) == ("6.1.0-10", (), "")


def test_what_can_not_be_told_is_said(tmp_path: Path) -> None:
    image = guest(tmp_path, b"\x04\x22\x4d\x18" + bytes(100))
    with open_disk(image, "raw") as reader:
        assert "can't be read: lz4" in readiness(Ext(reader), [DISK]).unknown
    empty = tmp_path / "empty"
    with empty.open("wb") as stream:
        stream.truncate(8 * 2**20)
    program("mke2fs", "-q", "-F", "-t", "ext4", empty)
    with open_disk(empty, "raw") as reader:
        assert "no kernel" in readiness(Ext(reader), [DISK]).unknown
