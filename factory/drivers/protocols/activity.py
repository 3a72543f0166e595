"""Is a machine at work? What it has done so far, in numbers that only grow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from factory.drivers.protocols.machine import Machine
from factory.quantity import Duration

ONE_REBOOT = 1.0
"""Seconds. A guest's kernel may ask for its reset by several means at once, on several CPUs: QEMU tells each. Firmware
alone takes about as long to hand over to a boot loader under emulation, and a loop that is quicker is still a loop."""

LOOP = Duration(600)
"""Reboots that lie further apart are no loop: Windows takes as many, with its updates, but does much between them."""


def reboots(resets: Iterable[float]) -> tuple[float, ...]:
    """The times (seconds, ascending) at which a guest rebooted, of those at which its machine was reset."""
    begun: list[float] = []
    for at in resets:
        if not begun or at - begun[-1] >= ONE_REBOOT:
            begun.append(at)
    return tuple(begun)


@dataclass(frozen=True, slots=True)
class Activity:
    """Since the machine was first looked at.

    ``at`` is the monotonic clock's time; ``disk`` are bytes read and written, ``network`` bytes that the user network
    has carried, ``serial`` bytes written to the serial line; ``screen`` is how often it has changed visibly; ``cpu``
    are the seconds for which the guest's CPUs have run, or would have if this computer had let them; ``reboots``
    are the times, by that clock, at which the guest has rebooted; ``shown`` is the text on the screen, where it can be
    read with certainty.
    """

    at: float
    disk: int = 0
    network: int = 0
    serial: int = 0
    screen: int = 0
    cpu: float = 0.0
    reboots: tuple[float, ...] = ()
    shown: str = field(default="", repr=False)

    def moved_since(self, other: Activity) -> bool:
        """True when anything but the CPU has done something: a guest that spins need not get anywhere."""
        return (self.disk, self.network, self.serial, self.screen) != (
            other.disk, other.network, other.serial, other.screen,
        )  # fmt: skip


class ActivityProbe(Protocol):
    """Looks at running machines (``drivers/qemu/activity``)."""

    async def sample(self, machine: Machine) -> Activity:
        """What *machine* has done so far. A sense that is not there here counts as nothing.

        Raises: MachineDied; MachineSilent when QEMU does not answer.
        """
