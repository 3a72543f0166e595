"""Systems that stop themselves, and those that have come up since, by journals alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dossier.test_record import BOOTED, PHASE, broke, event, serial, verdict

pytestmark = pytest.mark.unit

PANIC = "[    1.2] x\n[    1.234567] Kernel panic - not syncing: VFS: no root\n[    1.24] ---[ end Kernel panic ]---\n"
AGAIN = "[    0.000000] Linux version 6.1\n[    3.1] Reached target Multi-User System\ndebian login: \n"
REFUSED = broke("GuestUnreachable", "waited 5m for SSH", layer="refused")


def screen(text: str, at: float = 60) -> dict[str, object]:
    return event("screen_changed", at, sense="vga", text=text)


@pytest.mark.parametrize(
    "lines",
    [
        [serial(PANIC + AGAIN)],
        [serial(PANIC), serial(AGAIN)],
        [screen(PANIC, 40), screen("debian 12\ndebian login: ", 50)],
    ],
)
def test_a_panic_before_a_system_that_came_up_is_not_the_cause(tmp_path: Path, lines: list[dict[str, object]]) -> None:
    assert verdict(tmp_path, PHASE, BOOTED, *lines, REFUSED).rule != "kernel-panic"


@pytest.mark.parametrize(
    "lines",
    [
        [serial(PANIC)],
        [serial(AGAIN + PANIC)],
        [serial(PANIC + AGAIN + PANIC)],
        [serial(PANIC + "[    0.000000] Linux version 6.1\n")],  # it has not come far yet
        [screen("debian login: ", 40), screen(PANIC, 50)],
        [serial(PANIC), screen("debian login: ")],  # the kernel says on one of its consoles alone that it panicked
        [serial(PANIC + AGAIN), event("qmp_event", 70, name="GUEST_PANICKED", data="{}")],
    ],
)
def test_a_panic_that_nothing_came_up_after_is(tmp_path: Path, lines: list[dict[str, object]]) -> None:
    assert verdict(tmp_path, PHASE, BOOTED, *lines, REFUSED).rule == "kernel-panic"


@pytest.mark.parametrize(
    ("text", "code", "advice"),
    [
        ("Your PC ran into a problem and needs to restart. We'll\nrestart for you.\n\n20% complete\n\nStop code:\n"
         "CRITICAL_PROCESS_DIED", "CRITICAL_PROCESS_DIED", "bug check code"),
        ("Your device ran into a problem and needs to restart.\nStop code: MEMORY_MANAGEMENT (0x1A)",
         "MEMORY_MANAGEMENT", "machine.memory"),
        ("Your PC ran into a problem that it couldn't handle, and now it needs to restart.\nYou can search online later"
         " for this error: HAL_INITIALIZATION_FAILED", "HAL_INITIALIZATION_FAILED", "machine.cpu"),
        ("*** STOP: 0x0000007B (0xF78D2524,0xC0000034)", "0x0000007B", "machine.disks[].bus"),
    ],
)  # fmt: skip
def test_windows_stop_screen_is_told_with_its_code(tmp_path: Path, text: str, code: str, advice: str) -> None:
    found = verdict(tmp_path, PHASE, BOOTED, screen(text), REFUSED)
    assert (found.rule, found.sentence) == (
        "windows-stop",
        f"The guest's Windows stopped itself, with the stop code {code}.",
    )
    assert advice in found.advice[0]


@pytest.mark.parametrize(
    ("status", "sentence", "advice"),
    [
        (-11, "QEMU itself crashed (signal 11, SIGSEGV) and said nothing.", "coredumpctl"),
        (139, "QEMU itself crashed (signal 11, SIGSEGV) and said nothing.", "report it"),
        (-6, "QEMU itself crashed (signal 6, SIGABRT) and said nothing.", "coredumpctl"),
        (-9, "QEMU was killed (signal 9): by the kernel for want of memory, or by somebody.", "dmesg"),
        (-1, "QEMU was ended by signal 1 (SIGHUP) and said nothing.", "who, or what"),
        (1, "QEMU itself ended with status 1 and said nothing.", "command line"),
    ],
)
def test_a_qemu_that_ends_is_told_with_its_signal(tmp_path: Path, status: int, sentence: str, advice: str) -> None:
    died = broke("MachineDied", f"QEMU ended by itself (status {status}): it said nothing", exit_status=status)
    found = verdict(tmp_path, PHASE, BOOTED, died)
    assert (found.rule, found.sentence) == ("machine-died", sentence)
    assert advice in found.advice[0]
