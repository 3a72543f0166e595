"""``factory report``: for builds that ended in every way, and what it says where there is nothing to report."""

from __future__ import annotations

import asyncio
import json
from io import StringIO
from pathlib import Path

import pytest
from click import unstyle
from click.testing import CliRunner

from factory.cli.explaining import explain_failure, explain_interruption
from factory.cli.program import cli
from factory.cli.report.failure import failure_lines, problem_lines
from factory.cli.report.terminal import Terminal
from factory.cli.run_end import told_to
from factory.dossier.record import read_record
from factory.engine.freshness import PlanOutdated
from factory.engine.journal import Journal
from factory.errors import Evidence, Explanation, Place, Problem, StepError, StoreError, VerificationFailed
from factory.events import EventBus, Note, Stamped, ignore
from factory.secret import Redactor

pytestmark = pytest.mark.unit


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACTORY_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def dead_run(runs: Path, name: str, *, journal: bool = True) -> Path:
    """What a build leaves that was killed while it waited."""
    folder = runs / name
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"id": name, "template": "debian", "pid": 1, "started": 0}))
    lines = [
        {"time": 1.0, "event": "build_started", "template": "debian", "run_dir": "", "phases": []},
        {"time": 2.0, "event": "step_started", "phase": "install", "step": "x", "title": "wait for the installer"},
    ]
    if journal:
        (folder / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.mark.parametrize("word", ["debian", "20260101-000000-debian-abcd", ""])
def test_a_build_that_was_killed_is_explained(runs: Path, word: str) -> None:
    folder = dead_run(runs, "20260101-000000-debian-abcd")
    result = CliRunner().invoke(cli, ["report", *([word] if word else [])])
    assert result.exit_code == 0, result.output
    assert "The build was killed while it was at “wait for the installer”" in result.output
    assert str(folder / "report.html") in result.output
    assert (folder / "report.html").read_text("utf-8").startswith("<!doctype html>")


def test_a_build_that_went_well_says_so_and_nothing_is_written(runs: Path) -> None:
    folder = dead_run(runs, "r")
    bus, made = EventBus(), runs / "output" / "debian"
    journal = Journal(folder / "journal.jsonl")
    with told_to(journal, bus, "debian", lambda: f"its artifact is in {made}"):
        pass
    journal.close()
    before = sorted(folder.iterdir())
    result = CliRunner().invoke(cli, ["report", "r"])
    assert unstyle(result.output) == f"r: The build succeeded: its artifact is in {made}.\n"
    result = CliRunner().invoke(cli, ["report", "r", "--json"])
    assert json.loads(result.output)["outcome"] == "succeeded"
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("error", "outcome", "message"),
    [
        (StepError("it broke"), "failed", "it broke"),
        (ExceptionGroup("", [StepError("it broke")]), "failed", "it broke"),
        (PlanOutdated("install", "a script has changed", ran=True), "interrupted", "a script has changed"),
        (asyncio.CancelledError(), "interrupted", ""),
        (KeyboardInterrupt(), "interrupted", ""),
    ],
)
def test_the_last_line_of_a_journal_says_how_the_run_ended(
    runs: Path, error: BaseException, outcome: str, message: str
) -> None:
    folder, bus, others = dead_run(runs, "r"), EventBus(), list[Stamped]()
    bus.redactor.add("broke")
    bus.subscribe(others.append)
    journal = Journal(folder / "journal.jsonl")
    with pytest.raises(type(error)), told_to(journal, bus, "debian", lambda: ""):
        raise error
    journal.close()
    last = json.loads((folder / "journal.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["build"], last["outcome"]) == ("build_finished", "debian", outcome)
    assert message.replace("broke", "********") in last["message"]
    assert not others, "the command tells of a build when no further run of it follows"
    assert read_record(folder, alive=False).outcome == outcome


def test_as_json(runs: Path) -> None:
    dead_run(runs, "r")
    result = CliRunner().invoke(cli, ["report", "r", "--json"])
    assert json.loads(result.output)["cause"]["rule"] == "killed"


def test_nothing_to_report(runs: Path) -> None:
    result = CliRunner().invoke(cli, ["report"])
    assert result.exit_code == 2
    assert "there are no runs" in result.output
    dead_run(runs, "r", journal=False)
    assert CliRunner().invoke(cli, ["report", "nobody"]).exit_code == 2
    result = CliRunner().invoke(cli, ["report", "r"])
    assert isinstance(result.exception, StoreError)
    assert "has no journal" in str(result.exception)


def test_a_build_that_was_interrupted_is_explained_by_its_report_alone(runs: Path) -> None:
    folder = dead_run(runs, "r")
    failed = {
        "time": 3.0,
        "event": "step_failed",
        "phase": "install",
        "step": "x",
        "title": "x",
        "message": "ended early",
    }
    with (folder / "journal.jsonl").open("a") as journal:
        journal.write(json.dumps(failed) + "\n")
    explain_interruption(folder)
    assert json.loads((folder / "report.json").read_text("utf-8"))["cause"]["rule"] == "interrupted"
    assert (folder / "report.html").exists()
    explain_interruption(runs / "none")  # whoever ends a build is not told that it has no journal


def test_secrets_in_what_an_error_says_are_masked(tmp_path: Path) -> None:
    evidence = Evidence(
        ("curl", "-u", "me:hunter22"), stderr="no hunter22", notes=("token hunter22",), serial="hunter22"
    )
    error = StepError("hunter22 was refused", hint="is hunter22 right?", evidence=evidence)
    explain_failure(tmp_path, error, ignore, Redactor(["hunter22"]))
    said = "\n".join((*failure_lines(error), str(error), repr(error.evidence), repr(error.args)))
    assert "hunter22" not in said
    assert "token ********" in said


def test_the_terminal_names_the_sentence_and_the_report(tmp_path: Path) -> None:
    error = StoreError("waited 5m for it", hint="a hint")
    error.explanation = Explanation("The guest hung.", ("look", "again", "elsewhere"), tmp_path / "report.html")
    lines = list(failure_lines(error))
    assert "The guest hung." in lines[0]
    assert lines[1] == "  waited 5m for it"
    assert [line.endswith(("look", "again", "report.html")) for line in lines[-3:]] == [True, True, True]
    assert not any("elsewhere" in line for line in lines)


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("it does not pass: it ended with 1", "The image was built, but it does not pass: it ended with 1."),
        ("QEMU did not come up (status 1): it ended with 1", "QEMU itself ended: it ended with 1."),
    ],
)  # fmt: skip
def test_what_the_sentence_has_said_is_not_said_again(message: str, sentence: str, tmp_path: Path) -> None:
    error = VerificationFailed(message)
    error.explanation = Explanation(sentence, (), tmp_path / "report.html")
    assert sum("ended with 1" in line for line in failure_lines(error)) == 1


