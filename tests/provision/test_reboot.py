from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from factory.errors import DeadlineExpired, GuestCommandFailed, GuestUnreachable
from factory.provision.reboot import RebootProvisioner
from factory.quantity import Duration
from tests.provision.guest import Surroundings, soon, surroundings

pytestmark = pytest.mark.machine


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def _guest_with_tools(folder: Path) -> str:
    """A PATH on which ``cat`` tells the boot id of a file of the test's, and ``reboot`` writes another one there."""
    tools = folder / "tools"
    tools.mkdir()
    (folder / "home").mkdir()
    (folder / "home" / "boot").write_text("first\n")
    (tools / "cat").write_text('#!/bin/sh\nexec /bin/cat "$HOME/boot"\n')
    (tools / "reboot").write_text("#!/bin/sh\necho going down\necho second > boot\n")
    (tools / "sudo").write_text('#!/bin/sh\nshift\nexec "$@"\n')  # asked by who is not root
    for tool in tools.iterdir():
        tool.chmod(0o755)
    return f"{tools}:/usr/bin:/bin"


def test_it_waits_for_another_boot(tmp_path: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path, path=_guest_with_tools(tmp_path)) as context:
            await RebootProvisioner().run(context, soon())
            assert await context.connection.boot_id() == "second"
            assert context.lines() == ["going down"]
            assert context.reconnects >= 1

    run(body())


def test_a_connection_that_breaks_meanwhile_is_what_a_reboot_looks_like(tmp_path: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path, path=_guest_with_tools(tmp_path)) as context:

            async def power_cut(context: Surroundings) -> None:
                async with asyncio.timeout(60):
                    while not (context.host.home / "gate").exists():  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
                (context.host.home / "boot").write_text("third\n")
                context.host.hang_up()

            async with asyncio.TaskGroup() as group:
                group.create_task(power_cut(context))
                await RebootProvisioner("touch gate; sleep 1000").run(context, soon())
            assert await context.connection.boot_id() == "third"

    run(body())


def test_a_guest_that_does_not_reboot_is_told(tmp_path: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path, path=_guest_with_tools(tmp_path)) as context:
            with pytest.raises(DeadlineExpired, match="it still answers, but it has not rebooted"):
                await RebootProvisioner("true", Duration(3)).run(context, soon())

    run(body())


def test_a_refused_reboot_is_told(tmp_path: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path, path=_guest_with_tools(tmp_path)) as context:
            with pytest.raises(GuestCommandFailed, match="ended with status 1: must be root") as caught:
                await RebootProvisioner("echo must be root >&2; exit 1").run(context, soon())
            assert "sudo" in caught.value.hint

    run(body())


def test_a_guest_that_stays_away_is_told(tmp_path: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path, path=_guest_with_tools(tmp_path)) as context:
            context.host.acceptor.close()
            with pytest.raises(GuestUnreachable, match=r"did not come back: waited 1s .*nothing answers on") as caught:
                await RebootProvisioner("true", Duration(1)).run(context, soon())
            assert caught.value.layer == "refused"

    run(body())
