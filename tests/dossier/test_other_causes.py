"""Journals in which a sign of one cause stands, though another one ended the build: it must not be blamed."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.dossier.install_rules import asked_question
from factory.dossier.verdict import Verdict
from tests.dossier.test_record import (
    BOOTED,
    MACHINE,
    PHASE,
    Line,
    broke,
    event,
    said_by_a_provisioner,
    serial,
    step_failed,
    verdict,
)

pytestmark = pytest.mark.unit


def activity(**counts: float) -> Line:
    told = {"seconds": 30.0, "disk": 0, "network": 0, "serial": 0, "cpu": 1.0, "quiet": 0.0, "screen": 0}
    return event("machine_activity", 85, awaited="it", **(told | counts))


WORKS = activity(disk=2**24)
SPINS = activity(quiet=29.0)
INSTALLS = broke(message="waited 5m for the installer to finish")


# --- too slow -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "error", "work", "is_slow"),
    [
        ("await-power-off", INSTALLS, WORKS, True),
        ("await-power-off", INSTALLS, activity(serial=900), True),
        ("await-power-off", INSTALLS, activity(screen=3), True),
        ("type-boot-command", broke(message="waited 1m for the guest to fetch preseed.cfg"), WORKS, True),
        ("connect-guest", broke("GuestUnreachable", "waited 5m for the guest to answer by SSH"), WORKS, True),
        # it computes, as GRUB's menu and `jmp $` do, and gets nowhere
        ("await-power-off", INSTALLS, SPINS, False),
        ("await-power-off", INSTALLS, activity(disk=2**24, quiet=20), False),
        # the text that was waited for is another one
        ("type-boot-command", broke(message="waited 8s for the screen to show 'boott:'"), WORKS, False),
        ("await-expectation", broke(message="waited 8s for the serial line to say 'boott:'"), WORKS, False),
        # no time was up
        ("await-power-off", broke("StepError", "the installer ended with power-off"), WORKS, False),
        ("type-boot-command", broke("StepError", "the installer reset the machine"), WORKS, False),
        ("run-provisioner", broke("GuestUnreachable", "the connection to 127.0.0.1:1 broke"), WORKS, False),
    ],
)  # fmt: skip
def test_only_a_guest_that_gets_on_until_its_time_is_up_is_too_slow(
    tmp_path: Path, step: str, error: Line, work: Line, is_slow: bool
) -> None:
    found = verdict(tmp_path, PHASE, MACHINE, work, step_failed(step), error)
    assert (found.rule == "too-slow") is is_slow
    if not is_slow:
        assert found.rule == "other"


def test_what_is_told_last_may_be_of_a_moment(tmp_path: Path) -> None:
    work = (WORKS, activity(seconds=0.4, quiet=0.3))
    found = verdict(tmp_path, PHASE, MACHINE, *work, step_failed("await-power-off"), broke())
    assert found.rule == "too-slow"


# --- disks and mirrors ----------------------------------------------------------------------------------------------

FULL = "dpkg: error: failed to write status: No space left on device"
UNREACHED = "curl: (28) Connection timed out after 30001 milliseconds"


def hangs(tmp_path: Path, said: str) -> Verdict:
    return verdict(tmp_path, PHASE, MACHINE, serial(said), step_failed("await-power-off"), broke())


@pytest.mark.parametrize(
    "line",
    [
        "systemd[1]: Failed to allocate directory watch: No space left on device",
        "Failed to add a watch for /run/systemd/ask-password: inotify watch limit reached: No space left on device",
        "Could not prepare Boot variable: No space left on device",
        "efibootmgr: Could not set variable Boot0001 in efivars: No space left on device",
        "Wiping the disk fully",
        "test 4: write() returns ENOSPC",
    ],
)
def test_what_is_no_full_disk(tmp_path: Path, line: str) -> None:
    assert hangs(tmp_path, f"{line}\n").rule == "other"
    assert said_by_a_provisioner(tmp_path, line).rule == "command-failed"


@pytest.mark.parametrize(
    "lines",
    [
        ["cp: error writing '/x': No space left on device", "make: *** [Makefile:3: all] Error 1"],
        [
            FULL,
            "dpkg-deb: error: paste subprocess was killed by signal (Broken pipe)",
            "Errors were encountered while processing:",
            " /var/cache/apt/archives/x.deb",
            "E: Sub-process /usr/bin/dpkg returned an error code (1)",
        ],
        ["Error: ENOSPC: no space left on device, write"],
        ["cp: error writing '/boot/efi/EFI/BOOT/BOOTX64.EFI': No space left on device"],
    ],
)
def test_what_follows_from_a_full_disk_does_not_hide_it(tmp_path: Path, lines: list[str]) -> None:
    found = said_by_a_provisioner(tmp_path, *lines)
    assert (found.rule, found.quotes[0].text) == ("out-of-disk", lines[0])


@pytest.mark.parametrize("line", [FULL, UNREACHED])
def test_what_was_overcome_is_not_the_cause(tmp_path: Path, line: str) -> None:
    then = [f"Setting up package {n}" for n in range(200)]
    assert said_by_a_provisioner(tmp_path, line, *then).rule == "command-failed"
    assert hangs(tmp_path, "\n".join([line, *then, ""])).rule == "other"


@pytest.mark.parametrize("line", [FULL, UNREACHED])
@pytest.mark.parametrize("then", ["gcc: error: x.c: No such file or directory", "AssertionError: 1 != 2"])
def test_another_error_after_it_is_the_cause(tmp_path: Path, line: str, then: str) -> None:
    assert said_by_a_provisioner(tmp_path, line, then).rule == "command-failed"


def test_that_something_failed_says_no_more_than_why(tmp_path: Path) -> None:
    assert said_by_a_provisioner(tmp_path, UNREACHED, "the bootstrap failed").rule == "mirror-unreachable"
    assert hangs(tmp_path, f"{UNREACHED}\ninstaller: FAILED\n").rule == "mirror-unreachable"


def test_another_provisioners_words_are_not_the_cause(tmp_path: Path) -> None:
    before = event("guest_output", 50, provisioner="first", stream="stderr", line=UNREACHED)
    after = event("guest_output", 60, provisioner="second", stream="stderr", line="it is no good")
    found = verdict(tmp_path, BOOTED, before, after, broke("GuestCommandFailed", "it ended with 1"))
    assert found.rule == "command-failed"


@pytest.mark.parametrize(
    "lines",
    [
        ["curl: (22) The requested URL returned error: 404"],
        ["wget: server returned error: HTTP/1.1 404 Not Found"],
        [
            "E: Failed to fetch http://mirror.example/x.deb  404  Not Found [IP: 192.0.2.1 80]",
            "E: Unable to fetch some archives, maybe run apt-get update",
        ],
    ],
)  # fmt: skip
def test_a_server_that_answers_was_reached(tmp_path: Path, lines: list[str]) -> None:
    assert said_by_a_provisioner(tmp_path, *lines).rule == "command-failed"


def test_a_download_that_was_tried_again_and_again_is_the_cause(tmp_path: Path) -> None:
    found = hangs(tmp_path, "Retrieving x\n" + "curl: (7) Failed to connect to 192.0.2.1 port 80\n" * 30)
    assert found.rule == "mirror-unreachable"


@pytest.mark.parametrize("layer", ["authentication", "key-exchange", "installer"])
def test_a_guest_that_lets_nobody_in_has_that_for_its_cause(tmp_path: Path, layer: str) -> None:
    signs = serial(f"{FULL}\n{UNREACHED}\nShell> \n")
    failed = broke("GuestUnreachable", "waited 5m for the guest to answer by SSH; no", layer=layer)
    found = verdict(tmp_path, PHASE, MACHINE, signs, step_failed("connect-guest"), failed)
    assert found.rule == f"ssh-{layer}"


# --- nothing to boot ------------------------------------------------------------------------------------------------


def screen(text: str, at: float) -> Line:
    return event("screen_changed", at, sense="glyphs", text=text, screenshot="")


LINUX = "[    0.000000] Linux version 6.1.0-1-amd64\n"
UEFI_SHELL = "UEFI Interactive Shell v2.2\nShell> \n"


def test_a_shell_of_the_firmware_that_was_left_is_not_the_cause(tmp_path: Path) -> None:
    failed = (step_failed("await-power-off"), broke())
    said = (event("serial_output", 20, text=UEFI_SHELL), event("serial_output", 50, text=LINUX))
    assert verdict(tmp_path, PHASE, MACHINE, *said, *failed).rule == "other"
    shown = (screen(UEFI_SHELL, 20), serial(LINUX), screen(f"{UEFI_SHELL}_", 60))
    assert verdict(tmp_path, PHASE, MACHINE, *shown, *failed).rule == "other"


def test_one_that_comes_after_an_installation_is(tmp_path: Path) -> None:
    shown = (serial(LINUX), screen("", 55), screen(UEFI_SHELL, 60))
    found = verdict(tmp_path, PHASE, MACHINE, *shown, step_failed("await-power-off"), broke())
    assert found.rule == "no-bootable-device"


# --- questions ------------------------------------------------------------------------------------------------------

PROGRESS = """
  ┌────────────────┤ Installing the base system ├────────────────┐
  │                                                              │
  │ {progress}
  │ Retrieving libc6…                                            │
  │                                                              │
  │     <Cancel>                                                 │
  └──────────────────────────────────────────────────────────────┘
