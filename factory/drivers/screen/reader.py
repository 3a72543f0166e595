"""``protocols.ScreenReader``: the senses of every machine of a build, each made when it is first looked at."""

from __future__ import annotations

import re
from collections.abc import Callable

from factory.deadline import Deadline
from factory.drivers.protocols import Machine
from factory.drivers.screen.font_library import FontLibrary
from factory.drivers.screen.senses import Senses
from factory.drivers.screen.waits import ScreenWaits
from factory.events import Emit, ignore
from factory.quantity import Duration


class MachineScreens:
    """Senses by machine.

    Args:
        library: where fonts are looked for; default: this computer's.
        emit: hears each change of a screen while it is waited for.
    """

    def __init__(self, library: Callable[[], FontLibrary] = FontLibrary, *, emit: Emit = ignore) -> None:
        self._library = library
        self._emit = emit
        self._senses: dict[Machine, tuple[Senses, ScreenWaits]] = {}

    def senses(self, machine: Machine) -> Senses:
        """What reads *machine*; a ``drivers.keyboard.LineReader`` too."""
        return self._of(machine)[0]

    def waits(self, machine: Machine) -> ScreenWaits:
        return self._of(machine)[1]

    async def read_text(self, machine: Machine) -> str:
        return (await self.senses(machine).read_screen()).text

    async def wait_for_text(self, machine: Machine, pattern: re.Pattern[str], deadline: Deadline) -> str:
        return (await self.waits(machine).for_text(pattern, deadline)).text

    async def wait_still(self, machine: Machine, still: Duration, deadline: Deadline) -> None:
        await self.waits(machine).for_still(still, deadline)

    def _of(self, machine: Machine) -> tuple[Senses, ScreenWaits]:
        known = self._senses.get(machine)
        if known is None:
            senses = Senses(machine, self._library())
            known = (senses, ScreenWaits(senses, machine, emit=self._emit))
            self._senses[machine] = known
        return known
