"""Why a QEMU that runs does not answer: what the kernel says of its process (proc(5), ``/proc/PID/stat``)."""

from __future__ import annotations

from pathlib import Path

from factory.errors import Evidence, MachineSilent

_STATES = {
    "T": ("is stopped (state T)", "`kill -CONT {pid}` lets it go on; who stopped it (`kill -STOP`, Ctrl-Z)?"),
    "t": ("is held by a debugger (state t)", "detach the debugger from process {pid}"),
    "D": ("waits for a disk (state D)", "is the disk with its images well (`dmesg`), or a network mount gone?"),
}
_OTHERWISE = ("runs (state {state})", "is this computer overloaded? qemu.log of this run may say more")


def process_state(pid: int) -> str:
    """One letter; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def is_stopped(pid: int) -> bool:
    """True while nothing that it is asked can be answered."""
    return process_state(pid) in ("T", "t")


def is_held(pid: int) -> bool:
    """True when its state explains that it does not answer."""
    return process_state(pid) in _STATES


def silent(pid: int, *, asked: str = "", evidence: Evidence | None = None) -> MachineSilent:
    """The error for a QEMU that does not answer; *asked* says what and for how long."""
    state = process_state(pid)
    what, hint = _STATES.get(state, _OTHERWISE)
    message = f"QEMU does not answer: its process {pid} {what.format(state=state)}"
    return MachineSilent(f"{message}; {asked}" if asked else message, hint=hint.format(pid=pid), evidence=evidence)
