"""Puts right what a guest that was resumed from memory can't know: how late it is, and that it is a copy.

Its clock stands where it stood at the checkpoint, so that everything that checks certificates or timestamps would fail.
Its random numbers would be those of every other guest that was resumed from the same layer; kernels that know the
machine's generation ID (Linux 5.18 with ``CONFIG_VMGENID``, Windows) make theirs anew by themselves, for the others a
small program does it. Everything is best effort: a guest without the right to do it goes on as it is, with a warning.
"""

from __future__ import annotations

import os
import secrets
import time

from factory.deadline import Deadline
from factory.drivers.protocols import GuestConnection
from factory.events import Emit, Note
from factory.quantity import Duration

_PATIENCE = Duration(30)
_SEED_BYTES = 64  # the kernel's pool holds 32
_KEPT_SEED = "/var/lib/systemd/random-seed"  # what systemd feeds to the kernel at the next boot

_CODE = bytes.fromhex(
    "488b7c2408"  # mov  rdi, [rsp+8]         argv[0], which is its own path
    "b857000000"  # mov  eax, 87              unlink
    "0f05"  # syscall
    # struct rand_pool_info on the stack: bits of entropy, bytes, the bytes themselves. random(4)
    "4881ec10020000"  # sub  rsp, 528
    "31ff"  # xor  edi, edi             standard input
    "488d742408"  # lea  rsi, [rsp+8]
    "ba00020000"  # mov  edx, 512
    "31c0"  # xor  eax, eax             read
    "0f05"  # syscall
    "85c0"  # test eax, eax
    "7e4f"  # jle  fail
    "89442404"  # mov  [rsp+4], eax         bytes
    "c1e003"  # shl  eax, 3
    "890424"  # mov  [rsp], eax           bits: all of it is entropy
    "488d3d4a000000"  # lea  rdi, [rip+path]
    "be02000000"  # mov  esi, 2               O_RDWR
    "b802000000"  # mov  eax, 2               open
    "0f05"  # syscall
    "85c0"  # test eax, eax
    "782e"  # js   fail
    "89c3"  # mov  ebx, eax
    "89df"  # mov  edi, ebx
    "be03520840"  # mov  esi, 0x40085203      RNDADDENTROPY
    "4889e2"  # mov  rdx, rsp
    "b810000000"  # mov  eax, 16              ioctl
    "0f05"  # syscall
    "85c0"  # test eax, eax
    "7817"  # js   fail
    "89df"  # mov  edi, ebx
    "be07520000"  # mov  esi, 0x5207          RNDRESEEDCRNG (Linux 4.14)
    "31d2"  # xor  edx, edx
    "b810000000"  # mov  eax, 16              ioctl
    "0f05"  # syscall
    "c1e81f"  # shr  eax, 31
    "89c7"  # mov  edi, eax             0 when it went well
    "eb05"  # jmp  leave
    "bf01000000"  # fail:  mov edi, 1
    "b83c000000"  # leave: mov eax, 60         exit
    "0f05"  # syscall
    "2f6465762f7572616e646f6d00"  # path: "/dev/urandom"
)


def reseed_program() -> bytes:
    """An x86-64 Linux program that mixes its standard input into the kernel's random numbers, at once. elf(5).

    It removes its own file.
    """
    base, headers = 0x400000, 64 + 56
    size = headers + len(_CODE)

    def word(value: int, length: int) -> bytes:
        return value.to_bytes(length, "little")

    elf = b"\x7fELF" + bytes([2, 1, 1, 0]) + bytes(8)  # 64-bit, little endian, version 1, System V
    elf += word(2, 2) + word(62, 2) + word(1, 4)  # an executable, for x86-64
    elf += word(base + headers, 8) + word(64, 8) + word(0, 8)  # entry, program header, no section header
    elf += word(0, 4) + word(64, 2) + word(56, 2) + word(1, 2) + word(64, 2) + word(0, 2) + word(0, 2)
    load = word(1, 4) + word(5, 4) + word(0, 8) + word(base, 8) * 2 + word(size, 8) * 2 + word(0x1000, 8)
    return elf + load + _CODE


def _shell_command(moment: float, program: bytes) -> str:
    """Sets the clock, then runs *program* on standard input.

    Each process costs an emulated guest a tenth of a second: what a shell can do itself it does, and the user is not
    asked for before something was refused.
    """
    path = f"factory-{secrets.token_hex(8)}"
    octal = "".join(f"\\{byte:03o}" for byte in program)
    return (
        f"c() {{ $as date -u -s @{moment:.3f} || $as date -u -s @{moment:.0f}; }} >/dev/null 2>&1; as=; "
        'c || { [ "$(id -u)" = 0 ] || as="sudo -n"; c; } || echo clock; '
        f"f=${{TMPDIR:-/tmp}}/{path}; (umask 077; set -C; printf '{octal}' >\"$f\") && "
        'chmod 0700 "$f" && $as "$f" || { echo random; rm -f "$f"; }; '
        # That one is the same in every copy too. An empty one is no seed.
        f"s={_KEPT_SEED}; "
        # Not with ":", at whose failed redirection POSIX has the whole shell end, as dash and busybox do.
        '[ ! -e $s ] || { true >$s; } 2>/dev/null || $as sh -c "true >$s" || echo random'
    )


def _windows_command(moment: float) -> str:
    return (
        f"Set-Date ([DateTimeOffset]::FromUnixTimeMilliseconds({int(moment * 1000)}).LocalDateTime) | Out-Null; "
        "if (-not $?) { 'clock' }"
    )


async def refresh(connection: GuestConnection, kind: str, emit: Emit) -> None:
    """Sets the guest's clock and makes its random numbers anew. *kind* is "SSH" or "WinRM"."""
    deadline = Deadline.after(_PATIENCE, "the resumed guest to take the time of day and new random numbers")
    program = reseed_program()
    if kind == "WinRM":
        result = await connection.run(_windows_command(time.time()), deadline=deadline)
    else:
        command = _shell_command(time.time(), program)
        result = await connection.run(command, deadline=deadline, stdin=os.urandom(_SEED_BYTES))
    failed = result.stdout.split()
    if "clock" in failed or result.exit_status not in (0, None):
        emit(Note("the resumed guest did not let its clock be set: it has the time of its checkpoint", "warning"))
    if "random" in failed:
        emit(Note("the resumed guest did not let its random numbers be made anew: they may be those of another copy",
                  "warning"))  # fmt: skip
