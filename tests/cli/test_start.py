"""The command line starts quickly: what is heavy is imported by who needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from factory.cli.program import COMMANDS, cli, double_dashes

HEAVY = {
    "pydantic", "jinja2", "paramiko", "cryptography", "starlette", "uvicorn", "httpx", "PIL", "pycdlib", "libvirt",
    "guestfs", "qemu", "tqdm", "yaml", "asyncio",
}  # fmt: skip


def imported_by(*arguments: str) -> set[str]:
    """Top-level modules that a run of the program imports."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "factory", *arguments], capture_output=True, text=True, check=True
    )
    lines = [line for line in result.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.machine
def test_version_imports_next_to_nothing() -> None:
    assert not imported_by("--version") & (HEAVY | {"click"})


@pytest.mark.machine
def test_help_imports_no_heavy_library() -> None:
    assert not imported_by("--help") & HEAVY


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
