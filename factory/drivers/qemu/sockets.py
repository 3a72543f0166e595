"""How many bytes a process's TCP connections have carried, as the kernel counts them.

Asked over netlink, without privileges: sock_diag(7), and ``struct tcp_info`` of linux/tcp.h for the counters.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST, _DUMP = 0x1, 0x300
_DONE, _ERROR = 3, 2
_INET_DIAG_INFO = 2
_LISTEN = 10
_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_MESSAGE = struct.Struct("=BBBB HH 16s 16s I II IIII I".replace(" ", ""))  # inet_diag_msg, ports big-endian
_BYTES_ACKED = 120  # offsets in struct tcp_info: two 64-bit numbers, acknowledged and received
_INODE = re.compile(r"socket:\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Connection:
    inode: int
    state: int
    port: int
    bytes: int


class TcpTraffic:
    """Sums up what the connections that process *pid* has opened have carried, those that are closed by now included.

    Connections that it has accepted do not count: they are ours, knocking at the guest's door.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._carried: dict[int, int] = {}

    def bytes(self) -> int:
        """0 where the kernel does not tell."""
        try:
            mine = set(_inodes(self._pid))
            found = [c for c in connections() if c.inode in mine]
        except OSError:
            return sum(self._carried.values())
        listening = {c.port for c in found if c.state == _LISTEN}
        for connection in found:
            if connection.state != _LISTEN and connection.port not in listening:
                # One byte for the connection itself: one that came and went between two looks has left its traces.
                self._carried[connection.inode] = max(self._carried.get(connection.inode, 1), 1 + connection.bytes)
        return sum(self._carried.values())


def connections() -> Iterator[Connection]:
    """Every TCP socket of this network namespace. Raises: OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as netlink:
        netlink.settimeout(1)
        for family in (socket.AF_INET, socket.AF_INET6):
            request = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 1 << (_INET_DIAG_INFO - 1), 0, 0xFFFFFFFF)
            request += bytes(48)
            header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _REQUEST | _DUMP, family, 0)
            netlink.sendto(header + request, (0, 0))
            yield from _answers(netlink)


def _answers(netlink: socket.socket) -> Iterator[Connection]:
    while True:
        data = netlink.recv(256 * 1024)
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, *_ = _HEADER.unpack_from(data, offset)
            if kind in (_DONE, _ERROR) or length < _HEADER.size:
                return
            yield _connection(data[offset + _HEADER.size : offset + length])
            offset += (length + 3) & ~3


def _connection(message: bytes) -> Connection:
    fields = _MESSAGE.unpack_from(message)
    state, port, inode = fields[1], socket.ntohs(fields[4]), fields[-1]
    carried, offset = 0, _MESSAGE.size
    while offset + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, offset)
        if length < 4:
            break
        if kind == _INET_DIAG_INFO and length >= 4 + _BYTES_ACKED + 16 and state != _LISTEN:
            carried = sum(struct.unpack_from("=QQ", message, offset + 4 + _BYTES_ACKED))
        offset += (length + 3) & ~3
    return Connection(inode, state, port, carried)


def _inodes(pid: int) -> Iterator[int]:
    """Numbers of the sockets that a process has open. Raises: OSError when it is gone or not ours."""
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found = _INODE.match(os.readlink(entry))
        except OSError:
            continue  # closed meanwhile
        if found:
            yield int(found[1])
