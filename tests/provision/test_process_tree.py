from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from factory.deadline import Deadline
from factory.provision.process_tree import end_command
from factory.quantity import Duration

pytestmark = pytest.mark.machine

SHELLS = [["dash"], ["bash", "--posix"], ["busybox", "sh"]]


@pytest.fixture(params=SHELLS, ids=lambda words: words[0])
def shell(request: pytest.FixtureRequest) -> list[str]:
    words: list[str] = request.param
    if not shutil.which(words[0]):
        pytest.skip(f"there is no {words[0]} here")
    return words


@pytest.fixture
def sleeper(tmp_path: Path) -> str:
    """A program of a name that makes the kernel's line about it hard to read."""
    path = tmp_path / "a) S 1 (b"
    shutil.copy("/bin/sleep", path)
    return str(path)


def end(shell: list[str], pid_file: Path) -> subprocess.CompletedProcess[str]:
    command = end_command(str(pid_file))
    assert command.startswith("sh -c ")
    argv = [*shell, "-c", command.replace("sh -c", f"exec {' '.join(shell)} -c", 1)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("leads", [True, False])
def test_children_are_ended_with_what_they_started(tmp_path: Path, shell: list[str], sleeper: str, leads: bool) -> None:
    """Also one that heeds no TERM, and whose parents are gone by the time that it is killed."""
    stubborn = f"trap '' TERM; '{sleeper}' 1000 & echo $! > stubborn; wait"
    (tmp_path / "stubborn.sh").write_text(stubborn)
    script = f"echo $$ > pid; sh stubborn.sh & '{sleeper}' 1000 & echo $! > plain; wait"
    other = subprocess.Popen(["sleep", "1000"])
    running = subprocess.Popen(["sh", "-c", script], cwd=tmp_path, start_new_session=leads)
    try:
        deadline = Deadline.after(Duration(30), "the script to start")
        while not all((tmp_path / name).is_file() and (tmp_path / name).read_text() for name in ("stubborn", "plain")):
            assert not deadline.expired
        result = end(shell, tmp_path / "pid")
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
        assert running.wait(10) != 0
        for name in ("stubborn", "plain"):
            assert not _runs((tmp_path / name).read_text().strip())
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_without_a_process_there_is_nothing_to_end(tmp_path: Path, shell: list[str]) -> None:
    assert end(shell, tmp_path / "missing").returncode == 0
    (tmp_path / "pid").write_text("")
    assert end(shell, tmp_path / "pid").returncode == 0
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / "pid").write_text(f"{gone.pid}\n")
    assert end(shell, tmp_path / "pid").returncode == 0


def _runs(pid: str) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
