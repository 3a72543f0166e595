"""The seed server: answer files over HTTP, on loopback only, behind a one-time token.

Guests reach it through QEMU's user network at ``http://10.0.2.2:<port>/<token>/<name>``. It serves HTTP/1.0 clients
(busybox wget, old firmware) as well as ranges and HEAD, lists nothing, and turns every request into an event.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import mimetypes
import secrets
import socket
from collections.abc import AsyncIterator, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from factory.deadline import Deadline, pause
from factory.drivers.protocols import SeedEndpoint, SeedSource
from factory.drivers.seed_protocol import telling_protocol
from factory.drivers.seed_request import (
    MARKS,
    ByteRange,
    RangeNotSatisfiable,
    clean_name,
    closest,
    mark_of,
    origin_form,
    parse_range,
    split_token,
)
from factory.errors import DeadlineExpired, Evidence, FactoryError, HostError, SeedError
from factory.events import Emit, SeedRequested
from factory.quantity import Duration

_CHUNK = 256 * 1024
_LARGEST_MARK_BODY = 64 * 1024
_PATIENCE_SECONDS = 1.0  # for requests that still run when the server ends
_LOG_LENGTH = 50

logging.getLogger("uvicorn").addHandler(logging.NullHandler())  # else warnings reach stderr by logging.lastResort


class HttpSeedServer:
    """Serves a ``SeedSource`` with starlette and uvicorn, in the caller's event loop."""

    def serve(
        self, source: SeedSource, *, emit: Emit, ports: range | None = None
    ) -> AbstractAsyncContextManager[SeedEndpoint]:
        """As ``protocols.SeedServer``."""
        return _serve(source, emit, ports)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: signals belong to the command line."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@asynccontextmanager
