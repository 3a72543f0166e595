"""Waits on a machine of which only the serial line can be read: what they find, and how they fail."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from factory.cli.adapters import MachineScreens
from factory.deadline import Deadline
from factory.drivers.protocols import Outcome, Where
from factory.drivers.screen.senses import Senses
from factory.drivers.screen.waits import ScreenWaits
from factory.errors import DeadlineExpired, StepError, UnexpectedScreen
from factory.quantity import Duration, Size
from factory.secret import MASK, Redactor

pytestmark = pytest.mark.unit
T = TypeVar("T")
NOW = Duration(0)


class Guest:
    """Has no display."""

    pid = 1

    def __init__(self, said: str) -> None:
        self.said = said

    def serial_text(self, limit: Size = Size(2**16)) -> str:
        return self.said[-limit:]

    async def execute(self, *_: object) -> None:
        raise StepError("there is no console to take a screendump from")


def waiting(said: str, *secrets: str) -> ScreenWaits:
    guest: Any = Guest(said)
    return ScreenWaits(Senses(guest, redactor=Redactor(secrets)), guest)


def run(what: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(what)


def test_a_serial_line_in_colours() -> None:
    waits = waiting("[\x1b[0;32m  OK  \x1b[0m] Reached target \x1b[0;1;39mMulti-User System\x1b[0m.")
    assert run(waits.for_serial(re.compile("target Multi-User"), Deadline.after(NOW, "the target")))


@pytest.mark.parametrize("where", list(Where))
def test_a_fatal_outcome_is_quoted_with_its_line(where: Where) -> None:
    waits = waiting(
        "tiny-installer: started\ntiny-installer: \x1b[1mcopying\x1b[0m tinyOS hunter22\nmore\n", "hunter22"
    )
    with pytest.raises(UnexpectedScreen) as failure:
        run(waits.for_any([Outcome("/copying/", re.compile("copying"), True, where)], Deadline.after(NOW, "the end")))
    assert failure.value.message == (
        f"while waiting for the end, the {where.value} showed '/copying/': tiny-installer: copying tinyOS {MASK}"
    )


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", "the serial line has said nothing"),
        ("Linux version 6\n/ # ", "the serial line said last: Linux version 6\n/ #"),
        ("Linux version 6\n\x1b[2J\x1b[H", "the serial line said last: Linux version 6"),
        ("[OK] here\n\x1b7\x1b[32766;32766H\x1b[6n\x1b8", "the serial line said last: [OK] here"),
    ],
)
def test_what_the_line_said_instead(said: str, told: str) -> None:
    with pytest.raises(DeadlineExpired) as failure:
        run(waiting(said).for_serial(re.compile("never"), Deadline.after(NOW, "what never comes")))
    assert failure.value.message.endswith(f"; {told}")


def test_a_still_screen_that_had_no_time_did_not_change() -> None:
    with pytest.raises(DeadlineExpired, match=r"it had not changed since the wait began, .* and no time was left"):
        run(waiting("still").for_still(Duration(5), Deadline.after(NOW, "the screen to stand still")))


def test_every_reader_reads_the_line_for_himself(tmp_path: Path) -> None:
    screens, guest, started = MachineScreens(tmp_path), Guest("installer: started\n"), re.compile("started")
    machine: Any = guest

    async def find(reader: str) -> str:
        return await screens.wait_for_serial(machine, started, Deadline.after(NOW, "the start"), reader=reader)

    assert run(find("the boot command")) == run(find("what is expected")) == "started"
    with pytest.raises(DeadlineExpired):
        run(find("the boot command"))
    guest.said += "again started\n"
    assert run(find("the boot command")) == "started"
