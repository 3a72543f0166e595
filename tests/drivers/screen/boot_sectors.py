"""Guests of one sector: 512 bytes that the BIOS loads at 0x7C00 and runs in real mode.

Written as bytes, one instruction per line, with labels for jumps: no assembler is needed, and every line says what it
does. ``E9`` is QEMU's debug console: what the guest sends there arrives on the host byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable

Line = str
"""``"31 C0 ; comment"``, ``"label:"``, a jump ``"75 ->label"`` (E8 and E9: 16 bits), an address ``@label``."""


def assemble(lines: Iterable[Line]) -> bytes:
    """Turns lines into a boot sector. Raises: ValueError when a jump is too far or the code too long."""
    code = bytearray()
    labels: dict[str, int] = {}
    jumps: list[tuple[int, str, int]] = []
    for line in lines:
        text = line.split(";")[0].strip()
        if text.endswith(":"):
            labels[text[:-1]] = len(code)
            continue
        for word in text.split():
            if word.startswith("->"):
                width = 2 if code[-1] in (0xE8, 0xE9) else 1
                code += bytes(width)
                jumps.append((len(code), word[2:], width))
            elif word.startswith("@"):  # the address of a label, as a 16-bit word
                jumps.append((len(code) + 2, word, 0))
                code += bytes(2)
            else:
                code += bytes.fromhex(word)
    for end, name, width in jumps:
        if width == 0:
            code[end - 2 : end] = (0x7C00 + labels[name[1:]]).to_bytes(2, "little")
        else:
            code[end - width : end] = (labels[name] - end).to_bytes(width, "little", signed=True)
    if len(code) > 510:
        raise ValueError(f"{len(code)} bytes do not fit into a boot sector")
    return bytes(code).ljust(510, b"\0") + b"\x55\xaa"


SET_UP = (
    "31 C0            ; xor ax, ax",
    "8E D8            ; mov ds, ax",
    "8E C0            ; mov es, ax",
    "8E D0            ; mov ss, ax",
    "BC 00 7C         ; mov sp, 0x7c00",
)


def echo(*, text_mode: int | None = None, lose_every: int = 0, silent: bool = False, star: bool = False) -> bytes:
    """Waits for keys with INT 16h, prints each on the screen and sends it to the debug console.

    Backspace wipes the character left of the cursor; Enter goes to a new line.

    Args:
        text_mode: a BIOS video mode to set first.
        lose_every: of so many keys one is thrown away before it is seen by anyone (a guest that loses keys).
        silent: prints nothing, as at a password prompt.
        star: prints a star for each key, as others do.
    """
    lose = (
        "FE 0E @counter   ; dec byte [counter]",
        "75 ->keep        ; jnz keep",
        f"C6 06 @counter {lose_every:02X} ; mov byte [counter], lose_every",
        "EB ->next        ; jmp next: this key is lost",
        "keep:",
    )
    mode = () if text_mode is None else (f"B8 {text_mode:02X} 00   ; mov ax, mode", "CD 10            ; int 0x10")
    return assemble(
        (
            *SET_UP,
            *mode,
            f"B0 {ord('R'):02X}            ; mov al, 'R': ready",
            "E6 E9            ; out 0xe9, al",
            "next:",
            "B4 00            ; mov ah, 0: wait for a key",
            "CD 16            ; int 0x16",
            "84 C0            ; test al, al: arrows and function keys have no character",
            "74 ->next        ; jz next",
            *(lose if lose_every else ()),
            "E6 E9            ; out 0xe9, al",
            *(("EB ->next        ; jmp next",) if silent else ()),
            *(("B0 2A            ; mov al, '*'",) if star else ()),
            "B4 0E            ; mov ah, 0x0e: teletype",
            "BB 07 00         ; mov bx, 7",
            "CD 10            ; int 0x10",
            "3C 08            ; cmp al, 8: backspace moved the cursor only",
            "75 ->line        ; jne line",
            "B0 20            ; mov al, ' '",
            "CD 10            ; int 0x10",
            "B0 08            ; mov al, 8",
            "CD 10            ; int 0x10",
            "EB ->next        ; jmp next",
            "line:",
            "3C 0D            ; cmp al, 13",
            "75 ->next        ; jne next",
            "B0 0A            ; mov al, 10",
            "CD 10            ; int 0x10",
            "EB ->next        ; jmp next",
            "counter:",
            f"{lose_every or 1:02X}",
        )
    )


def late_prompt(keys: int) -> bytes:
    """Throws away so many keys on an empty screen, then prints "boot: " and edits a line, as a loader that starts late.

    Backspace does not go back beyond the prompt.
    """
    return assemble(
        (
            *SET_UP,
            "B8 03 00         ; mov ax, 3: 80x25, cleared",
            "CD 10            ; int 0x10",
            "B0 52            ; mov al, 'R'",
            "E6 E9            ; out 0xe9, al",
            f"B9 {keys:02X} 00         ; mov cx, keys",
            "lost:",
            "B4 00            ; mov ah, 0: wait for a key",
            "CD 16            ; int 0x16",
            "E2 ->lost        ; loop lost",
            "BB 07 00         ; mov bx, 7",
            "BE @prompt       ; mov si, prompt",
            "show:",
            "AC               ; lodsb",
            "84 C0            ; test al, al",
            "74 ->next        ; jz next",
            "B4 0E            ; mov ah, 0x0e: teletype",
            "CD 10            ; int 0x10",
            "EB ->show        ; jmp show",
            "next:",
            "B4 00            ; mov ah, 0: wait for a key",
            "CD 16            ; int 0x16",
            "B4 0E            ; mov ah, 0x0e",
            "3C 08            ; cmp al, 8",
            "74 ->back        ; je back",
            "CD 10            ; int 0x10",
            "41               ; inc cx: characters behind the prompt",
            "EB ->next        ; jmp next",
            "back:",
            "E3 ->next        ; jcxz next: nothing to wipe",
            "49               ; dec cx",
            "CD 10            ; int 0x10",
            "B0 20            ; mov al, ' '",
            "CD 10            ; int 0x10",
            "B0 08            ; mov al, 8",
            "CD 10            ; int 0x10",
            "EB ->next        ; jmp next",
            "prompt:",
            f"{b'boot: '.hex(' ')} 00",
        )
    )


def scan_codes() -> bytes:
    """Sends what the keyboard controller delivers (scan code set 1) to the debug console, byte for byte."""
    return assemble(
        (
            *SET_UP,
            "FA               ; cli: the BIOS must not take them",
            "B0 52            ; mov al, 'R'",
            "E6 E9            ; out 0xe9, al",
            "again:",
            "E4 64            ; in al, 0x64",
            "A8 01            ; test al, 1: anything there?",
            "74 ->again       ; jz again",
            "E4 60            ; in al, 0x60",
            "E6 E9            ; out 0xe9, al",
            "EB ->again       ; jmp again",
        )
    )


def deaf() -> bytes:
    """Never looks at the keyboard, with interrupts off."""
    return assemble(
        (*SET_UP, "FA ; cli", "B0 52 ; mov al, 'R'", "E6 E9 ; out 0xe9, al", "stop:", "EB ->stop ; jmp stop")
    )


def own_glyph(code: int, glyph: bytes, text: bytes) -> bytes:
    """Loads another glyph (8x16) for *code* into the card's font, and shows *text* on the first line."""
    return assemble(
        (
            *SET_UP,
            "B8 03 00         ; mov ax, 3: 80x25, cleared",
            "CD 10            ; int 0x10",
            "B8 00 11         ; mov ax, 0x1100: load glyphs",
            "BB 00 10         ; mov bx, 0x1000: of 16 rows, into block 0",
            "B9 01 00         ; mov cx, 1: one",
            f"BA {code:02X} 00         ; mov dx, code",
            "BD @glyph        ; mov bp, glyph",
            "CD 10            ; int 0x10",
            "B8 00 B8         ; mov ax, 0xb800",
            "8E C0            ; mov es, ax",
            "31 FF            ; xor di, di",
            "BE @text         ; mov si, text",
            "B4 07            ; mov ah, 7: grey on black",
            f"B9 {len(text):02X} 00         ; mov cx, length",
            "again:",
            "AC               ; lodsb",
            "AB               ; stosw",
            "E2 ->again       ; loop again",
            "B0 52            ; mov al, 'R'",
            "E6 E9            ; out 0xe9, al",
            "stop:",
            "F4               ; hlt",
            "EB ->stop        ; jmp stop",
            "text:",
            text.hex(" "),
            "glyph:",
            glyph.hex(" "),
        )
    )


