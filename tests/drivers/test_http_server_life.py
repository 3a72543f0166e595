"""How the seed server lives: what it is waited for, what it listens on, and how it ends."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

import httpx
import pytest

from factory.deadline import Deadline
from factory.drivers.http_server import HttpSeedServer
from factory.errors import DeadlineExpired, HostError, SeedError
from factory.events import SeedRequested, ignore
from factory.quantity import Duration
from tests.drivers.outcome import outcome
from tests.drivers.seed_client import MemorySeed, run, serving, soon

pytestmark = pytest.mark.machine


def test_a_resumed_download_counts_only_when_no_part_is_missing() -> None:
    async def body() -> None:
        async with serving({"f": b"0123456789"}) as server, httpx.AsyncClient() as client:
            await client.get(f"{server.url}/f", headers={"Range": "bytes=5-"})
            with pytest.raises(DeadlineExpired):
                await server.endpoint.wait_for_request("f", Deadline.after(Duration(0), "f"))
            await client.get(f"{server.url}/f", headers={"Range": "bytes=0-4"})
            await client.get(f"{server.url}/f", headers={"Range": "bytes=5-9"})
            await server.endpoint.wait_for_request("f", soon())

    run(body())


def test_a_mark_phones_home() -> None:
    async def body() -> None:
        async with serving({}) as server, httpx.AsyncClient() as client:
            assert (await client.post(f"{server.url}/_events/installed", content=b"all well\n")).status_code == 204
            await server.endpoint.wait_for_request("_events/installed", soon())
            assert server.requests() == [SeedRequested("POST", "/_events/installed", 204, 9, "all well")]
            assert (await client.get(f"{server.url}/_events/by-wget")).status_code == 204
            await server.endpoint.wait_for_request("_events/by-wget", soon())
            assert (await client.post(f"{server.url}/_events/a%20b")).status_code == 404

    run(body())


def test_a_file_that_cannot_be_rendered_ends_every_wait_at_once() -> None:
    async def body() -> None:
        broken = SeedError("'mirorr' is undefined", hint="did you mean 'mirror'?")
        async with serving({"preseed.cfg": broken, "late.sh": b"x"}) as server, httpx.AsyncClient() as client:
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(outcome(server.endpoint.wait_for_request("late.sh", soon())))
                answer = await client.get(f"{server.url}/preseed.cfg")
            assert answer.status_code == 500
            assert "mirorr" not in answer.text
            error = waiting.result()
            assert isinstance(error, SeedError)
            assert error.message == "could not render preseed.cfg: 'mirorr' is undefined"
            assert error.hint == "did you mean 'mirror'?"
            assert error.evidence.http_log == ("GET /preseed.cfg 500",)
            assert server.requests()[0].message == error.message
            with pytest.raises(SeedError):
                await server.endpoint.wait_for_request("late.sh", soon())

    run(body())


def test_an_expired_wait_says_that_nothing_came() -> None:
    async def body() -> None:
        async with serving({"a": b"x"}) as server:
            with pytest.raises(DeadlineExpired, match="the guest asked for nothing at all") as caught:
                await server.endpoint.wait_for_request("a", Deadline.after(Duration(0.01), "the preseed"))
            assert "boot command" in caught.value.hint

    run(body())


def test_a_broken_off_download_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(64 * 2**20))

    async def body() -> None:
        async with serving({"big": tmp_path / "big"}) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.endpoint.port)
            writer.write(f"GET /{server.endpoint.token}/big HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await reader.readexactly(1000)
            writer.transport.abort()
            await server.reported(1)
            assert server.requests()[0].message.startswith("broke off after ")
            with pytest.raises(DeadlineExpired):
                await server.endpoint.wait_for_request("big", Deadline.after(Duration(0), "big"))

    run(body())


def test_it_ends_with_its_context_even_while_a_client_hangs(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(64 * 2**20))

    async def body() -> None:
        async with serving({"big": tmp_path / "big"}) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.endpoint.port)
            writer.write(f"GET /{server.endpoint.token}/big HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await reader.readexactly(10)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.endpoint.port)
        writer.close()

    run(body())


def test_the_error_of_its_user_comes_out_as_it_is() -> None:
    async def body() -> None:
        async with serving({}):
            raise SeedError("mine")

    with pytest.raises(SeedError, match="mine"):
        run(body())


def _listening() -> list[str]:
    lines = [line for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    return [line.split()[1] for line in lines if line.split()[3] == "0A"]


def test_it_listens_on_loopback_only() -> None:
    async def body() -> None:
        async with serving({}) as server:
            hexadecimal = f"{server.endpoint.port:04X}"
            assert [a for a in _listening() if a.endswith(":" + hexadecimal)] == ["0100007F:" + hexadecimal]

    run(body())


def test_it_leaves_signals_and_threads_alone() -> None:
    before = threading.active_count()

    async def body() -> None:
        async with serving({"a": b"x"}) as server:
            assert server.endpoint.port > 0

    run(body())
    assert threading.active_count() == before


def test_two_servers_have_their_own_ports_and_tokens() -> None:
    async def body() -> None:
        async with serving({}) as one, serving({}) as two:
            assert one.endpoint.port != two.endpoint.port
            assert one.endpoint.token != two.endpoint.token
            with socket.create_connection(("127.0.0.1", two.endpoint.port)):
                pass

    run(body())


def test_a_range_of_ports_is_served_without_a_token() -> None:
    async def body() -> None:
        source, server = MemorySeed({"a": b"x"}), HttpSeedServer()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            async with server.serve(source, emit=ignore, ports=range(port, port + 20)) as endpoint:
                assert port < endpoint.port < port + 20
                assert endpoint.token == ""
                async with httpx.AsyncClient() as client:
                    answer = await client.get(f"http://127.0.0.1:{endpoint.port}/a")
                assert answer.content == b"x"
            with pytest.raises(HostError, match=f"no port between {port} and {port} is free"):
                async with server.serve(source, emit=ignore, ports=range(port, port + 1)):
                    pass

    run(body())
