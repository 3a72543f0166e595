"""Ctrl-C and SIGTERM end a build cleanly, also one that a script has put into the background."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.command import FACTORY, PROJECT, Place

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_signal_ends_everything_and_says_how_to_go_on(
    number: signal.Signals, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = Place(tmp_path_factory.mktemp("signal"))
    process = subprocess.Popen(
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *FACTORY, "build", "images/tiny.yml", "-o", str(place.output)],
        cwd=PROJECT, env=place.environment, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "start the installer" in line:
            process.send_signal(number)
    assert process.wait(timeout=60) == 130, "".join(lines)
    assert "the same command goes on from there" in "".join(lines)
    (report,) = place.root.rglob("report.json")
    assert json.loads(report.read_text("utf-8"))["cause"]["rule"] == "interrupted"
    assert report.with_suffix(".html").exists()
    assert place.left_over() == []
    assert not list(Path(place.root / "cache" / "layers").glob(".draft*"))
    about = json.loads((report.parent / "run.json").read_text("utf-8"))
    assert not Path(about["runtime"]).exists(), "its sockets"
