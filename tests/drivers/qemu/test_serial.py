"""The serial line over a socketpair; with people on it, see ``test_machine``."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from factory.deadline import Deadline, poll
from factory.drivers.qemu.serial import KEPT, SerialLine
from factory.quantity import Duration, Size

pytestmark = pytest.mark.unit


def on_a_line(test: Callable[[SerialLine, socket.socket], Awaitable[None]]) -> None:
    async def with_line() -> None:
        ours, guest = socket.socketpair()
        line = SerialLine(ours)
        with guest:
            guest.setblocking(False)
            try:
                await test(line, guest)
            finally:
                line.close()

    asyncio.run(with_line())


async def until(condition: Callable[[], bool]) -> None:
    async def probe() -> bool | None:
        return condition() or None

    await poll(probe, Deadline.after(Duration(20), "the line"), every=Duration(0))


def test_text_is_the_tail_with_plain_line_ends() -> None:
    async def test(line: SerialLine, guest: socket.socket) -> None:
        guest.sendall("one\r\nzwölf\r\n".encode() + b"\xff")
        await until(lambda: line.text(Size(100)).endswith("\ufffd"))
        assert line.text(Size(100)) == "one\nzwölf\n\ufffd"
        assert line.text(Size(3)) == "\n\ufffd"
        assert line.text(Size(0)) == ""

    on_a_line(test)


def test_a_talkative_guest_fills_no_memory() -> None:
    async def test(line: SerialLine, guest: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(5):
            await loop.sock_sendall(guest, b"x" * KEPT)
        await loop.sock_sendall(guest, b"the end")
        await until(lambda: line.text(Size(7)) == "the end")
        assert len(line._tail) <= 2 * KEPT + 64 * 1024
        assert len(line.text(KEPT)) == KEPT

    on_a_line(test)


def test_typing_waits_for_a_slow_guest_and_loses_nothing() -> None:
    async def test(line: SerialLine, guest: socket.socket) -> None:
        data, heard = bytes(range(256)) * 4096, bytearray()
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            typing = group.create_task(line.write(data))
            await asyncio.sleep(0)
            assert not typing.done()
            while len(heard) < len(data):
                heard += await loop.sock_recv(guest, 65536)
        assert heard == data

    on_a_line(test)


def test_a_line_that_ended_swallows_what_is_typed() -> None:
    async def test(line: SerialLine, guest: socket.socket) -> None:
        guest.close()
        await until(lambda: not line._open)
        await line.write(b"anyone?")

    on_a_line(test)


def test_listeners_hear_every_piece_until_they_stop() -> None:
    heard = bytearray()

    async def test(line: SerialLine, guest: socket.socket) -> None:
        stop = line.subscribe(heard.extend)
        guest.sendall(b"first ")
        await until(lambda: len(heard) == 6)
        stop()
        stop()
        guest.sendall(b"second")
        await until(lambda: line.text(Size(100)) == "first second")

    on_a_line(test)
    assert heard == b"first "
