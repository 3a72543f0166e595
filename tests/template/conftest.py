"""A small project in a temporary folder, in which tests stand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from factory.errors import Problem
from factory.template import project as project_module
from factory.template.check import check
from factory.template.load import load
from factory.template.model import Loaded

TEMPLATE = """\
format: 1
name: small
source: {iso: {path: ../isos/small.iso, checksum: none}}
install: {profile: small}
"""
PROFILE = """\
format: 1
name: small
typed: {command: "install {{ seed.url }}/answers<enter>"}
seed: {directory: small, main: answers}
"""


class Project:
    """``images/``, ``boot_configs/small.yml``, ``http_seed/small/answers.j2``, ``isos/small.iso``, …"""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("boot_configs/small.yml", PROFILE)
        self.write("http_seed/small/answers.j2", "host={{ name }}\n")
        self.write("isos/small.iso", "iso")
        self.write("scripts/hello", "#!/bin/sh\necho hello\n")
        self.template("")

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text) if isinstance(text, bytes) else path.write_text(dedent(text))
        return path

    def template(self, more: str, *, base: str = TEMPLATE) -> Path:
        """Writes images/small.yml: *base* and *more* lines."""
        return self.write("images/small.yml", base + dedent(more))

    def check(self, more: str | None = None, **given: Any) -> tuple[Loaded | None, tuple[Problem, ...]]:
        if more is not None:
            self.template(more)
        return check(Path("images/small.yml"), **given)

    def problems(self, more: str | None = None, **given: Any) -> list[str]:
        """Every problem of the template with *more* lines, as a user reads it; its file's name left out."""
        return [str(p).removeprefix("images/small.yml:") for p in self.check(more, **given)[1]]

    def load(self, more: str | None = None, **given: Any) -> Loaded:
        if more is not None:
            self.template(more)
        return load(Path("images/small.yml"), **given)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    nothing: Callable[[], None] = lambda: None  # noqa: E731
    monkeypatch.setattr(project_module, "shipped_root", nothing)
    return Project(tmp_path)
