"""One attempt to reach an SSH server, with how far it got.

QEMU's user network accepts connections itself, before the guest does, so "the port is open" says nothing. What tells
states apart is the last thing that the server did: nothing, spoke, agreed on algorithms, let us in.
"""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import paramiko
from paramiko.ssh_exception import BadAuthenticationType

from factory.drivers.protocols import ConnectState, Credentials, GuestAddress
from factory.drivers.ssh_agent import agent_keys
from factory.drivers.ssh_keys import load_key
from factory.opening import read_content
from factory.quantity import Duration

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # else failures are printed by logging.lastResort


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one attempt may stay in each state; generous, because an emulated guest is slow."""

    connect: Duration = Duration(10)
    banner: Duration = Duration(30)  # of the oldest of several connections: ``ssh_dial``
    key_exchange: Duration = Duration(60)
    authentication: Duration = Duration(60)


class AttemptFailed(Exception):
    """An attempt got no further than ``state``. ``final`` means that trying again can't help."""

    def __init__(self, state: ConnectState, message: str, *, hint: str = "", final: bool = False) -> None:
        super().__init__(message)
        self.state = state
        self.message = message
        self.hint = hint
        self.final = final


@dataclass(slots=True)
class HostKeys:
    """The host key of each address, as first seen: in memory, for one build. No known_hosts file is read or written."""

    _keys: dict[GuestAddress, paramiko.PKey] = field(default_factory=dict)

    def pin(self, address: GuestAddress, key: paramiko.PKey) -> None:
        self._keys.setdefault(address, key)

    def pinned(self, address: GuestAddress) -> paramiko.PKey | None:
        return self._keys.get(address)

    def forget(self, address: GuestAddress) -> None:
        """For an address behind which another system runs now."""
        self._keys.pop(address, None)


Way = Callable[[paramiko.Transport], list[str]]
"""Tries to get in; returns what the server wants besides, if it is not satisfied yet."""


