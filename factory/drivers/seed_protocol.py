"""uvicorn's HTTP/1.1, which also tells what was no request that it could read: HTTP/0.9, TLS, garbage."""

from __future__ import annotations

from asyncio import Protocol
from collections.abc import Callable

from uvicorn.protocols.http.h11_impl import H11Protocol

_KEPT = 1024
"""Bytes of a request's beginning: its first line, unless that is absurd."""
_TLS_HANDSHAKE = 0x16
"""What a TLS connection begins with (RFC 8446, 5.1)."""


def telling_protocol(tell: Callable[[str, str], None]) -> type[Protocol]:
    """A protocol for ``uvicorn.Config(http=…)`` that answers 400 to what is no request and tells its line, and why."""

    class Telling(H11Protocol):
        _begun = b""

        def data_received(self, data: bytes) -> None:
            self._begun = (self._begun + data[:_KEPT])[:_KEPT]
            super().data_received(data)

        def on_response_complete(self) -> None:
            self._begun = b""
            super().on_response_complete()

        def send_400_response(self, msg: str) -> None:
            tell(*described(self._begun))
            super().send_400_response(msg)

    return Telling


def described(begun: bytes) -> tuple[str, str]:
    """The first line of what is no request, and what is wrong with it.

    >>> described(b"GET /preseed.cfg\\r\\n")
    ('GET /preseed.cfg', 'no HTTP/1.0 or 1.1: HTTP/0.9 has no headers')
    """
    if begun[:1] and begun[0] == _TLS_HANDSHAKE:
        return "", "a TLS handshake: the seed is at http://, not https://"
    line = begun.partition(b"\n")[0].decode("utf-8", "replace").strip()
    words = line.split(" ")
    if words[0] in ("GET", "HEAD", "POST", "PUT") and not words[-1].startswith("HTTP/"):
        return line, "no HTTP/1.0 or 1.1: HTTP/0.9 has no headers"
    return line, "not a request of HTTP"