def two_pages(first: bytes, second: bytes, offset: int, *, turned: bool = False) -> bytes:
    """Writes *first* at the beginning of the text memory and *second* at *offset*, and shows what begins there.

    Args:
        offset: in bytes. The BIOS has its page 1 of 80x25 at 0x1000, which is no whole number of lines.
        turned: loads a font first in which each row of each glyph is turned around by one pixel.
    """
    font = (
        "B8 30 11         ; mov ax, 0x1130: where the font is",
        "B7 06            ; mov bh, 6: of 8x16",
        "CD 10            ; int 0x10: es:bp",
        "06               ; push es",
        "1F               ; pop ds",
        "89 EE            ; mov si, bp",
        "31 C0            ; xor ax, ax",
        "8E C0            ; mov es, ax",
        "BF 00 80         ; mov di, 0x8000",
        "B9 00 10         ; mov cx, 4096",
        "turn:",
        "AC               ; lodsb",
        "D0 C0            ; rol al, 1",
        "AA               ; stosb",
        "E2 ->turn        ; loop turn",
        "31 C0            ; xor ax, ax",
        "8E D8            ; mov ds, ax",
        "BD 00 80         ; mov bp, 0x8000",
        "B8 00 11         ; mov ax, 0x1100: load glyphs",
        "BB 00 10         ; mov bx, 0x1000: of 16 rows, into block 0",
        "B9 00 01         ; mov cx, 256",
        "31 D2            ; xor dx, dx",
        "CD 10            ; int 0x10",
    )
    start = offset // 2

    def text(label: str, length: int) -> tuple[Line, ...]:
        return (
            f"BE @{label}      ; mov si, label",
            f"B9 {length:02X} 00         ; mov cx, length",
            f"{label}_again:",
            "AC               ; lodsb",
            "AB               ; stosw",
            f"E2 ->{label}_again ; loop",
        )

    return assemble(
        (
            *SET_UP,
            "FC               ; cld",
            "B8 03 00         ; mov ax, 3: 80x25, cleared",
            "CD 10            ; int 0x10",
            *(font if turned else ()),
            "B8 00 B8         ; mov ax, 0xb800",
            "8E C0            ; mov es, ax",
            "31 FF            ; xor di, di",
            "B8 20 07         ; mov ax, 0x0720: a blank",
            "B9 00 40         ; mov cx, 16384",
            "F3 AB            ; rep stosw",
            "31 FF            ; xor di, di",
            *text("first", len(first)),
            f"BF {offset & 255:02X} {offset >> 8:02X}         ; mov di, offset",
            *text("second", len(second)),
            "BA D4 03         ; mov dx, 0x3d4: the CRT controller",
            f"B8 0C {start >> 8:02X}         ; mov ax, start's high byte",
            "EF               ; out dx, ax",
            f"B8 0D {start & 255:02X}         ; mov ax, start's low byte",
            "EF               ; out dx, ax",
            "B0 52            ; mov al, 'R'",
            "E6 E9            ; out 0xe9, al",
            "stop:",
            "F4               ; hlt",
            "EB ->stop        ; jmp stop",
            "first:",
            first.hex(" "),
            "second:",
            second.hex(" "),
        )
    )


