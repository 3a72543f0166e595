"""The keys of an SSH agent, which signs with them: they never leave it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import paramiko
from paramiko.agent import AgentSSH

from factory.quantity import Duration

_PATIENCE = Duration(10)


class _Agent(AgentSSH):
    """An agent by its socket: paramiko's own goes by the environment, and keeps quiet when nothing answers."""

    def __init__(self, opened: socket.socket) -> None:
        super().__init__()
        connect: Any = getattr(self, "_connect")  # noqa: B009 (not in paramiko's types)
        connect(opened)


def agent_keys(place: Path) -> list[paramiko.PKey]:
    """The keys that the agent at the socket *place* offers; each holds the connection to it.

    Raises: OSError when nothing answers there, paramiko.SSHException when it is no agent.
    """
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        opened.settimeout(float(_PATIENCE))
        opened.connect(str(place))
        return list(_Agent(opened).get_keys())
    except BaseException:
        opened.close()
        raise
