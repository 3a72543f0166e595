"""The provisioners that only Packer's templates use, in a guest that really answers over SSH."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from factory.errors import CommandFailed, DeadlineExpired, GuestCommandFailed, StepError
from factory.events import Note
from factory.provision.ansible_local import make as ansible_local
from factory.provision.goss import make as goss
from factory.provision.shell_local import make as shell_local
from factory.provision.waits import make_await_command, make_breakpoint, make_sleep
from factory.secret import Secret
from tests.provision.guest import soon, surroundings

pytestmark = pytest.mark.machine


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_shell_local_runs_here_with_the_users_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "from here")
    script = program(tmp_path / "s.sh", "echo script $A; pwd")

    async def body() -> None:
        async with surroundings(tmp_path) as context:
            options = {"environment": {"A": "it's", "S": Secret("geheim")}, "working": str(tmp_path)}
            await shell_local({**options, "inline": ['echo "$MINE $A $S"', "echo $0"]}).run(context, soon())
            await shell_local({**options, "script": str(script)}).run(context, soon())
            lines = context.lines()
            assert lines[0] == "from here it's geheim"
            assert lines[2:] == ["script it's", str(tmp_path)]
            assert not Path(lines[1]).exists()
            command = ["/bin/sh", "-c", "echo \ue000Vars\ue001- \ue000Script\ue001"]
            await shell_local({**options, "script": str(script), "execute_command": command}).run(context, soon())
            # A secret is nowhere on a command line.
            assert context.lines()[-1] == f"A=its - {script}" or "geheim" not in context.lines()[-1]

    run(body())


def test_shell_local_fails_as_its_exit_codes_say(tmp_path: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            with pytest.raises(CommandFailed):
                await shell_local({"inline": ["exit 3"]}).run(context, soon())
            await shell_local({"inline": ["exit 3"], "valid_exit_codes": (3,)}).run(context, soon())
            with pytest.raises(StepError, match="ended with status 0"):
                await shell_local({"inline": ["exit 0"], "valid_exit_codes": (3,)}).run(context, soon())
            with pytest.raises(StepError, match="there is no script /gone"):
                await shell_local({"script": "/gone"}).run(context, soon())
            await shell_local({"inline": ["exit 3"], "only_on": ["windows"]}).run(context, soon())

    run(body())


def test_waits(tmp_path: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            await make_sleep({"duration": "10ms"}).run(context, soon())
            with pytest.raises(DeadlineExpired):
                await make_sleep({"duration": "1h"}).run(context, soon(0.05))
            await make_breakpoint({"note": "look"}).run(context, soon())
            (note,) = [e for e in context.events if isinstance(e, Note)]
            assert note.message.startswith("breakpoint: look: passed over")
            await make_await_command({"command": "true"}).run(context, soon())
            never = make_await_command({"command": "echo no >&2; exit 3", "patience": 0.2})
            with pytest.raises(DeadlineExpired, match="it ended with 3: no"):
                await never.run(context, soon())

    run(body())


def test_ansible_local_carries_everything_over_and_runs_the_guests_own_program(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    fake = program(
        tmp_path / "bin/fake-playbook", f'pwd > {seen}; echo "$@" >> {seen}; find . -type f | sort >> {seen}'
    )
    for name in ("play/site.yml", "play/templates/t", "roles/web/tasks/main.yml", "vars/all"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    staging = tmp_path / "staging"
    options = {
        "playbook_file": str(tmp_path / "play/site.yml"), "playbook_dir": str(tmp_path / "play"),
        "role_paths": [str(tmp_path / "roles/web")], "group_vars": str(tmp_path / "vars"),
        "inventory_groups": ["web"], "extra_arguments": ["-v"], "staging_directory": str(staging),
        "command": str(fake), "build_name": "vm",
    }  # fmt: skip

    async def body() -> None:
        async with surroundings(tmp_path) as context:
            await ansible_local(options).run(context, soon())
            folder, arguments, *files = seen.read_text().splitlines()
            assert folder == str(staging)
            assert arguments == (
                f"{staging}/site.yml --extra-vars packer_build_name=vm packer_builder_type=qemu -v "
                f"-c local -i {staging}/inventory"
            )
            assert files == [
                "./group_vars/all", "./inventory", "./roles/web/tasks/main.yml", "./site.yml", "./templates/t",
            ]  # fmt: skip
            assert (staging / "inventory").read_text() == "127.0.0.1\n[web]\n127.0.0.1\n"
            await ansible_local({**options, "clean_staging_directory": True}).run(context, soon())
            assert not staging.exists()
            with pytest.raises(GuestCommandFailed, match="the guest has no no-such-playbook"):
                await ansible_local({**options, "command": "no-such-playbook"}).run(context, soon())
            failing = program(tmp_path / "bin/failing", "echo 'fatal: [x]: broken'; exit 2")
            with pytest.raises(GuestCommandFailed, match=r"status 2: fatal: \[x\]: broken"):
                await ansible_local({**options, "command": str(failing)}).run(context, soon())

    run(body())


def test_goss_judges_by_its_exit_status(tmp_path: Path) -> None:
    test = tmp_path / "goss.yaml"
    test.write_text("file: {}\n")
    ok = program(tmp_path / "bin/goss", 'echo "$@"; test "$MODE" != bad')
    options = {
        "tests": [str(test)], "skip_install": True, "download_path": str(ok), "remote_folder": str(tmp_path / "g"),
        "format": "tap", "vars_inline": {"a": "b"},
    }  # fmt: skip

    async def body() -> None:
        async with surroundings(tmp_path) as context:
            await goss(options).run(context, soon())
            assert context.lines()[-1] == (
                f'-g {tmp_path}/g/goss.yaml --vars-inline {{"a": "b"}} validate --format tap'
            )
            assert (tmp_path / "g/goss.yaml").read_text() == "file: {}\n"
            with pytest.raises(GuestCommandFailed, match="the guest does not pass its tests"):
                await goss({**options, "vars_env": {"MODE": "bad"}}).run(context, soon())
            await goss({**options, "vars_env": {"MODE": "bad"}, "inspect": True}).run(context, soon())
            with pytest.raises(StepError, match="there is no test /gone"):
                goss({"tests": ["/gone"]})

    run(body())
