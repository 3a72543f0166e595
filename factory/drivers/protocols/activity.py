"""Is a machine at work? What it has done so far, in numbers that only grow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from factory.drivers.protocols.machine import Machine


@dataclass(frozen=True, slots=True)
class Activity:
    """Since the machine was first looked at.

    ``at`` is the monotonic clock's time; ``disk`` are bytes read and written, ``network`` bytes that the user network
    has carried, ``serial`` bytes written to the serial line; ``screen`` is how often it has changed visibly; ``cpu``
    are the seconds for which the guest's CPUs have run, or would have if this computer had let them; ``resets`` is how
    often the guest has reset itself.
    """

    at: float
    disk: int = 0
    network: int = 0
    serial: int = 0
    screen: int = 0
    cpu: float = 0.0
    resets: int = 0

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
