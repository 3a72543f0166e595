"""swtpm, the software TPM that a machine sees as its own.

We bind its socket and hand it over, so that there is no moment at which it is "not up yet".
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from factory.drivers.process import spawn
from factory.errors import HostError
from factory.events import Emit

SOCKET = "tpm.sock"
_VERSIONS = {"2.0": ["--tpm2"], "1.2": []}


@asynccontextmanager
async def start(state_dir: Path, *, runtime_dir: Path, version: str, emit: Emit) -> AsyncIterator[Path]:
    """Runs swtpm on *state_dir* (made when missing; new state is manufactured on first use) and yields its socket.

    Raises: HostError when swtpm is not installed, ValueError for a version that is neither "2.0" nor "1.2".
    """
    if version not in _VERSIONS:
        raise ValueError(f"there is no TPM {version!r}: '2.0' or '1.2'")
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = runtime_dir / SOCKET
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        try:
            listening.bind(os.fsencode(path))
        except OSError as error:
            raise HostError(
                f"no socket can be made at {path}: {error}", hint="set XDG_RUNTIME_DIR to a short path"
            ) from error
        listening.listen(1)
        argv = [
            "swtpm",
            "socket",
            *_VERSIONS[version],
            "--tpmstate",
            # Absolute, for swtpm changes its folder; 0600, as the state holds the machine's keys.
            f"dir={state_dir.absolute()},mode=0600",
            "--ctrl",
            f"type=unixio,fd={listening.fileno()}",
        ]
        async with spawn(argv, emit=emit, pass_fds=(listening.fileno(),)):
            yield path
    path.unlink(missing_ok=True)
