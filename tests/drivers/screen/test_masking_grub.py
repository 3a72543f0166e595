"""A secret that is typed into a real boot loader: broken in the editor's frame, and in another layout's letters."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from factory.boot_command.keymap import layout
from factory.boot_command.parse import parse
from factory.deadline import Deadline
from factory.drivers.keyboard.keyboard import Keyboard
from factory.drivers.screen.font_library import FontLibrary
from factory.drivers.screen.fonts import FontShelf
from factory.drivers.screen.frame import Frame
from factory.drivers.screen.glyphs import GlyphReader
from factory.drivers.screen.recorder import RecorderLimits, recorded_frames, recording
from factory.drivers.screen.senses import Senses
from factory.drivers.screen.waits import ScreenWaits
from factory.errors import DeadlineExpired, UnexpectedScreen
from factory.events import EventBus, ScreenChanged, Stamped
from factory.quantity import Duration, Size
from tests.drivers.keyboard.test_machine import Waits
from tests.drivers.screen.machine import grub_iso, guest

pytestmark = pytest.mark.machine

SECRET = "Hunter2Secretzyx9"
EDITOR = ("e", "Ctrl-x", f"linux /install.amd/vmlinuz auto=true priority=critical passwd/pw={SECRET} quiet")
PROMPT = ("c", "grub>", f"set a={SECRET}")


@pytest.fixture(scope="module")
def isos(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    return {graphical: grub_iso(tmp_path_factory.mktemp("grub"), graphical=graphical) for graphical in (False, True)}


@pytest.mark.parametrize("graphical", [False, True])
@pytest.mark.parametrize(("way", "keyboard"), [(EDITOR, "us"), (PROMPT, "de"), (PROMPT, "fr")])
def test_nothing_of_a_secret_is_kept(
    isos: dict[bool, Path], tmp_path: Path, graphical: bool, way: Sequence[str], keyboard: str
) -> None:
    bus, events = EventBus(), []
    bus.redactor.add(SECRET)

    def hear(stamped: Stamped) -> None:
        events.append(stamped.event)

    bus.subscribe(hear)
    failed: list[str] = []
    asyncio.run(_typed(isos[graphical], tmp_path, way, keyboard, bus, failed))
    texts = [event.text for event in events if isinstance(event, ScreenChanged)]
    assert "********" in texts[-1]
    assert ("quiet" if keyboard == "us" else "grub>") in texts[-1]
    pictures = [tmp_path / "failure.png", *(frame.path for frame in recorded_frames(tmp_path / "screens"))]
    for text in (*texts, *failed, *map(_read, pictures), *map(repr, events)):
        assert not _told(text), text


async def _typed(iso: Path, folder: Path, way: Sequence[str], keyboard: str, bus: EventBus, failed: list[str]) -> None:
    opens, shows, line = way
    emit = bus.emitter("test")
    async with guest(iso=iso) as machine:
        senses = Senses(machine, redactor=bus.redactor)
        waits = ScreenWaits(senses, machine)
        await waits.for_text(re.compile("Use the"), Deadline.after(Duration(90), "the menu"))
        hands = Keyboard(
            machine, layout(keyboard), screen=senses, emit=emit, redact=senses.masked, secrets=senses.secrets
        )
        await hands.type(parse(opens).actions, waits=Waits())
        await waits.for_text(re.compile(re.escape(shows)), Deadline.after(Duration(30), "the place to type"))
        limits = RecorderLimits(Duration(0.05), 200, Size(2**22))
        async with recording(senses, folder / "screens", limits, emit):
            try:
                await hands.type(parse(line).actions, waits=Waits())
            except UnexpectedScreen as error:
                assert keyboard != "us"
                failed.append(f"{error} {error.evidence}")
            with pytest.raises(DeadlineExpired) as expired:
                await waits.for_text(re.compile("never"), Deadline.after(Duration(2), "what never comes"))
        failed.append(f"{expired.value} {expired.value.evidence}")
        await senses.save_picture(folder / "failure.png")


def _told(text: str) -> str:
    """A piece of the secret, of a third of it or more, or of what other layouts make of it."""
    flat = re.sub(r"[\s\\│|]|\\n", "", text)
    spelt = (SECRET, SECRET.translate(str.maketrans("yz", "zy")))
    return next((s[i : i + 6] for s in spelt for i in range(len(s) - 5) if s[i : i + 6] in flat), "")


def _read(path: Path) -> str:
    from PIL import Image

    picture = Image.open(path).convert("RGB")
    shelf = FontShelf()
    for fonts in FontLibrary().groups():
        for font in fonts:
            shelf.add(font)
    read = GlyphReader(shelf).read(Frame(*picture.size, picture.tobytes()))
    return "\n".join(read.lines) if read else ""
