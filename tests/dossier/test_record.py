"""Journals of every kind of end, and what rules and page make of them, without a machine."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from factory.dossier.install_rules import asked_question
from factory.dossier.page import page
from factory.dossier.record import Record, read_record, readable
from factory.dossier.report_json import report_json
from factory.dossier.rules import judge
from factory.dossier.timeline import attempts, timeline
from factory.dossier.verdict import Verdict
from factory.errors import GuestUnreachable, MachineStalled, StepError, TemplateError

pytestmark = pytest.mark.unit

Line = dict[str, Any]


def event(kind: str, at: float = 0.0, /, **fields: Any) -> Line:
    return {"time": 1000.0 + at, "build": "b", "event": kind, **fields}


STARTED = event("build_started", template="debian", run_dir="/x", phases=["install"])
PHASE = event("phase_started", 1, phase="install", reason="")
SERVED = event(
    "step_finished", 2, phase="install", step="serve-seed", title="serve", seconds=1, detail="1 files on port 4711"
)
MACHINE = event("machine_started", 3, name="install", pid=7, accelerator="tcg", command="qemu-system-x86_64 -m 1")
BOOTED = event("machine_started", 3, name="boot", pid=8, accelerator="kvm", command="qemu-system-x86_64 -m 1")


def broke(kind: str = "DeadlineExpired", message: str = "waited 5m for it", **fields: Any) -> Line:
    return event("build_broke", 90, phase="install", kind=kind, message=message, **fields)


def step_failed(step: str) -> Line:
    return event("step_failed", 89, phase="boot", step=step, title=step, seconds=3, message="no")


def serial(text: str) -> Line:
    return event("serial_output", 50, text=text)


def record(folder: Path, *lines: Line, alive: bool = False) -> Record:
    folder.mkdir(exist_ok=True)
    (folder / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return read_record(folder, alive=alive)


def verdict(tmp_path: Path, *lines: Line) -> Verdict:
    return judge(record(tmp_path / "run", STARTED, *lines))


# --- how builds end -------------------------------------------------------------------------------------------------


def test_a_build_that_was_killed(tmp_path: Path) -> None:
    """The last line of its journal is cut in the middle."""
    folder = tmp_path / "run"
    record(
        folder, STARTED, PHASE, event("step_started", 5, phase="install", step="await", title="wait for the installer")
    )
    with (folder / "journal.jsonl").open("a") as stream:
        stream.write('{"time": 1010.0, "event": "serial_out')
    found = judge(read_record(folder, alive=False))
    assert found.rule == "killed"
    assert found.sentence == (
        "The build was killed while it was at “wait for the installer”: its process ended without a word."
    )


def test_a_build_that_still_runs_has_nothing_to_explain(tmp_path: Path) -> None:
    found = record(tmp_path / "run", STARTED, PHASE, alive=True)
    assert judge(found).rule == "running"
    assert "running" in page(found, judge(found))


def test_a_build_that_was_interrupted(tmp_path: Path) -> None:
    ended = event("step_failed", 9, phase="install", step="x", title="unpack", seconds=1, message="ended early")
    found = verdict(tmp_path, PHASE, ended)
    assert (found.rule, found.sentence) == ("interrupted", "The build was interrupted while it was at “unpack”.")


def test_a_build_that_succeeded(tmp_path: Path) -> None:
    finished = event("build_finished", 9, template="debian", outcome="succeeded", seconds=9, message="")
    assert verdict(tmp_path, finished).sentence == "The build succeeded: there is no failure to explain."


def test_no_journal_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path, alive=False)


def test_an_error_that_no_rule_knows_speaks_for_itself(tmp_path: Path) -> None:
    found = verdict(tmp_path, broke("PluginError", "the plug-in 'x' can't be used: no", hint="install it"))
    assert (found.rule, found.sentence, found.advice) == (
        "other",
        "the plug-in 'x' can't be used: no.",
        ("install it",),
    )


def test_an_empty_journal_does_not_break_the_page(tmp_path: Path) -> None:
    found = record(tmp_path / "run")
    assert judge(found).rule == "killed"
    assert page(found, judge(found)).startswith("<!doctype html>")


# --- rules whose machines would be long or destructive --------------------------------------------------------------


def test_this_computers_disk_is_full(tmp_path: Path) -> None:
    full = event("qmp_event", 60, name="BLOCK_IO_ERROR", data='{"device": "main", "nospace": true}')
    found = verdict(tmp_path, PHASE, MACHINE, full, broke())
    assert found.rule == "host-disk-full"
    assert found.sentence == "This computer's disk is full: the machine could not write to its image."


def test_a_panic_of_an_earlier_machine_is_forgotten(tmp_path: Path) -> None:
    panic = serial("Kernel panic - not syncing: VFS: Unable to mount root fs\n")
    found = verdict(tmp_path, PHASE, MACHINE, panic, BOOTED, step_failed("connect-guest"), broke("StepError", "no"))
    assert found.rule == "other"


@pytest.mark.parametrize(
    ("state", "message", "sentence"),
    [
        (
            "authentication",
            "SSH-2.0-OpenSSH_9.2 on 127.0.0.1:1 refused user 'root' with the key and the password; it offers publickey",
            "The guest's SSH server refused user 'root' with the key and the password; it offers publickey.",
        ),
    ],
)  # fmt: skip
def test_ssh_states(tmp_path: Path, state: str, message: str, sentence: str) -> None:
    tried = event("connect_attempt", 70, address="127.0.0.1:1", state=state, message=message)
    found = verdict(
        tmp_path, PHASE, BOOTED, tried, step_failed("connect-guest"), broke("GuestUnreachable", "no", layer=state)
    )
    assert found.rule == f"ssh-{state}"
    assert found.sentence == sentence
    assert found.advice


def test_a_command_that_fails_for_the_want_of_space(tmp_path: Path) -> None:
    line = event("guest_output", 60, provisioner="packages", stream="stderr", line="dpkg: No space left on device")
    found = verdict(tmp_path, BOOTED, line, broke("GuestCommandFailed", "'apt-get' ended with 100"))
    assert found.rule == "out-of-disk"


def test_a_command_that_fails_for_its_own_reasons(tmp_path: Path) -> None:
    line = event("guest_output", 60, provisioner="p", stream="stderr", line="make: *** no rule")
    found = verdict(
        tmp_path, BOOTED, line, step_failed("run-provisioner"), broke("GuestCommandFailed", "it ended with 2")
    )
    assert found.rule == "command-failed"
    assert found.sentence == "A command in the guest failed (“run-provisioner”): it ended with 2."
    assert found.quotes[0].text == "make: *** no rule"


def said_by_a_provisioner(tmp_path: Path, *lines: str) -> Verdict:
    output = [event("guest_output", 60, provisioner="p", stream="stderr", line=line) for line in lines]
    failed = (step_failed("run-provisioner"), broke("GuestCommandFailed", "it ended with 100"))
    return verdict(tmp_path, BOOTED, *output, *failed)


@pytest.mark.parametrize(
    "line",
    [
        "E: Failed to fetch http://mirror.example/x.deb  Temporary failure resolving 'mirror.example'",
        "  Could not connect to mirror.example:80 (192.0.2.1), connection timed out",
        "wget: bad address 'dl-cdn.alpinelinux.org'",
        "Connecting to example.org (example.org)|192.0.2.1|:80... failed: Connection refused.",
        "curl: (6) Could not resolve host: example.org",
        "  - Curl error (6): Couldn't resolve host name for https://mirrors.fedoraproject.org/metalink",
        "Error: Failed to download metadata for repo 'baseos': Cannot prepare internal mirrorlist",
        "E: Failed getting release file http://mirror.example/debian/dists/bookworm/Release",
        "WARNING: Ignoring https://dl-cdn.alpinelinux.org/alpine: network error (check Internet connection)",
        "fatal: unable to access 'https://example.org/x.git/': Could not resolve host: example.org",
        "Nov 26 13:17:35 choose-mirror[412]: wget: bad address 'mirror.example'",
    ],
)
def test_what_programs_say_of_a_mirror_out_of_reach(tmp_path: Path, line: str) -> None:
    found = said_by_a_provisioner(tmp_path, line)
    assert found.rule == "mirror-unreachable"
    assert found.quotes[0].text == line.strip()


@pytest.mark.parametrize(
    "line",
    [
        "could not resolve the conflict between a and b",
        "panic: runtime error: index out of range",
        "Kernel panic - not syncing: only a test",
        "# if this says 'Connection timed out', ask the network team",
        "ERROR: failed to connect to the database's socket",
        "unable to resolve host address of the printer",
        "Downloading failed tests' logs",
        "repository does not follow the layout",
    ],
)
def test_what_a_provisioner_says_in_its_own_words_is_no_cause(tmp_path: Path, line: str) -> None:
    assert said_by_a_provisioner(tmp_path, line).rule == "command-failed"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[    1.234567] Kernel panic - not syncing: VFS: no root\n", "VFS: no root"),
        ("Kernel panic - not syncing: Attempted to kill init!\n", "Attempted to kill init!"),
        ("login: [  901.000001][    T1] Kernel panic - not syncing: Fatal exception\n", "Fatal exception"),
        ("panic: mountroot: unable to (re-)mount root.\ncpuid = 0\ntime = 1\n", "mountroot: unable to (re-)mount root"),
        ("panic: init died\nStopped at      db_enter+0x10:\n", "init died"),
    ],
)
def test_what_kernels_say_when_they_panic(tmp_path: Path, text: str, reason: str) -> None:
    found = verdict(tmp_path, PHASE, MACHINE, serial(f"starting\n{text}"), broke())
    assert (found.rule, found.sentence) == ("kernel-panic", f"The installer's kernel panicked: {reason}.")


@pytest.mark.parametrize(
    "text",
    [
        "test: a line of 'Kernel panic - not syncing: x' is told from talk of it\n",
        "panic: runtime error: index out of range [3] with length 3\n\ngoroutine 1 [running]:\nmain.main()\n",
        "don't panic: all is well\n",
        "exit *** STOP: nobody listens\n",
    ],
)
def test_talk_of_a_panic_is_none(tmp_path: Path, text: str) -> None:
    assert verdict(tmp_path, PHASE, MACHINE, serial(text), broke()).rule == "other"


@pytest.mark.parametrize(
    ("step", "message", "is_it"),
    [
        ("await-seed-fetch", "the installer hung", True),
        ("type-boot-command", "waited 1m for the guest to fetch preseed.cfg; no request", True),
        ("type-boot-command", "while waiting for the guest to fetch its seed, the guest hung", True),
        ("type-boot-command", "waited 1m for the screen to show 'ready to fetch'", False),
        ("await-power-off", "the installer was unable to fetch its packages", False),
    ],
)
def test_only_who_waits_for_the_seed_misses_it(tmp_path: Path, step: str, message: str, is_it: bool) -> None:
    found = verdict(tmp_path, PHASE, SERVED, MACHINE, step_failed(step), broke(message=message))
    assert (found.rule == "seed-never-requested") is is_it


def test_a_seed_asked_for_by_another_token(tmp_path: Path) -> None:
    asked = event(
        "seed_requested", 40, method="GET", path="/wrong/preseed.cfg", status=404, size=0,
        message="the first part of the path is not this build's token",
    )  # fmt: skip
    found = verdict(tmp_path, PHASE, SERVED, MACHINE, asked, step_failed("await-seed-fetch"), broke())
    assert found.rule == "seed-not-found"
    assert "its address is not the one that this build serves" in found.sentence


def test_a_seed_asked_for_in_another_protocol(tmp_path: Path) -> None:
    why = "a TLS handshake: the seed is at http://, not https://"
    asked = event("seed_requested", 40, method="?", path="/", status=400, size=0, message=why)
    found = verdict(tmp_path, PHASE, SERVED, MACHINE, asked, broke())
    assert found.rule == "seed-not-found"
    assert found.sentence == f"The installer sent the seed server what it can't read: {why}."


def test_an_installer_without_its_seed_is_not_blamed_for_asking(tmp_path: Path) -> None:
    asks = event("screen_changed", 60, sense="glyphs", text=DEBIAN, screenshot="")
    found = verdict(tmp_path, PHASE, SERVED, MACHINE, asks, step_failed("await-seed-fetch"), broke("MachineStalled"))
    assert found.rule == "seed-never-requested"
    assert "Write the changes to disks?" in found.quotes[-1].text


def test_optional_files_that_are_missing_explain_nothing(tmp_path: Path) -> None:
    missing = event("seed_requested", 40, method="GET", path="/vendor-data", status=404, size=0, message="there is no")
    fetched = event("seed_requested", 41, method="GET", path="/user-data", status=200, size=9, message="")
    found = verdict(tmp_path, PHASE, SERVED, MACHINE, missing, fetched, step_failed("await-power-off"), broke())
    assert found.rule not in ("seed-not-found", "seed-never-requested")


# --- questions ------------------------------------------------------------------------------------------------------

DEBIAN = """
  ┌───────────────────────┤ [!!] Partition disks ├────────────────────────┐
  │                                                                       │
  │ If you continue, the changes listed below will be written to the      │
  │ disks. Otherwise, you will be able to make further changes manually.  │
  │                                                                       │
  │ Write the changes to disks?                                           │
  │                                                                       │
  │     <Yes>                                                    <No>     │
  └───────────────────────────────────────────────────────────────────────┘
