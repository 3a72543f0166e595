"""Runs the program as a user would, and looks for what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
FACTORY = [sys.executable, "-m", "factory"]


@dataclass
class Outcome:
    code: int
    events: list[dict[str, Any]] = field(default_factory=list)
    stderr: str = ""

    def named(self, name: str) -> list[dict[str, Any]]:
        return [e for e in self.events if e["event"] == name]

    def phases(self, name: str) -> list[str]:
        return [e["phase"] for e in self.named(name)]


@dataclass
class Place:
    """A user's folders: cache, runs and output below one of pytest's."""

    root: Path

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "FACTORY_CACHE": str(self.root / "cache"),
            "FACTORY_RUNS": str(self.root / "runs"),
            "PYTHONPATH": str(PROJECT),
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Any command, to its end."""
        return subprocess.run(
            [*FACTORY, *arguments], cwd=PROJECT, env=self.environment, capture_output=True, text=True, timeout=900
        )

    def build(self, *arguments: str, until: Callable[[dict[str, Any]], bool] | None = None) -> Outcome:
        """``factory build --json``; SIGKILL as soon as *until* says so of an event."""
        process = subprocess.Popen(
            [*FACTORY, "build", "--json", "-o", str(self.output), *arguments],
            cwd=PROJECT, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        outcome = Outcome(0)
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            event = json.loads(line)
            outcome.events.append(event)
            if until and until(event):
                process.send_signal(signal.SIGKILL)
                until = None
        outcome.stderr = process.stderr.read()
        outcome.code = process.wait(timeout=60)
        return outcome

    def left_over(self) -> list[str]:
        """Processes that still know this place, by command line or environment; given ten seconds to go."""
        deadline = time.monotonic() + 10
        while (found := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return found

    def processes(self) -> list[str]:
        """Those that know this place now, by command line or environment."""
        found, marker = [], str(self.root).encode()
        for process in Path("/proc").glob("[0-9]*"):
            if int(process.name) == os.getpid():
                continue
            try:
                command = (process / "cmdline").read_bytes()
                if marker in command or b"FACTORY_CACHE=" + marker in (process / "environ").read_bytes():
                    found.append(command.replace(b"\0", b" ").decode(errors="replace")[:200])
            except OSError:
                continue
        return found

    def half_made(self) -> list[str]:
        """Drafts and stagings that a later build would have to sweep, and folders without a manifest."""
        artifacts = [p for p in self.output.glob("*") if not p.name.startswith(".")]
        return [str(p) for p in artifacts if not (p / "manifest.json").exists() or not (p / "SHA256SUMS").exists()]


def reaches(name: str, *, step: str = "", phase: str = "") -> Callable[[dict[str, Any]], bool]:
    """A condition for ``build(until=…)``."""

    def matches(event: dict[str, Any]) -> bool:
        return bool(
            event["event"] == name
            and (not step or event.get("step") == step)
            and (not phase or event.get("phase") == phase)
        )

    return matches
