"""A file system that is still growing is waited for, and one that does not is named."""

from __future__ import annotations

import asyncio
from pathlib import PurePath
from typing import Any, cast

import pytest

from factory.deadline import Deadline
from factory.drivers.protocols import CommandResult, GuestConnection
from factory.errors import VerificationFailed
from factory.outputs.hardware_for_verify import TargetMachine
from factory.outputs.model import Exported
from factory.quantity import Duration, Size
from factory.verify import machine
from factory.verify.guest_words import ASK
from factory.verify.model import Boot, Request, Seen

pytestmark = pytest.mark.unit

DISK = Size(2**31)


class Growing:
    """A guest whose root file system has these sizes (KiB), each time it is asked."""

    def __init__(self, *sizes: int) -> None:
        self.sizes, self.asked = list(sizes), 0

    async def run(self, command: str, *, stdin: bytes, **_: Any) -> CommandResult:
        size = self.sizes[min(self.asked, len(self.sizes) - 1)]
        self.asked += 1
        rest = "factory:machine-id 1\n" if stdin == ASK else ""
        return CommandResult(0, f"{rest}factory:root-kib {size}\nfactory:end yes\n", "")


def asked(guest: Growing, monkeypatch: pytest.MonkeyPatch) -> Seen:
    async def no_pause(duration: Duration) -> None:
        return

    monkeypatch.setattr(machine, "pause", no_pause)
    file = cast(Exported, PurePath("x"))
    seen = Seen(Boot(file, 1, (cast(TargetMachine, None),)))
    seen.disk_bytes = DISK
    deadline = Deadline.after(Duration(60), "the exported image to come up")
    asyncio.run(machine._ask(cast(GuestConnection, guest), Request(grow=True), seen, deadline))
    return seen


def test_a_file_system_that_is_still_growing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    guest = Growing(2_000_000, 2_000_000, 2_090_000, 3_000_000)
    seen = asked(guest, monkeypatch)
    assert guest.asked == 4
    assert seen.identity is not None
    assert seen.identity.machine_id == "1"
    assert seen.identity.root_bytes == 3_000_000 * 1024


def test_one_that_has_grown_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    guest = Growing(3_000_000)
    asked(guest, monkeypatch)
    assert guest.asked == 1


def test_one_that_does_not_grow_is_named_with_how_long_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "GROWTH_PATIENCE", Duration(0))
    with pytest.raises(VerificationFailed, match=r"waited 0ms for .* to grow into the larger disk; it has 1.9 GiB"):
        asked(Growing(2_000_000), monkeypatch)
