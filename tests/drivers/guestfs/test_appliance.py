"""The real appliance: calls, errors, death; and what is said where it can't start."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from factory.deadline import Deadline, poll
from factory.drivers.guestfs import environment
from factory.drivers.guestfs.appliance import GuestfsAppliance, GuestfsDriver
from factory.drivers.guestfs.environment import ApplianceSettings, find_interpreter, launch_error, remove_dead_sockets
from factory.drivers.protocols import ApplianceCallFailed, ApplianceDisk, DiskAccess
from factory.errors import Evidence, HostError, StepError
from factory.events import CommandStarted, Event, ignore
from factory.quantity import Duration

pytestmark = pytest.mark.machine

LONG = Duration(300)


@pytest.fixture(scope="module")
def driver() -> GuestfsDriver:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "factory" / "guestfs"
    return GuestfsDriver(ApplianceSettings(asyncio.run(find_interpreter()), cache))


@pytest.fixture
def runtime() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gf") as name:  # pytest's own folders are too long for sockets
        yield Path(name)


def image(path: Path) -> ApplianceDisk:
    with path.open("wb") as stream:
        stream.truncate(32 * 2**20)
    return ApplianceDisk(path, "raw")


async def _gone(pid: int) -> bool | None:
    return None if Path(f"/proc/{pid}").exists() else True


def test_calls_travel_both_ways_and_a_dead_child_is_told(driver: GuestfsDriver, tmp_path: Path, runtime: Path) -> None:
    """One launch for all of it: values, bytes, names that are no UTF-8, refusals, and the end by SIGKILL."""
    events: list[Event] = []

    async def body() -> None:
        async with driver.launch(
            [image(tmp_path / "disk")],
            access=DiskAccess.READ_WRITE,
            runtime_dir=runtime,
            deadline=Deadline.after(LONG, "the test"),
            emit=events.append,
        ) as appliance:
            await appliance.batch([("mkfs", "ext4", "/dev/sda", {"label": "hi"}), ("mount", "/dev/sda", "/")])
            await appliance.batch([("write", "/a", b"\0\xff"), ("debug", "sh", ["touch $(printf '/sysroot/\\351')"])])
            assert await appliance.call("read_file", "/a") == b"\0\xff"
            assert await appliance.call("vfs_label", "/dev/sda") == "hi"
            assert set(await appliance.paths("/")) == {b"a", b"\xe9", b"lost+found"}
            with pytest.raises(ApplianceCallFailed, match="rm /nothing") as error:
                await appliance.batch([("exists", "/a"), ("rm", "/nothing"), ("rm", "/a")])
            assert error.value.is_missing
            refused, there = await appliance.attempt([("rm", "/nothing"), ("exists", "/a")])
            assert isinstance(refused, ApplianceCallFailed)
            assert there == 1, "a batch ends at the first error: /a must still be there"
            with pytest.raises(ApplianceCallFailed, match="has no no_such_call"):
                await appliance.call("no_such_call")
            (pid,) = [e.pid for e in events if isinstance(e, CommandStarted)]
            qemu = await appliance.call("get_pid")
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(StepError, match=r"ended in the middle|ended already"):
                await appliance.call("exists", "/a")
            await poll(partial(_gone, qemu), Deadline.after(Duration(60), "QEMU to end with the child"))

    with pytest.raises(StepError, match=r"ended in the middle|ended already"):  # the context's own farewell
        asyncio.run(body())
    assert list(runtime.iterdir()) == []


class Dying:
    """A child that reads no more, and whose end is not known yet."""

    exit_status = None

    async def write(self, data: bytes) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    def evidence(self) -> Evidence:
        return Evidence()


@pytest.mark.unit
def test_a_child_that_reads_no_more_is_told_by_its_exit_status(tmp_path: Path) -> None:
    appliance = GuestfsAppliance(Deadline.after(LONG, "the test"), tmp_path, ignore)
    appliance.attach(Dying())  # type: ignore[arg-type]

    async def body() -> None:
        call = asyncio.ensure_future(appliance.call("exists", "/a"))
        await asyncio.sleep(0)
        appliance.ended(-9)
        await call

    with pytest.raises(StepError, match=r"ended in the middle of its work \(exit status -9\)"):
        asyncio.run(body())


def test_a_passed_deadline_ends_the_launch(driver: GuestfsDriver, tmp_path: Path, runtime: Path) -> None:
    async def body() -> None:
        async with driver.launch(
            [image(tmp_path / "disk")],
            access=DiskAccess.READ_ONLY,
            runtime_dir=runtime,
            deadline=Deadline.after(Duration(0.5), "an appliance"),
            emit=ignore,
        ):
            raise AssertionError("no appliance starts in half a second")

    with pytest.raises(StepError, match="waited 500ms for an appliance"):
        asyncio.run(body())
    assert list(runtime.iterdir()) == []


def test_a_disk_that_is_not_there_is_no_matter_of_the_host(
    driver: GuestfsDriver, tmp_path: Path, runtime: Path
) -> None:
    async def body() -> None:
        async with driver.launch(
            [ApplianceDisk(tmp_path / "nothing", "raw")],
            access=DiskAccess.READ_ONLY,
            runtime_dir=runtime,
            deadline=Deadline.after(LONG, "an appliance"),
            emit=ignore,
        ):
            raise AssertionError("it must not start")

    with pytest.raises(ApplianceCallFailed, match="add_drive"):
        asyncio.run(body())


def test_an_interpreter_that_lacks_the_binding_is_named_with_the_remedy() -> None:
    found = asyncio.run(find_interpreter())
    assert found.exists()
    without = Path("/bin/false")
    with pytest.raises(HostError, match="no Python on this computer can import guestfs") as error:
        asyncio.run(find_interpreter([without]))
    assert "apt-get install" in error.value.hint
    assert error.value.evidence.notes[0].startswith("/bin/false")


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("supermin: open: /boot/vmlinuz-6.8: Permission denied", "chmod 0644"),
        ("supermin exited with error status 1", "install"),
        ("Could not access KVM kernel module: No such file", "accelerators"),
        ("cp: write error: No space left on device", "FACTORY_CACHE"),
        ("libguestfs: launch: socket path too long: /tmp/a/b/guestfsd.sock", "TMPDIR"),
        ("something new", "libguestfs-test-tool"),
    ],
)
def test_each_failure_of_the_appliance_has_a_way_out(said: str, remedy: str) -> None:
    error = launch_error(said, "")
    assert remedy in error.hint
    assert said in error.evidence.stderr


def test_a_disk_that_a_machine_has_opened_meanwhile_is_no_matter_of_the_host(
    driver: GuestfsDriver, tmp_path: Path, runtime: Path
) -> None:
    disk = image(tmp_path / "disk.raw")
    argv = ["qemu-system-x86_64", "-S", "-display", "none", "-nodefaults", "-qmp", "stdio"]
    argv += ["-drive", f"file={disk.path},format=raw,if=virtio"]
    machine = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    async def body() -> None:
        async with driver.launch(
            [disk],
            access=DiskAccess.READ_WRITE,
            runtime_dir=runtime,
            deadline=Deadline.after(LONG, "an appliance"),
            emit=ignore,
        ):
            raise AssertionError("it must not start")

    try:
        assert machine.stdin is not None
        assert machine.stdout is not None
        machine.stdin.write(b'{"execute": "qmp_capabilities"}\n')
        machine.stdin.flush()
        assert b"QMP" in machine.stdout.readline()
        assert b"return" in machine.stdout.readline()  # now it has its disks
        with pytest.raises(StepError, match=r"disk\.raw is in use: a running machine writes to it"):
            asyncio.run(body())
    finally:
        machine.kill()
        machine.communicate()


def test_settings_force_tcg_unless_kvm_was_measured(tmp_path: Path) -> None:
    settings = ApplianceSettings(Path("/usr/bin/python3"), tmp_path)
    assert settings.environment(tmp_path)["LIBGUESTFS_BACKEND_SETTINGS"] == "force_tcg"
    measured = ApplianceSettings(Path("/usr/bin/python3"), tmp_path, accelerator="kvm")
    assert "LIBGUESTFS_BACKEND_SETTINGS" not in measured.environment(tmp_path)


def test_only_socket_folders_without_a_listener_are_removed(tmp_path: Path) -> None:
    folders = {name: tmp_path / f"libguestfs{name}" for name in ("deadxx", "alivex", "foreig", "emptyx")}
    for folder in folders.values():
        folder.mkdir()
    servers = []
    for name in ("deadxx", "alivex"):
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(folders[name] / "guestfsd.sock"))
        servers.append(server)
    (folders["foreig"] / "notes.txt").write_text("not ours")
    table = tmp_path / "unix"
    table.write_text(f"0: 00000002 0 {folders['alivex']}/guestfsd.sock\n")
    remove_dead_sockets(time.time() + 60, tmp_path, table)
    assert all(f.exists() for f in folders.values()), "what is older than the launch is not ours"
    remove_dead_sockets(time.time() - 60, tmp_path, table)
    assert not folders["deadxx"].exists()
    assert folders["alivex"].exists()
    assert folders["foreig"].exists()
    assert folders["emptyx"].exists(), "another program's, which is about to fill it"
    for server in servers:
        server.close()
    assert environment.PACKAGES
