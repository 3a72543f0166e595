"""Which accelerator really works here: measured, never believed.

A ``/dev/kvm`` may open, create virtual machines and run SeaBIOS, and still emulate an ordinary guest instruction by
instruction, fifty times slower than TCG (a nested KVM without hardware under it). So a guest of 512 bytes does what an
operating system does first: it builds page tables, enters long mode, computes, uses three privileged instructions, and
leaves through QEMU's ``isa-debug-exit``. The fastest accelerator that finishes wins; software emulation has to be
clearly faster than a hypervisor, since on such a small task a good hypervisor and TCG are equally quick.

The verdict holds until the host boots again, or QEMU or the access to ``/dev/kvm`` changes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from factory.deadline import Deadline
from factory.digest import digest_of
from factory.drivers.process import run
from factory.errors import DeadlineExpired
from factory.quantity import Duration

FINISHED = 33
"""isa-debug-exit turns the value v into the exit status 2v+1; the guest writes 16."""
LIMIT = Duration(30)
"""For the first measurement. The host may be loaded."""
CLEARLY_FASTER = 2.0
MARGIN = Duration(0.3)
TRIES = 2
"""A hypervisor that seems slow is measured again: a moment's load must not cost it its place until the next boot."""
SOFTWARE = ("tcg",)
_IMPATIENCE = 4.0
_SHORTEST_LIMIT = Duration(2)
_HYPERVISORS = ("kvm", "hvf", "whpx", "nvmm")

GUEST = b"".join(
    [
        # 16-bit real mode, loaded at 0000:7c00
        b"\xfa",  # cli
        b"\x31\xc0",  # xor ax, ax
        b"\x8e\xd8",  # mov ds, ax
        b"\x8e\xc0",  # mov es, ax
        b"\x8e\xd0",  # mov ss, ax
        b"\xbc\x00\x7c",  # mov sp, 0x7c00
        b"\xb0R\xe6\xe9",  # mov al, 'R'; out 0xe9, al: real mode is reached
        b"\xb0\n\xe6\xe9",  # mov al, LF; out 0xe9, al
        # page tables at 0x1000, 0x2000, 0x3000: one large page maps the first 2 MiB onto themselves
        b"\x66\xbf\x00\x10\x00\x00",  # mov edi, 0x1000
        b"\x0f\x22\xdf",  # mov cr3, edi
        b"\x66\x31\xc0",  # xor eax, eax
        b"\x66\xb9\x00\x0c\x00\x00",  # mov ecx, 3072 double words
        b"\xfc",  # cld
        b"\x66\xf3\xab",  # rep stosd
        b"\x66\xc7\x06\x00\x10\x03\x20\x00\x00",  # mov dword [0x1000], 0x2003: present, writable
        b"\x66\xc7\x06\x00\x20\x03\x30\x00\x00",  # mov dword [0x2000], 0x3003
        b"\x66\xc7\x06\x00\x30\x83\x00\x00\x00",  # mov dword [0x3000], 0x83: a large page
        b"\x0f\x20\xe0",  # mov eax, cr4
        b"\x66\x83\xc8\x20",  # or eax, 0x20: physical address extension
        b"\x0f\x22\xe0",  # mov cr4, eax
        b"\x66\xb9\x80\x00\x00\xc0",  # mov ecx, 0xc0000080: the register EFER
        b"\x0f\x32",  # rdmsr
        b"\x66\x0d\x00\x01\x00\x00",  # or eax, 0x100: long mode enable
        b"\x0f\x30",  # wrmsr
        b"\x0f\x01\x16\xc0\x7c",  # lgdt [0x7cc0]
        b"\x0f\x20\xc0",  # mov eax, cr0
        b"\x66\x0d\x01\x00\x00\x80",  # or eax, 0x80000001: paging, protection
        b"\x0f\x22\xc0",  # mov cr0, eax
        b"\xea\x75\x7c\x08\x00",  # jmp 0x08:0x7c75
        # 64-bit long mode, at 0x7c75
        b"\xb0L\xe6\xe9",  # mov al, 'L'; out 0xe9, al: long mode is reached
        b"\xb0\n\xe6\xe9",  # mov al, LF; out 0xe9, al
        b"\xb9\xa0\x86\x01\x00",  # mov ecx, 100000
        b"\xe2\xfe",  # 1: loop 1b
        b"\xb9\x01\x01\x00\xc0",  # mov ecx, 0xc0000101: the register GS base
        b"\x31\xc0",  # xor eax, eax
        b"\x31\xd2",  # xor edx, edx
        b"\x0f\x30",  # wrmsr
        b"\x0f\x01\xf8",  # swapgs
        b"\x0f\x20\xd8",  # mov rax, cr3
        b"\x0f\x22\xd8",  # mov cr3, rax
        b"\xb0S\xe6\xe9",  # mov al, 'S'; out 0xe9, al: done
        b"\xb0\n\xe6\xe9",  # mov al, LF; out 0xe9, al
        b"\xb0\x10",  # mov al, 16
        b"\xe6\xf4",  # out 0xf4, al: isa-debug-exit
        b"\xf4",  # hlt
        b"\x0f\x1f\x00",  # nop, so that the table is aligned to 8
        # the descriptor table at 0x7ca8: null, 64-bit code, data
        bytes(8),
        b"\xff\xff\x00\x00\x00\x9a\xaf\x00",
        b"\xff\xff\x00\x00\x00\x92\xcf\x00",
        b"\x17\x00\xa8\x7c\x00\x00",  # at 0x7cc0: its limit, 23, and its address
    ]
).ljust(510, b"\0") + b"\x55\xaa"  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one accelerator did. ``seconds`` is from QEMU's start to its end; ``problem`` is empty when it finished."""

    accelerator: str
    seconds: float
    problem: str = ""

    @property
    def finished(self) -> bool:
        return not self.problem


