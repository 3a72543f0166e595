"""What the seed server answers: names, ranges, tokens, clients of every kind."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from factory.deadline import Deadline
from factory.errors import DeadlineExpired
from factory.events import SeedRequested
from factory.quantity import Duration
from tests.drivers.seed_client import Running, run, serving, soon

pytestmark = pytest.mark.machine


async def raw(server: Running, request: bytes) -> bytes:
    """Sends bytes as they are, as a client that does not tidy paths up, and reads until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.endpoint.port)
    writer.write(request)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer


def test_a_file_is_served_and_reported(tmp_path: Path) -> None:
    (tmp_path / "rootfs.tar").write_bytes(os.urandom(1_000_000))

    async def body() -> None:
        async with serving({"preseed.cfg": b"d-i", "a/rootfs.tar": tmp_path / "rootfs.tar"}) as server:
            async with httpx.AsyncClient() as client:
                text = await client.get(f"{server.url}/preseed.cfg")
                assert (text.status_code, text.content) == (200, b"d-i")
                assert text.headers["content-type"].startswith("text/plain")
                big = await client.get(f"{server.url}//a/rootfs.tar")
                assert big.content == (tmp_path / "rootfs.tar").read_bytes()
            await server.endpoint.wait_for_request("preseed.cfg", soon())
            await server.endpoint.wait_for_request("a/rootfs.tar", soon())
            assert server.requests()[0] == SeedRequested("GET", "/preseed.cfg", 200, 3)
            assert server.requests()[1].size == 1_000_000
            assert all(server.endpoint.token not in str(event) for event in server.events)

    run(body())


def test_each_request_reads_anew() -> None:
    async def body() -> None:
        files: dict[str, bytes | Path | Exception] = {"a": b"one"}
        async with serving(files) as server, httpx.AsyncClient() as client:
            assert (await client.get(f"{server.url}/a")).content == b"one"
            files["a"] = b"two"
            assert (await client.get(f"{server.url}/a")).content == b"two"

    run(body())


def test_head_tells_the_size_and_does_not_count_as_fetched() -> None:
    async def body() -> None:
        async with serving({"a": b"12345"}) as server, httpx.AsyncClient() as client:
            head = await client.head(f"{server.url}/a")
            assert (head.status_code, head.headers["content-length"], head.content) == (200, "5", b"")
            await server.reported(1)
            with pytest.raises(DeadlineExpired, match="the guest asked for other things, last HEAD /a 200"):
                await server.endpoint.wait_for_request("a", Deadline.after(Duration(0), "the seed"))

    run(body())


def test_ranges(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")

    async def body() -> None:
        async with serving({"f": tmp_path / "f", "text": b"abc"}) as server, httpx.AsyncClient() as client:
            part = await client.get(f"{server.url}/f", headers={"Range": "bytes=2-4"})
            assert (part.status_code, part.content) == (206, b"234")
            assert part.headers["content-range"] == "bytes 2-4/10"
            beyond = await client.get(f"{server.url}/f", headers={"Range": "bytes=10-"})
            assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */10")
            several = await client.get(f"{server.url}/f", headers={"Range": "bytes=0-1,4-5"})
            assert (several.status_code, several.content) == (200, b"0123456789")
            tail = await client.get(f"{server.url}/text", headers={"Range": "bytes=-2"})
            assert (tail.status_code, tail.content) == (206, b"bc")

    run(body())


def test_an_unknown_name_is_answered_with_the_closest_ones() -> None:
    async def body() -> None:
        async with serving({"preseed.cfg": b"x"}) as server, httpx.AsyncClient() as client:
            answer = await client.get(f"{server.url}/presed.cfg")
            assert answer.status_code == 404
            assert answer.text == "there is no 'presed.cfg' here; closest: preseed.cfg\n"
            assert server.requests()[0].message == answer.text.strip()

    run(body())


def test_without_the_token_nothing_is_said() -> None:
    async def body() -> None:
        async with serving({"preseed.cfg": b"x"}) as server, httpx.AsyncClient() as client:
            for path in ("/", "/preseed.cfg", "/wrong/preseed.cfg", f"/{server.endpoint.token[:-1]}/preseed.cfg"):
                answer = await client.get(server.base + path)
                assert (answer.status_code, answer.text) == (404, "not found\n")
            assert {event.status for event in server.requests()} == {404}
            assert "token" in server.requests()[0].message

    run(body())


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/..",
        "/../outside",
        "/%2e%2e/outside",
        "/sub/%2e%2e%2f%2e%2e/outside",
        "/sub/",
        "/..%5coutside",
        "/%00",
    ],
)
def test_no_listing_and_no_way_out(tmp_path: Path, path: str) -> None:
    (tmp_path / "outside").write_text("secret")

    async def body() -> None:
        async with serving({"sub/file": b"x", "outside": tmp_path / "outside"}) as server:
            target = f"/{server.endpoint.token}{path}".encode()
            answer = await raw(server, b"GET " + target + b" HTTP/1.0\r\n\r\n")
            assert answer.split(b"\r\n")[0].split()[1] == b"404"
            assert b"secret" not in answer
            assert b"file" not in answer.replace(b"folders", b"")

    run(body())


