"""Outlives the factory by a moment, to end what it started: the whole program of a small child process.

``drivers/process`` runs this file once, on its own, with a pipe as standard input, and tells it every process group
that it opens (``+123``) and closes (``-123``). When the factory ends in whatever way, SIGKILL among them, the kernel
closes the pipe; then each group that is still open is killed, grandchildren included. ``setpriv --pdeathsig`` alone
would reach the direct children only.

Imports nothing of ours: it runs under ``python -I -S`` so that it is up in some 10 ms.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress


def open_groups(lines: Iterable[bytes]) -> set[int]:
    """The groups that are open when *lines* end."""
    groups: set[int] = set()
    for line in lines:
        text = line.strip()
        if text[:1] == b"+" and text[1:].isdigit():
            groups.add(int(text[1:]))
        elif text[:1] == b"-" and text[1:].isdigit():
            groups.discard(int(text[1:]))
    return {group for group in groups if group > 1}  # 0 would be our own, 1 everything


def main() -> None:
    # Only the end of the pipe ends us: a signal meant for the factory must not leave its children behind.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    for group in open_groups(sys.stdin.buffer):
        with suppress(OSError):  # it ended by itself meanwhile
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
