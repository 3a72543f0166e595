"""The pace of typing against a model of QEMU's keyboard queue and the BIOS' ring, in every state they can be in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from factory.deadline import Deadline
from factory.drivers.keyboard import pace
from factory.drivers.keyboard.pace import PS2_QUEUE, RING_KEYS, ClockPace, Ps2Pace, sense_pace
from factory.errors import DeadlineExpired, StepError
from factory.quantity import Duration

pytestmark = pytest.mark.unit


class Model:
    """A guest: takes some bytes from the queue at each look, and some keys from the ring."""

    def __init__(self, *, ring: bool = True, stale: int = 0, reads: int = 1, paging: bool = False) -> None:
        self.ring, self.reads, self.paging = ring, reads, paging
        self.head, self.tail = 0x1E, 0x1E + 2 * stale
        self.queued: list[int] = []  # keystrokes, each standing for three bytes
        self.lost = 0
        self.read = 0

    def type(self, keys: int) -> None:
        for _ in range(keys):
            if 3 * (len(self.queued) + 1) > PS2_QUEUE:
                self.lost += 1
            else:
                self.queued.append(1)

    def _run(self) -> None:
        if self.queued:
            self.queued.pop()
            if self.ring:
                if ((self.tail - self.head) % 32) // 2 == RING_KEYS:
                    self.lost += 1
                else:
                    self.tail = 0x1E + (self.tail - 0x1E + 2) % 32
            else:
                self.read += 1
        elif self.ring:
            for _ in range(min(self.reads, ((self.tail - self.head) % 32) // 2)):
                self.head = 0x1E + (self.head - 0x1E + 2) % 32
                self.read += 1

    async def execute(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        line = (arguments or {})["command-line"]
        if line == "i /b 0x64":
            self._run()
            return f"portb[0x0064] = 0x{0x1D if self.queued else 0x1C:02x}\r\n"
        if line == "xp /2hx 0x41a":
            return f"000000000000041a: 0x{self.head:04x} 0x{self.tail:04x}\r\n"
        if line == "info registers":
            return f"CR0={'8005003b' if self.paging else '00000010'} CR2=0"
        assert line == "info qtree"
        return 'dev: i8042, id ""'


async def type_all(model: Model, keys: int) -> None:
    pace = Ps2Pace(model, patience=Duration(0.5))
    while keys:
        batch = min(5, keys)
        await pace.ready(batch)
        model.type(batch)
        await pace.sent(batch, 2 * batch)
        keys -= batch
    assert await pace.drained(Deadline.after(Duration(5), "the end"))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit test does not sleep: what is waited for in seconds must come in some turns of the loop."""
    for name in ("_RING_LATENCY", "_SUSPICIOUS"):
        monkeypatch.setattr(pace, name, 1e-4)

    async def turn(duration: Duration) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(pace, "pause", turn)


@pytest.mark.parametrize(
    "model",
    [
        Model(),  # a BIOS guest
        Model(reads=5),  # a quick one
        Model(ring=False),  # an operating system
        Model(ring=False, stale=3),  # … that was booted while keys waited in the BIOS' ring
        Model(ring=False, stale=15, paging=True),  # … while it was full
    ],
    ids=["bios", "quick", "system", "system after keys", "system after many keys"],
)
def test_nothing_is_lost(model: Model) -> None:
    asyncio.run(type_all(model, 200))
    assert (model.lost, model.read) == (0, 200)


def test_the_model_does_lose_what_is_typed_too_fast() -> None:
    """Without a pace keys are lost: the tests above can fail."""
    model = Model()
    model.type(200)
    assert model.lost > 100


def test_a_guest_that_never_reads_is_waited_for_in_vain() -> None:
    model = Model(reads=0, stale=0)
    with pytest.raises(DeadlineExpired, match="has taken no keys for 500ms"):
        asyncio.run(type_all(model, 40))
    assert model.lost == 0


def test_other_keyboards_get_a_clock() -> None:
    class Usb(Model):
        async def execute(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
            if (arguments or {})["command-line"] == "info qtree":
                return 'bus: usb-bus.0\n  dev: usb-kbd, id ""'
            return await super().execute(command, arguments)

    class NoPort(Model):
        async def execute(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
            return "portb[0x0064] = 0xff" if "0x64" in str(arguments) else ""

    class NoMonitor(Model):
        async def execute(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
            raise StepError("The command human-monitor-command has not been found")

    assert isinstance(asyncio.run(sense_pace(Model())), Ps2Pace)
    for other in (Usb(), NoPort(), NoMonitor()):
        assert isinstance(asyncio.run(sense_pace(other)), ClockPace)
