"""Signals end the program with its own code from its first moment on, and those that nohup takes away do nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from factory.cli.signals import ended_by_signals
from factory.errors import INTERRUPTED_EXIT_CODE

pytestmark = pytest.mark.machine

ROOT = Path(__file__).parents[2]
AT_AN_IMPORT = """
import os, signal, sys
number, moment = signal.Signals(int(sys.argv.pop(1))), sys.argv.pop(1)
class Moment:
    def find_spec(self, name, path=None, target=None):
        if name == moment:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), number)
sys.meta_path.insert(0, Moment())
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell starts its background jobs
from factory.cli.main import main
main()
"""
"""Runs the program; it gets a signal the moment that it begins to import a certain module."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", ["factory.cli.program", "pydantic"])
def test_a_signal_while_the_program_starts_ends_it_cleanly(number: signal.Signals, moment: str, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", AT_AN_IMPORT, str(int(number)), moment, "build", "images/tiny.yml", "-o", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "FACTORY_CACHE": str(tmp_path / "cache"), "FACTORY_RUNS": str(tmp_path / "runs")},
    )  # fmt: skip
    assert result.returncode == INTERRUPTED_EXIT_CODE, result.stderr
    assert "interrupted" in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.rglob("*.qcow2")) == []


@contextmanager
def handled(number: signal.Signals, handler: signal.Handlers) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


async def _lives_on(number: signal.Signals) -> bool:
    with ended_by_signals():
        os.kill(os.getpid(), number)
        for _ in range(10):
            await asyncio.sleep(0.01)
    return True


def test_a_build_under_nohup_outlives_its_terminal() -> None:
    with handled(signal.SIGHUP, signal.SIG_IGN):
        assert asyncio.run(_lives_on(signal.SIGHUP))
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize(
    ("number", "handler"),
    [(signal.SIGHUP, signal.SIG_DFL), (signal.SIGTERM, signal.SIG_DFL), (signal.SIGINT, signal.SIG_IGN)],
)
def test_other_signals_end_what_runs_and_are_handled_as_before_afterwards(
    number: signal.Signals, handler: signal.Handlers
) -> None:
    with handled(number, handler):
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(_lives_on(number))
        assert signal.getsignal(number) is handler
