from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from factory.errors import DeadlineExpired, GuestCommandFailed, GuestUnreachable, StepError
from factory.events import Note
from factory.provision import shell
from factory.provision.context import Policy, run_provisioner
from factory.provision.shell import Script, ShellProvisioner
from factory.quantity import Duration
from factory.secret import Secret
from tests.provision.guest import soon, surroundings

pytestmark = pytest.mark.machine


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def inline(folder: Path, *lines: str, **options: Any) -> ShellProvisioner:
    return ShellProvisioner((Script.inline(lines),), remote_folder=str(folder), **options)


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """The guest's folder for scripts."""
    folder = tmp_path / "remote folder"
    folder.mkdir()
    return folder


def test_inline_lines_run_as_one_script_and_stop_at_the_first_failure(tmp_path: Path, remote: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            await inline(remote, "x=1", "echo out$x", "echo err >&2").run(context, soon())
            assert context.lines() == ["out1"]
            assert context.lines("stderr") == ["err"]
            with pytest.raises(GuestCommandFailed, match="'3 inline commands' ended with status 1"):
                await inline(remote, "echo before", "false", "echo after").run(context, soon())
            assert context.lines() == ["out1", "before"]
            assert os.listdir(remote) == []

    run(body())


def test_scripts_run_in_order_with_their_own_interpreter(tmp_path: Path, remote: Path) -> None:
    (tmp_path / "one.sh").write_bytes(b"#!/bin/sh\r\necho one\r\n")
    (tmp_path / "two.py").write_text("#!/usr/bin/env python3\nprint('two')\n")
    scripts = (
        Script.file(tmp_path / "one.sh"),
        Script.file(tmp_path / "two.py"),
        Script.inline(("#!/bin/cat", "three")),
    )

    async def body() -> None:
        async with surroundings(tmp_path) as context:
            await ShellProvisioner(scripts, remote_folder=str(remote)).run(context, soon())
            assert context.lines() == ["one", "two", "#!/bin/cat", "three"]

    run(body())


def test_binaries_are_left_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\r\n")
    assert Script.file(tmp_path / "binary").content == b"\x7fELF\0\r\n"


@pytest.mark.parametrize("value", ["plain", "it's", 'a "b" $c `d` \\e', "", "two\nlines", "ü"])
def test_the_environment_arrives_whatever_it_holds(tmp_path: Path, remote: Path, value: str) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            context.environment = {"FACTORY_BUILD_NAME": "tiny", "X": "overridden"}
            script = inline(remote, 'printf "%s|%s|%s" "$X" "$SECRET" "$FACTORY_BUILD_NAME" > result')
            env: dict[str, str | Secret[str]] = {"X": value, "SECRET": Secret(value)}
            await ShellProvisioner(script.scripts, env=env, remote_folder=str(remote)).run(context, soon())
            assert (context.host.home / "result").read_text() == f"{value}|{value}|tiny"

    run(body())


@pytest.mark.parametrize("execute", [None, lambda path, variables: f"env {variables} sh '{path}'"])
def test_no_command_line_and_no_left_file_shows_a_secret(tmp_path: Path, remote: Path, execute: Any) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            lines = (
                'test "$TOKEN" = s3cr3t-value',
                "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $f >> seen 2>/dev/null || true; done",
                f"stat -c %a '{remote}'/*.run > modes",
            )
            env = {"TOKEN": Secret("s3cr3t-value"), "OPEN": "public"}
            await inline(remote, *lines, env=env, execute=execute).run(context, soon())
            assert "s3cr3t-value" not in (context.host.home / "seen").read_bytes().decode("utf-8", "replace")
            assert (context.host.home / "modes").read_text() == "700\n"
            assert all("s3cr3t-value" not in command for command in context.host.commands)
            assert os.listdir(remote) == []

    run(body())


def test_execute_command_gets_path_and_variables_in_packers_form(tmp_path: Path, remote: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            env = {"B": "it's", "A": "1"}
            await inline(
                remote, 'echo "$A $B"', env=env, execute=lambda path, variables: f"{variables}sh '{path}' # marked"
            ).run(context, soon())
            assert context.lines() == ["1 it's"]
            assert any("A='1' B='it'\"'\"'s' sh " in command for command in context.host.commands)

    run(body())


def test_names_that_no_shell_takes_are_refused(tmp_path: Path, remote: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            with pytest.raises(StepError, match="'a-b; rm' can't be the name"):
                await inline(remote, "true", env={"a-b; rm": "x"}).run(context, soon())

    run(body())


def test_exit_codes(tmp_path: Path, remote: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            await inline(remote, "exit 3", valid_exit_codes=(0, 3)).run(context, soon())
            with pytest.raises(GuestCommandFailed) as caught:
                await inline(remote, "echo why", "exit 4", valid_exit_codes=(0, 3)).run(context, soon())
            assert caught.value.exit_status == 4
            assert "status 4 (allowed: 0, 3); it said last: why" in caught.value.message
            assert caught.value.evidence.notes == ("why",)
            with pytest.raises(GuestCommandFailed) as caught:
                await inline(remote, "#!/no/such/interpreter", "x").run(context, soon())
            assert caught.value.exit_status == 127
            assert "interpreter" in caught.value.hint

    run(body())


def test_skip_clean_keeps_the_scripts_but_never_the_environment(tmp_path: Path, remote: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            await inline(remote, "true", env={"A": Secret("s3cr3t")}, skip_clean=True).run(context, soon())
            assert [Path(name).suffix for name in os.listdir(remote)] == [".sh"]

    run(body())


def test_a_broken_connection_names_the_way_out(tmp_path: Path, remote: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            script = inline(remote, "echo going down", "touch gate", "sleep 1000")
            async with asyncio.TaskGroup() as group:
                group.create_task(_hang_up_at(context.host.home / "gate", context.host.hang_up))
                with pytest.raises(GuestUnreachable, match="broke while '3 inline commands' was running") as caught:
                    await script.run(context, soon())
            assert "let a `reboot` step do that" in caught.value.hint
            assert caught.value.evidence.notes == ("going down",)

    run(body())


async def _hang_up_at(gate: Path, hang_up: Any) -> None:
    async with asyncio.timeout(60):
        while not gate.exists():  # noqa: ASYNC110 - a file of another process gives no event
            await asyncio.sleep(0.02)
    hang_up()


def test_an_expected_disconnect_goes_on_with_the_next_script(tmp_path: Path, remote: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            first = Script.inline(("touch gate", "sleep 1000"))
            script = ShellProvisioner(
                (first, Script.inline(("echo second",))), expect_disconnect=True, remote_folder=str(remote)
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(_hang_up_at(context.host.home / "gate", context.host.hang_up))
                await script.run(context, soon())
            assert context.lines() == ["second"]
            assert context.reconnects == 1
            assert os.listdir(remote) == []

    run(body())


def test_the_last_of_several_errors_is_reported(tmp_path: Path, remote: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            script = inline(remote, "echo x >> count", "exit $(wc -l < count)")
            with pytest.raises(GuestCommandFailed) as caught:
                await run_provisioner(script, context, Policy(retries=2))
            assert caught.value.exit_status == 3
            notes = [event.message for event in context.events if isinstance(event, Note)]
            assert [note.rpartition("; ")[2] for note in notes] == ["2 more tries", "1 more try"]

    run(body())


def test_a_later_try_may_succeed(tmp_path: Path, remote: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            script = inline(remote, "echo x >> count", "test $(wc -l < count) -eq 2")
            await run_provisioner(script, context, Policy(retries=5, pause_after=Duration(0.01)))
            assert (context.host.home / "count").read_text() == "x\nx\n"

    run(body())


@pytest.mark.parametrize("leaders", [True, False], ids=["openssh", "dropbear"])
def test_a_timeout_bounds_each_try_and_ends_what_it_started(tmp_path: Path, remote: Path, leaders: bool) -> None:
    async def body() -> None:
        async with surroundings(tmp_path, leaders=leaders) as context:
            script = inline(remote, "sleep 1000 & echo $$ $! >> pids; wait")
            policy = Policy(retries=1, timeout=Duration(1), pause_before=Duration(0.01))
            with pytest.raises(DeadlineExpired, match="waited 1s for provisioner 'test'") as caught:
                await run_provisioner(script, context, policy)
            assert "give it more time with `timeout`" in caught.value.hint
            pids = (context.host.home / "pids").read_text().split()
            assert len(pids) == 4
            assert [pid for pid in pids if _runs(pid)] == []
            assert os.listdir(remote) == []

    run(body())


def test_what_still_runs_after_all_is_told(tmp_path: Path, remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "end_command", lambda pid_file: "echo still running: 7 '(stuck)'; exit 1")

    async def body() -> None:
        async with surroundings(tmp_path) as context:
            with pytest.raises(DeadlineExpired):
                await run_provisioner(inline(remote, "sleep 1000"), context, Policy(timeout=Duration(1)))
            notes = [event.message for event in context.events if isinstance(event, Note)]
            assert "'sleep 1000' may still be running in the guest: still running: 7 (stuck)" in notes

    run(body())


def test_a_timeout_bounds_the_upload_too(tmp_path: Path, remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:

            async def hang(*_: object, **__: object) -> None:
                await asyncio.Event().wait()

            monkeypatch.setattr(context.connection, "upload", hang)  # as a guest whose cable was pulled
            with pytest.raises(DeadlineExpired, match="waited 1s for provisioner 'test'"):
                await run_provisioner(inline(remote, "true"), context, Policy(timeout=Duration(1)))

    run(asyncio.wait_for(body(), 60))


def test_what_can_not_be_ended_is_left_soon(tmp_path: Path, remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "_END", Duration(0.2))

    async def body() -> None:
        async with surroundings(tmp_path) as context:

            async def hang(*_: object, **__: object) -> None:
                await asyncio.Event().wait()

            monkeypatch.setattr(context.connection, "upload", hang)
            monkeypatch.setattr(context.connection, "run", hang)
            with pytest.raises(DeadlineExpired, match="waited 1s for provisioner 'test'"):
                await run_provisioner(inline(remote, "true"), context, Policy(timeout=Duration(1)))
            notes = [event.message for event in context.events if isinstance(event, Note)]
            assert any("may still be running in the guest" in note for note in notes)

    run(asyncio.wait_for(body(), 20))


def _runs(pid: str) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_a_broken_connection_is_made_anew_before_the_next_try(tmp_path: Path, remote: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            script = inline(remote, "test -e gate && exit 0", "touch gate", "sleep 1000")
            async with asyncio.TaskGroup() as group:
                group.create_task(_hang_up_at(context.host.home / "gate", context.host.hang_up))
                await run_provisioner(script, context, Policy(retries=1))
            assert context.reconnects == 1

    run(body())


def test_only_the_script_itself_gets_a_terminal_that_was_asked_for(tmp_path: Path, remote: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path, with_terminal=True) as context:
            await inline(remote, "echo one").run(context, soon())
            with_terminal = [c for c, t in zip(context.host.commands, context.host.terminals, strict=True) if t]
            assert len(with_terminal) == 1
            assert str(remote) in with_terminal[0]

    run(body())
