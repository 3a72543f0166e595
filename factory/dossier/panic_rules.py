"""Rules for guests whose system has stopped itself: panics of kernels, Windows' stop screen."""

from __future__ import annotations

import re
from collections.abc import Iterable

from factory.dossier.record import Record
from factory.dossier.verdict import Quote, Verdict, find, installing, shorten, waited

_PANIC = (
    # Linux, where a line or what the kernel prints begins: another text without an end may stand before its time
    re.compile(
        r"(?:^(?:<\d+>)?|\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? )Kernel panic - not syncing: *([^\n]+)", re.MULTILINE
    ),
    # FreeBSD, OpenBSD, NetBSD: what follows tells it from a program in Go, which says "panic: " as well
    re.compile(
        r"^panic: ([^\n]+)(?=\n(?:[^\n]*\n){0,4}?(?:cpuid = \d|KDB: |Stopped at |Uptime: |cpu\d+: Begin traceback))",
        re.MULTILINE,
    ),
)
_PANIC_ADVICE = (
    (
        r"root fs|VFS:|root device",
        "it did not find its root file system: compare `root=` on its command line with the disk, and check that its "
        "initrd has the driver for the disk's bus (`machine.disks[].bus`)",
    ),
    (
        r"init|exitcode",
        "its first program ended or is missing: look at the lines before the panic, is the initrd whole?",
    ),
    (
        r"IO-APIC|timer doesn't work",
        "this computer was too busy for the emulated timer: build again when it is quieter, or add `no_timer_check` to "
        "the kernel's command line (`install.kernel_args`)",
    ),
    (r"memory|Out of memory|System is deadlocked", "give the machine more memory (`machine.memory`)"),
)
_UP = re.compile(r"\blogin: *$|\bReached target [^\n]*(?:Multi-User|Graphical|Login)", re.MULTILINE)
"""A system that is up and waits for somebody."""

_STOP_SCREEN = (
    re.compile(r"^ *Your (?:device|PC) ran into a problem\b", re.MULTILINE),
    re.compile(r"^ *\*\*\* STOP: (?=0x)", re.MULTILINE),
)
_STOP_CODE = re.compile(
    r"(?:Stop ?code ?: *|search online later for this error: *|\*\*\* STOP: *)([A-Z][A-Z0-9_]{4,}|0x[0-9A-Fa-f]{1,16})",
    re.IGNORECASE,
)
_STOP_ADVICE = (
    (
        r"INACCESSIBLE_BOOT_DEVICE|0x0*7B\b",
        "it has no driver for the disk that it starts from: load one in its answer file, or try another "
        "`machine.disks[].bus`",
    ),
    (
        r"HAL_INITIALIZATION_FAILED|KMODE_EXCEPTION_NOT_HANDLED|UNSUPPORTED_PROCESSOR|0x0*(?:5C|1E|5D)\b",
        "it wants more of the CPU or the firmware than this machine has: try another `machine.cpu` or "
        "`machine.firmware`",
    ),
    (r"MEMORY|0x0*(?:1A|2D)\b", "give the machine more memory (`machine.memory`)"),
)


def kernel_panic(record: Record) -> Verdict | None:
    found = find(record, _PANIC, logs=False)
    told = any(e.text("name") == "GUEST_PANICKED" for e in record.recent("qmp_event"))
    if not waited(record) or not (found or told):
        return None
    if found and not told and _came_up_since(record):
        return None
    who = "installer" if installing(record) else "guest"
    if found is None:
        return Verdict("kernel-panic", f"The {who}'s kernel panicked.", ("look at the screen and the serial line",))
    match, quote = found
    reason = shorten(re.sub(r"\s*\]-+$", "", match[1].strip()).rstrip(". ") or "no reason given")
    advice = [text for pattern, text in _PANIC_ADVICE if re.search(pattern, reason)][:1]
    context = _before(match)
    return Verdict(
        "kernel-panic",
        f"The {who}'s kernel panicked: {reason}.",
        (*advice, "the last lines on the serial line say what it did before; a kernel that boots elsewhere may lack a "
         "driver for this machine's devices"),
        (quote, *([Quote("the lines before", context)] if context else [])),
    )  # fmt: skip


def _before(match: re.Match[str]) -> str:
    lines = [line for line in match.string[: match.start()].splitlines()[:-1] if line.strip()][-3:]
    return "\n".join(shorten(line) for line in lines)


def windows_stop(record: Record) -> Verdict | None:
    found = next((f for pattern in _STOP_SCREEN if (f := find(record, (pattern,), logs=False))), None)
    if not waited(record) or found is None:
        return None
    match, quote = found
    behind = " ".join(match.string[match.start() :].split())
    code = _STOP_CODE.search(behind)
    what = code[1] if code else ""
    advice = [text for pattern, text in _STOP_ADVICE if re.search(pattern, what, re.IGNORECASE)][:1]
    who = "installer's" if installing(record) else "guest's"
    return Verdict(
        "windows-stop",
        f"The {who} Windows stopped itself, with {f'the stop code {what}' if what else 'no code that can be read'}.",
        (*advice, 'Microsoft\'s list of stop codes ("bug check code reference") says what it means'),
        (quote, *([Quote("its stop code", shorten(code[0]))] if code else [])),
    )


def _came_up_since(record: Record) -> bool:
    """Whether a system has come up where one had panicked before: what ended the build came later."""
    screens = [e.text("text") for e in record.recent("screen_changed")]
    serial = record.serial
    if (panicked := _last_of(_PANIC, serial)) >= 0:
        return _last_of((_UP,), serial) > panicked
    at = max((i for i, text in enumerate(screens) if _last_of(_PANIC, text) >= 0), default=-1)
    if at < 0 or _last_of((_UP,), screens[at]) > _last_of(_PANIC, screens[at]):
        return at >= 0
    return any(_UP.search(text) for text in screens[at + 1 :])


def _last_of(patterns: Iterable[re.Pattern[str]], text: str) -> int:
    """Where the last match begins; -1 without one."""
    return max((match.start() for pattern in patterns for match in pattern.finditer(text)), default=-1)
