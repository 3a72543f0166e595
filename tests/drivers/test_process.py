"""Children start clean, are heard, and never outlive us."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from factory.deadline import Deadline
from factory.drivers import process
from factory.drivers.process import Patience, Process, Stdin, clean_environment, run, spawn
from factory.errors import CommandFailed, DeadlineExpired, HostError
from factory.events import CommandFinished, CommandStarted, Event
from factory.quantity import Duration, Size

pytestmark = pytest.mark.machine

SOON = Duration(60)


def soon(what: str = "the test") -> Deadline:
    return Deadline.after(SOON, what)


def alive(pid: int) -> bool:
    """Whether *pid* runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def gone(*pids: int) -> bool:
    """Waits until none of *pids* runs."""
    limit = time.monotonic() + float(SOON)
    while any(alive(pid) for pid in pids) and time.monotonic() < limit:
        time.sleep(0.02)
    return not any(alive(pid) for pid in pids)


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def test_result_carries_status_and_both_outputs() -> None:
    result = asyncio.run(run(shell("echo out; echo err >&2; exit 3"), deadline=soon(), ok=(3,)))
    assert (result.exit_status, result.stdout, result.stderr) == (3, "out\n", "err\n")


def test_failure_says_what_the_program_said() -> None:
    with pytest.raises(CommandFailed, match="sh ended with status 7: no space left") as caught:
        asyncio.run(run(shell("echo start; echo 'no space left' >&2; exit 7"), deadline=soon(), hint="free some"))
    assert caught.value.evidence.exit_status == 7
    assert caught.value.evidence.argv[0] == "sh"
    assert caught.value.evidence.stderr == "no space left\n"
    assert caught.value.hint == "free some"


def test_death_by_signal_is_named() -> None:
    with pytest.raises(CommandFailed, match="SIGTERM"):
        asyncio.run(run(shell("kill -TERM $$"), deadline=soon()))


def test_missing_program_is_what_the_host_lacks() -> None:
    with pytest.raises(HostError, match="no-such-program") as caught:
        asyncio.run(run(["no-such-program"], deadline=soon()))
    assert caught.value.exit_code == 4
    with pytest.raises(HostError):
        asyncio.run(run(["/etc/passwd"], deadline=soon()))


def test_deadline_ends_the_program_and_names_the_wait(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"echo $$ >{pid_file}; echo almost >&2; sleep 1000"
    with pytest.raises(DeadlineExpired, match=r"waited 300ms for the tea.*still running") as caught:
        asyncio.run(run(shell(script), deadline=Deadline.after(Duration(0.3), "the tea")))
    assert caught.value.evidence.stderr == "almost\n"
    assert gone(int(pid_file.read_text()))


def test_input_is_given_and_otherwise_there_is_none() -> None:
    big = os.urandom(300_000).hex().encode()
    echoed = asyncio.run(run(["cat"], deadline=soon(), input=big, keep=Size(2**20)))
    assert echoed.stdout.encode() == big
    assert asyncio.run(run(["cat"], deadline=soon())).stdout == ""
    # One that does not read its input is not an error.
    asyncio.run(run(["true"], deadline=soon(), input=big))


def test_environment_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "x")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("http_proxy", "http://proxy")
    seen = asyncio.run(run(["env"], deadline=soon(), env={"MINE": "1"}, inherit=("http_proxy", "NOT_SET"))).stdout
    names = {line.split("=")[0] for line in seen.splitlines()}
    assert {"PATH", "HOME", "LANG", "MINE", "http_proxy"} <= names
    assert not names & {"SECRET_OF_OURS", "LC_ALL", "NOT_SET"}
    assert "/usr/sbin" in clean_environment()["PATH"].split(":")


def test_tail_is_bounded_and_log_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "log"
    result = asyncio.run(run(["seq", "100000"], deadline=soon(), log=log, keep=Size(100)))
    assert result.stdout.endswith("99999\n100000\n")
    assert len(result.stdout) == 100
    assert result.stdout_cut
    assert log.read_text().split() == [str(n) for n in range(1, 100001)]


def test_lines_are_told_as_they_come() -> None:
    out: list[str] = []
    err: list[str] = []
    script = r"printf 'a\r\nb\rc\n'; printf 'über' ; printf 'bad\n' >&2"
    asyncio.run(run(shell(script), deadline=soon(), on_stdout_line=out.append, on_stderr_line=err.append))
    assert (out, err) == (["a", "b", "c", "über"], ["bad"])


def test_error_of_a_callback_is_not_swallowed() -> None:
    def refuse(line: str) -> None:
        raise ValueError(f"can't read {line}")

    with pytest.raises(ValueError, match="can't read x"):
        asyncio.run(run(["echo", "x"], deadline=soon(), on_stdout_line=refuse))


