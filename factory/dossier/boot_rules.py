"""Rules for guests that do not start: nothing to boot, reboots without end, too little speed, QEMU's own end."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

from factory.dossier.record import Entry, Record, readable
from factory.dossier.verdict import SEED_WAIT, Quote, Verdict, find, installing, let_in, shorten, waited
from factory.drivers.protocols import LOOP, reboots
from factory.quantity import Duration

LOOPING = 3
"""So many reboots within ``LOOP`` during one wait are no accident."""
WORK = 32 * 1024
"""Bytes a second, of disks and network: what a guest at work carries at least, as ``steps/watch`` counts."""
_LATE = 10.0
"""Seconds at the end of a wait, or more, by which it is judged: what is told last may be of a moment."""

_NOT_BOOTABLE = (
    re.compile(r"No bootable device", re.IGNORECASE),
    re.compile(r"BdsDxe: No bootable option or device was found"),
    re.compile(
        r"(?:Missing operating system|Operating System not found|Invalid partition table|Error loading operating)"
    ),
    re.compile(r"^grub rescue>", re.MULTILINE),
    re.compile(r"^(?:Shell> *$|UEFI Interactive Shell)", re.MULTILINE),
    re.compile(r"isolinux\.bin missing or corrupt|Failed to load ldlinux"),
)

_BOOTED = re.compile(r"\bLinux version \d|^\[ +\d+\.\d{6}\] |\blogin: *$|\bReached target\b", re.MULTILINE)
"""A system has started."""


def no_bootable_device(record: Record) -> Verdict | None:
    found = find(record, _NOT_BOOTABLE, logs=False)
    if not waited(record) or let_in(record) or not found or _booted_since(record):
        return None
    if installing(record):
        sentence = "The machine found nothing to boot: the installer's ISO is not bootable with this firmware."
        advice = (
            "is the ISO whole, and made for this firmware? Try `machine.firmware: bios` or `uefi`",
            "`factory init ISO` says what an ISO is and how it boots",
        )
    else:
        sentence = "The machine found nothing to boot on its disks: the installation left no boot loader there."
        advice = (
            "did the seed install a boot loader, on the first disk, for this firmware (`machine.firmware`)?",
            "with UEFI, a guest that keeps no boot entries needs \\EFI\\BOOT\\BOOTX64.EFI",
        )
    return Verdict("no-bootable-device", sentence, advice, (found[1],))


def _booted_since(record: Record) -> bool:
    """Whether a system started after the last sign that there was none: a shell of the firmware may go on by itself."""
    signs, booted, showed = [0.0], [0.0], False
    for event in record.since_start:
        if event.name not in ("serial_output", "screen_changed"):
            continue
        text = readable(event.text("text"))
        shows = any(pattern.search(text) for pattern in _NOT_BOOTABLE)
        if shows and not (showed and event.name == "screen_changed"):  # it may stay there while a serial line goes on
            signs.append(event.time)
        if event.name == "screen_changed":
            showed = shows
        if _BOOTED.search(text):
            booted.append(event.time)
    return booted[-1] > signs[-1]


def reboot_loop(record: Record) -> Verdict | None:
    begun = record.last("step_started")
    times = reboots(
        e.time
        for e in record.recent("qmp_event")
        if e.text("name") == "RESET" and '"guest": true' in e.text("data") and (begun is None or e.time >= begun.time)
    )
    lately = [at for at in times if times[-1] - at <= LOOP]
    if record.kind == "StepError" or not waited(record) or len(lately) < LOOPING:
        return None
    took = Duration(round(lately[-1] - lately[0], 1))
    said = [line for line in record.serial.splitlines() if line.strip()]
    who = "installer" if installing(record) else "guest"
    return Verdict(
        "reboot-loop",
        f"The {who} rebooted {len(lately)} times in {took} instead of starting up.",
        (
            "look at the last words on the serial line before each reboot: a kernel that can't be loaded, a triple "
            "fault or a watchdog restarts a machine without a word",
            "is the installation whole, and does the CPU model (`machine.cpu`) have what its kernel needs?",
        ),
        (Quote("the serial line", "\n".join(map(shorten, said[-3:]))),) if said else (),
    )


def too_slow(record: Record) -> Verdict | None:
    """The time was up for a guest that got on until then: nothing was wrong but its speed.

    Only where its own progress was awaited: a text that does not come is no sign of a slow guest.
    """
    if not _out_of_time(record) or not _awaits_progress(record):
        return None
    work = record.recent("machine_activity")
    if not work or not _gets_on(work):
        return None
    last, accelerator = work[-1], record.accelerator or "its accelerator"
    emulated = accelerator == "tcg"
    how = "is emulated (tcg), without help of the CPU" if emulated else f"runs with {accelerator}"
    slow = (
        "nothing here is quicker than emulation: `factory doctor` says why; build where /dev/kvm works"
        if emulated
        else f"is {accelerator} the quickest accelerator here? `factory doctor` measures them"
    )
    return Verdict(
        "too-slow",
        f"The guest was still working when its time was up: it {how}, and needed longer than the deadline.",
        (slow, f"give it more time: raise {_deadline(record)}", "give the machine more CPUs (`machine.cpus`)"),
        (Quote("its last minute", describe_activity(last)),),
    )  # fmt: skip


def _out_of_time(record: Record) -> bool:
    """A connection that is given up when its time is up says so in a deadline's words."""
    expired = record.kind == "GuestUnreachable" and re.match(r"waited \S+ for |no SSH server answered", record.message)
    return record.kind == "DeadlineExpired" or bool(expired)


