"""Reading a guest's screen, and typing."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from factory.deadline import Deadline
from factory.drivers.protocols.machine import Machine
from factory.events import Emit
from factory.quantity import Duration


class Where(enum.Enum):
    """Which sense an outcome is looked for with."""

    SCREEN = "screen"
    SERIAL = "serial line"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One thing that may appear. ``fatal`` outcomes end the wait as an error that quotes them."""

    name: str
    pattern: re.Pattern[str]
    fatal: bool = False
    where: Where = Where.SCREEN


class ScreenReader(Protocol):
    """The senses (``drivers/screen``).

    Each ``reader`` of a serial line, a name, reads it for himself from the machine's start: what his own waits have
    matched is past for his next ones, and for nobody else's.
    """

    async def read_text(self, machine: Machine) -> str:
        """What a person would read on the machine's screen now, without secrets; empty when nothing can be read."""

    async def save_picture(self, machine: Machine, path: Path) -> None:
        """Writes the screen as a PNG, black where it shows a secret. Raises: StepError without a display."""

    async def wait_for_text(self, machine: Machine, pattern: re.Pattern[str], deadline: Deadline) -> str:
        """Waits until the screen shows *pattern* and returns the screen. Raises: DeadlineExpired with what it saw."""

    async def wait_for_any(
        self, machine: Machine, outcomes: Sequence[Outcome], deadline: Deadline, *, reader: str = ""
    ) -> Outcome:
        """Waits for the first of several: of several at once a fatal one, else the first named.

        Raises: UnexpectedScreen when a fatal one appears; DeadlineExpired with what it saw instead.
        """

    async def wait_for_serial(
        self, machine: Machine, pattern: re.Pattern[str], deadline: Deadline, *, reader: str = ""
    ) -> str:
        """Waits until the serial line has said *pattern*, behind what this reader's wait before has matched.

        Raises: DeadlineExpired.
        """

    async def wait_still(self, machine: Machine, still: Duration, deadline: Deadline) -> None:
        """Waits until nothing has changed on the screen for *still*. Raises: DeadlineExpired."""


class BootWaits(Protocol):
    """The waits that a boot command may contain."""

    async def wait(self, duration: Duration) -> None: ...

    async def wait_text(self, pattern: re.Pattern[str], budget: Duration) -> None: ...

    async def wait_serial(self, pattern: re.Pattern[str], budget: Duration) -> None: ...

    async def wait_still(self, still: Duration, budget: Duration) -> None: ...

    async def wait_seed(self, path: str, budget: Duration) -> None: ...


@dataclass(frozen=True, slots=True)
class TypingReport:
    """How typing went: characters typed, of these read back and right, of these typed again; seconds in all."""

    characters: int
    verified: int
    retyped: int
    duration: Duration
    warnings: tuple[str, ...] = ()


class Typist(Protocol):
    """Hands (``drivers/keyboard``)."""

    async def type(
        self, machine: Machine, command: str, *, dialect: str, layout: str, waits: BootWaits, emit: Emit
    ) -> TypingReport:
        """Types a boot command whose late names are filled in. ``dialect`` is "factory" or "packer".

        Raises: TemplateError, UnexpectedScreen, DeadlineExpired, MachineDied.
        """