def test_events_hold_a_command_for_pasting() -> None:
    events: list[Event] = []
    asyncio.run(run(["echo", "a b"], deadline=soon(), emit=events.append))
    started, finished = events
    assert isinstance(started, CommandStarted)
    assert isinstance(finished, CommandFinished)
    assert started.command == finished.command == "echo 'a b'"
    assert (started.pid, finished.exit_status) == (finished.pid, 0)


def test_conversation_with_a_child() -> None:
    async def talk() -> list[str]:
        lines: list[str] = []
        heard = asyncio.Event()

        def hear(line: str) -> None:
            lines.append(line)
            heard.set()

        async with spawn(["cat"], stdin=Stdin.PIPE, on_stdout_line=hear) as child:
            await child.write(b'{"id": 1}\n')
            await heard.wait()
            child.close_stdin()
            assert await child.wait() == 0
        return lines

    assert [json.loads(line) for line in asyncio.run(talk())] == [{"id": 1}]


def test_a_passed_descriptor_arrives() -> None:
    async def check() -> str:
        reader, writer = os.pipe()
        try:
            async with spawn(shell(f"echo through >/dev/fd/{writer}"), pass_fds=(writer,)) as child:
                await child.wait()
            return os.read(reader, 100).decode()
        finally:
            os.close(reader)
            os.close(writer)

    assert asyncio.run(check()) == "through\n"


def test_ladder_climbs_to_kill() -> None:
    async def stubborn() -> Process:
        ready = asyncio.Event()
        script = "trap '' INT TERM; echo ready; while :; do sleep 1; done"
        patience = Patience(Duration(0.1), Duration(0.1))
        async with spawn(shell(script), on_stdout_line=lambda _: ready.set(), patience=patience) as child:
            await ready.wait()
        return child

    assert asyncio.run(stubborn()).exit_status == -signal.SIGKILL


def test_ladder_begins_softly() -> None:
    async def polite() -> Process:
        ready = asyncio.Event()
        script = "trap 'echo bye; exit 5' INT; echo ready; while :; do sleep 0.1; done"
        async with spawn(shell(script), on_stdout_line=lambda _: ready.set()) as child:
            await ready.wait()
        return child

    child = asyncio.run(polite())
    assert (child.exit_status, child.stdout) == (5, "ready\nbye\n")


def test_children_of_the_child_end_with_it() -> None:
    result = asyncio.run(run(shell("sleep 1000 & echo $!"), deadline=soon()))
    assert gone(int(result.stdout))


def test_cancelling_ends_the_child() -> None:
    async def cancelled() -> int:
        pids: list[int] = []
        started = asyncio.Event()

        def note(event: Event) -> None:
            if isinstance(event, CommandStarted):
                pids.append(event.pid)
                started.set()

        task = asyncio.ensure_future(run(["sleep", "1000"], deadline=soon(), emit=note))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return pids[0]

    assert gone(asyncio.run(cancelled()))


_PARENT = """
import asyncio, pathlib, sys
from factory.drivers.process import gone_with_us, spawn

async def main():
    # The child leaves a grandchild in its group, which makes files in a folder; both tell their numbers.
    script = "i=0; (while i=$((i+1)); do echo half > $0/$i.raw; done) & echo $$ $!; wait"
    folder = pathlib.Path(sys.argv[1])
    with gone_with_us(folder):
        async with spawn(["sh", "-c", script, folder], on_stdout_line=lambda line: print(line, flush=True)) as child:
            await child.wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_survives_the_death_of_the_factory(number: signal.Signals, tmp_path: Path) -> None:
    folder = tmp_path / ".staging" / "image"
    folder.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", _PARENT, folder], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child, grandchild = map(int, parent.stdout.readline().split())
        assert alive(child)
        assert alive(grandchild)
        parent.send_signal(number)
        parent.wait()
    assert gone(child, grandchild)
    if number == signal.SIGKILL:  # else it is the program's own to tidy up
        limit = time.monotonic() + float(SOON)
        while folder.parent.exists() and time.monotonic() < limit:
            time.sleep(0.02)
        assert list(tmp_path.iterdir()) == []


def test_a_watchdog_that_was_killed_is_replaced() -> None:
    async def twice() -> None:
        from factory.drivers import process

        await run(["true"], deadline=soon())
        first = process._watchdog._popen
        assert first is not None
        first.kill()
        first.wait()
        await run(["true"], deadline=soon())
        second = process._watchdog._popen
        assert second is not None
        assert second.pid != first.pid
        assert second.poll() is None

    asyncio.run(twice())


def test_a_child_that_finds_another_parent_does_not_begin(tmp_path: Path) -> None:
    """The factory may be killed after the fork and before the child has asked to die with it."""
    wrapper = process._death_with_parent()
    assert wrapper
    subprocess.run([*wrapper, "touch", str(tmp_path / "ours")], check=True)
    orphan = shlex.join([*wrapper, "touch", str(tmp_path / "orphan")])
    subprocess.run(["sh", "-c", f"{orphan}; true"], check=True)  # the shell stands for whoever adopts
    assert [path.name for path in tmp_path.iterdir()] == ["ours"]
