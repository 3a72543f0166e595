"""Shrinks the root file system, its partition and the disk to what they need; the machine grows them on first boot."""

from __future__ import annotations

import re
from dataclasses import dataclass

from factory.disk.shrink_table import shrink_table
from factory.drivers.protocols import Appliance, ApplianceCallFailed
from factory.quantity import Size
from factory.seal.layout import Layout
from factory.seal.model import Init, Subject
from factory.seal.operations import first_boot
from factory.seal.operations.first_boot import FirstBootTask
from factory.seal.table_reader import read_tables

SLACK = Size(96 * 2**20)
"""Left free in the file system: virt-v2v wants 50 MB, and a first boot writes logs and keys."""
_NO_EXT = "the root is no ext file system on a partition"
_FLAG, _SCRIPT = "/var/lib/factory/grow-root", "/usr/lib/factory/grow-root"
_GROW = """\
#!/bin/sh
# Written when this image was sealed: grows the root partition and its file system to the end of the disk, once.
[ -e %(flag)s ] || exit 0
source=$(findmnt -n -o SOURCE / 2>/dev/null || awk '$2 == "/" && $1 ~ "^/dev/" {print $1}' /proc/mounts)
device=$(readlink -f "$source")
name=${device#/dev/}
number=$(cat "/sys/class/block/$name/partition") || exit 0
disk=/dev/$(basename "$(dirname "$(readlink -f "/sys/class/block/$name")")")
if command -v growpart >/dev/null; then
    growpart "$disk" "$number"
else
    # The kernel does not read the table of a disk anew whose partitions are mounted; partx tells it of this one.
    echo ', +' | sfdisk --force --no-reread --no-tell-kernel -N "$number" "$disk" && partx -u "$disk"
fi
resize2fs "$device" && rm -f %(flag)s
exit 0
""" % {"flag": _FLAG}  # noqa: UP031  braces are the shell's
GROW = FirstBootTask(
    "factory-grow-root",
    "Grow the root file system to the size of the disk",
    _SCRIPT,
    (f"ConditionPathExists={_FLAG}",),
    (),
    f"[ ! -e {_FLAG} ] || {_SCRIPT}",
)


@dataclass(frozen=True, slots=True)
class Cut:
    """A disk to cut once nobody has it open. ``disk`` counts from 0."""

    disk: int
    before: Size
    after: Size

    def __str__(self) -> str:
        return f"disk {self.disk + 1} from {self.before} to {self.after}"


async def install_growth(subject: Subject, layout: Layout) -> str:
    """Has the guest grow again on its first boot; gives why it could not, in which case it must not be shrunk."""
    files = subject.files
    if not _place(layout):
        return _NO_EXT
    if not await files.find(["/{usr/,}sbin/resize2fs"]):
        return "the guest could not grow again: it has no resize2fs"
    has_sfdisk = await files.find(["/{usr/,}{sbin,bin}/sfdisk"]) and await files.find(["/{usr/,}{sbin,bin}/partx"])
    if not has_sfdisk and not await files.find(["/usr/bin/growpart"]):
        return "the guest could not grow again: it has neither growpart nor sfdisk and partx"
    if subject.guest.init not in {Init.SYSTEMD, Init.SYSV, Init.BUSYBOX}:
        return f"the guest could not grow again: its init ({subject.guest.init}) is not known"
    await files.write(_SCRIPT, _GROW.encode(), mode=0o755)
    await files.write(_FLAG, b"")
    await first_boot.install(subject, GROW)
    return ""


def _place(layout: Layout) -> re.Match[str] | None:
    """Disk and partition of a root that can be shrunk."""
    root = next((m for m in layout.mounts if m.point == "/" and m.type.startswith("ext")), None)
    return re.fullmatch(r"/dev/sd([a-z])([0-9]+)", root.device) if root else None


async def shrink(appliance: Appliance, layout: Layout) -> tuple[Cut | None, str]:
    """Shrinks the root file system and writes the new partition table; the disk itself is cut later, from outside.

    Nothing may be mounted. Gives what to cut, or why nothing was shrunk.
    """
    match = _place(layout)
    if match is None:
        return None, _NO_EXT
    disk, number, device = f"/dev/sd{match[1]}", int(match[2]), match[0]
    checked = (await appliance.attempt([("e2fsck", device, {"correct": True})]))[0]
    if isinstance(checked, ApplianceCallFailed):
        return None, checked.message
    size, minimum = await appliance.batch([("blockdev_getsize64", disk), ("vfs_minimum_size", device)])
    target = -(-(int(minimum) + int(SLACK)) // 2**20) * 2**20
    try:
        table = await read_tables(appliance, disk, int(size), lambda reader: shrink_table(reader, number, target))
    except ValueError as error:
        return None, str(error)
    await appliance.call("resize2fs_size", device, target)
    for offset, content in table.patches:
        await _write(appliance, disk, offset, content)
    return Cut(ord(match[1]) - ord("a"), Size(int(size)), Size(table.size)), ""


async def _write(appliance: Appliance, disk: str, offset: int, content: bytes) -> None:
    written = await appliance.call("pwrite_device", disk, content, offset)
    if written != len(content):
        raise ApplianceCallFailed(f"only {written} of {len(content)} bytes of the partition table were written")
