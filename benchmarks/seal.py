"""Seal, qcow2, VMDK and OVA in one go, against virt-sysprep, virt-sparsify and qemu-img one after another.

    python -m benchmarks.seal --rootfs FILE        (of scripts/iso/debian-rootfs FILE, or a tar of mmdebstrap's)

Both get a copy of the same dirty disk (a Debian, a deleted file of random data) in the same run, on the same appliance
and accelerator. Wall and processor time, the most temporary space, final sizes and what is left in freed blocks go to
the standard output and, as JSON, into ``--json``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from factory.disk.gaps import Loaders
from factory.disk.reader import open_disk
from factory.drivers.guestfs.appliance import GuestfsDriver
from factory.drivers.guestfs.environment import ApplianceSettings, find_interpreter
from factory.drivers.protocols import ApplianceDisk
from factory.drivers.qemu.disk_image import QemuImg
from factory.events import ignore
from factory.outputs.export import export_all, parse_request
from factory.outputs.hardware import OvfHardware
from factory.plan.resources import SealedDisk
from factory.quantity import Size
from factory.seal.model import SealOptions
from factory.seal.seal import seal
from factory.seal.second_look import SecondLook

LZ4 = b"\x04\x22\x4d\x18"
MIB = 2**20
US = "factory"
CANARY = b"planted-by-the-benchmark-"


def run(*argv: object, environment: dict[str, str] | None = None) -> None:
    subprocess.run(
        [str(a) for a in argv],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", **(environment or {})},
    )


def make_disk(rootfs: Path, place: Path, size: int, freed: int) -> Path:
    """A partitioned raw disk with *rootfs* and *freed* bytes of a deleted file, full of canaries and noise."""
    tree, disk = place / "tree", place / "dirty.raw"
    tree.mkdir()
    packed = ["-I", "lz4"] if rootfs.open("rb").read(4) == LZ4 else []  # as scripts/iso/debian-rootfs packs it
    run("tar", *packed, "-xf", rootfs, "-C", tree)
    (tree / "etc/fstab").write_text("LABEL=root / ext4 errors=remount-ro 0 1\n")
    (tree / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    (tree / "root/.bash_history").write_bytes(CANARY * 400)
    with (tree / "deleted").open("wb") as stream:
        for _ in range(freed // MIB):
            stream.write((CANARY + os.urandom(4071)) * 256)
    with disk.open("wb") as stream:
        stream.truncate(size)
    subprocess.run(["/usr/sbin/sfdisk", "-q", disk], input=b"label: dos\nstart=1MiB,type=83,bootable\n", check=True)
    blocks = (size - 2 * MIB) // 4096
    run("mke2fs", "-q", "-F", "-t", "ext4", "-b", 4096, "-L", "root", "-E", f"offset={MIB}", "-d", tree, disk, blocks)
    run("debugfs", "-w", "-R", "rm /deleted", f"{disk}?offset={MIB}")
    shutil.rmtree(tree)
    return disk


class Space:
    """The most space that a folder took while something ran."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._stop, self.most = folder, threading.Event(), 0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._stop.wait(0.25):
            self.most = max(self.most, used(self._folder))

    @contextmanager
    def watched(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()
            self.most = max(self.most, used(self._folder))


def used(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_blocks * 512
        except OSError:  # gone meanwhile
            continue
    return total


def processor_time() -> float:
    """Seconds of this process and of all children that have ended; less moved by what else the computer does."""
    return sum(
        u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def measure(name: str, folder: Path, work: Callable[[], dict[str, int]]) -> dict[str, Any]:
    before, space = used(folder), Space(folder)
    started, processor = time.monotonic(), processor_time()
    with space.watched():
        sizes = work()
    seconds, processor = time.monotonic() - started, processor_time() - processor
    kept = sum(sizes.values())
    return {
        "name": name,
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor, 1),
        "temporary_mib": round(max(0, space.most - before - kept) / MIB),
        "sizes_mib": {k: round(v / MIB, 1) for k, v in sizes.items()},
    }


def ours(disk: Path, folder: Path, driver: GuestfsDriver) -> tuple[dict[str, int], dict[str, float]]:
    seconds: dict[str, float] = {}

    async def work() -> dict[str, int]:
        report = await seal(
            [ApplianceDisk(disk, "raw", "main")], SealOptions(), driver=driver, runtime_dir=folder / "run", emit=ignore
        )
        report.require_proven()
        seconds.update(report.seconds)
        out = folder / "out"
        out.mkdir()
        exports = await export_all(
            [SealedDisk("main", disk, "raw", Size(disk.stat().st_size))],
            [parse_request("qcow2"), parse_request("vmdk"), parse_request("ova")],
            name="image",
            hardware=OvfHardware(),
            uefi_variables=None,
            staging=out,
            images=QemuImg(),
            emit=ignore,
        )
        seconds.update({f"export {k}": v for k, v in exports.seconds.items()})
        return {f.format: int(f.size) for f in exports.files}

    return asyncio.run(work()), seconds


def theirs(disk: Path, folder: Path, environment: dict[str, str]) -> dict[str, int]:
    qcow2, vmdk = folder / "image.qcow2", folder / "image.vmdk"
    run("virt-sysprep", "-q", "--format", "raw", "-a", disk, environment=environment)
    run(
        "virt-sparsify",
        "-q",
        "--compress",
        "--format",
        "raw",
        "--convert",
        "qcow2",
        disk,
        qcow2,
        environment=environment,
    )
    run("qemu-img", "convert", "-f", "qcow2", "-O", "vmdk", "-o", "subformat=streamOptimized", qcow2, vmdk)
    return {"qcow2": qcow2.stat().st_size, "vmdk": vmdk.stat().st_size}


def left(disk: Path) -> dict[str, int]:
    """What freed blocks keep, and how often the canary is found."""
    with open_disk(disk, "raw") as reader:
        dirty = sum(f.dirty for f in SecondLook(reader, "x", loaders=Loaders.OF_PCS).free_space())
        found = sum(reader.read(o, n).count(CANARY) for o, n in reader.extents())
    return {"dirty_bytes": dirty, "canaries": found}


def contend(who: str, dirty: Path, place: Path, driver: GuestfsDriver, cache: Path) -> dict[str, Any]:
    """Gives one side its own copy of the disk, and measures it."""
    folder, parts = place / who.replace(" ", "-"), dict[str, float]()
    folder.mkdir()
    disk = folder / "disk.raw"
    run("cp", "--sparse=always", dirty, disk)
    environment = {
        "LIBGUESTFS_BACKEND": "direct",
        "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg",
        "LIBGUESTFS_CACHEDIR": str(cache),
        "TMPDIR": str(folder),
    }

    def work() -> dict[str, int]:
        if who != US:
            return theirs(disk, folder, environment)
        sizes, seconds = ours(disk, folder, driver)
        parts.update(seconds)
        return sizes

    result = measure(who, folder, work)
    if who != US:
        run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", folder / "image.qcow2", disk)
    result |= {"left": left(disk), "parts": parts}
    shutil.rmtree(folder)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rootfs", type=Path, required=True, help="a tar of a Debian root file system")
    parser.add_argument("--size", type=int, default=4096, help="MiB of the disk")
    parser.add_argument("--freed", type=int, default=1024, help="MiB of deleted data")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "factory" / "guestfs"
    driver = GuestfsDriver(ApplianceSettings(asyncio.run(find_interpreter()), cache))
    with tempfile.TemporaryDirectory(prefix="seal-benchmark-") as name:
        dirty = make_disk(arguments.rootfs, Path(name), arguments.size * MIB, arguments.freed * MIB)
        results = [contend(who, dirty, Path(name), driver, cache) for who in (US, "one after another")]
    for result in results:
        sys.stdout.write(json.dumps(result, indent=2) + "\n")
    mine, other = results
    sys.stdout.write(f"time: {mine['seconds'] / other['seconds']:.2f} of theirs (they write no OVA)\n")
    sys.stdout.write(f"processor time: {mine['processor_seconds'] / other['processor_seconds']:.2f} of theirs\n")
    for kind, size in other["sizes_mib"].items():
        sys.stdout.write(f"{kind}: {mine['sizes_mib'][kind] / size:.2f} of theirs\n")
    sys.stdout.write(f"temporary space: {mine['temporary_mib']} MiB, theirs {other['temporary_mib']} MiB\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