def test_of_a_very_long_line_the_place_that_is_wrong_is_shown() -> None:
    line = "a" * 5000 + "!" + "b" * 5000
    shown = [unstyle(text) for text in problem_lines(Problem("no", Place("t.yml", 1, 5001), "", line))]
    assert len(shown[1]) < 200
    assert shown[1][shown[2].index("^")] == "!"
    short = [unstyle(text) for text in problem_lines(Problem("no", Place("t.yml", 1, 2), "", "a!b"))]
    assert short[1:] == ["    a!b", "     ^"]


# --- texts of several lines -----------------------------------------------------------------------------------------

WAITED = "waited 8s for the installer to start; the screen shows:\nSeaBIOS\n\n  No bootable device."


def test_further_lines_of_an_error_stand_below_its_first() -> None:
    """As they are indented, nothing that a screen shows passes for a line of our own."""
    lines = [unstyle(line) for line in failure_lines(StepError(WAITED, hint="look\nagain"))]
    assert lines == [
        "error: waited 8s for the installer to start; the screen shows:",
        "  SeaBIOS",
        "",
        "    No bootable device.",
        "  try: look",
        "    again",
    ]


def test_so_do_those_of_an_error_that_is_explained() -> None:
    error = StepError(WAITED)
    error.explanation = Explanation("It did not start.", (), Path("r.html"))
    assert [unstyle(line) for line in failure_lines(error)][1:4] == [f"  {WAITED.splitlines()[0]}", "    SeaBIOS", ""]


def test_so_do_those_of_a_note_while_a_build_runs() -> None:
    stream = StringIO()
    Terminal(stream=stream)(Stamped(0.0, "b", Note(f"trying again after: {WAITED}", "warning")))
    assert stream.getvalue().splitlines()[1:] == ["    SeaBIOS", "", "      No bootable device."]
