"""Whether a port of this computer can be had."""

from __future__ import annotations

import errno
import socket


def is_taken(protocol: str, address: str, port: int) -> bool:
    """True when somebody has *port* of *address* (IPv4) now; what else is wrong with it QEMU will say."""
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    try:
        with socket.socket(socket.AF_INET, kind) as tried:
            # As QEMU does: one that a closed connection still lingers on can be had.
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((address, port))
            if kind == socket.SOCK_STREAM:
                tried.listen(1)
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False
