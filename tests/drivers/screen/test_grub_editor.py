"""Keys that are lost or come twice in GRUB's editor and at its prompt, also where text stands behind the cursor."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from factory.boot_command.keymap import layout
from factory.boot_command.parse import parse
from factory.deadline import Deadline
from factory.drivers.keyboard.keyboard import Keyboard
from factory.drivers.screen.senses import Senses
from factory.drivers.screen.waits import ScreenWaits
from factory.quantity import Duration
from tests.drivers.keyboard.test_machine import Waits
from tests.drivers.screen.machine import Guest, grub_iso, guest

pytestmark = pytest.mark.machine

ARGUMENTS = "--- i8042.nopnp selinux=0 splash"
MENU = f"""
set timeout=-1
menuentry "Install" {{
linux /install.amd/vmlinuz {ARGUMENTS}
initrd /install.amd/initrd.gz
}}
"""
END = "<down><down><end>"
BEFORE_THE_LAST = END + "<left>" * 7


class FaultyKeys:
    """A machine whose keyboard loses one key, or sends it twice: the one with the number *at*."""

    def __init__(self, machine: Guest, at: int, times: int) -> None:
        self._machine, self._at, self._times, self._keys = machine, at, times, -1

    async def execute(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        if command == "input-send-event" and arguments:
            arguments = {"events": [again for event in arguments["events"] for again in self._sent(event)]}
        return await self._machine.execute(command, arguments)

    def _sent(self, event: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        data = event["data"]
        if data["down"] and data["key"]["data"] not in {"shift", "backspace"}:
            self._keys += 1
            if self._keys == self._at:
                up = {**event, "data": {**data, "down": False}}
                return [event, up] * self._times
        return [event]


@pytest.fixture(scope="module")
def isos(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    folder = tmp_path_factory.mktemp
    return {graphical: grub_iso(folder("editor"), graphical=graphical, menu=MENU) for graphical in (False, True)}


@pytest.mark.parametrize(
    ("graphical", "goes", "typed", "at", "times", "line"),
    [
        (True, BEFORE_THE_LAST, " quiet", 2, 0, "selinux=0 quiet splash"),
        (False, BEFORE_THE_LAST, " quiet", 5, 2, "selinux=0 quiet splash"),
        (False, BEFORE_THE_LAST, " console=ttyS0", 12, 0, "selinux=0 console=ttyS0 splash"),
        (True, BEFORE_THE_LAST, " auto=true priority=critical url=http://10.0.2.2:8000/x/preseed.cfg", 60, 2, None),
        (False, END, " single", 6, 2, "splash single"),
        (False, END, "xy", 0, 2, "splashxy"),
    ],
)
def test_a_key_that_is_lost_or_comes_twice_is_mended(
    isos: dict[bool, Path], graphical: bool, goes: str, typed: str, at: int, times: int, line: str | None
) -> None:
    async def body() -> None:
        async with guest(iso=isos[graphical]) as machine:
            senses = Senses(machine)
            waits = ScreenWaits(senses, machine)
            await waits.for_text(re.compile("Use the"), Deadline.after(Duration(90), "the menu"))
            sound = Keyboard(machine, layout("us"), screen=senses)
            await sound.type(parse("e").actions, waits=Waits())
            await waits.for_text(re.compile("Ctrl-x"), Deadline.after(Duration(30), "the editor"))
            await sound.type(parse(goes).actions, waits=Waits())
            await waits.for_still(Duration(0.5))
            hands = Keyboard(FaultyKeys(machine, at, times), layout("us"), screen=senses)
            report = await hands.type(parse(typed).actions, waits=Waits())
            read = await waits.for_still(Duration(0.5))
            assert report.retyped
            shown = "".join(row.strip("┃│|\ufffd ").removesuffix("\\") for row in read.lines)
            meant = f"linux /install.amd/vmlinuz {ARGUMENTS.replace(' splash', '')}{typed} splash"
            assert (line or meant.replace(" ", "")) in (shown if line else shown.replace(" ", ""))

    asyncio.run(body())
