"""The control channel against a server that we play, over a socketpair: real bytes, no QEMU."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from factory.deadline import Deadline
from factory.drivers.qemu.qmp import ConnectionLost, QmpConnection
from factory.errors import DeadlineExpired, StepError
from factory.quantity import Duration

pytestmark = pytest.mark.unit

GREETING = {"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}, "capabilities": ["oob"]}}


def soon() -> Deadline:
    return Deadline.after(Duration(20), "the conversation")


class Server:
    """The other end: reads commands, writes what a test wants."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def say(self, **message: Any) -> None:
        self._writer.write(json.dumps(message).encode() + b"\r\n")

    async def hear(self) -> dict[str, Any]:
        text = b""
        while True:  # clients end a command with nothing at all
            text += await self._reader.readexactly(1)
            try:
                heard: dict[str, Any] = json.loads(text)
            except ValueError:
                continue
            return heard

    def hang_up(self) -> None:
        self._writer.close()


class Events(list[tuple[str, Mapping[str, Any]]]):
    def __call__(self, name: str, data: Mapping[str, Any]) -> None:
        self.append((name, data))
        if name == "BROKEN":
            raise ValueError("a subscriber failed")


@asynccontextmanager
async def conversation(events: Events) -> AsyncIterator[tuple[QmpConnection, Server]]:
    """A connection after its greeting."""
    ours, theirs = socket.socketpair()
    server = Server(*await asyncio.open_connection(sock=theirs))
    server.say(**GREETING)
    connection = QmpConnection("test", events)
    async with asyncio.TaskGroup() as group:
        connecting = group.create_task(connection.connect(ours, soon()))
        asked = await server.hear()
        assert asked["execute"] == "qmp_capabilities"
        server.say(**{"return": {}})  # the only command without an id
        await connecting
    try:
        yield connection, server
    finally:
        server.hang_up()
        await connection.close()


async def answer(connection: QmpConnection, server: Server, **reply: Any) -> Any:
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(connection.execute("query-status", {"a": 1}))
        asked = await server.hear()
        assert (asked["execute"], asked["arguments"]) == ("query-status", {"a": 1})
        server.say(**reply, id=asked["id"])
    return asking.result()


def test_a_command_gives_its_value() -> None:
    async def test() -> None:
        async with conversation(Events()) as (connection, server):
            assert await answer(connection, server, **{"return": {"status": "running"}}) == {"status": "running"}

    asyncio.run(test())


def test_a_refusal_is_told_in_qemus_words_and_the_connection_goes_on() -> None:
    async def test() -> None:
        async with conversation(Events()) as (connection, server):
            with pytest.raises(ExceptionGroup) as caught:
                await answer(connection, server, error={"class": "GenericError", "desc": "no such device"})
            (refusal,) = caught.value.exceptions
            assert isinstance(refusal, StepError)
            assert str(refusal) == "QEMU refuses 'query-status': no such device"
            assert await answer(connection, server, **{"return": 1}) == 1

    asyncio.run(test())


def test_a_silent_qemu_is_a_named_deadline() -> None:
    async def test() -> None:
        async with conversation(Events()) as (connection, _):
            with pytest.raises(DeadlineExpired, match="QEMU to answer 'stop'"):
                await connection.execute("stop", patience=Duration(0.05))

    asyncio.run(test())


def test_hanging_up_ends_a_waiting_command() -> None:
    async def test() -> None:
        async with conversation(Events()) as (connection, server):
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(lost(connection))
                await server.hear()
                server.hang_up()
            assert asking.result()
            await connection.wait_until_lost()
            with pytest.raises(ConnectionLost):
                await connection.execute("stop")

    async def lost(connection: QmpConnection) -> bool:
        with pytest.raises(ConnectionLost):
            await connection.execute("query-status")
        return True

    asyncio.run(test())


@pytest.mark.parametrize("said", [b"", b'{"QMP": ', b"hello\r\n", b'{"return": {}}\r\n'])
def test_whoever_does_not_greet_is_no_qemu(said: bytes) -> None:
    async def test() -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.sendall(said)
        connection = QmpConnection("test", Events())
        with pytest.raises(ConnectionLost):
            await connection.connect(ours, soon())
        await connection.close()

    asyncio.run(test())


def test_a_greeting_that_never_comes_is_a_named_deadline() -> None:
    async def test() -> None:
        ours, theirs = socket.socketpair()
        connection = QmpConnection("test", Events())
        with theirs, pytest.raises(DeadlineExpired, match="the conversation"):
            await connection.connect(ours, Deadline.after(Duration(0.05), "the conversation"))
        ours.close()

    asyncio.run(test())


def test_events_are_told_in_order_and_what_was_said_last_is_heard() -> None:
    events = Events()

    async def test() -> None:
        async with conversation(events) as (connection, server):
            server.say(event="RESUME", timestamp={})
            server.say(event="BROKEN", data={}, timestamp={})  # our own mistake must not end the connection
            server.say(event="SHUTDOWN", data={"reason": "guest-reset"}, timestamp={})
            server.hang_up()
            await connection.wait_until_lost()

    asyncio.run(test())
    assert events == [("RESUME", {}), ("BROKEN", {}), ("SHUTDOWN", {"reason": "guest-reset"})]


def test_closing_twice_or_after_the_other_side_is_no_error() -> None:
    async def test() -> None:
        async with conversation(Events()) as (connection, server):
            server.hang_up()
            await connection.close()
            await connection.close()

    asyncio.run(test())
