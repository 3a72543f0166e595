"""An HTTP server with bad manners on demand, for tests of downloads."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class FileServer:
    """What it serves by path, what it was asked, and how it fails: each entry of ``trouble`` spoils one request.

    A number in ``trouble`` below 600 is a status, a larger one the length after which it hangs up.
    """

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)  # path, range
    trouble: list[int] = field(default_factory=list)
    etags: bool = True
    ranges: bool = True
    coding: str = ""
    """What it says that its files are packed with."""
    skew: list[int] = field(default_factory=list)
    """How far from where it was asked to go on it does: one for each answer with a part of a file."""
    of_length: list[int] = field(default_factory=list)
    """How long it says that a file is of which it sends a part."""
    redirects: dict[str, str] = field(default_factory=dict)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split()[1]
            headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head.split("\r\n")[1:])}
            self.requests.append((path, headers.get("range", "")))
            writer.write(self._answer(path, headers))
            await writer.drain()
        writer.close()

    def _answer(self, path: str, headers: dict[str, str]) -> bytes:
        trouble = self.trouble.pop(0) if self.trouble else 0
        if 0 < trouble < 600:
            return f"HTTP/1.1 {trouble} Trouble\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        if path in self.redirects:
            moved = f"HTTP/1.1 302 Found\r\nLocation: {self.redirects[path]}\r\nContent-Length: 0\r\n"
            return f"{moved}Connection: close\r\n\r\n".encode()
        if path not in self.files:
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        content, status, extra = self.files[path], "200 OK", ""
        etag = f'"{hashlib.md5(content).hexdigest()}"'
        if self.etags:
            extra += f"ETag: {etag}\r\n"
        if self.coding:
            extra += f"Content-Encoding: {self.coding}\r\n"
        wanted = headers.get("range", "")
        if wanted and self.ranges and headers.get("if-range", etag) == etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                extra += f"Content-Range: bytes */{len(content)}\r\n"
                return f"HTTP/1.1 416 No\r\nContent-Length: 0\r\n{extra}Connection: close\r\n\r\n".encode()
            start += self.skew.pop(0) if self.skew else 0
            length = self.of_length.pop(0) if self.of_length else len(content)
            extra += f"Content-Range: bytes {start}-{len(content) - 1}/{length}\r\n"
            content, status = content[start:], "206 Partial Content"
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n{extra}Connection: close\r\n\r\n".encode()
        return head + (content[:trouble] if trouble else content)


@asynccontextmanager
async def file_server() -> AsyncIterator[FileServer]:
    files = FileServer()
    server = await asyncio.start_server(files.answer, "127.0.0.1", 0)
    files.port = server.sockets[0].getsockname()[1]
    try:
        yield files
    finally:
        server.close()
        await server.wait_closed()
