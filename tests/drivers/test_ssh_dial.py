"""Whichever connection hears something first is taken; none of the others stays open."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from factory.deadline import Deadline, poll
from factory.drivers.protocols import ConnectState, GuestAddress
from factory.drivers.ssh_banner import wait_for_banner
from factory.drivers.ssh_dial import MOST, Dialler, Silent
from factory.errors import GuestUnreachable
from factory.events import ConnectAttempt, Event
from factory.quantity import Duration
from tests.drivers.ssh_server import unused_address

pytestmark = pytest.mark.machine

GREETING = b"SSH-2.0-test\r\n"
LONG = Duration(60)


class Lines:
    """What a server sees: connections in the order in which they came. ``speak`` is called when a new one has."""

    def __init__(self, speak: Callable[[Lines], None]) -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self.open = 0
        self.most = 0
        self._speak = speak

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.open += 1
        self.most = max(self.most, self.open)
        self._speak(self)
        with contextlib.suppress(OSError):
            await reader.read()
        self.open -= 1
        writer.close()


@asynccontextmanager
async def server(speak: Callable[[Lines], None]) -> AsyncIterator[tuple[GuestAddress, Lines]]:
    lines = Lines(speak)
    listening = await asyncio.start_server(lines.serve, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()[:2]
    try:
        yield GuestAddress(host, port), lines
    finally:
        listening.close()
        for writer in lines.writers:
            writer.close()


def dialler(address: GuestAddress, silent: list[Silent], banner: Duration = LONG) -> Dialler:
    return Dialler(address, connect=LONG, banner=banner, between=Duration(0.02), on_silent=silent.append)


async def _none_open(lines: Lines) -> bool | None:
    return lines.open == 0 or None


def greeted(number: int, when: int) -> Callable[[Lines], None]:
    """Greets on connection *number* as soon as *when* have come (both from 1)."""

    def speak(lines: Lines) -> None:
        if len(lines.writers) == when:
            lines.writers[number - 1].write(GREETING)

    return speak


@pytest.mark.parametrize(
    ("number", "when"),
    [
        pytest.param(1, 1, id="the first"),
        pytest.param(3, 3, id="a new one, where earlier ones were begun before the guest listened"),
        pytest.param(1, 12, id="the oldest, of a server that needs long to speak"),
        pytest.param(9, 12, id="one of the newer ones"),
    ],
)
def test_the_connection_that_hears_first_is_taken_and_no_other_stays(number: int, when: int) -> None:
    async def body() -> None:
        silent: list[Silent] = []
        async with server(greeted(number, when)) as (address, lines):
            answered = await Deadline.after(LONG, "an answer").bound(dialler(address, silent).answer())
            with answered:
                assert answered.getsockname() == lines.writers[number - 1].get_extra_info("peername")
                assert answered.getblocking()
                assert answered.recv(100) == GREETING  # nothing was read away
            await poll(lambda: _none_open(lines), Deadline.after(LONG, "the connections to close"))
            assert lines.most <= MOST
        assert silent == []

    asyncio.run(body())


def test_a_server_that_closes_without_a_word_is_told_and_called_again() -> None:
    def speak(lines: Lines) -> None:
        if len(lines.writers) < 3:
            lines.writers[-1].close()
        else:
            lines.writers[-1].write(GREETING)

    async def body() -> None:
        silent: list[Silent] = []
        async with server(speak) as (address, _):
            calls = dialler(address, silent)
            (await Deadline.after(LONG, "an answer").bound(calls.answer())).close()
            assert calls.tries >= 3
        assert set(silent) == {Silent(ConnectState.NO_BANNER, "it closed the connection")}

    asyncio.run(body())


def test_silence_ends_a_connection_after_its_patience() -> None:
    async def body() -> None:
        silent: list[Silent] = []
        async with server(lambda lines: None) as (address, lines):
            calls = dialler(address, silent, banner=Duration(0.05))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await calls.answer()
            assert calls.state is ConnectState.NO_BANNER
            await poll(lambda: _none_open(lines), Deadline.after(LONG, "the connections to close"))
        assert silent
        assert set(silent) == {Silent(ConnectState.NO_BANNER, f"nothing came within {Duration(0.05)}")}

    asyncio.run(body())


def test_a_closed_port_is_told_in_the_systems_words() -> None:
    async def body() -> None:
        silent: list[Silent] = []
        calls = dialler(unused_address(), silent)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await calls.answer()
        assert set(silent) == {Silent(ConnectState.REFUSED, "Connection refused")}
        assert calls.state is ConnectState.REFUSED

    asyncio.run(body())


def test_a_name_is_looked_up_and_every_address_of_it_tried() -> None:
    async def body() -> None:
        async with server(greeted(1, 1)) as (address, _):
            named = dialler(GuestAddress("localhost", address.port), [])
            with await Deadline.after(LONG, "an answer").bound(named.answer()) as answered:
                assert answered.family == socket.AF_INET

    asyncio.run(body())


def test_the_banner_is_waited_for_past_silence_and_other_services() -> None:
    def speak(lines: Lines) -> None:
        if len(lines.writers) == 2:
            lines.writers[1].write(b"220 mail.example\r\n")
        if len(lines.writers) == 3:
            lines.writers[2].write(GREETING)

    async def body() -> None:
        events: list[Event] = []
        async with server(speak) as (address, _):
            banner = await wait_for_banner(address, deadline=Deadline.after(LONG, "SSH"), emit=events.append)
        assert banner == "SSH-2.0-test"
        assert isinstance(events[-1], ConnectAttempt)
        assert events[-1].state == ConnectState.CONNECTED

    asyncio.run(body())


def test_a_banner_that_never_comes_says_how_far_it_got() -> None:
    async def body() -> None:
        async with server(lambda lines: None) as (address, _):
            with pytest.raises(GuestUnreachable, match="no SSH server answered") as error:
                await wait_for_banner(address, deadline=Deadline.after(Duration(0.3), "SSH"), emit=lambda event: None)
            assert error.value.layer == ConnectState.NO_BANNER

    asyncio.run(body())