_PROGRESS = frozenset({"await-seed-fetch", "await-power-off", "connect-guest", "verify-images"})
"""Steps that wait until a guest has got so far by its own work."""


def _awaits_progress(record: Record) -> bool:
    step = record.failed_step
    name = step.text("step") if step else ""
    return name in _PROGRESS or bool(SEED_WAIT.match(record.message))


_DEADLINES = {
    "await-seed-fetch": "`install.seed_deadline`",
    "await-power-off": "`install.deadline`",
    "type-boot-command": "the budget of the wait in the boot command",
    "connect-guest": "`access.ssh.deadline` (or `access.winrm.deadline`)",
    "run-provisioner": "the `timeout` of this provisioner",
    "shut-down": "`shutdown.deadline`",
    "verify-images": "`verify.deadline`",
}
"""Which field of a template says how long a step may take."""


def _deadline(record: Record) -> str:
    step = record.failed_step
    return _DEADLINES.get(step.text("step") if step else "", "the deadline that expired")


def stalled(record: Record) -> Verdict | None:
    if record.kind != "MachineStalled":
        return None
    who = "installer" if installing(record) else "guest"
    work = record.last("machine_activity")
    lines = [line for line in (record.screen or record.serial).splitlines() if line.strip()]
    shown = (Quote("what it showed last", "\n".join(map(shorten, lines[-6:]))),) if lines else ()
    return Verdict(
        "stalled",
        f"The {who} {_how_it_stalled(record.message)}.",
        (
            "look at the picture of the screen: does it wait for an answer, or did it stop in the middle of a line?",
            "if it was at work on something that neither reads, writes nor computes, raise `stall`",
        ),
        (*((Quote("its activity", describe_activity(work)),) if work else ()), *shown),
    )


def _how_it_stalled(message: str) -> str:
    """A stall's own words, without what was waited for: the step says that."""
    said = message.partition(", the guest ")[2].partition("; ")[0]
    return _first_sentence(said or f"hung: {message}")


def machine_silent(record: Record) -> Verdict | None:
    if record.kind != "MachineSilent":
        return None
    why = re.search(r"QEMU does not answer: its process (\d+) ([^;]+)", record.message)
    said = f"its process {why[1]} {why[2]}" if why else _first_sentence(record.message)
    hint = record.broke.text("hint") if record.broke else ""
    return Verdict("machine-silent", f"QEMU does not answer: {said}.", tuple(filter(None, (hint,))))


