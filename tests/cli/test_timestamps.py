"""Lines with the time in front of them."""

from __future__ import annotations

import io
import re
import sys

import click
import pytest

from factory.cli.report.failure import show_failure
from factory.cli.report.timestamps import Timestamped
from factory.errors import StepError

pytestmark = pytest.mark.unit
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d: "


def test_what_click_prints_gets_the_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """click probes a stream with bytes: one that takes them is wrapped, and gets nothing but bytes from then on."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stderr", Timestamped(stream))
    click.echo("one\ntwo", err=True)
    show_failure(StepError("it broke – ü", hint="mend it"))
    stream.seek(0)
    lines = stream.read().splitlines()
    assert len(lines) >= 4
    assert all(re.match(TIME, line) for line in lines)
    assert any("it broke – ü" in line for line in lines)


def test_a_line_in_pieces_gets_one_time() -> None:
    stream = io.StringIO()
    timestamped = Timestamped(stream)
    for piece in ("a", "b", "c\n", "d"):
        timestamped.write(piece)
    assert re.fullmatch(f"{TIME}abc\n{TIME}d", stream.getvalue())
