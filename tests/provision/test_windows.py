"""What provisioners ask of a guest with Windows; a real one can't run here, so its connection is a fake."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from factory.deadline import Deadline
from factory.drivers.protocols import CommandResult, Credentials, GuestAddress, GuestConnection, OnLine
from factory.errors import StepError
from factory.events import Event
from factory.provision.context import ProvisionContext
from factory.provision.file import Direction, FileProvisioner
from factory.provision.shell import Script, ShellProvisioner
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


def run(provisioner: Any, folder: Path) -> Windows:
    guest = Windows()
    context = cast(ProvisionContext, Context(guest, folder))
    asyncio.run(provisioner.run(context, Deadline.after(Duration(60), "the provisioner")))
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
