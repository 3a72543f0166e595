"""What the screen showed is kept, bounded, and can be watched afterwards."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageSequence

from factory.boot_command.keymap import layout
from factory.boot_command.parse import parse
from factory.deadline import Deadline, poll
from factory.drivers.keyboard.keyboard import Keyboard
from factory.drivers.screen.film import HOLD, MOST, Shot, make_film, seconds
from factory.drivers.screen.frame import Frame
from factory.drivers.screen.recorder import (
    INDEX,
    RecordedFrame,
    RecorderLimits,
    ScreenRecorder,
    recorded_frames,
    recording,
)
from factory.drivers.screen.senses import ScreenText, Sense, Senses
from factory.errors import StepError
from factory.events import Event, Note, ScreenChanged, ignore
from factory.quantity import Duration, Size
from tests.drivers.screen.boot_sectors import echo
from tests.drivers.screen.machine import Guest, guest

OFTEN = RecorderLimits(Duration(0.05), 100, Size(2**20))


@pytest.mark.machine
def test_a_real_screen_becomes_pictures_events_and_a_film(tmp_path: Path) -> None:
    events: list[Event] = []
    folder = tmp_path / "screens"

    def shown(text: str) -> bool:
        return any(isinstance(event, ScreenChanged) and text in event.text for event in events)

    async def type_and_see(machine: Guest, text: str) -> None:
        await Keyboard(machine, layout("us")).type(parse(text).actions, waits=Nothing())

        async def seen() -> bool | None:
            return shown(text) or None

        await poll(seen, Deadline.after(Duration(60), f"{text} to be recorded"))

    async def build(machine: Guest) -> None:
        async with recording(Senses(machine), folder, OFTEN, events.append):
            await type_and_see(machine, "first")
            await type_and_see(machine, "second")
            raise StepError("the build fails")

    async def run() -> None:
        async with guest(boot_sector=echo()) as machine:
            await machine.sent(1)
            with pytest.raises(StepError, match="the build fails"):
                await build(machine)
            film = tmp_path / "film.webp"
            shots = [Shot("boot", frame) for frame in recorded_frames(folder)]
            assert await make_film(shots, film, emit=ignore) == len(shots) >= 2
            async with recording(Senses(machine), folder, OFTEN, events.append):
                await type_and_see(machine, "third")  # the same machine's name once more
            assert recorded_frames(folder)[: len(shots)] == tuple(shot.frame for shot in shots)
            shots = [Shot("boot", frame) for frame in recorded_frames(folder)]
            assert await make_film(shots, film, emit=ignore) == len(shots)
            assert await make_film(shots, tmp_path / "film.apng", emit=ignore) == len(shots)

    asyncio.run(run())
    changes = [event for event in events if isinstance(event, ScreenChanged)]
    # A letter that shows up between the screenshot and the reading of the memory leaves that frame to its glyphs.
    assert {change.sense for change in changes} <= {"vga-memory", "glyphs"}
    assert changes[-1].sense == "vga-memory"
    last = recorded_frames(folder)[-1]
    assert changes[-1].screenshot == str(last.path)
    assert "secondthird" in changes[-1].text
    with Image.open(last.path) as picture:
        assert picture.size == (720, 400)
        assert len(picture.convert("RGB").getcolors(256) or ()) >= 2
    for name in ("film.webp", "film.apng"):
        with Image.open(tmp_path / name) as film:
            pictures = [frame.convert("RGB").copy() for frame in ImageSequence.Iterator(film)]
        assert len(pictures) == len(recorded_frames(folder))
        assert pictures[0].size == (720, 418)
        assert pictures[0].tobytes() != pictures[-1].tobytes()
        # The strip with the time is not empty, and differs from the first picture to the last.
        strips = [picture.crop((0, 400, 720, 418)).tobytes() for picture in (pictures[0], pictures[-1])]
        assert strips[0] != strips[1]
        assert any(strips[0])
    assert not list(tmp_path.glob(".*part*"))


class Nothing:
    """Boot commands without waits need none."""

    async def wait(self, duration: Duration) -> None: ...

    async def wait_text(self, pattern: object, budget: Duration) -> None: ...

    async def wait_serial(self, pattern: object, budget: Duration) -> None: ...

    async def wait_still(self, still: Duration, budget: Duration) -> None: ...

    async def wait_seed(self, path: str, budget: Duration) -> None: ...


@pytest.mark.machine
def test_a_machine_without_a_display_is_no_failure(tmp_path: Path) -> None:
    events: list[Event] = []

    async def run() -> None:
        async with (
            guest(boot_sector=echo(), display="none") as machine,
            recording(Senses(machine), tmp_path / "screens", OFTEN, events.append),
        ):
            await machine.sent(1)

    asyncio.run(run())
    assert recorded_frames(tmp_path / "screens") == ()
    assert events == []


class Screens:
    """Stands for ``Senses`` where only the hearing of new screens matters."""

    def watch(self, watcher: object) -> object:
        return lambda: None

    def shown(self, read: ScreenText) -> ScreenText:
        return read

    def hidden(self, frame: Frame, read: ScreenText) -> Frame:
        return frame


def recorder(folder: Path, limits: RecorderLimits, events: list[Event]) -> ScreenRecorder:
    folder.mkdir()
    return ScreenRecorder(Screens(), folder, limits, events.append)  # type: ignore[arg-type]


def show(recorder: ScreenRecorder, number: int) -> None:
    frame = Frame(8, 8, bytes([number]) * 192)
    recorder._seen(frame, ScreenText((f"line {number}",), Sense.VGA_MEMORY, 1.0))


@pytest.mark.unit
def test_too_many_pictures_are_thinned_at_the_beginning(tmp_path: Path) -> None:
    events: list[Event] = []

    async def run() -> None:
        recording = recorder(tmp_path / "s", RecorderLimits(Duration(1), 10, Size(2**20)), events)
        for number in range(60):
            show(recording, number)
            await recording._write()

    asyncio.run(run())
    kept = [int(frame.path.stem) for frame in recorded_frames(tmp_path / "s")]
    assert len(kept) <= 10
    assert kept[0] == 1
    assert kept[-3:] == [58, 59, 60]
    assert len(list((tmp_path / "s").glob("*.png"))) == len(kept)
    assert len(events) == 60


@pytest.mark.unit
def test_the_size_is_bounded_too(tmp_path: Path) -> None:
    async def run() -> None:
        recording = recorder(tmp_path / "s", RecorderLimits(Duration(1), 1000, Size(400)), [])
        for number in range(60):
            show(recording, number)
            await recording._write()

    asyncio.run(run())
    assert sum(path.stat().st_size for path in (tmp_path / "s").glob("*.png")) <= 400


@pytest.mark.unit
def test_the_same_text_with_a_blinking_cursor_is_no_change(tmp_path: Path) -> None:
    events: list[Event] = []

    async def run() -> None:
        recording = recorder(tmp_path / "s", OFTEN, events)
        for pixel in range(5):
            read = ScreenText(("login: ",), Sense.GLYPHS, 1.0)
            recording._seen(Frame(8, 8, bytes([pixel]) * 192), read)
            await recording._write()

    asyncio.run(run())
    assert len(events) == 1


@pytest.mark.unit
def test_a_picture_without_text_is_compared_by_its_pixels(tmp_path: Path) -> None:
    events: list[Event] = []

    async def run() -> None:
        recording = recorder(tmp_path / "s", OFTEN, events)
        for pixel in (1, 1, 2):
            recording._seen(Frame(8, 8, bytes([pixel]) * 192), ScreenText((), Sense.NONE, 0.0))
            await recording._write()

    asyncio.run(run())
    assert [event.sense for event in events if isinstance(event, ScreenChanged)] == ["none", "none"]


@pytest.mark.unit
def test_a_line_that_was_cut_short_hides_no_others(tmp_path: Path) -> None:
    async def run() -> None:
        recording = recorder(tmp_path / "s", OFTEN, [])
        for number in range(3):
            show(recording, number)
            await recording._write()

    asyncio.run(run())
    index = tmp_path / "s" / INDEX
    index.write_text(index.read_text() + '{"time": 12.5, "fi')
    assert len(recorded_frames(tmp_path / "s")) == 3
    assert recorded_frames(tmp_path / "nowhere") == ()


@pytest.mark.unit
def test_a_folder_that_cant_be_written_ends_the_recording_and_says_so(tmp_path: Path) -> None:
    events: list[Event] = []

    async def run() -> None:
        recording = recorder(tmp_path / "s", OFTEN, events)
        shutil.rmtree(tmp_path / "s")
        show(recording, 1)
        await recording.close()

    asyncio.run(run())
    assert [event.level for event in events if isinstance(event, Note)] == ["warning"]


@pytest.mark.unit
def test_each_picture_stands_as_long_as_it_stood_but_never_for_hours() -> None:
    shots = [Shot("boot", RecordedFrame(Path("x"), at)) for at in (0, 0.01, 1, 4000)]
    assert seconds(shots) == [0.1, pytest.approx(0.99), HOLD, HOLD]


@pytest.mark.unit
@pytest.mark.parametrize(("name", "message"), [("film.gif", "no film is written"), ("film.webp", "nothing was")])
def test_what_cant_be_a_film(tmp_path: Path, name: str, message: str) -> None:
    shots = [] if name == "film.webp" else [Shot("boot", RecordedFrame(Path("x"), 0))]
    with pytest.raises(StepError, match=message):
        asyncio.run(make_film(shots, tmp_path / name, emit=ignore))


@pytest.mark.unit
def test_a_long_film_is_sampled_with_its_first_and_last_picture(tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    Image.new("RGB", (2, 2)).save(path)
    shots = [Shot("boot", RecordedFrame(path, float(i))) for i in range(MOST * 2)]
    assert asyncio.run(make_film(shots, tmp_path / "film.webp", emit=ignore)) == MOST