def all_codes(*, rows_of_8: bool = False, columns: int = 80, start_line: int = 0) -> bytes:
    """Shows every code 0 … 255 in 256 different colours, on lines of their own, below a title that says "CODES".

    Args:
        rows_of_8: with the 8x8 font, that is 50 rows.
        columns: 80, or 132 by programming the CRT controller.
        start_line: how many lines the screen's start is moved down in the card's memory, as Linux does to scroll.
    """
    line = columns * 2
    begin = start_line * line

    def register(index: int, value: int) -> tuple[Line, ...]:
        return (f"B8 {index:02X} {value:02X}   ; mov ax, value << 8 | index", "EF            ; out dx, ax")

    font = ("B8 12 11         ; mov ax, 0x1112: 8x8 font", "B3 00  ; mov bl, 0", "CD 10 ; int 0x10")
    start = begin // 2
    title = "".join(f"{ord(c):02X} 1E " for c in "CODES")
    return assemble(
        (
            *SET_UP,
            "B8 03 00         ; mov ax, 3: 80x25",
            "CD 10            ; int 0x10",
            *(font if rows_of_8 else ()),
            "BA D4 03         ; mov dx, 0x3d4",
            *register(0x11, 0x0E),  # unlocks registers 0 … 7
            *(register(0x01, columns - 1) + register(0x13, columns // 2) if columns != 80 else ()),
            *register(0x0C, start >> 8),
            *register(0x0D, start & 0xFF),
            "B8 00 B8         ; mov ax, 0xb800",
            "8E C0            ; mov es, ax",
            "31 FF            ; xor di, di",
            "B8 20 07         ; mov ax, 0x0720: blanks everywhere",
            "B9 00 40         ; mov cx, 0x4000",
            "F3 AB            ; rep stosw",
            "BE @title        ; mov si, title",
            f"BF {begin & 0xFF:02X} {begin >> 8:02X}         ; mov di, the first line shown",
            "B9 05 00         ; mov cx, 5",
            "F3 A5            ; rep movsw",
            f"BF {(begin + line) & 0xFF:02X} {(begin + line) >> 8:02X}         ; mov di, the second",
            "31 C0            ; xor ax, ax",
            "again:",
            "50               ; push ax",
            "88 C4            ; mov ah, al: the attribute is the code",
            "80 E4 7F         ; and ah, 0x7f: but does not blink",
            "AB               ; stosw",
            "58               ; pop ax",
            "FE C0            ; inc al",
            "75 ->again       ; jnz again",
            "B0 52            ; mov al, 'R'",
            "E6 E9            ; out 0xe9, al",
            "stop:",
            "F4               ; hlt",
            "EB ->stop        ; jmp stop",
            "title:",
            title,
        )
    )