def test_folders_and_devices_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    async def body() -> None:
        async with serving({"folder": tmp_path, "pipe": tmp_path / "pipe"}) as server, httpx.AsyncClient() as client:
            assert (await client.get(f"{server.url}/folder")).status_code == 404
            assert (await client.get(f"{server.url}/pipe")).status_code == 404

    run(body())


def test_other_methods_are_refused() -> None:
    async def body() -> None:
        async with serving({"a": b"x"}) as server, httpx.AsyncClient() as client:
            assert (await client.delete(f"{server.url}/a")).status_code == 405
            assert (await client.delete(f"{server.url}/_events/up")).status_code == 405
            assert [event.status for event in server.requests()] == [405, 405]

    run(body())


def _busybox(url: str, target: Path) -> list[str]:
    return ["busybox", "wget", "-q", "-O", str(target), url]


def _curl(url: str, target: Path) -> list[str]:
    return ["curl", "-fsS", "--http1.0", "-o", str(target), url]


@pytest.mark.parametrize("client", [_busybox, _curl])
def test_real_clients(tmp_path: Path, client: Callable[[str, Path], list[str]]) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "source").write_bytes(content)

    async def fetch(url: str, target: Path) -> int:
        command = client(url, target)
        assert shutil.which(command[0]), f"{command[0]} is not installed"
        process = await asyncio.create_subprocess_exec(*command)
        return await process.wait()

    async def body() -> None:
        async with serving({"rootfs.tar": tmp_path / "source"}) as server:
            assert await fetch(f"{server.url}/rootfs.tar", tmp_path / "target") == 0
            assert (tmp_path / "target").read_bytes() == content
            await server.endpoint.wait_for_request("rootfs.tar", soon())
            assert await fetch(f"{server.url}/missing", tmp_path / "other") != 0
            assert await fetch(f"{server.url}/_events/hello", tmp_path / "mark") == 0
            await server.endpoint.wait_for_request("_events/hello", soon())

    run(body())


def test_curl_resumes(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"0123456789" * 100)
    (tmp_path / "target").write_bytes(b"0123456789" * 30)

    async def body() -> None:
        async with serving({"f": tmp_path / "source"}) as server:
            command = ["curl", "-fsS", "-C", "-", "-o", str(tmp_path / "target"), f"{server.url}/f"]
            process = await asyncio.create_subprocess_exec(*command)
            assert await process.wait() == 0
            assert (tmp_path / "target").read_bytes() == (tmp_path / "source").read_bytes()
            await server.reported(1)
            assert server.requests()[0].status == 206

    run(body())


def test_an_http_1_0_client_gets_a_length_and_a_hang_up() -> None:
    async def body() -> None:
        async with serving({"a": b"hello"}) as server:
            answer = await raw(server, f"GET /{server.endpoint.token}/a HTTP/1.0\r\n\r\n".encode())
            head, _, content = answer.partition(b"\r\n\r\n")
            assert content == b"hello"
            assert b"content-length: 5" in head.lower()

    run(body())


def test_an_address_written_whole_as_to_a_proxy_is_answered() -> None:
    async def body() -> None:
        async with serving({"a": b"hello"}) as server:
            asked = f"GET http://10.0.2.2:{server.endpoint.port}/{server.endpoint.token}/a HTTP/1.0\r\n\r\n"
            assert (await raw(server, asked.encode())).endswith(b"hello")

    run(body())


def test_what_is_no_request_is_told_too() -> None:
    async def body() -> None:
        async with serving({"a": b"1"}) as server:
            path = f"/{server.endpoint.token}/a"
            for request in (f"GET {path}\r\n\r\n".encode(), b"\x16\x03\x01\x02\x00\x01", b"EHLO me\x00\x07\r\n\r\n"):
                assert (await raw(server, request)).startswith(b"HTTP/1.1 400 ")
            await server.reported(3)
            assert server.requests() == [
                SeedRequested("?", "GET /<token>/a", 400, 0, "no HTTP/1.0 or 1.1: HTTP/0.9 has no headers"),
                SeedRequested("?", "", 400, 0, "a TLS handshake: the seed is at http://, not https://"),
                SeedRequested("?", "EHLO me??", 400, 0, "not a request of HTTP"),
            ]
            assert (await raw(server, f"GET {path} HTTP/1.0\r\n\r\n".encode())).endswith(b"1")

    run(body())


def test_a_very_long_path_is_shortened_wherever_it_is_repeated() -> None:
    async def body() -> None:
        async with serving({"a": b"1"}) as server, httpx.AsyncClient() as client:
            long = "x" * 20_000
            for url in (
                f"{server.url}/{long}",
                f"{server.base}/{long}",
                f"{server.url}/_events/{long}",
            ):
                answer = await client.get(url)
                assert (answer.status_code, len(answer.text) < 400) == (404, True)
            assert (await client.get(f"{server.url}/a", headers={"Range": f"bytes={'9' * 20}-"})).status_code == 416
            await raw(server, b"GET /" + b"y" * 30_000 + b"\r\n\r\n")
            await server.reported(5)
            assert max(len(event.path) + len(event.message) for event in server.requests()) < 600

    run(body())
