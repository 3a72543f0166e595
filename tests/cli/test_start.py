"""The command line starts quickly: what is heavy is imported by who needs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from factory.cli.program import COMMANDS, cli
from factory.cli.single_dash import double_dashes

ROOT = Path(__file__).parents[2]
HEAVY = {
    "pydantic", "jinja2", "paramiko", "cryptography", "starlette", "uvicorn", "httpx", "PIL", "pycdlib", "libvirt",
    "guestfs", "qemu", "tqdm", "yaml", "asyncio",
}  # fmt: skip


def imported_by(*arguments: str, **environment: str) -> set[str]:
    """Top-level modules that a run of the program imports."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "factory", *arguments],
        capture_output=True, text=True, check=True, env={**os.environ, **environment},
    )  # fmt: skip
    lines = [line for line in result.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.machine
def test_version_imports_next_to_nothing() -> None:
    assert not imported_by("--version") & (HEAVY | {"click"})


@pytest.mark.machine
def test_help_imports_no_heavy_library() -> None:
    assert not imported_by("--help") & HEAVY


@pytest.mark.machine
def test_a_plan_imports_no_driver_that_only_a_running_build_needs(tmp_path: Path) -> None:
    """A build in which nothing has changed ends with its plan: it must not wait for these."""
    only_running = HEAVY - {"pydantic", "jinja2", "yaml", "asyncio"}
    assert not imported_by("plan", str(ROOT / "images/tiny.yml"), FACTORY_CACHE=str(tmp_path)) & only_running


@pytest.mark.unit
def test_every_command_exists_and_explains_itself() -> None:
    import click

    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None, name
        assert command.help, name


@pytest.mark.unit
def test_packer_s_single_dashes_are_read() -> None:
    assert double_dashes(["build", "-var", "a=1", "-v", "-var-file=x", "--", "-var"]) == [
        "build", "--var", "a=1", "-v", "--var-file=x", "--", "-var",
    ]  # fmt: skip


@pytest.mark.machine
@pytest.mark.parametrize(("no_color", "styled"), [("", True), ("1", False)])
def test_nothing_is_coloured_where_no_color_is_set(no_color: str, styled: bool, tmp_path: Path) -> None:
    """On a terminal, which it takes to see the difference."""
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("format: 1\nnme: x\n")
    leader, follower = os.openpty()
    result = subprocess.run(
        [sys.executable, "-m", "factory", "validate", str(wrong)], cwd=ROOT, stdout=follower, stderr=follower,
        env={**os.environ, "NO_COLOR": no_color, "TERM": "xterm"}, check=False,
    )  # fmt: skip
    os.close(follower)
    said = os.read(leader, 65536)
    os.close(leader)
    assert result.returncode == 3
    assert b"unknown field" in said
    assert (b"\x1b[" in said) is styled
