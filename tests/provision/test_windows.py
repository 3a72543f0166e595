"""What provisioners ask of a guest with Windows; a real one can't run here, so its connection is a fake."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from factory.deadline import Deadline
from factory.drivers.protocols import CommandResult, Credentials, GuestAddress, GuestConnection, OnLine
from factory.errors import GuestCommandFailed, StepError
from factory.events import Event
from factory.provision.context import ProvisionContext
from factory.provision.file import Direction, FileProvisioner
from factory.provision.shell import Script, ShellProvisioner
from factory.provision.windows_scripts import make_powershell, make_windows_shell
from factory.quantity import Duration
from factory.secret import Secret

pytestmark = pytest.mark.unit


class Windows:
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.files: dict[str, bytes | Path] = {}
        self.trees: dict[str, Path] = {}
        self.address = GuestAddress("127.0.0.1", 5985)
        self.credentials = Credentials("Administrator")

    async def run(
        self, command: str, *, deadline: Deadline, on_line: OnLine | None = None, stdin: bytes = b""
    ) -> CommandResult:
        self.commands.append(command)
        return CommandResult(0, "", "")

    async def run_given(self, command: str, *, deadline: Deadline, on_line: OnLine | None = None) -> CommandResult:
        return await self.run(command, deadline=deadline, on_line=on_line)

    async def upload(
        self,
        source: Path | bytes,
        destination: str,
        *,
        mode: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.files[destination] = source

    async def upload_tree(self, source: Path, destination: str) -> None:
        self.trees[destination] = source

    async def download(self, source: str, destination: Path) -> None:
        destination.write_text(source)


class Context:
    def __init__(self, guest: Windows, folder: Path) -> None:
        self.name = "test"
        self.connection = cast(GuestConnection, guest)
        self.workdir = folder
        self.environment: dict[str, str | Secret[str]] = {}
        self.events: list[Event] = []
        self.emit = self.events.append


def context(guest: Windows, folder: Path) -> ProvisionContext:
    return cast(ProvisionContext, Context(guest, folder))


def soon() -> Deadline:
    return Deadline.after(Duration(60), "the provisioner")


def run(provisioner: Any, folder: Path) -> Windows:
    guest = Windows()
    asyncio.run(provisioner.run(context(guest, folder), soon()))
    return guest


def test_a_script_keeps_its_suffix_and_is_removed(tmp_path: Path) -> None:
    (tmp_path / "set up.ps1").write_text("Write-Host hi\n")
    guest = run(
        ShellProvisioner(
            (Script.file(tmp_path / "set up.ps1"),),
            execute=lambda path, variables: f"powershell -File {path}",
            remote_folder="C:/Windows/Temp",
        ),
        tmp_path,
    )
    path = next(iter(guest.files))
    assert path.startswith("C:/Windows/Temp/factory-")
    assert path.endswith(".ps1")
    removal = path.replace("/", "\\")
    assert guest.commands == [f"powershell -File {path}", f'del /f /q "{removal}"']


def test_secret_variables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="can't be handed to a guest whose shell is not POSIX"):
        run(ShellProvisioner((Script.inline(("x",)),), {"A": Secret("b")}, remote_folder="C:/Temp"), tmp_path)


def test_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert run(FileProvisioner("C:/x.txt", content=b"x"), tmp_path).files == {"C:/x.txt": b"x"}
    assert list(run(FileProvisioner("C:\\a\\", source=str(tmp_path / "file")), tmp_path).files) == ["C:\\a\\file"]
    assert list(run(FileProvisioner("C:/t", source=f"{tmp_path}/"), tmp_path).trees) == ["C:/t"]
    assert list(run(FileProvisioner("C:/t", source=str(tmp_path)), tmp_path).trees) == [f"C:/t/{tmp_path.name}"]
    run(FileProvisioner(f"{tmp_path}/down/", source="C:\\logs\\a.log", direction=Direction.DOWN), tmp_path)
    assert (tmp_path / "down" / "a.log").exists()


def scripts_of(guest: Windows, suffix: str) -> list[str]:
    return [content.decode("utf-8-sig") for name, content in guest.files.items()
            if name.endswith(suffix) and isinstance(content, bytes)]  # fmt: skip


def test_powershell_gets_its_environment_from_a_file_that_goes(tmp_path: Path) -> None:
    guest = Windows()
    options = {"inline": ["dir", "exit 1"], "environment": {"A": "it's", "S": Secret("geheim")}}
    asyncio.run(make_powershell(options).run(context(guest, tmp_path), soon()))
    call, tidy = guest.commands
    assert call.startswith('powershell -NoProfile -ExecutionPolicy bypass -Command ". c:/Windows/Temp/factory-')
    assert "geheim" not in call
    assert call.endswith('exit $LastExitCode"')
    assert scripts_of(guest, "-env.ps1") == [
        "$ProgressPreference = 'SilentlyContinue'\n$env:A = 'it''s'\r\n$env:S = 'geheim'\r\n"
    ]
    assert "dir\r\nexit 1\r\n" in scripts_of(guest, ".ps1")
    assert tidy.startswith("cmd /c del /f /q ")
    assert tidy.count(".ps1") == 2


def test_an_elevated_script_is_a_scheduled_task_with_its_password_in_a_file(tmp_path: Path) -> None:
    guest = Windows()
    options = {"inline": ["dir"], "elevated_user": "Administrator", "elevated_password": "p'w"}
    asyncio.run(make_powershell(options).run(context(guest, tmp_path), soon()))
    (task,) = scripts_of(guest, "-task.ps1")
    assert "$password = 'p''w'" in task
    assert "User = 'Administrator'; RunLevel = 'Highest'" in task
    assert not any("p'w" in command for command in guest.commands)
    asyncio.run(make_powershell({**options, "elevated_user": "SYSTEM", "elevated_password": ""}).run(
        context(guest, tmp_path), soon()))  # fmt: skip
    assert "$password = $null" in scripts_of(guest, "-task.ps1")[-1]


def test_a_command_of_the_template_s_own_is_filled_in(tmp_path: Path) -> None:
    guest = Windows()
    command = "pwsh -File \ue000Path\ue001 # \ue000Vars\ue001"
    options = {"inline": ["dir"], "execute_command": command, "remote_path": "c:/x.ps1", "skip_clean": True}
    asyncio.run(make_powershell(options).run(context(guest, tmp_path), soon()))
    assert guest.commands[0].startswith("pwsh -File c:/x.ps1 # c:/Windows/Temp/factory-")
    assert "c:\\x.ps1" not in guest.commands[1]


def test_windows_shell_sets_its_variables_before_the_script(tmp_path: Path) -> None:
    guest = Windows()
    script = tmp_path / "a.bat"
    script.write_text("echo 1\necho 2\n")
    options = {"script": str(script), "environment": {"A": "1"}, "remote_path": "c:/a.bat"}
    asyncio.run(make_windows_shell(options).run(context(guest, tmp_path), soon()))
    assert guest.commands[0] == 'set "A=1" && "c:/a.bat"'
    assert guest.files["c:/a.bat"] == b"echo 1\r\necho 2\r\n"
    with pytest.raises(StepError, match="can't read the script /gone"):
        make_windows_shell({"script": "/gone"})


def test_a_failing_script_says_its_status_and_its_last_words(tmp_path: Path) -> None:
    class Failing(Windows):
        async def run(
            self, command: str, *, deadline: Deadline, on_line: OnLine | None = None, stdin: bytes = b""
        ) -> CommandResult:
            if on_line:
                on_line("stdout", "no such thing")
            return CommandResult(0 if command.startswith("cmd /c del") else 5, "", "")

    with pytest.raises(GuestCommandFailed, match=r"'dir' ended with status 5 \(allowed: 0\); it said last: no such"):
        asyncio.run(make_powershell({"inline": ["dir"]}).run(context(Failing(), tmp_path), soon()))