"""
ASKS = "│ Is that all right?  │\n│ <Yes>   <No> │\n"


@pytest.mark.parametrize("progress", ["43%", "█████████░░░░░░░░  43 %", "########......"])
def test_a_box_that_shows_progress_asks_nothing(progress: str) -> None:
    assert asked_question(PROGRESS.format(progress=progress)) == ""


def test_the_last_dialog_is_what_asks() -> None:
    assert asked_question("│ Shall I go on?  │\n│ <Yes>   <No> │\nIt goes on.\n" + ASKS) == "Is that all right?"
    assert asked_question(ASKS + "".join(f"Unpacking package {n}\n" for n in range(9))) == ""


def test_an_outcome_that_fails_names_the_cause_itself(tmp_path: Path) -> None:
    """Its author knows what it means, whatever else the screen shows."""
    message = "while waiting for 'done' or 'Is that', the screen showed 'Is that': Is that all right?"
    failed = (step_failed("await-expectation"), broke("UnexpectedScreen", message))
    found = verdict(tmp_path, PHASE, MACHINE, screen(ASKS, 60), serial(f"{FULL}\n"), *failed)
    assert (found.rule, found.sentence) == ("other", message)


# --- sentences ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ("boot:", "the screen shows: boot:"),
        ("a\nb\n\nISOLINUX 6.04\nboot: linux\n", "the screen shows: “ISOLINUX 6.04 / boot: linux”."),
    ],
)
def test_the_sentence_says_what_is_on_the_screen(tmp_path: Path, shown: str, words: str) -> None:
    message = f"waited 8s for the screen to show 'boott:'; the screen shows:\n{shown}"
    found = verdict(tmp_path, PHASE, MACHINE, step_failed("type-boot-command"), broke(message=message))
    assert found.sentence.startswith("waited 8s for the screen to show 'boott:'; ")
    assert words.rstrip(":") in found.sentence
