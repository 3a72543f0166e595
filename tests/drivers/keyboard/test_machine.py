"""The keyboard on real machines: boot sectors that echo, that lose keys, that do not listen."""

from __future__ import annotations

import asyncio
import re
import string
from collections.abc import Sequence

import pytest

from factory.boot_command.keymap import layout
from factory.boot_command.parse import parse
from factory.deadline import pause
from factory.drivers.keyboard.keyboard import Keyboard
from factory.drivers.keyboard.pace import ClockPace, Ps2Pace, sense_pace
from factory.errors import DeadlineExpired, TemplateError
from factory.quantity import Duration
from tests.drivers.screen.boot_sectors import deaf, echo, scan_codes
from tests.drivers.screen.machine import guest

pytestmark = pytest.mark.machine


class Waits:
    """Waits as a boot command says, and notes what was asked for."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    async def wait(self, duration: Duration) -> None:
        self.asked.append(duration)
        await pause(duration)

    async def wait_text(self, pattern: re.Pattern[str], budget: Duration) -> None:
        self.asked.append((pattern.pattern, budget))

    async def wait_serial(self, pattern: re.Pattern[str], budget: Duration) -> None:
        self.asked.append((pattern.pattern, budget))

    async def wait_still(self, still: Duration, budget: Duration) -> None:
        self.asked.append((still, budget))

    async def wait_seed(self, path: str, budget: Duration) -> None:
        self.asked.append((path, budget))


def test_every_printable_character_arrives_once_and_in_order() -> None:
    text = string.printable[:95] * 6

    async def run() -> bytes:
        async with guest(boot_sector=echo()) as machine:
            await machine.sent(1)
            command = text.replace("<", "<lt>")
            report = await Keyboard(machine, layout("us")).type(parse(command).actions, waits=Waits())
            assert report.characters == len(text)
            return await machine.sent(1 + len(text))

    assert asyncio.run(run())[1:].decode() == text


@pytest.mark.parametrize("name", ["gb", "de", "fr"])
def test_other_layouts_press_other_keys(name: str) -> None:
    """The guest reads US keys, so what arrives shows which positions were pressed."""
    text = "azerty qwertz"

    async def run() -> bytes:
        async with guest(boot_sector=echo()) as machine:
            await machine.sent(1)
            await Keyboard(machine, layout(name)).type(parse(text).actions, waits=Waits())
            return await machine.sent(1 + len(text))

    arrived = asyncio.run(run())[1:].decode()
    assert arrived == {"gb": text, "de": "ayertz qwerty", "fr": "qwerty azertw"}[name]


def test_a_guest_that_does_not_listen_is_named() -> None:
    async def run() -> None:
        async with guest(boot_sector=deaf()) as machine:
            await machine.sent(1)
            keyboard = Keyboard(machine, layout("us"), pace=Ps2Pace(machine, patience=Duration(1)))
            await keyboard.type(parse("x" * 100).actions, waits=Waits())

    with pytest.raises(DeadlineExpired, match="has taken no keys for 1s"):
        asyncio.run(run())


def test_held_keys_are_held_and_let_go() -> None:
    async def run() -> bytes:
        async with guest(boot_sector=scan_codes()) as machine:
            await machine.sent(1)
            command = "<leftShiftOn>aB<leftShiftOff><leftCtrlOn><leftAltOn><del>"
            await Keyboard(machine, layout("us")).type(parse(command).actions, waits=Waits())
            return await machine.sent(15)

    # Scan code set 1: 2A left shift, 1E a, 30 b, 1D ctrl, 38 alt, E0 53 del; with bit 7 when let go.
    assert asyncio.run(run()) == b"R" + bytes.fromhex("2A1E9E30B0AA 1D38 E053E0D3 B89D".replace(" ", ""))


def test_held_keys_are_let_go_when_typing_is_cancelled() -> None:
    async def run() -> bytes:
        async with guest(boot_sector=scan_codes()) as machine:
            await machine.sent(1)
            command = parse("<leftCtrlOn><rightShiftOn><wait100s>").actions
            waits = Waits()
            async with asyncio.TaskGroup() as tasks:
                typing = tasks.create_task(Keyboard(machine, layout("us")).type(command, waits=waits))
                await machine.sent(3)
                typing.cancel()
            return await machine.sent(5)

    assert asyncio.run(run()) == b"R" + bytes.fromhex("1D36B69D")


def test_no_key_is_down_longer_than_it_takes_to_send_it() -> None:
    """Down and up of a key leave in one command, so the guest finds them side by side, and never repeats a key."""

    async def run() -> bytes:
        async with guest(boot_sector=scan_codes()) as machine:
            await machine.sent(1)
            await Keyboard(machine, layout("us")).type(parse("aaaaA<enter>").actions, waits=Waits())
            return await machine.sent(15)

    assert asyncio.run(run()) == b"R" + bytes.fromhex("1E9E" * 4 + "2A1E9EAA" + "1C9C")


def test_nothing_is_typed_when_a_character_cannot_be() -> None:
    async def run() -> bytes:
        async with guest(boot_sector=echo()) as machine:
            await machine.sent(1)
            with pytest.raises(TemplateError, match=r"boot command:1:3.*can't type '界'"):
                await Keyboard(machine, layout("us")).type(parse("ab界").actions, waits=Waits())
            await Keyboard(machine, layout("us")).type(parse("z").actions, waits=Waits())
            return await machine.sent(2)

    assert asyncio.run(run()) == b"Rz"


def test_waits_are_handed_over_in_order() -> None:
    async def run() -> Sequence[object]:
        async with guest(boot_sector=echo()) as machine:
            await machine.sent(1)
            waits = Waits()
            command = '<wait1ms>a<waitText "b c" 5s><waitSerial /d+/ 6s><waitStill 2s 7s><waitSeed p/q 8s>e'
            await Keyboard(machine, layout("us")).type(parse(command).actions, waits=waits)
            assert (await machine.sent(3)) == b"Rae"
            return waits.asked

    assert asyncio.run(run()) == [0.001, ("b\\ c", 5), ("d+", 6), (2, 7), ("p/q", 8)]


def test_a_usb_keyboard_cannot_be_watched_and_gets_a_fixed_pace() -> None:
    text = "Slow But Sure 123!"

    async def run() -> bytes:
        async with guest("-device", "qemu-xhci", "-device", "usb-kbd", boot_sector=echo()) as machine:
            assert isinstance(await sense_pace(machine), ClockPace)
            await machine.sent(1)
            await Keyboard(machine, layout("us")).type(parse(text).actions, waits=Waits())
            return await machine.sent(1 + len(text))

    assert asyncio.run(run())[1:].decode() == text
