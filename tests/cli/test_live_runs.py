"""Which run a person means, and what is said when there is nothing to look at."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from factory.cli.live_runs import find_run, known_runs, living_machine
from factory.cli.on_error import WORD, Choice, tell
from factory.cli.program import cli
from factory.cli.ssh_command import ssh_arguments
from factory.drivers.protocols import GuestAddress
from factory.engine.run_control import RunControl, read_control
from factory.engine.run_directory import Run, open_run
from factory.errors import StepError

pytestmark = pytest.mark.unit


class Root:
    """A folder of runs: some alive (this process is the build), some over, some killed."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path, self._stack = path, stack

    def alive(self, name: str) -> tuple[Run, RunControl]:
        run = self._stack.enter_context(open_run(self.path, name))
        return run, RunControl(run.path)

    def over(self, name: str) -> Run:
        with open_run(self.path, name) as run:
            RunControl(run.path).ended()
        return run

    def killed(self, name: str) -> Run:
        with open_run(self.path, name) as run:
            RunControl(run.path).machine_started(run.path / "boot", os.getpid(), {})
        return run


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Root]:
    monkeypatch.setenv("FACTORY_RUNS", str(tmp_path / "runs"))
    with ExitStack() as stack:
        yield Root(tmp_path / "runs", stack)


def test_a_run_is_found_by_name_beginning_path_and_template(root: Root) -> None:
    run = root.over("debian")
    for word in (run.id, run.id[:-2], str(run.path), "debian"):
        assert find_run(root.path, word).path == run.path


def test_a_living_run_of_a_template_comes_before_a_newer_dead_one(root: Root) -> None:
    alive, _ = root.alive("debian")
    root.over("debian")
    assert find_run(root.path, "debian").path == alive.path


def test_the_only_build_that_runs_needs_no_name(root: Root) -> None:
    with pytest.raises(click.UsageError, match="no build has run yet"):
        find_run(root.path, "")
    root.over("debian")
    with pytest.raises(click.UsageError, match=r"no build is running; name a run; there is .*debian"):
        find_run(root.path, "")
    run, _ = root.alive("tiny")
    assert find_run(root.path, "").path == run.path
    root.alive("other")
    with pytest.raises(click.UsageError, match="several builds run: name one of"):
        find_run(root.path, "")


def test_an_unknown_run_is_a_wrong_option(root: Root) -> None:
    for number in range(7):
        root.over(f"image{number}")
    outcome = CliRunner().invoke(cli, ["screen", "nonsense"])
    assert outcome.exit_code == 2
    assert "no run is called 'nonsense'" in outcome.output
    assert "and 2 more" in outcome.output


def test_each_kind_of_end_is_named(root: Root) -> None:
    running, _ = root.alive("running")
    words = {}
    for run in (root.over("over"), root.killed("killed"), running):
        with pytest.raises(StepError) as failure:
            living_machine(find_run(root.path, run.id))
        words[run.id.split("-")[2]] = str(failure.value)
    assert words["over"].endswith("is over: its machine has ended")
    assert words["killed"].endswith("was killed: its machine went with it")
    assert words["running"].endswith("has no machine at the moment: it works without one")
    assert sorted(run.state for run in known_runs(root.path)) == ["died", "ended", "running"]


def test_ssh_goes_to_the_guest_with_the_builds_key(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    run, control = root.alive("tiny")
    control.machine_started(run.path / "boot", os.getpid(), {})
    with pytest.raises(StepError, match="not so far yet"):
        ssh_arguments(find_run(root.path, "tiny"), ())
    control.guest_reachable("SSH", GuestAddress("127.0.0.1", 2222), "root", Path("/r/build-key"))
    arguments = ssh_arguments(find_run(root.path, "tiny"), ("systemctl", "status"))
    text = " ".join(arguments[1:])
    assert "-i /r/build-key -o IdentitiesOnly=yes" in text
    assert text.endswith("-p 2222 -l root 127.0.0.1 -- systemctl status")
    executed: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, words: executed.append(words))
    for command in (["ssh", "tiny", "--", "ls", "-l"], ["ssh", "tiny", "ls", "-l"], ["ssh", "", "--", "ls", "-l"]):
        CliRunner().invoke(cli, command)
    assert [words[-4:] for words in executed] == [["127.0.0.1", "--", "ls", "-l"]] * 3
    control.guest_reachable("WinRM", GuestAddress("127.0.0.1", 5985), "Administrator", None)
    with pytest.raises(StepError, match="reached by WinRM, not by SSH"):
        ssh_arguments(find_run(root.path, "tiny"), ())


def test_runs_are_listed(root: Root) -> None:
    root.over("old")
    run, control = root.alive("tiny")
    control.machine_started(run.path / "boot", os.getpid(), {"serial": "/r/serial.sock"})
    control.kept("provision-1", "it broke\nbadly")
    listed = CliRunner().invoke(cli, ["runs"]).output
    assert listed.split() == [run.id, "kept", "machine", "boot", "provision-1", "failed:", "it", "broke"]
    everything = CliRunner().invoke(cli, ["runs", "--all", "--json"]).output.splitlines()
    assert [json.loads(line)["state"] for line in everything] == ["kept", "ended"]


def test_only_a_kept_run_can_be_released(root: Root) -> None:
    run, control = root.alive("tiny")
    refused = CliRunner().invoke(cli, ["release", "tiny"])
    assert isinstance(refused.exception, StepError)
    assert "is not kept: it is running" in str(refused.exception)
    control.kept("provision-1", "it broke")
    assert CliRunner().invoke(cli, ["release", "tiny", "--retry"]).exit_code == 0
    assert (run.path / WORD).read_text() == Choice.RETRY
    assert read_control(run.path).phase == "provision-1"
    tell(run.path, Choice.CLEAN)
    assert (run.path / WORD).read_text() == Choice.CLEAN


def test_a_picture_goes_with_nothing_else(root: Root) -> None:
    run, control = root.alive("tiny")
    control.machine_started(run.path / "boot", os.getpid(), {})
    outcome = CliRunner().invoke(cli, ["screen", "--watch", "--png", "x.png"])
    assert outcome.exit_code == 2
    assert "does not go with --watch" in outcome.output


def test_a_run_that_showed_nothing_has_no_film(root: Root) -> None:
    root.over("tiny")
    outcome = CliRunner().invoke(cli, ["record", "tiny"])
    assert isinstance(outcome.exception, StepError)
    assert "nothing was recorded" in str(outcome.exception)