def machine_died(record: Record) -> Verdict | None:
    if record.kind != "MachineDied":
        return None
    ended = record.last("machine_ended")
    stderr = (record.broke.text("stderr") if record.broke else "") or (ended.text("stderr") if ended else "")
    hint = record.broke.text("hint") if record.broke else ""
    lines = [line for line in stderr.splitlines() if line.strip()][-4:]
    statuses = (int(entry.number("exit_status")) for entry in (ended, record.broke) if entry)
    sentence, advice = _death(record, next(filter(None, statuses), 0), stderr)
    repeat = "the report has the exact command line: paste it to see QEMU fail again"
    quotes = (Quote("QEMU", "\n".join(lines)),) if lines else ()
    return Verdict("machine-died", sentence, (*advice, *filter(None, (hint,)), repeat), quotes)


_CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS}
)
"""Signals that a process brings upon itself, by a fault of its own."""


def _death(record: Record, status: int, stderr: str) -> tuple[str, tuple[str, ...]]:
    """How QEMU ended, and what to try."""
    number = -status if status < 0 else status - 128 if status > 128 else 0
    try:
        name = signal.Signals(number).name if number else ""
    except ValueError:
        name = "of no known name"
    if number == signal.SIGKILL:
        return (
            "QEMU was killed (signal 9): by the kernel for want of memory, or by somebody.",
            ("look for an out-of-memory kill in `dmesg`; give the machine less memory, or end something",),
        )
    said = f": {_first_sentence(stderr.strip().splitlines()[-1])}" if stderr.strip() else " and said nothing"
    if number in _CRASHES:
        return f"QEMU itself crashed (signal {number}, {name}){said}.", (
            "it is a fault of QEMU's or its accelerator's, not of the guest's: `coredumpctl info` shows where it "
            "crashed, if core dumps are kept; report it to whoever made the package",
            "does it crash with another `machine.type` or accelerator (`factory doctor` lists them), or a newer QEMU?",
        )
    if number:
        return f"QEMU was ended by signal {number} ({name}){said}.", ("who, or what, sent that signal?",)
    if not stderr.strip() and status:
        return f"QEMU itself ended with status {status}{said}.", ()
    return f"QEMU itself ended: {_first_sentence(record.message.partition(': ')[2] or record.message)}.", ()


def describe_activity(entry: Entry) -> str:
    """One ``machine_activity`` in words."""
    parts = [f"disk {_bytes(entry.number('disk'))}", f"network {_bytes(entry.number('network'))}"]
    parts += [f"serial {_bytes(entry.number('serial'))}"]
    changes = int(entry.number("screen"))
    parts += [f"screen {changes} change{'s' if changes > 1 else ''}"] if changes else []
    parts += [f"CPU {entry.number('cpu'):.0%}"]
    quiet = entry.number("quiet")
    still = f"; nothing has moved for {Duration(quiet)}" if quiet >= 1 else ""
    return f"in {Duration(max(0.1, entry.number('seconds')))}: {', '.join(parts)}{still}"


def _gets_on(work: Sequence[Entry]) -> bool:
    """Whether it has carried or said something until the end. CPU time alone is no work: a boot menu spins, too."""
    late: list[Entry] = []
    for entry in reversed(work):
        if entry.text("awaited") != work[-1].text("awaited") or sum(e.number("seconds") for e in late) >= _LATE:
            break
        late.append(entry)
    seconds = max(sum(e.number("seconds") for e in late), 0.1)
    carried = sum(e.number("disk") + e.number("network") for e in late) / seconds >= WORK
    moved = carried or any(e.number("serial") > 0 or e.number("screen") > 0 for e in late)
    return moved and work[-1].number("quiet") <= seconds / 2


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def _first_sentence(text: str) -> str:
    return shorten(text.strip().splitlines()[0].rstrip(".")) if text.strip() else "it said nothing"