<Tab> moves; <Space> selects; <Enter> activates buttons
"""
TEXT = """
Select a language
-----------------
Choose the language to be used for the installation process.
Language:
  1: C,
  2: English [*],
Prompt: '?' for help, default=2>
[            (1*installer)  2 shell  3 shell  4- log           ][ Nov 26  4:58 ]
"""
ANACONDA = """
Installation
 1) [x] Language settings                 2) [!] Time settings
Please make a selection from the above ['b' to begin installation, 'q' to quit,
"""


@pytest.mark.parametrize(
    ("screen", "question"),
    [
        (DEBIAN, "Partition disks: Write the changes to disks?"),
        (ANACONDA, "Please make a selection from the above ['b' to begin installation, 'q' to quit,"),
        ("Continue with autoinstall? (yes|no)", "Continue with autoinstall? (yes|no)"),
        ("loading …\nPress any key to continue", "Press any key to continue"),
        ("Are you sure? yes\nunpacking\nstep 1\nstep 2\nstep 3\n", ""),
        (TEXT, "Language:"),
        ("debian login: ", ""),
        ("Press enter to boot the selected OS, `e' to edit the commands", ""),
        ("Press ENTER to boot or TAB to edit a menu entry", ""),
        ("", ""),
    ],
)
def test_what_a_screen_asks(screen: str, question: str) -> None:
    assert asked_question(screen) == question


# --- the page -------------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """Counts open elements; void elements and those whose end may be left out do not count."""

    FREE = frozenset({"meta", "img", "tr", "td", "th", "html", "head", "body", "br", "dt", "dd"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.outside += [v or "" for k, v in attrs if k in ("src", "href") and not (v or "").startswith(("data:", "#"))]
        if tag not in self.FREE:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.FREE:
            assert self.open
            assert self.open.pop() == tag


def test_the_page_is_whole_and_safe(tmp_path: Path) -> None:
    evil = "</pre><script>alert(1)</script>\x9b31m\u202eydob\x1b]0;title\x07"
    found = record(
        tmp_path / "run", event("build_started", template=evil, run_dir="/x", phases=[]), PHASE, SERVED, MACHINE,
        serial(f"{evil}\n"), event("screen_changed", 55, sense="glyphs", text=evil, screenshot="../../etc/passwd"),
        event("guest_log", 80, path=evil, size=3, text=evil), event("qmp_event", 60, name="RESET", data="{}"),
        event("seed_requested", 61, method="GET", path=f"/{evil}", status=404, size=0, message=evil),
        event("connect_attempt", 62, address="a", state="refused", message=evil), broke(message=evil, stderr=evil),
    )  # fmt: skip
    text = page(found, judge(found))
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.outside == []
    assert "<script>alert" not in text
    assert not set(text) & set("\x07\x1b\x9b\u202e")
    assert "root:x:" not in text
    assert json.loads(report_json(found, judge(found)))["template"] == evil


def test_a_screenshot_outside_the_run_directory_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"x")
    found = record(
        tmp_path / "run",
        STARTED,
        event("screen_changed", 5, sense="", text="", screenshot=str(tmp_path / "secret.png")),
    )
    assert found.screenshot is None


def test_a_run_directory_may_have_been_moved(tmp_path: Path) -> None:
    shot = tmp_path / "run" / "install" / "failure.png"
    shot.parent.mkdir(parents=True)
    shot.write_bytes(b"x")
    found = record(tmp_path / "run", STARTED, broke(screenshot="/somewhere/else/run/install/failure.png"))
    assert found.screenshot == shot


def test_what_repeats_itself_is_told_once(tmp_path: Path) -> None:
    tried = [event("connect_attempt", i, address="a", state="no-banner", message="silence") for i in range(40)]
    found = record(tmp_path / "run", STARTED, *tried, serial("one\n"), serial("two\n"))
    assert [(e.text("state"), n) for e, n in attempts(found)] == [("no-banner", 40)]
    assert [(i.kind, i.times) for i in timeline(found)] == [("ssh", 40), ("serial", 2)]


def test_control_sequences_are_left_out() -> None:
    assert readable("\x1b[2J\x1b[1;31mred\x1b[0m\r\n10%\r20%\x07\n\x1b]0;title\x07end") == "red\n20%\nend"
    assert readable("boot failed\r\x1b[0m\nShell\x1b[5;1H\x1b(BShell> \x1b7") == "boot failed\nShell\nShell> "


def test_kinds_of_errors_that_rules_name_exist() -> None:
    from factory import errors
    from factory.dossier.verdict import WAITED

    for name in (*WAITED, "GuestCommandFailed", "CommandFailed", "VerificationFailed", "StoreError", "HostError"):
        assert issubclass(getattr(errors, name), errors.FactoryError)
    assert issubclass(MachineStalled, StepError)
    assert not issubclass(TemplateError, StepError)
    assert issubclass(GuestUnreachable, StepError)


def test_what_fails_while_exporting_is_no_matter_of_the_seed(tmp_path: Path) -> None:
    """A build out of stored layers has served no seed, and its post-processor fails."""
    exporting = event("phase_started", 80, phase="export", reason="")
    found = verdict(tmp_path, PHASE, SERVED, MACHINE, exporting, broke("StepError", "sh ended with status 127"))
    assert "seed" not in found.sentence
    assert "sh ended with status 127" in found.sentence


def resets(*times: float) -> list[Line]:
    return [event("qmp_event", at, name="RESET", data='{"guest": true, "reason": "guest-reset"}') for at in times]


def awaited(at: float, step: str = "connect-guest") -> Line:
    return event("step_started", at, phase="boot", step=step, title=step)


def test_reboots_of_one_wait_are_a_loop(tmp_path: Path) -> None:
    found = verdict(tmp_path, PHASE, BOOTED, awaited(5), *resets(10, 20, 30), step_failed("connect-guest"), broke())
    assert found.rule == "reboot-loop"
    assert "rebooted 3 times in 20s" in found.sentence


@pytest.mark.parametrize(
    "lines",
    [
        # one reboot, which the kernel of several CPUs asked for by several means
        (awaited(5), *resets(10, 10.02, 10.05, 10.1, 10.4), step_failed("connect-guest"), broke()),
        # they were earlier: an installation that needs several, then a wait for something else
        (awaited(5), *resets(10, 20, 30), awaited(40), step_failed("connect-guest"), broke()),
        # far apart: each was the end of much work
        (awaited(5), *resets(10, 800, 1600), step_failed("connect-guest"), broke()),
        # nothing was waited for: a program on this computer has failed
        (awaited(5), *resets(10, 20, 30), step_failed("post-process"), broke("StepError", "sh ended with status 2")),
    ],
)  # fmt: skip
def test_other_resets_are_none(tmp_path: Path, lines: tuple[Line, ...]) -> None:
    assert verdict(tmp_path, PHASE, BOOTED, *lines).rule != "reboot-loop"
