"""Logs out of the disk of a guest that failed: an installer's, and those of a first boot.

Whatever partitions there are by now are mounted one by one, through a throw-away overlay, so a half-installed disk with
a dirty journal is no obstacle and stays as it is. Everything is bounded: files, bytes and time.
"""

from __future__ import annotations

import fnmatch
import posixpath
from pathlib import Path

from factory.deadline import Deadline
from factory.drivers.protocols import Appliance, ApplianceDisk, ApplianceDriver, DiskAccess
from factory.errors import FactoryError
from factory.events import Emit, GuestLog, Note
from factory.quantity import Duration, Size

BUDGET = Duration(120)
TAIL = Size(64 * 1024)
IN_ALL = Size(2 * 2**20)
AT_MOST = 40
EMPTY = Size(2**20)
"""An image with less than this in it has no file system worth a look."""

WANTED = (
    "installer", "anaconda", "YaST2", "agama*", "curtin", "subiquity", "cloud-init*.log", "bootstrap.log", "dpkg.log",
    "apt", "bsdinstall_log", "syslog", "messages", "auth.log", "secure", "tiny*.log",
)  # fmt: skip
"""Names in /var/log of what installers, cloud-init and sshd write."""
PLACES = ("/var/log", "/log", "", "/root/var/log", "/@/var/log", "/@rootfs/var/log", "/@var/log")
"""Where a file system may have /var/log: as the root, as /var or /var/log itself, in a btrfs subvolume."""
_NO_FILE_SYSTEM = ("", "swap", "LVM2_member", "linux_raid_member", "crypto_LUKS", "unknown", "iso9660")


async def read_guest_logs(driver: ApplianceDriver, folder: Path, runtime_dir: Path, emit: Emit) -> None:
    """Emits a ``GuestLog`` for each log on the disks in *folder* (``disk-<id>.qcow2``).

    Never raises for what is on the disk or for an appliance that does not start: that becomes a note, for the failure
    that is being explained matters more.
    """
    disks = [ApplianceDisk(path, "qcow2", path.stem) for path in sorted(folder.glob("disk-*.qcow2"))]
    if not disks or all(_held(disk.path) < EMPTY for disk in disks):
        emit(Note("the guest's disk is empty: there are no logs on it to read", "debug"))
        return
    emit(Note("reading the logs on the guest's disk"))
    deadline = Deadline.after(BUDGET, "the logs on the guest's disk to be read")
    try:
        async with driver.launch(
            disks, access=DiskAccess.READ_ONLY, runtime_dir=runtime_dir, deadline=deadline, emit=emit
        ) as appliance:
            await _read_all(appliance, emit)
    except (FactoryError, OSError) as error:
        emit(Note(f"the logs on the guest's disk could not be read: {error}", "debug"))


def _held(path: Path) -> int:
    """Bytes that an image really takes on this computer's disk, with those of the images below it unknown."""
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0


async def _read_all(appliance: Appliance, emit: Emit) -> None:
    found, left = 0, int(IN_ALL)
    for device in await _file_systems(appliance):
        mounted = (await appliance.attempt([("mount_ro", device, "/")]))[0]
        if isinstance(mounted, FactoryError):
            continue
        for shown, path in await _logs(appliance):
            if found >= AT_MOST or left <= 0:
                break
            log = await _read(appliance, shown, path)
            if log is not None:
                found, left = found + 1, left - len(log.text)
                emit(log)
        await appliance.attempt([("umount_all",)])
    if not found:
        emit(Note("the guest's disk holds no installer's logs yet", "debug"))


async def _file_systems(appliance: Appliance) -> list[str]:
    partitions, volumes, disks = await appliance.attempt([("list_partitions",), ("lvs",), ("list_devices",)])
    names: list[str] = []
    for found in (partitions, volumes, disks):
        names += found if isinstance(found, list) else []
    kinds = await appliance.attempt([("vfs_type", name) for name in names])
    return [n for n, kind in zip(names, kinds, strict=True) if isinstance(kind, str) and kind not in _NO_FILE_SYSTEM]


async def _logs(appliance: Appliance) -> list[tuple[str, str]]:
    """What is wanted of the mounted file system: (as the guest calls it, as it is called here)."""
    wanted: list[tuple[str, str]] = []
    listings = await appliance.attempt([("ls", place or "/") for place in PLACES])
    for place, names in zip(PLACES, listings, strict=True):
        for name in names if isinstance(names, list) else ():
            if any(fnmatch.fnmatch(name, pattern) for pattern in WANTED):
                wanted += await _files(appliance, f"/var/log/{name}", f"{place}/{name}")
    return wanted


async def _files(appliance: Appliance, shown: str, path: str) -> list[tuple[str, str]]:
    """The file itself, or the files of a folder."""
    is_file, below = await appliance.attempt([("is_file", path), ("find", path)])
    if is_file == 1:  # the binding's words for true and false are numbers
        return [(shown, path)]
    names = sorted(name.lstrip("/") for name in below) if isinstance(below, list) else []
    checks = await appliance.attempt([("is_file", posixpath.join(path, n)) for n in names[: 4 * AT_MOST]])
    files = [n for n, is_one in zip(names, checks, strict=False) if is_one == 1]
    return [(posixpath.join(shown, n), posixpath.join(path, n)) for n in files[:AT_MOST]]


async def _read(appliance: Appliance, shown: str, path: str) -> GuestLog | None:
    """The tail of one log; None for what is empty or no text."""
    size = (await appliance.attempt([("filesize", path)]))[0]
    if not isinstance(size, int) or size == 0:
        return None
    start = max(0, size - int(TAIL))
    data = (await appliance.attempt([("pread", path, min(size, int(TAIL)), start)]))[0]
    if not isinstance(data, bytes) or b"\0" in data[:4096]:
        return None
    text = data.decode("utf-8", "replace")
    return GuestLog(shown, size, text.partition("\n")[2] if start else text)
