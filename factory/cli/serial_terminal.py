"""A person's terminal on a machine's serial line."""

from __future__ import annotations

import os
import selectors
import socket
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from factory.errors import StepError

LEAVE = b"\x1d"
"""Ctrl-], as in telnet and virsh."""
QUIET = 2.0
"""Seconds of silence after which a line without a terminal is left."""


def attach(place: str) -> bool:
    """Joins standard input and output with the socket *place*. Returns True when the machine's end ended it.

    Raises: StepError when nobody listens there.
    """
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(place)
        except OSError as error:
            raise StepError(f"the serial line does not answer: {error.strerror}") from error
        with _raw(sys.stdin.fileno()):
            return _shuttle(line, sys.stdin.fileno(), sys.stdout.fileno())


def _shuttle(line: socket.socket, source: int, sink: int) -> bool:
    typed_out = False
    with selectors.DefaultSelector() as selector:
        selector.register(line, selectors.EVENT_READ)
        try:
            selector.register(source, selectors.EVENT_READ)
        except PermissionError:  # an ordinary file is always ready, and epoll refuses it
            line.sendall(_all_of(source))
            typed_out = True
        while True:
            ready = selector.select(QUIET if typed_out else None)
            if not ready:
                return False
            for key, _ in ready:
                if key.fileobj is line:
                    data = line.recv(64 * 1024)
                    if not data:
                        return True
                    _write(sink, data)
                    continue
                data = os.read(source, 4096)
                before, leaves, _ = data.partition(LEAVE)
                if before:
                    line.sendall(before)
                if leaves:
                    return False
                if not data:
                    selector.unregister(source)
                    typed_out = True


def _all_of(source: int) -> bytes:
    parts = []
    while part := os.read(source, 64 * 1024):
        parts.append(part)
    return b"".join(parts)


def _write(sink: int, data: bytes) -> None:
    while data:
        data = data[os.write(sink, data) :]


@contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """Every key goes to the guest while this lasts; nothing changes where there is no terminal."""
    if not os.isatty(terminal):
        yield
        return
    before = termios.tcgetattr(terminal)
    tty.setraw(terminal)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
