"""The small program really is one that Linux runs, and the command tells what could not be done."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from factory.deadline import Deadline
from factory.drivers.protocols import CommandResult, OnLine
from factory.drivers.ssh import SshSettings
from factory.events import Event, Note
from factory.steps.resumed_guest import refresh, reseed_program
from tests.drivers.ssh_guest import connected

pytestmark = pytest.mark.machine


@dataclass
class Shell:
    """A guest's shell that is one of this host's, in a folder whose programs are the only ones besides the system's."""

    programs: Path
    commands: list[str] = field(default_factory=list)

    @property
    def shell(self) -> str:
        """The guest's own where the test has put one in, else this host's."""
        own = self.programs / "sh"
        return str(own) if own.exists() else "sh"

    async def run(
        self, command: str, *, deadline: Deadline, on_line: OnLine | None = None, stdin: bytes = b""
    ) -> CommandResult:
        self.commands.append(command)
        done = await asyncio.to_thread(
            subprocess.run, [self.shell, "-c", command], input=stdin, capture_output=True, check=False,
            env={"PATH": f"{self.programs}:/usr/bin:/bin", "TMPDIR": str(self.programs)},
        )  # fmt: skip
        return CommandResult(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture(autouse=True)
def kept_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The guest is this host here, whose own seed is nobody's to empty."""
    seed = tmp_path / "random-seed"
    seed.write_bytes(os.urandom(512))
    monkeypatch.setattr("factory.steps.resumed_guest._KEPT_SEED", str(seed))
    return seed


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def refreshed(shell: Shell) -> list[Event]:
    events: list[Event] = []
    asyncio.run(refresh(shell, "SSH", events.append))  # type: ignore[arg-type]
    return events


def test_the_program_is_a_whole_elf_file_that_ends_in_order(tmp_path: Path) -> None:
    path = tmp_path / "reseed"
    path.write_bytes(reseed_program())
    path.chmod(0o700)
    # Nothing to read is the one failure that every user gets, with or without the right to add entropy.
    assert subprocess.run([path], stdin=subprocess.DEVNULL, check=False).returncode == 1
    assert not path.exists(), "it removes itself"
    path.write_bytes(reseed_program())
    path.chmod(0o700)
    status = subprocess.run([path], input=os.urandom(64), check=False).returncode
    assert status == (0 if _may_add_entropy() else 1)


def _may_add_entropy() -> bool:
    effective = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("CapEff"))
    return bool(int(effective.split()[1], 16) >> 21 & 1)  # CAP_SYS_ADMIN, capabilities(7)


def test_what_works_is_no_news(tmp_path: Path, kept_seed: Path) -> None:
    program(tmp_path, "date", 'echo "$@" >"$TMPDIR/date.log"')
    program(tmp_path, "id", "echo 0")
    instead = "#!/bin/sh\\nwc -c >$TMPDIR/seed.log; rm \\$0"
    program(tmp_path, "chmod", f'printf "{instead}" >"$2"; exec /bin/chmod "$@"')
    assert refreshed(Shell(tmp_path)) == []
    assert (tmp_path / "date.log").read_text().startswith("-u -s @")
    assert (tmp_path / "seed.log").read_text().strip() == "64"
    assert not list(tmp_path.glob("factory-*"))
    assert kept_seed.read_bytes() == b""


def test_a_guest_that_refuses_is_a_warning_for_each_thing(tmp_path: Path) -> None:
    program(tmp_path, "date", "exit 1")
    program(tmp_path, "id", "echo 1000")
    program(tmp_path, "sudo", "exit 1")
    warnings = [event for event in refreshed(Shell(tmp_path)) if isinstance(event, Note)]
    assert [event.level for event in warnings] == ["warning", "warning"]
    assert "clock" in warnings[0].message
    assert "random" in warnings[1].message


def test_an_ordinary_user_goes_through_sudo(tmp_path: Path) -> None:
    program(tmp_path, "date", "exit 1")
    program(tmp_path, "id", "echo 1000")
    program(tmp_path, "sudo", 'echo "$1 $2" >>"$TMPDIR/sudo.log"')
    assert refreshed(Shell(tmp_path)) == []
    lines = (tmp_path / "sudo.log").read_text().splitlines()
    assert lines[0] == "-n date"
    assert lines[1].startswith(f"-n {tmp_path}/factory-")
    assert len(lines) == 2, "the seed could be emptied without"


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_seed_that_only_root_may_empty_is_emptied_by_root(tmp_path: Path, kept_seed: Path, shell: str) -> None:
    if not (found := shutil.which(shell)):
        pytest.skip(f"no {shell} here")
    (tmp_path / "sh").symlink_to(found)
    kept_seed.unlink()
    kept_seed.mkdir()  # nobody writes into a folder, root included
    program(tmp_path, "date", "exit 1")
    program(tmp_path, "id", "echo 1000")
    program(tmp_path, "sudo", 'echo "$*" >>"$TMPDIR/sudo.log"')
    assert refreshed(Shell(tmp_path)) == []
    assert (tmp_path / "sudo.log").read_text().splitlines()[-1] == f"-n sh -c true >{kept_seed}"


def test_a_terminal_for_scripts_is_none_for_the_program(tmp_path: Path) -> None:
    """With Packer's ssh_pty: on a terminal the program's control characters would end, erase and stop things."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program(programs, "date", "exit 1")
    program(programs, "id", "echo 1000")
    program(programs, "sudo", f'case "$2" in */factory-*) wc -c >{tmp_path}/seed; rm "$2";; esac')
    events: list[Event] = []

    async def body() -> None:
        settings = SshSettings(with_terminal=True)
        async with connected(tmp_path / "home", settings, path=f"{programs}:/usr/bin:/bin") as (connection, host):
            await refresh(connection, "SSH", events.append)
            assert set(host.terminals) == {None}

    asyncio.run(body())
    assert events == []
    assert (tmp_path / "seed").read_text().strip() == "64"