class Attempt:
    """One try. ``open`` blocks and belongs in a thread; ``abort`` ends it from any other one.

    Args:
        answered: a connection on which the server speaks already (``ssh_dial``); it belongs to the attempt.

    ``state`` is how far it has got, also while it runs and after it was aborted.
    """

    def __init__(
        self,
        address: GuestAddress,
        credentials: Credentials,
        *,
        host_keys: HostKeys,
        answered: socket.socket | None = None,
        installer_banners: tuple[str, ...] = (),
        patience: Patience = Patience(),
    ) -> None:
        self.state = ConnectState.REFUSED
        self._answered = answered
        self._address = address
        self._credentials = credentials
        self._host_keys = host_keys
        self._installer_banners = installer_banners
        self._patience = patience
        self._lock = threading.Lock()
        self._aborted = False
        self._socket: socket.socket | None = None
        self._transport: paramiko.Transport | None = None

    def abort(self) -> None:
        with self._lock:
            self._aborted = True
            opened, transport = self._socket, self._transport
        if transport is not None:
            transport.close()
        if opened is not None:
            opened.close()

    def open(self) -> paramiko.Transport:
        """Returns an authenticated transport. Raises: AttemptFailed.

        Each way in has a connection of its own: a server may refuse a second service request, which is what paramiko
        sends with each try.
        """
        ways = self._ways()
        tried: list[str] = []
        allowed: Sequence[str] = ()
        last: Exception | None = None
        try:
            while ways:
                name, way = ways.pop(0)
                tried.append(name)
                transport = self._fresh()
                try:
                    self._go_on(transport, way(transport))
                except BadAuthenticationType as refusal:
                    allowed, last = refusal.allowed_types, refusal
                    if way == self._by_password and "keyboard-interactive" in allowed:
                        ways.insert(0, (name, self._by_questions))
                except (paramiko.SSHException, EOFError, OSError) as refusal:
                    last = refusal
                if transport.is_authenticated():
                    self.state = ConnectState.CONNECTED
                    return transport
            transport = self._fresh()
            raise self._refused(transport, tried, self._methods(transport) or allowed, last)
        except BaseException:
            self.abort()
            raise

    def _ways(self) -> list[tuple[str, Way]]:
        user = self._credentials.user
        ways: list[tuple[str, Way]] = [("the key", partial(_by_key, user, key)) for key in load_keys(self._credentials)]
        if self._credentials.password is not None:
            ways.append(("the password", self._by_password))
        return ways or [("nothing", self._by_nothing)]

    def _by_nothing(self, transport: paramiko.Transport) -> list[str]:
        return transport.auth_none(self._credentials.user)

    def _by_password(self, transport: paramiko.Transport) -> list[str]:
        assert self._credentials.password is not None
        return transport.auth_password(self._credentials.user, self._credentials.password.reveal(), fallback=False)

    def _by_questions(self, transport: paramiko.Transport) -> list[str]:
        """keyboard-interactive: answers one question at a time, with the password."""

        def answer(title: str, instructions: str, questions: list[tuple[str, bool]]) -> list[str]:
            assert self._credentials.password is not None
            return [self._credentials.password.reveal()] * len(questions)

        return transport.auth_interactive(self._credentials.user, answer)

    def _go_on(self, transport: paramiko.Transport, wanted: list[str]) -> None:
        """A server may want the password *after* the key."""
        if wanted and "password" in wanted and self._credentials.password is not None:
            self._by_password(transport)

    def _fresh(self) -> paramiko.Transport:
        transport = self._negotiate(self._connect())
        self.state = ConnectState.AUTHENTICATION
        self._check_host_key(transport)
        return transport

    def _connect(self) -> socket.socket:
        opened, self._answered = self._answered, None
        if opened is None:
            opened = self._open_another()
        self._keep(opened=opened)
        self.state = ConnectState.NO_BANNER
        return opened

    def _open_another(self) -> socket.socket:
        try:
            opened = socket.create_connection((self._address.host, self._address.port), float(self._patience.connect))
        except OSError as error:
            raise no_answer(self._address, error.strerror or str(error)) from error
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened

    def _keep(self, *, opened: socket.socket | None = None, transport: paramiko.Transport | None = None) -> None:
        with self._lock:
            previous = self._transport if opened is not None else None
            self._socket = opened or self._socket
            self._transport = transport or self._transport
            aborted = self._aborted
        if previous is not None:
            previous.close()
        if aborted:
            self.abort()
            raise AttemptFailed(self.state, "given up", final=True)

    def _negotiate(self, opened: socket.socket) -> paramiko.Transport:
        transport = paramiko.Transport(opened)
        self._keep(transport=transport)
        transport.banner_timeout = float(self._patience.banner)
        transport.handshake_timeout = float(self._patience.key_exchange)
        transport.auth_timeout = float(self._patience.authentication)
        self._prefer_pinned(transport)
        try:
            transport.start_client(timeout=float(self._patience.banner + self._patience.key_exchange))
        except (paramiko.SSHException, EOFError, OSError) as error:
            if not transport.remote_version:
                raise no_banner(self._address, _words(error)) from error
            self.state = ConnectState.KEY_EXCHANGE
            raise AttemptFailed(
                ConnectState.KEY_EXCHANGE,
                f"{transport.remote_version} on {self._address} broke off the key exchange: {_words(error)}",
                hint="a booting or overloaded guest does this for a moment; if it stays, its sshd allows no algorithm "
                "that we know",
            ) from error
        return transport

    def _prefer_pinned(self, transport: paramiko.Transport) -> None:
        """Asks a server that has several host keys for the kind that was seen first."""
        pinned = self._host_keys.pinned(self._address)
        if pinned is None:
            return
        name = pinned.get_name()
        names = ("rsa-sha2-512", "rsa-sha2-256") if name == "ssh-rsa" else (name,)
        options = transport.get_security_options()
        first = tuple(kind for kind in options.key_types if kind in names)
        options.key_types = first + tuple(kind for kind in options.key_types if kind not in first)

    def _check_host_key(self, transport: paramiko.Transport) -> None:
        pinned, shown = self._host_keys.pinned(self._address), transport.get_remote_server_key()
        if pinned is not None and pinned != shown:
            raise AttemptFailed(
                ConnectState.KEY_EXCHANGE,
                f"{self._address} shows another host key ({_fingerprint(shown)}) than before ({_fingerprint(pinned)})",
                hint="another system answers than the one that this build spoke to, or its host keys were made anew",
                final=True,
            )

    def _methods(self, transport: paramiko.Transport) -> list[str]:
        """What the server would accept: it says so when asked for access with nothing."""
        try:
            transport.auth_none(self._credentials.user)
        except BadAuthenticationType as refusal:
            return list(refusal.allowed_types)
        except (paramiko.SSHException, EOFError, OSError):
            pass
        return []

    def _refused(
        self, transport: paramiko.Transport, tried: list[str], allowed: Sequence[str], error: Exception | None
    ) -> AttemptFailed:
        banner = matches_banner(transport, self._installer_banners)
        if banner:
            self.state = ConnectState.INSTALLER
            return AttemptFailed(
                ConnectState.INSTALLER, f"the installer's own sshd answers on {self._address}: {banner}"
            )
        methods = f"it offers {', '.join(allowed)}" if allowed else "it does not say what it would accept"
        message = (
            f"{transport.remote_version} on {self._address} refused user {self._credentials.user!r} with "
            f"{' and '.join(dict.fromkeys(tried))}; {methods}"
        )
        if not isinstance(error, (paramiko.AuthenticationException, type(None))):
            message += f" ({_words(error)})"
        return AttemptFailed(ConnectState.AUTHENTICATION, message, hint=_advice(self._credentials, allowed))


