"""Whether a phase is still what was planned: scripts, files and seeds are read when it runs, and people save them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from factory.opening import Stamp
from factory.plan.model import Phase, Plan


class StartAgain(Exception):
    """Not an error: look again for the layer to go on from."""


class PlanOutdated(StartAgain):
    """Not an error: what *phase* is made from has changed since it was planned, so its key is that of something else.

    ``ran``: it was seen after the phase had run, not before.
    """

    def __init__(self, phase: str, what: str, *, ran: bool) -> None:
        super().__init__(what)
        self.phase, self.what, self.ran = phase, what, ran


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at what a phase is made from. ``what``: how it differs from the plan, in a few words; else empty.

    ``stamps``: the files, as they were right before they were read.
    """

    what: str = ""
    stamps: Mapping[str, Stamp] = field(default_factory=dict)


class Sources(Protocol):
    """What the phases of a plan are made from, as it is now."""

    async def look(self, phase: Phase) -> Seen: ...

    async def planned_again(self, once: Mapping[str, str]) -> Plan:
        """The plan as it would be now; *once*: see ``steps.contents.PlanInputs``. Raises: FactoryError."""
        ...


class NothingChanges:
    """The sources of a plan whose author answers for them."""

    async def look(self, phase: Phase) -> Seen:
        return Seen()

    async def planned_again(self, once: Mapping[str, str]) -> Plan:
        raise AssertionError("nothing changes, so nobody asks")


class Freshness:
    """Compares a phase with its sources before it runs and after.

    Contents alone would not do: what was saved and put back while a step read it has the right content both times. A
    stamp holds the ctime, which nobody sets back.

    Args:
        ignored: phases whose key names no content, so that any will do.
    """

    def __init__(self, sources: Sources, ignored: Collection[str] = ()) -> None:
        self._sources, self._ignored = sources, ignored
        self._before: Mapping[str, Stamp] = {}

    async def before(self, phase: Phase) -> str:
        """To be asked again whenever a phase begins to read. What has changed since it was planned."""
        if phase.name in self._ignored:
            return ""
        seen = await self._sources.look(phase)
        self._before = seen.stamps
        return seen.what

    async def after(self, phase: Phase) -> str:
        """What has changed since ``before``, or may have: who knows which of the two was read."""
        if phase.name in self._ignored:
            return ""
        seen = await self._sources.look(phase)
        if seen.what:
            return seen.what
        touched = [name for name, stamp in self._before.items() if seen.stamps.get(name) != stamp]
        return f"{_shown(touched[0])} was written to" if touched else ""


def _shown(path: str) -> str:
    near = os.path.relpath(path)
    return path if near.startswith("..") else near
