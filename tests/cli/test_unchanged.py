"""The short answer to `factory build` when nothing has changed: the same as the long one, and never a wrong one."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from factory.cli.noticing import KEPT, noticing, remember
from factory.cli.requests import Selection, find_builds
from factory.cli.unchanged import answered, note_of
from factory.digest import tree_digest
from factory.drivers.download_index import Index

PROJECT = Path(__file__).parents[2]
TEMPLATE = """
format: 1
name: demo
extends: [_base/base]
source: {image: {path: images/disk.raw}}
machine: {firmware: bios, disks: [{id: main, size: 1 GiB}]}
provision:
  - shell: {script: one.sh}
  - file: {source: files, destination: /srv}
outputs: [qcow2]
"""


@dataclass
class Demo:
    """A project with one template, and its artifact as a build would have left it."""

    root: Path

    @property
    def artifact(self) -> Path:
        return self.root / "output" / "demo"

    def deliver(self, key: str = "k") -> None:
        self.artifact.mkdir(parents=True)
        (self.artifact / "demo.qcow2").write_bytes(b"x" * 1000)
        files = [{"path": "demo.qcow2", "size": 1000, "sha256": hashlib.sha256(b"x" * 1000).hexdigest()}]
        (self.artifact / "manifest.json").write_text(json.dumps({"key": key, "files": files}))

    def plan(self, *arguments: str) -> None:
        """Reads what a build of the template would, and notes it as ``factory build ARGUMENTS`` does."""
        template = self.root / "images" / "demo.yml"
        with noticing(self.root / "output") as noticed:
            (request,) = find_builds([template], Selection({}, ()), {}).builds.values()
            noticed.planning(request.loaded.root)
            (self.root / "images/one.sh").read_text()
            tree_digest(self.root / "images/files")
            Index(self.root / "cache/media/index.json").digest_of_local(self.root / "images/disk.raw")
            noticed.stop()
            noticed.downloads.add(Path("down/hosts"))
            (self.root / "images/not-of-the-plan").touch()
        assert noticed.complete
        remember(arguments, noticed, {"demo": self.artifact}, json_lines=True)


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Demo:
    root = tmp_path / "project"
    for name in ("images/_base", "images/files/inner", "boot_configs", "http_seed", "cache", "runs"):
        (root / name).mkdir(parents=True)
    (root / "images/not-of-the-plan").touch()
    (root / "down").mkdir()
    (root / "down/hosts").touch()
    (root / "images/demo.yml").write_text(TEMPLATE)
    (root / "images/_base/base.yml").write_text("format: 1\n")
    (root / "images/one.sh").write_text("echo one\n")
    (root / "images/files/inner/a").touch()
    (root / "images/files/link").symlink_to("inner")
    (root / "images/disk.raw").write_bytes(bytes(512))
    (root / "cache/salt").write_text("00" * 32)
    monkeypatch.setenv("FACTORY_CACHE", str(root / "cache"))
    monkeypatch.setenv("FACTORY_RUNS", str(root / "runs"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(root)
    demo = Demo(root)
    Index(root / "cache/media/index.json").digest_of_local(root / "images/disk.raw")  # known from before: not opened
    return demo


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> bool:
    answer = answered(arguments)
    said = capsys.readouterr().out
    assert bool(said) is answer
    return answer


def replaced(path: str, text: str = "echo two\n") -> Callable[[Path], None]:
    """Of the same length, in a new file, as editors save."""

    def change(root: Path) -> None:
        (root / "draft").write_text(text)
        (root / "draft").rename(root / path)

    return change


def _retarget(root: Path) -> None:
    (root / "images/files/link").unlink()
    (root / "images/files/link").symlink_to("inner/a")


def _killed_run(root: Path) -> None:
    (root / "runs/r").mkdir()
    (root / "runs/r/lock").touch()


CHANGES: dict[str, Callable[[Path], object]] = {
    "template": replaced("images/demo.yml", TEMPLATE),
    "script": replaced("images/one.sh"),
    "fragment": replaced("images/_base/base.yml", "format: 1\n"),
    "a name that appears in a folder of templates": lambda root: (root / "images/base.yml").touch(),
    "mode": lambda root: (root / "images/one.sh").chmod(0o755),
    "a file of a folder": lambda root: (root / "images/files/inner/a").write_text("a"),
    "a new file of a folder": lambda root: (root / "images/files/inner/.hidden").touch(),
    "a link in a folder": _retarget,
    "medium": replaced("images/disk.raw", "\0" * 512),
    "a profile that may fit better": lambda root: (root / "boot_configs/new.yml").touch(),
    "artifact": replaced("output/demo/demo.qcow2", "x" * 1000),
    "no artifact": lambda root: (root / "output/demo/demo.qcow2").unlink(),
    "a download that is gone": lambda root: (root / "down/hosts").unlink(),
    "manifest": replaced("output/demo/manifest.json", "{}"),
    "another salt": lambda root: (root / "cache/salt").write_text("11" * 32),
    "a variable": lambda root: os.environ.update(FACTORY_VAR_x="1"),
    "a killed build's staging": lambda root: (root / "output/.staging/demo-1").mkdir(parents=True),
    "a killed build's run": _killed_run,
    "a killed build's temporary files": lambda root: (root.parent / "factory-tmp-1").mkdir(),
}


@pytest.mark.unit
@pytest.mark.parametrize("name", CHANGES)
def test_whatever_changes_takes_the_long_way(
    demo: Demo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(demo.root.parent))
    monkeypatch.delenv("FACTORY_VAR_x", raising=False)
    demo.deliver()
    demo.plan("images/demo.yml")
    assert told(capsys, "images/demo.yml")
    CHANGES[name](demo.root)
    assert not told(capsys, "images/demo.yml")
    monkeypatch.delenv("FACTORY_VAR_x", raising=False)


@pytest.mark.unit
def test_it_is_an_answer_to_this_command_in_this_folder_only(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    demo.deliver()
    demo.plan("images/demo.yml", "--layers", "off")
    assert told(capsys, "images/demo.yml", "--layers", "off")
    assert not told(capsys, "images/demo.yml")
    os.chdir(demo.root.parent)
    assert not told(capsys, "images/demo.yml", "--layers", "off")


@pytest.mark.unit
def test_a_living_build_is_no_reason_to_look_closer(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    import fcntl

    demo.deliver()
    demo.plan("images/demo.yml")
    _killed_run(demo.root)
    with (demo.root / "runs/r/lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert told(capsys, "images/demo.yml")


@pytest.mark.unit
def test_a_plan_that_asked_somebody_is_not_noted(demo: Demo) -> None:
    with noticing(demo.root / "output") as noticed:
        sys.audit("socket.connect", None, ("127.0.0.1", 80))
    assert not noticed.complete
    with noticing(demo.root / "output") as noticed:
        noticed.stop()
        noticed.planning(demo.root)  # once builds have begun
    assert not noticed.complete


@pytest.mark.unit
def test_notes_are_private_and_few(demo: Demo) -> None:
    demo.deliver()
    for number in range(KEPT + 3):
        demo.plan(str(number))
    notes = list((demo.root / "cache/unchanged").iterdir())
    assert len(notes) == KEPT
    assert {note.stat().st_mode & 0o777 for note in notes} == {0o600}
    assert note_of([str(KEPT + 2)]) in map(str, notes)


@pytest.mark.machine
def test_the_program_answers_as_the_long_way_does(demo: Demo) -> None:
    """The whole program: the first build measures the computer and is not noted, the second is, the third is short."""
    for name in ("scripts",):
        (demo.root / name).symlink_to(PROJECT / name)
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}

    def factory(*arguments: str, loads: bool) -> str:
        command = [sys.executable, "-X", "importtime", "-m", "factory", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert ("factory.template.load" in done.stderr) is loads
        return done.stdout

    plan = json.loads(factory("plan", "--json", "images/demo.yml", loads=True))
    demo.deliver(plan[0]["phases"][-1]["key"])
    for arguments in (["images/demo.yml", "--json"], ["images/demo.yml"]):
        long = factory("build", *arguments, loads=True)
        short = factory("build", *arguments, loads=False)
        if "--json" in arguments:
            events = [json.loads(long), json.loads(short)]
            for event in events:
                assert event.pop("time") > 1.7e9
                assert 0 < event.pop("seconds") < 60
            assert events[0] == events[1]
            assert list(json.loads(long)) == list(json.loads(short))
        else:
            assert short.splitlines()[1:] == long.splitlines()[1:]
            assert short.startswith(f"demo is ready in {demo.artifact} (")
    (demo.root / "images/one.sh").write_text("echo two\n")
    changed = factory("plan", "images/demo.yml", loads=True)
    assert "one.sh changed" in changed or "will run" in changed