async def _serve(source: SeedSource, emit: Emit, ports: range | None) -> AsyncIterator[SeedEndpoint]:
    listener = _listener(ports)
    token = "" if ports else secrets.token_urlsafe(12)
    endpoint = _Endpoint(source, emit, listener.getsockname()[1], token)
    server = _Server(
        uvicorn.Config(
            endpoint.app,
            log_config=None,
            access_log=False,
            interface="asgi3",
            lifespan="off",
            ws="none",
            http=telling_protocol(endpoint.not_understood),
            server_header=False,
            proxy_headers=False,
        )
    )
    failure: Exception | None = None
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(server.serve(sockets=[listener]))
            while not (server.started or running.done()):
                await pause(Duration(0))
            try:
                yield endpoint
            except Exception as error:  # a TaskGroup would wrap it: raise it as it is, after the server's end
                failure = error
            finally:
                await _end(server)
                running.cancel()
                await asyncio.wait([running])
    finally:
        _stop_listening(server)
        listener.close()
        for connection in tuple(server.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
    if failure is not None:
        raise failure


def _listener(ports: range | None) -> socket.socket:
    for port in ports or (0,):
        with contextlib.suppress(OSError):  # taken: the next one
            return socket.create_server(("127.0.0.1", port), backlog=64)
    where = f"between {ports[0]} and {ports[-1]}" if ports else "at all"
    raise HostError(f"no port {where} is free on 127.0.0.1 for the seed", hint="give it another range of ports")


async def _end(server: uvicorn.Server) -> None:
    """Lets requests that still run come to their end.

    uvicorn's own way looks ten times a second whether it shall end and whether all is done, and an installed guest
    would wait for it; so nothing of it is left to do when it is cancelled.
    """
    _stop_listening(server)
    for connection in tuple(server.server_state.connections):
        connection.shutdown()
    if server.server_state.tasks:
        await asyncio.wait(server.server_state.tasks, timeout=_PATIENCE_SECONDS)


def _stop_listening(server: uvicorn.Server) -> None:
    for listening in getattr(server, "servers", ()):
        listening.close()


class _Endpoint:
    """One running server: answers requests and remembers what was fetched whole."""

    def __init__(self, source: SeedSource, emit: Emit, port: int, token: str) -> None:
        self._source = source
        self._emit = emit
        self._port = port
        self._token = token
        self._received: dict[str, int] = {}  # name → length of the start that was sent
        self._done: set[str] = set()
        self._failure: SeedError | None = None
        self._changed = asyncio.Event()
        self._log: list[str] = []

    @property
    def port(self) -> int:
        return self._port

    @property
    def token(self) -> str:
        return self._token

    async def wait_for_request(self, name: str, deadline: Deadline) -> None:
        """Waits until *name* has been fetched whole. ``_events/<word>`` waits for a guest's mark.

        Raises: DeadlineExpired; SeedError as soon as any answer file could not be rendered, because the installer
        then goes on without it.
        """
        while name not in self._done:
            if self._failure is not None:
                raise self._failure
            if deadline.expired:
                raise self._never_asked(name, deadline)
            changed = self._changed
            with contextlib.suppress(DeadlineExpired):
                async with deadline.limit():
                    await changed.wait()

    def _never_asked(self, name: str, deadline: Deadline) -> FactoryError:
        if not self._log:
            seen, hint = (
                "the guest asked for nothing at all",
                "look at the screen: was the boot command typed, and does the guest have a network?",
            )
        else:
            seen = f"the guest asked for other things, last {self._log[-1]}"
            hint = f"compare the address that the installer was given with …/<token>/{name}"
        return deadline.error(seen=seen, hint=hint, evidence=Evidence(http_log=tuple(self._log)))

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        path = origin_form(scope["path"])
        rest = split_token(path, self._token) if self._token else path.lstrip("/")
        if rest is None:
            refusal = "the first part of the path is not this build's token"
            await self._refuse(request, send, "/" + _shown(path.lstrip("/")), 404, "not found\n", refusal)
            return
        shown = "/" + _shown(rest)
        name = clean_name(rest)
        if name is None:
            message = "folders are not listed, and no path leads out of them"
            await self._refuse(request, send, shown, 404, message + "\n", message)
        elif name.partition("/")[0] == MARKS:
            await self._mark(request, send, shown, name)
        elif request.method not in ("GET", "HEAD"):
            await self._refuse(request, send, shown, 405, "GET and HEAD only\n", f"{request.method} is not allowed")
        else:
            await self._file(request, send, shown, name)

    async def _mark(self, request: Request, send: Send, shown: str, name: str) -> None:
        if mark_of(name) is None:
            await self._refuse(request, send, shown, 404, "not an event's name\n", "not an event's name")
            return
        if request.method not in ("GET", "POST", "PUT"):
            await self._refuse(request, send, shown, 405, "POST, PUT or GET\n", f"{request.method} is not allowed")
            return
        body = bytearray()
        try:
            async for part in request.stream():
                body += part[: _LARGEST_MARK_BODY - len(body)]
        except ClientDisconnect:
            self._report(request.method, shown, 499, 0, "the guest hung up before its message was whole")
            return
        await Response(status_code=204)(request.scope, request.receive, send)
        said = body.decode("utf-8", "replace").strip()
        self._report(request.method, shown, 204, len(body), _shown(said.splitlines()[0]) if said else "")
        self._finish(name)

    async def _file(self, request: Request, send: Send, shown: str, name: str) -> None:
        try:
            content = self._source.read(name)
            opened = _open(content)
        except Exception as error:
            await self._fail(request, send, shown, name, error)
            return
        if opened is None:
            near = closest(name, self._source.names())
            message = f"there is no {_shown(name)!r} here" + (f"; closest: {', '.join(near)}" if near else "")
            await self._refuse(request, send, shown, 404, message + "\n", message)
            return
        try:
            await self._send(request, send, shown, name, opened)
        finally:
            opened.close()

    async def _fail(self, request: Request, send: Send, shown: str, name: str, error: Exception) -> None:
        reason = error.message if isinstance(error, FactoryError) else f"{type(error).__name__}: {error}"
        await PlainTextResponse("this file could not be rendered; the build says why\n", status_code=500)(
            request.scope, request.receive, send
        )
        message = f"could not render {name}: {reason}"
        self._report(request.method, shown, 500, 0, message)
        if self._failure is None:
            hint = error.hint if isinstance(error, FactoryError) else ""
            failure = SeedError(message, hint=hint, evidence=Evidence(http_log=tuple(self._log)))
            failure.__cause__ = error
            self._failure = failure
        self._wake()

    async def _send(self, request: Request, send: Send, shown: str, name: str, opened: _Content) -> None:
        headers = {"Accept-Ranges": "bytes", "Content-Type": opened.media_type, "Cache-Control": "no-store"}
        status, part = 200, ByteRange(0, opened.size)
        try:
            wanted = parse_range(request.headers.get("range"), opened.size)
        except RangeNotSatisfiable as error:
            answer = Response(status_code=416, headers={"Content-Range": f"bytes */{opened.size}"})
            await answer(request.scope, request.receive, send)
            self._report(request.method, shown, 416, 0, f"range outside the file: {_shown(str(error))}")
            return
        if wanted is not None:
            status, part = 206, wanted
            headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{opened.size}"
        headers["Content-Length"] = str(part.end - part.start)
        body = _Body(opened, part, status, headers)
        await body(request.scope, request.receive, send)
        if body.broken:
            message = f"broke off after {body.sent} of {part.end - part.start} bytes"
            self._report(request.method, shown, status, body.sent, message)
            return
        self._report(request.method, shown, status, body.sent)
        if request.method == "GET":
            self._received_part(name, part, opened.size)

    def _received_part(self, name: str, part: ByteRange, size: int) -> None:
        if part.start <= self._received.get(name, 0):
            self._received[name] = max(self._received.get(name, 0), part.end)
        if self._received.get(name, 0) >= size:
            self._finish(name)

    async def _refuse(self, request: Request, send: Send, shown: str, status: int, body: str, message: str) -> None:
        await PlainTextResponse(body, status_code=status)(request.scope, request.receive, send)
        self._report(request.method, shown, status, 0, message)

    def _report(self, method: str, path: str, status: int, size: int, message: str = "") -> None:
        self._log = [*self._log[1 - _LOG_LENGTH :], f"{method} {path} {status}"]
        self._emit(SeedRequested(method, path, status, size, message))

    def not_understood(self, line: str, why: str) -> None:
        """Reports what could not be read as a request, and was answered 400."""
        if self._token:
            line = line.replace(self._token, "<token>")
        self._report("?", _shown(line), 400, 0, why)

    def _finish(self, name: str) -> None:
        self._done.add(name)
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class _Content:
    """An open file or a text: something with a size that can be read in parts."""

    def __init__(self, data: bytes | BinaryIO, size: int, media_type: str) -> None:
        self._data = data
        self.size = size
        self.media_type = media_type

    async def read(self, start: int, end: int) -> bytes:
        if isinstance(self._data, bytes):
            return self._data[start:end]
        return await asyncio.to_thread(self._read_file, self._data, start, end)

    @staticmethod
    def _read_file(stream: BinaryIO, start: int, end: int) -> bytes:
        stream.seek(start)
        return stream.read(end - start)

    def close(self) -> None:
        if not isinstance(self._data, bytes):
            self._data.close()


def _open(content: bytes | Path | None) -> _Content | None:
    if content is None:
        return None
    if isinstance(content, bytes):
        return _Content(content, len(content), "text/plain; charset=utf-8")
    if not content.is_file():  # a folder, a pipe or a device: never opened
        return None
    stream = content.open("rb")
    stream.seek(0, 2)
    media_type = mimetypes.guess_type(content.name)[0] or "application/octet-stream"
    return _Content(stream, stream.tell(), media_type)


class _Body(Response):
    """Sends a part of a ``_Content`` and knows afterwards whether the client took all of it."""

    def __init__(self, content: _Content, part: ByteRange, status: int, headers: dict[str, str]) -> None:
        super().__init__(status_code=status, headers=headers)
        self._content = content
        self._part = part
        self.sent = 0
        self.broken = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._watch(receive))
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            position = self._part.start
            while scope["method"] != "HEAD" and position < self._part.end and not self.broken:
                chunk = await self._content.read(position, min(position + _CHUNK, self._part.end))
                if not chunk:  # the file shrank while it was sent
                    self.broken = True
                    break
                position += len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                self.sent += len(chunk)
            if not self.broken:
                # waits until the last chunk has left, and lets a hang-up be seen, before it counts as whole
                await send({"type": "http.response.body", "body": b"", "more_body": True})
                await pause(Duration(0))
            watch.cancel()
            if not self.broken:
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.broken = True


def _shown(text: str) -> str:
    """Text from the network, made harmless for a log."""
    cleaned = "".join(c if c.isprintable() else "?" for c in text)
    return cleaned if len(cleaned) <= 200 else cleaned[:199] + "…"
