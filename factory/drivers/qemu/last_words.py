"""What QEMU said before it ended: the line that matters, and what to do about it."""

from __future__ import annotations

import re

from factory.drivers.full_disk import tells_full_disk

_INCOMING = re.compile(r"load of migration failed|migration stream|savevm|vmstate|-incoming", re.IGNORECASE)


def last_complaint(stderr: str) -> str:
    """The line of QEMU's that matters: its last complaint, which explanations may follow."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    complaints = [line for line in lines if line.startswith("qemu") and ": warning: " not in line]
    return (complaints or lines or ["it said nothing"])[-1]


def refuses_memory(stderr: str) -> bool:
    """Whether it ended over the memory file that it was to go on from (``-incoming``), and not over something else."""
    return any(_INCOMING.search(line) for line in stderr.splitlines() if ": warning: " not in line)


def what_to_try(stderr: str) -> str:
    """What to try, for the deaths that are known."""
    if 'Failed to get "write" lock' in stderr or "Failed to get shared" in stderr:
        return "another QEMU or qemu-img uses this image: end it, or work on an overlay"
    if "Cannot allocate memory" in stderr or "cannot set up guest memory" in stderr:
        return "this computer has not enough free memory: give the machine less, or end something"
    if "Could not set up host forwarding rule" in stderr:
        return "the host port is taken: leave it to the kernel (0), or choose another"
    if tells_full_disk(stderr):
        return "the disk is full: free some space, then build again"
    if "Could not access KVM" in stderr or "failed to initialize kvm" in stderr:
        return "KVM does not work here: `factory doctor` tells which accelerator does"
    return "the files qemu.log and qemu.argv of this run say more"
