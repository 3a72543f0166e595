"""What a run leaves when it is killed is found by pid and start time, and nothing else is touched."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.engine.locks import try_lock
from factory.engine.run_directory import ProcessRecord, clean, is_alive, open_run, runs, start_time
from factory.errors import StoreError
from factory.events import CommandStarted, Note, Stamped
from factory.verify.prove import Places

pytestmark = pytest.mark.machine


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def killed_run(root: Path, *records: dict[str, object]) -> Path:
    """A run directory as SIGKILL leaves it: nobody holds the lock, the folder of sockets is still there."""
    with open_run(root, "image") as run:
        about = (run.path / "run.json").read_text()
    (run.path / "cleaned").unlink()
    run.runtime.mkdir()
    (run.runtime / "vnc.sock").touch()
    (run.path / "run.json").write_text(about)
    lines = [json.dumps(record) for record in records]
    (run.path / "processes.jsonl").write_text("\n".join([*lines, '{"pid": 12', ""]))
    return run.path


def test_a_run_leaves_nothing_outside_its_directory(tmp_path: Path) -> None:
    with open_run(tmp_path, "image") as run:
        assert is_alive(run.path)
        assert run.runtime.stat().st_mode & 0o777 == 0o700
        assert clean(tmp_path) == ()
        assert run.runtime.exists()
    assert not run.runtime.exists()
    assert not is_alive(run.path)
    assert run.path in runs(tmp_path)
    assert (run.path / "cleaned").exists()  # nobody has to look again


def test_what_a_run_leaves_is_its_owners_alone(tmp_path: Path) -> None:
    with open_run(tmp_path, "image") as run:
        (run.path / "install").mkdir(mode=0o755)
        (run.path / "install" / "picture.png").touch(mode=0o644)
        (run.path / "link").symlink_to(tmp_path)
    for path in (run.path, *run.path.rglob("*")):
        if not path.is_symlink():
            assert path.stat().st_mode & 0o077 == 0, path
    killed = killed_run(tmp_path)
    (killed / "serial.log").touch(mode=0o644)
    (killed / "serial.log").chmod(0o644)
    clean(tmp_path)
    assert (killed / "serial.log").stat().st_mode & 0o777 == 0o600


def test_runs_that_can_be_in_no_folder_are_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="can't make") as caught, open_run(tmp_path / "file", "debian"):
        raise AssertionError
    assert "FACTORY_RUNS" in caught.value.hint


def test_the_processes_of_a_dead_run_are_ended(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    run = killed_run(tmp_path, {"pid": child.pid, "started": start_time(child.pid), "command": "qemu-system-x86_64"})
    done = clean(tmp_path)
    assert child.wait(timeout=10) == -9
    assert done == (f"qemu-system-x86_64 (process {child.pid}) of {run.name}", f"sockets of {run.name}")
    assert clean(tmp_path) == ()


def test_disks_of_a_dead_run_are_removed_and_its_logs_stay(tmp_path: Path) -> None:
    run = killed_run(tmp_path)
    (run / "verify" / "image.qcow2").mkdir(parents=True)
    for name in ("verify/image.qcow2/main.qcow2", "verify/image.qcow2/serial.log"):
        (run / name).touch()
    assert f"disk verify/image.qcow2/main.qcow2 of {run.name}" in clean(tmp_path)
    assert [p.name for p in (run / "verify" / "image.qcow2").iterdir()] == ["serial.log"]


def test_the_key_and_the_disks_of_a_killed_verifier_go(tmp_path: Path) -> None:
    place = Places(tmp_path / "artifact", tmp_path / "20260101-000000-verify-x-aaaa" / "verify", tmp_path)
    run = place.logs.parent
    place.scratch.mkdir(parents=True)
    (run / "run.json").write_text("{}")
    (place.logs / "serial.log").touch()
    (place.scratch / "key").write_text("private")
    assert f"verify/.scratch of {run.name}" in clean(tmp_path)
    assert [p.name for p in place.logs.iterdir()] == ["serial.log"]


def test_a_stranger_who_got_the_same_number_is_left_alone(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    killed_run(tmp_path, {"pid": child.pid, "started": start_time(child.pid) - 1, "command": "qemu-system-x86_64"})
    assert [line.split(" of ")[0] for line in clean(tmp_path)] == ["sockets"]
    assert child.poll() is None


def test_numbers_of_another_boot_mean_nothing(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    run = killed_run(tmp_path, {"pid": child.pid, "started": start_time(child.pid), "command": "qemu"})
    about = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**about, "boot": "another"}))
    clean(tmp_path)
    assert child.poll() is None


def test_the_processes_of_a_living_run_are_left_alone(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    run = killed_run(tmp_path, {"pid": child.pid, "started": start_time(child.pid), "command": "qemu"})
    lock = try_lock(run / "lock")
    assert lock is not None
    assert clean(tmp_path) == ()
    assert child.poll() is None
    os.close(lock)
    assert clean(tmp_path)


def test_every_process_is_noted_with_its_start_time(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    with open_run(tmp_path, "image") as run:
        record = ProcessRecord(run)
        record(Stamped(0.0, "image", Note("nothing started")))
        record(Stamped(0.0, "image", CommandStarted("sleep 1000", child.pid)))
        record.close()
    lines = [json.loads(line) for line in (run.path / "processes.jsonl").read_text().splitlines()]
    assert lines == [{"pid": child.pid, "started": start_time(child.pid), "command": "sleep"}]
    assert start_time(child.pid) > 0


def test_a_folder_outside_is_removed_only_where_its_name_is_ours(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    run = killed_run(tmp_path / "runs")
    about = json.loads((run / "run.json").read_text())
    Path(about["runtime"], "vnc.sock").unlink()
    Path(about["runtime"]).rmdir()
    (run / "run.json").write_text(json.dumps({**about, "runtime": str(precious)}))
    clean(tmp_path / "runs")
    assert precious.exists()
