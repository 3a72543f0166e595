"""Outlives the factory by a moment, to end what it started: the whole program of a small child process.

``drivers/process`` runs this file once, on its own, with a pipe as standard input, and tells it every process group
that it opens (``+123``) and closes (``-123``), and every folder that must not outlive it (``+/path``, ``-/path``, the
path in hexadecimal digits: it may hold anything). When the factory ends in whatever way, SIGKILL among them, the kernel
closes the pipe; then each group that is still open is killed, grandchildren included, and each folder that is still
open is removed. ``setpriv --pdeathsig`` alone would reach the direct children only.

Imports nothing of ours: it runs under ``python -I -S`` so that it is up in some 10 ms.
"""

from __future__ import annotations

import os
import signal
import sys
from binascii import unhexlify
from collections.abc import Iterable
from contextlib import suppress

ATTEMPTS = 20
"""To empty a folder: what was killed this very moment may still bring a file into being."""


def still_open(lines: Iterable[bytes]) -> tuple[set[int], list[bytes]]:
    """The groups and the folders that are open when *lines* end."""
    left: dict[bytes, None] = {}
    for line in lines:
        if not line.endswith(b"\n"):
            continue  # torn: half a number is another group, half a path another folder
        text = line.strip()
        if text[:1] == b"+":
            left[text[1:]] = None
        elif text[:1] == b"-":
            left.pop(text[1:], None)
    groups = {int(name) for name in left if name.isdigit()}
    return {g for g in groups if g > 1}, [f for name in left if (f := _folder(name))]  # 0 is our own, 1 everything


def _folder(name: bytes) -> bytes:
    """What *name* stands for when it is a folder; else nothing."""
    with suppress(ValueError):
        path = unhexlify(name[1:]) if name[:1] == b"/" else b""
        if os.path.isabs(path) and path.strip(b"/"):
            return path
    return b""


def remove(folder: bytes) -> None:
    """Removes *folder*, and the one that it lies in when that is empty then."""
    import shutil  # takes as long to load as all the rest of this program, and is rarely wanted
    import time

    for _ in range(ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder):
            break
        time.sleep(0.05)
    with suppress(OSError):
        os.rmdir(os.path.dirname(folder))


def main() -> None:
    # Only the end of the pipe ends us: a signal meant for the factory must not leave its children behind.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    groups, folders = still_open(sys.stdin.buffer)
    for group in groups:
        with suppress(OSError):  # it ended by itself meanwhile
            os.killpg(group, signal.SIGKILL)
    for folder in folders:
        remove(folder)


if __name__ == "__main__":
    main()
