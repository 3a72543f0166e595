"""What is sent about a command's channel, and in which order."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import paramiko
import pytest

from factory.drivers.ssh_command import Command, ConnectionBroke
from factory.quantity import Duration

pytestmark = pytest.mark.unit


class Channel:
    """Notes what would be sent; *while_starting* is called in the midst of the command's start."""

    remote_chanid = 1
    exit_status = 0

    def __init__(self, while_starting: Callable[[], None]) -> None:
        self.sent: list[str] = []
        self.closed = False
        self.eof_received = True
        self._while_starting = while_starting
        self._readable, writable = os.pipe()
        os.close(writable)

    def exec_command(self, command: str) -> None:
        self._while_starting()
        self.sent.append("exec")

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.sent.append("close")
            os.close(self._readable)

    def fileno(self) -> int:
        return self._readable

    def settimeout(self, seconds: float) -> None: ...

    def shutdown_write(self) -> None: ...

    def recv_ready(self) -> bool:
        return False

    recv_stderr_ready = recv_ready


class Transport:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def open_session(self, timeout: float) -> Channel:
        return self._channel

    def _send_user_message(self, message: paramiko.Message) -> None:
        self._channel.sent.append("signal")


def command_on(while_starting: Callable[[Command], None]) -> tuple[Command, Channel]:
    made: list[Command] = []
    channel = Channel(lambda: while_starting(made[0]))
    transport: Any = Transport(channel)
    made.append(Command(transport, "true"))
    return made[0], channel


def test_one_that_is_given_up_while_it_starts_is_ended_once_it_has() -> None:
    command, channel = command_on(lambda command: command.abort())
    with pytest.raises(ConnectionBroke):
        command.run((), lambda stream, data: None, patience=Duration(1))
    assert channel.sent == ["exec", "signal", "close"]


def test_nothing_is_sent_about_one_that_has_ended() -> None:
    command, channel = command_on(lambda command: None)
    command._channel = channel  # type: ignore[assignment]  # as after its start
    command._started = True
    command._close()
    command.abort()
    assert channel.sent == ["close"]
