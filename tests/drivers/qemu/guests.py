"""Guests of 512 bytes: boot sectors in 16-bit real mode, written out byte by byte.

The BIOS loads one to 0000:7C00 and jumps there. Ports: 0x3F8 COM1 data, 0x3FD its line status, 0x64 keyboard
controller, 0x604 the ACPI PM1a control register where SeaBIOS puts it on both ``pc`` and ``q35``.
"""

from __future__ import annotations

from pathlib import Path

CLI = b"\xfa"  # cli: no interrupts
HANG = b"\xf4\xeb\xfd"  # 1: hlt; jmp 1b


def sector(*code: bytes) -> bytes:
    body = b"".join(code)
    assert len(body) <= 510
    return body.ljust(510, b"\0") + b"\x55\xaa"  # the BIOS boots nothing without this mark


def say(text: str) -> bytes:
    """Writes *text* to the first serial line."""
    code = b"\xba\xf8\x03"  # mov dx, 0x3f8
    for character in text.encode():
        code += b"\xb0" + bytes([character])  # mov al, character
        code += b"\xee"  # out dx, al
    return code


RESET = (
    b"\xb0\xfe"  # mov al, 0xfe: pulse the reset line
    b"\xe6\x64"  # out 0x64, al
)
POWER_OFF = (
    b"\xba\x04\x06"  # mov dx, 0x604
    b"\xb8\x00\x20"  # mov ax, 0x2000: SLP_EN, sleep type 0, which is S5 in QEMU's tables
    b"\xef"  # out dx, ax
)
ECHO = (
    b"\xba\xfd\x03"  # 1: mov dx, 0x3fd
    b"\xec"  # in al, dx
    b"\xa8\x01"  # test al, 1: has a character come?
    b"\x74\xf8"  # jz 1b
    b"\xba\xf8\x03"  # mov dx, 0x3f8
    b"\xec"  # in al, dx
    b"\xee"  # out dx, al
    b"\xeb\xf1"  # jmp 1b
)
BLUE_SCREEN = (
    b"\xb8\x03\x00"  # mov ax, 0x0003: text mode 80x25, cleared
    b"\xcd\x10"  # int 0x10
    b"\xb8\x00\xb8"  # mov ax, 0xb800: the text memory
    b"\x8e\xc0"  # mov es, ax
    b"\x31\xff"  # xor di, di
    b"\xb8\x20\x10"  # mov ax, 0x1020: a blank on blue
    b"\xb9\xd0\x07"  # mov cx, 2000 cells
    b"\xfc"  # cld
    b"\xf3\xab"  # rep stosw
)
ALPHABET = (
    # Says a, b, c … z, a … with a pause in between: what it remembers is in a register, so in the machine's memory.
    b"\xb3\x61"  # 1: mov bl, 'a'
    b"\xb9\x00\x01"  # 2: mov cx, 256
    b"\x31\xff"  # 3: xor di, di
    b"\x4f"  # 4: dec di
    b"\x75\xfd"  # jnz 4b
    b"\xe2\xf9"  # loop 3b
    b"\xba\xf8\x03"  # mov dx, 0x3f8
    b"\x88\xd8"  # mov al, bl
    b"\xee"  # out dx, al
    b"\xfe\xc3"  # inc bl
    b"\x80\xfb\x7b"  # cmp bl, 'z' + 1
    b"\x75\xe9"  # jne 2b
    b"\xeb\xe5"  # jmp 1b
)
BUSY = (
    # Writes to every page between 64 KiB and 576 KiB, again and again.
    b"\xb8\x00\x10"  # 1: mov ax, 0x1000
    b"\x8e\xc0"  # 2: mov es, ax
    b"\x26\xff\x06\x00\x00"  # inc word [es:0]
    b"\x05\x00\x01"  # add ax, 0x100: the next page
    b"\x3d\x00\x90"  # cmp ax, 0x9000
    b"\x72\xf1"  # jb 2b
    b"\xeb\xec"  # jmp 1b
)


def disk(path: Path, *code: bytes, size: int = 2**20) -> Path:
    """A raw disk that boots *code*."""
    path.write_bytes(sector(*code))
    with path.open("r+b") as stream:
        stream.truncate(size)
    return path


FILL_DISK = (
    b"\x31\xc0"  # xor ax, ax
    b"\x8e\xd8"  # mov ds, ax
    b"\xb2\x80"  # 1: mov dl, 0x80: the first disk
    b"\xbe\x19\x7c"  # mov si, 0x7c19: the packet below
    b"\xb8\x00\x43"  # mov ax, 0x4300: extended write
    b"\xcd\x13"  # int 0x13
    b"\x66\x81\x06\x21\x7c\x80\x00\x00\x00"  # add dword [0x7c21], 128: 64 KiB on, which is another cluster
    b"\xeb\xeb"  # jmp 1b
    b"\x10\x00\x01\x00\x00\x00\x00\x10"  # packet: 16 bytes, 1 sector from 1000:0000
    b"\x00\x08\x00\x00\x00\x00\x00\x00"  # to sector 2048
)
"""Writes a sector into each 64 KiB of the disk, for ever."""
