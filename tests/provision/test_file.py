from __future__ import annotations

import asyncio
import io
import os
import stat
import tarfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from factory.errors import GuestCommandFailed, StepError
from factory.events import Progress
from factory.provision.file import Direction, FileProvisioner
from tests.provision.guest import soon, surroundings

pytestmark = pytest.mark.machine


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "run").write_text("run")
    (root / "sub" / "run").chmod(0o755)
    (root / ".hidden").write_text("hidden")
    (root / "link").symlink_to("sub/run")
    return root


def _is_the_tree(folder: Path) -> None:
    assert (folder / ".hidden").read_text() == "hidden"
    assert (folder / "sub" / "run").read_text() == "run"
    assert os.readlink(folder / "link") == "sub/run"


def test_content_with_mode(tmp_path: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            home = context.host.home
            await FileProvisioner("~/deep/er/motd", content=b"hello\n").run(context, soon())
            assert (home / "deep/er/motd").read_bytes() == b"hello\n"
            assert _mode(home / "deep/er/motd") == 0o644
            await FileProvisioner("secret", content=b"", mode=0o600).run(context, soon())
            assert _mode(home / "secret") == 0o600
            assert any(isinstance(event, Progress) for event in context.events)
            with pytest.raises(StepError, match="is a folder, and `content` has no name"):
                await FileProvisioner("deep/", content=b"x").run(context, soon())

    run(body())


@pytest.mark.parametrize(
    ("destination", "lands"),
    [("new", "new"), ("folder/", "folder/run"), ("exists", "exists/run"), ("a/b/c", "a/b/c"), ("it's $x", "it's $x")],
)
def test_where_a_file_lands(tmp_path: Path, source: Path, destination: str, lands: str) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            (context.host.home / "exists").mkdir()
            await FileProvisioner(destination, source=str(source / "sub" / "run")).run(context, soon())
            assert (context.host.home / lands).read_text() == "run"
            assert _mode(context.host.home / lands) == 0o755

    run(body())


@pytest.mark.parametrize(
    ("ending", "destination", "lands"),
    [
        ("", "target", "target/source"),
        ("/", "target", "target"),
        ("/", "target/", "target"),
        ("", "t/u/", "t/u/source"),
    ],
)
@pytest.mark.parametrize("dressed", [False, True])
def test_where_a_folder_lands(
    tmp_path: Path, source: Path, ending: str, destination: str, lands: str, dressed: bool
) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            home = context.host.home
            before = set(Path("/tmp").glob("factory-*/tree"))
            (home / "target").mkdir()
            (home / "target").chmod(0o711)
            (home / "target" / "old").touch()
            options: dict[str, Any] = {"mode": 0o640, "owner": "12345:12345"} if dressed else {}
            provisioner = FileProvisioner(destination, source=f"{source}{ending}", **options)
            await provisioner.run(context, soon())
            _is_the_tree(home / lands)
            # What was there keeps its mode and owner.
            assert (home / "target" / "old").exists()
            assert _mode(home / "target") == 0o711
            assert (home / "target").stat().st_uid == os.getuid()
            assert _mode(home / lands / "sub" / "run") == (0o640 if dressed else 0o755)
            if dressed:
                assert (home / lands / "sub" / "run").stat().st_uid == 12345
            assert set(Path("/tmp").glob("factory-*/tree")) <= before

    if dressed and os.getuid() != 0:
        pytest.skip("only root may give files away")
    run(body())


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away")
def test_an_owner(tmp_path: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            target = context.host.home / "owned"
            await FileProvisioner("owned", content=b"x", owner="12345:54321", mode=0o640).run(context, soon())
            assert (target.stat().st_uid, target.stat().st_gid, _mode(target)) == (12345, 54321, 0o640)
            with pytest.raises(GuestCommandFailed, match="no_such_user"):
                await FileProvisioner("owned", content=b"y", owner="no_such_user").run(context, soon())
            assert target.read_bytes() == b"x"
            assert os.listdir(context.host.home) == ["owned"]

    run(body())


def test_sudo_is_used_where_the_user_may_not_write(tmp_path: Path, source: Path) -> None:
    """The guest's user can't write below ``locked`` (a file stands in the way); ``sudo`` moves it out of the way."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "sudo").write_text('#!/bin/sh\n[ "$1" = -n ] && shift\nrm -f "$HOME/locked.guard"\nexec "$@"\n')
    (tools / "chown").write_text("#!/bin/sh\n")  # who runs the tests need not be root
    (tools / "test").write_text('#!/bin/sh\nexec /usr/bin/test "$@"\n')
    (tools / "mkdir").write_text(
        '#!/bin/sh\n[ -e "$HOME/locked.guard" ] && case "$*" in *locked*) exit 1;; esac\nexec /bin/mkdir "$@"\n'
    )
    for tool in tools.iterdir():
        tool.chmod(0o755)

    async def body() -> None:
        async with surroundings(tmp_path, path=f"{tools}:/usr/bin:/bin") as context:
            home = context.host.home
            (home / "locked.guard").touch()
            await FileProvisioner("locked/file", content=b"x", mode=0o600).run(context, soon())
            assert (home / "locked/file").read_bytes() == b"x"
            assert _mode(home / "locked/file") == 0o600
            (home / "locked.guard").touch()
            await FileProvisioner("locked/tree", source=f"{source}/").run(context, soon())
            _is_the_tree(home / "locked/tree")

    run(body())


def test_a_refused_file_says_why(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "sudo").write_text("#!/bin/sh\nexit 1\n")
    (tools / "sudo").chmod(0o755)

    async def body() -> None:
        async with surroundings(tmp_path, path=f"{tools}:/usr/bin:/bin") as context:
            (context.host.home / "file").touch()
            with pytest.raises(GuestCommandFailed, match=r"can't write .*/file/x in the guest: .*") as caught:
                await FileProvisioner("file/x", content=b"x").run(context, soon())
            assert "sudo without a password" in caught.value.hint

    run(body())


def test_a_source_that_is_not_there(tmp_path: Path, source: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            for wrong in (f"{source}/missing", f"{source}/sub/run/"):
                with pytest.raises(StepError, match=r"there is no .* on this host"):
                    await FileProvisioner("x", source=wrong).run(context, soon())
            with pytest.raises(GuestCommandFailed, match="there is no missing in the guest"):
                await FileProvisioner(str(tmp_path / "x"), source="missing", direction=Direction.DOWN).run(
                    context, soon()
                )

    run(body())


@pytest.mark.parametrize(("ending", "lands"), [("", "down/tree"), ("/", "down")])
def test_folders_come_down(tmp_path: Path, source: Path, ending: str, lands: str) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            source.rename(context.host.home / "tree")
            down = FileProvisioner(str(tmp_path / "down"), source=f"tree{ending}", direction=Direction.DOWN)
            await down.run(context, soon())
            _is_the_tree(tmp_path / lands)

    run(body())


@pytest.mark.parametrize(
    ("destination", "lands"), [("new/deep/file", "new/deep/file"), ("d/", "d/log"), ("e", "e/log")]
)
def test_files_come_down(tmp_path: Path, destination: str, lands: str) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            (tmp_path / "e").mkdir()
            (context.host.home / "log").write_text("line\n")
            down = FileProvisioner(f"{tmp_path}/{destination}", source="~/log", direction=Direction.DOWN, mode=0o600)
            await down.run(context, soon())
            assert (tmp_path / lands).read_text() == "line\n"
            assert _mode(tmp_path / lands) == 0o600

    run(body())


def test_a_guest_cannot_write_outside_of_the_destination(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    evil = tmp_path / "evil.tar"
    with tarfile.open(evil, "w") as tar:
        entry = tarfile.TarInfo("../../escaped")
        entry.size = 1
        tar.addfile(entry, io.BytesIO(b"x"))
    (tools / "tar").write_text(f"#!/bin/sh\ncat {evil}\n")
    (tools / "tar").chmod(0o755)

    async def body() -> None:
        async with surroundings(tmp_path, path=f"{tools}:/usr/bin:/bin") as context:
            (context.host.home / "tree").mkdir()
            down = FileProvisioner(str(tmp_path / "a" / "b"), source="tree/", direction=Direction.DOWN)
            with pytest.raises(StepError, match="can't unpack what the guest sent"):
                await down.run(context, soon())
            assert not list(tmp_path.rglob("escaped"))

    run(body())