def no_answer(address: GuestAddress, reason: str) -> AttemptFailed:
    return AttemptFailed(
        ConnectState.REFUSED,
        f"nothing answers on {address}: {reason}",
        hint="is the machine running, and is this port forwarded into it?",
    )


def no_banner(address: GuestAddress, reason: str) -> AttemptFailed:
    return AttemptFailed(
        ConnectState.NO_BANNER,
        f"{address} accepts connections, but no SSH server spoke: {reason}",
        hint="QEMU accepts in the guest's place: look at the screen, has the guest booted, does its network work, "
        "and does sshd run?",
    )


def matches_banner(transport: paramiko.Transport, patterns: tuple[str, ...]) -> str:
    """What the server says of itself, when one of *patterns* matches it; else an empty text."""
    said = [transport.remote_version or "", (transport.get_banner() or b"").decode("utf-8", "replace")]
    return next((text.strip() for text in said for pattern in patterns if text and re.search(pattern, text)), "")


def _advice(credentials: Credentials, allowed: Sequence[str]) -> str:
    if credentials.private_key is not None and "publickey" in allowed:
        return (
            f"is the build's public key in {credentials.user}'s authorized_keys (the seed must write it), with modes "
            "that sshd accepts, and may this user log in (PermitRootLogin)?"
        )
    if credentials.password is not None and allowed and not {"password", "keyboard-interactive"} & set(allowed):
        return "this server takes no passwords (PasswordAuthentication no): use a key"
    return "are user and password those that the seed sets? It may also be the installer's own sshd that answers"


def _by_key(user: str, key: paramiko.PKey, transport: paramiko.Transport) -> list[str]:
    return transport.auth_publickey(user, key)


def load_keys(credentials: Credentials) -> list[paramiko.PKey]:
    """The keys to show. Raises: AttemptFailed, a final one, when one can't be used."""
    offered = [] if credentials.agent is None else _agent_keys(credentials.agent)
    if credentials.private_key is None:
        return offered
    try:
        key = load_key(read_content(credentials.private_key))
        if credentials.certificate is not None:
            key.load_certificate(str(credentials.certificate))
        return [key, *offered]
    except Exception as error:  # cryptography and paramiko raise many kinds, TypeError for a passphrase among them
        raise AttemptFailed(
            ConnectState.AUTHENTICATION,
            f"the private key {credentials.private_key} can't be used: {_words(error)}",
            hint="give an ed25519, ecdsa or rsa key in OpenSSH's or PEM's format, without a passphrase",
            final=True,
        ) from error


def _agent_keys(place: Path) -> list[paramiko.PKey]:
    try:
        return agent_keys(place)
    except (OSError, paramiko.SSHException) as error:
        raise AttemptFailed(
            ConnectState.AUTHENTICATION,
            f"no SSH agent answers at {place}: {_words(error)}",
            hint="is SSH_AUTH_SOCK that of a running agent (`ssh-add -l`)?",
            final=True,
        ) from error


def _fingerprint(key: paramiko.PKey) -> str:
    return str(key.fingerprint)


def _words(error: BaseException) -> str:
    if isinstance(error, EOFError):
        return "it closed the connection"
    return str(error) or type(error).__name__
