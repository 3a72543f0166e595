"""What `factory clean` finds outside of its own folders."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from factory.cli.clean_command import command

pytestmark = pytest.mark.machine


def test_sockets_of_killed_appliances_are_removed_and_living_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root libguestfs puts them below /tmp, whatever the environment says."""
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FACTORY_RUNS", str(tmp_path / "runs"))
    dead, alive = (Path(f"/tmp/libguestfs{secrets.token_hex(3)}") for _ in range(2))
    with socket.socket(socket.AF_UNIX) as listener:
        for folder in (dead, alive):
            folder.mkdir()
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(str(dead / "guestfsd.sock"))
        listener.bind(str(alive / "guestfsd.sock"))
        listener.listen()
        result = CliRunner().invoke(command, ["-o", str(tmp_path / "output")])
        assert result.exit_code == 0, result.output
        assert not dead.exists()
        assert alive.exists()
    (alive / "guestfsd.sock").unlink()
    alive.rmdir()
