"""``windows-update``: what it asks of a guest, round by round; no Windows runs here, so its connection is a fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from factory.deadline import Deadline
from factory.drivers.protocols import CommandResult, GuestConnection, OnLine
from factory.errors import GuestCommandFailed, StepError
from factory.provision.catalog import load_provisioner
from factory.provision.context import ProvisionContext
from factory.provision.windows_update import (
    MORE,
    MOST_ROUNDS,
    NONE_LEFT,
    RESTART,
    RESTART_COMMAND,
    SOME_FAILED,
    WindowsUpdate,
    make,
)
from factory.quantity import Duration
from tests.provision.test_windows import Context, Windows

pytestmark = pytest.mark.unit


class Updating(Windows):
    """A Windows whose task ends with one status after the other, and that restarts when it is told to."""

    def __init__(self, *statuses: int) -> None:
        super().__init__()
        self.statuses = list(statuses)
        self.boots = 1
        self.answers = "failed: 0x80240022\n"

    async def run(
        self, command: str, *, deadline: Deadline, on_line: OnLine | None = None, stdin: bytes = b""
    ) -> CommandResult:
        self.commands.append(command)
        if command == RESTART_COMMAND:
            self.boots += 1
        if command.startswith("powershell") and "-task.ps1" in command:
            return CommandResult(self.statuses.pop(0), self.answers, "")
        return CommandResult(0, "", "")

    async def boot_id(self) -> str:
        return str(self.boots)


class Restarting(Context):
    async def reconnect(self, deadline: Deadline) -> GuestConnection:
        return self.connection

    @asynccontextmanager
    async def watching(self, deadline: Deadline) -> AsyncIterator[Deadline]:
        yield deadline


def updated(folder: Path, provisioner: WindowsUpdate, *statuses: int) -> Updating:
    guest = Updating(*statuses)
    context = cast(ProvisionContext, Restarting(guest, folder))
    asyncio.run(provisioner.run(context, Deadline.after(Duration(60), "the updates")))
    assert guest.statuses == []
    return guest


def test_rounds_go_on_until_nothing_is_left(tmp_path: Path) -> None:
    guest = updated(tmp_path, WindowsUpdate(), RESTART, MORE, SOME_FAILED, RESTART, NONE_LEFT)
    assert guest.boots == 1 + 3
    tasks = [content.decode("utf-8-sig") for name, content in guest.files.items()
             if name.endswith("-task.ps1") and isinstance(content, bytes)]  # fmt: skip
    assert len(tasks) == 5
    assert "User = 'SYSTEM'; RunLevel = 'Highest'" in tasks[0]
    assert len([c for c in guest.commands if c.startswith("cmd /c del")]) == 5


def test_updates_that_keep_failing_end_it_with_what_was_said_last(tmp_path: Path) -> None:
    with pytest.raises(GuestCommandFailed, match="ended with status 102: failed: 0x80240022") as caught:
        updated(tmp_path, WindowsUpdate(retries=2), *[SOME_FAILED] * 3)
    assert "exclude:" in caught.value.hint
    with pytest.raises(GuestCommandFailed, match="ended with status 1:"):
        updated(tmp_path, WindowsUpdate(), 1)
    with pytest.raises(GuestCommandFailed, match="still has updates to install after 60 rounds"):
        updated(tmp_path, WindowsUpdate(), *[RESTART] * MOST_ROUNDS)


def test_the_script_asks_for_what_the_template_says(tmp_path: Path) -> None:
    provisioner = make(
        {
            "search_criteria": "IsInstalled=0 and Type='Software'",
            "filters": ["exclude:$_.Title -like '*Preview*'", "include:$true"],
            "update_limit": 25,
            "restart_timeout": 60.0,
            "username": "Administrator",
            "password": "geheim",
        }
    )
    script = provisioner.script()
    assert ".Search('IsInstalled=0 and Type=''Software''')" in script
    conditions = ("if (& { $_.Title -like '*Preview*' }) { $false; return }", "if (& { $true }) { $true; return }")
    assert "\n    ".join(conditions) in script
    assert "-ge 25)" in script
    assert "geheim" not in script
    assert (provisioner.restart, provisioner.elevation.user) == (Duration(60), "Administrator")
    assert "if (& { $true }) { $true; return }" in WindowsUpdate().script()


def test_what_is_no_filter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="“Title -like x” is not a filter for updates"):
        load_provisioner("windows-update", {"filters": ["Title -like x"]})
