"""A real boot loader that reads another layout than was typed in."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path

import pytest

from factory.boot_command.keymap import layout
from factory.boot_command.parse import parse
from factory.deadline import Deadline
from factory.drivers.keyboard.keyboard import Keyboard
from factory.drivers.screen.senses import Senses
from factory.drivers.screen.waits import ScreenWaits
from factory.errors import UnexpectedScreen
from factory.quantity import Duration
from tests.drivers.keyboard.test_machine import Waits
from tests.drivers.screen.machine import guest

pytestmark = pytest.mark.machine
SEED = "install seed=http://10.0.2.2:41679/8GksuX-ndNvQppqk/seed"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    iso = tmp_path_factory.mktemp("tiny") / "tiny.iso"
    script = Path(__file__).parents[3] / "scripts/iso/tiny"
    subprocess.run([script, iso], check=True, capture_output=True)
    return iso


@pytest.mark.parametrize(
    ("keyboard", "line", "shown"),
    [
        ("fr", SEED, "instqll seed=http.>>!)<)<@<@.$!^"),
        ("fr", "192.168.100.200", "!(@<!^*<!))<@))"),
        ("de", "yz", "zy"),
        ("gb", "root=@x", 'root="x'),
    ],
)
def test_isolinux_reads_us_whatever_is_typed(tiny: Path, keyboard: str, line: str, shown: str) -> None:
    """It is told before Enter is pressed: isolinux still stands at its prompt."""

    async def run() -> tuple[UnexpectedScreen, str]:
        async with guest(iso=tiny) as machine:
            senses = Senses(machine)
            waits = ScreenWaits(senses, machine)
            await waits.for_text(re.compile("^boot:", re.M), Deadline.after(Duration(60), "isolinux' prompt"))
            with pytest.raises(UnexpectedScreen) as caught:
                await Keyboard(machine, layout(keyboard), screen=senses).type(
                    parse(line + "<enter>").actions, waits=Waits()
                )
            return caught.value, (await senses.read_screen()).text

    error, screen = asyncio.run(run())
    assert f"but the screen shows {shown!r}, as the layout 'us' has it" in error.message
    assert "`keyboard: us`" in error.hint
    assert screen.rstrip().endswith(shown)
    assert shown in error.evidence.screen