def winner(measurements: Sequence[Measurement]) -> str:
    """The accelerator to use; empty when none finished."""
    finished = sorted((m for m in measurements if m.finished), key=lambda m: m.seconds)
    software = next((m for m in finished if m.accelerator in SOFTWARE), None)
    hypervisor = next((m for m in finished if m.accelerator not in SOFTWARE), None)
    if hypervisor is not None and is_good(hypervisor, software):
        return hypervisor.accelerator
    return (software or hypervisor or Measurement("", 0.0)).accelerator


def is_good(hypervisor: Measurement, software: Measurement | None) -> bool:
    """Whether a hypervisor may take the place of software emulation."""
    if not hypervisor.finished:
        return False
    return software is None or hypervisor.seconds <= software.seconds * CLEARLY_FASTER + MARGIN


async def measure_all(qemu: Path, compiled_in: Sequence[str]) -> tuple[Measurement, ...]:
    """Measures TCG, and then each hypervisor that this QEMU knows: one after the other, for they would share CPUs."""
    software = await measure(qemu, SOFTWARE[0], LIMIT) if SOFTWARE[0] in compiled_in else None
    # Who needs four times as long has lost already.
    limit = Duration(max(_SHORTEST_LIMIT, software.seconds * _IMPATIENCE)) if software and software.finished else LIMIT
    measured = [software] if software else []
    for name in _HYPERVISORS:
        if name not in compiled_in:
            continue
        closed = closed_device(name)
        best = Measurement(name, 0.0, closed) if closed else await _best(qemu, name, limit, software)
        measured.append(best)
    return tuple(measured)


async def _best(qemu: Path, name: str, limit: Duration, software: Measurement | None) -> Measurement:
    best = await measure(qemu, name, limit)
    for _ in range(TRIES - 1):
        if not best.finished or is_good(best, software):
            break
        best = min(best, await measure(qemu, name, limit), key=lambda m: (not m.finished, m.seconds))
    return best


def closed_device(accelerator: str, device: Path = Path("/dev/kvm")) -> str:
    """Why *accelerator* can't even be tried; empty when it can."""
    if accelerator != "kvm" or os.access(device, os.R_OK | os.W_OK):
        return ""
    if not device.exists():
        return f"there is no {device}"
    return f"{device} may not be opened by this user"


async def measure(qemu: Path, accelerator: str, limit: Duration) -> Measurement:
    """Runs the guest once, with the CPU model that builds use. Never raises for an accelerator that does not work."""
    told: list[str] = []
    with tempfile.NamedTemporaryFile(prefix="factory-probe-", suffix=".raw") as disk:
        disk.write(GUEST)
        disk.flush()
        argv = [
            str(qemu), "-machine", "pc", "-accel", accelerator, "-nodefaults", "-no-user-config", "-display", "none",
            "-cpu", "max" if accelerator in SOFTWARE else "host", "-m", "64", "-drive",
            f"file={disk.name},format=raw,if=ide", "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
            "-debugcon", "stdio",
        ]  # fmt: skip
        deadline = Deadline.after(limit, f"a guest of 512 bytes under {accelerator}")
        try:
            result = await run(argv, deadline=deadline, ok=None, on_stdout_line=told.append)
        except DeadlineExpired:
            reached = "nothing" if "R" not in told else "real mode" if "L" not in told else "long mode"
            return Measurement(accelerator, float(limit), f"not done after {limit}; it reached {reached}")
    if result.exit_status != FINISHED or told != ["R", "L", "S"]:
        said = [line for line in result.stderr.splitlines() if line.strip()]
        return Measurement(
            accelerator, result.seconds, said[-1] if said else f"QEMU ended with status {result.exit_status}"
        )
    return Measurement(accelerator, round(result.seconds, 3))


def identity(qemu: Path, boot_id: str) -> Mapping[str, str]:
    """What a verdict depends on: this boot of the host, this QEMU, and whether ``/dev/kvm`` may be opened."""
    status = qemu.stat()
    return {
        "boot": boot_id,
        "qemu": str(qemu),
        "qemu_file": f"{status.st_size}:{status.st_mtime_ns}:{status.st_ino}",
        "kvm": closed_device("kvm"),
        "guest": digest_of(GUEST)[:16],
    }
