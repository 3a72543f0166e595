"""Ports that somebody has, and others."""

from __future__ import annotations

import socket

import pytest

from factory.host.ports import is_taken

pytestmark = pytest.mark.machine


@pytest.mark.parametrize(("protocol", "kind"), [("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)])
def test_a_port_is_taken_while_somebody_has_it(protocol: str, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        if kind == socket.SOCK_STREAM:
            held.listen()
        assert is_taken(protocol, "127.0.0.1", port)
    assert not is_taken(protocol, "127.0.0.1", port)


def test_an_address_that_is_none_of_ours_is_for_qemu_to_tell() -> None:
    assert not is_taken("tcp", "192.0.2.1", 80)
