"""One argument of QEMU's command line, and the spelling of its option lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

KEPT: frozenset[str] = frozenset()
"""For ``Argument.replaced_by``: no switch of the user's replaces it."""


def option(head: str, pairs: Mapping[str, str | int | None]) -> str:
    """QEMU's ``head,key=value`` list; an empty head or a None leaves out, a comma in a value is doubled.

    >>> option("user", {"id": "user.0", "ipv6": "off", "mac": None})
    'user,id=user.0,ipv6=off'
    """
    named = [f"{key}={escape(value)}" for key, value in pairs.items() if value is not None]
    return ",".join([head, *named] if head else named)


def named(options: Iterable[str]) -> dict[str, str | int | None]:
    """Options that are written ``name=value``."""
    return {name: value for name, _, value in (one.partition("=") for one in options)}


def escape(value: str | int) -> str:
    """A value inside an option list: QEMU reads ``,,`` as one comma."""
    return str(value).replace(",", ",,")


@dataclass(frozen=True, slots=True)
class Argument:
    """A switch (without its dash) and its value. A user's switch named in *replaced_by* takes its place."""

    switch: str
    value: str = ""
    replaced_by: frozenset[str] = field(default=frozenset({"*"}))

    def survives(self, replaced: frozenset[str]) -> bool:
        """Whether it stays when the user's switches *replaced* take over the generated ones of their kind."""
        kinds = frozenset({self.switch}) if "*" in self.replaced_by else self.replaced_by
        return not kinds & replaced

    def words(self) -> Iterator[str]:
        yield f"-{self.switch}"
        if self.value:
            yield self.value


@dataclass(frozen=True, slots=True)
class Slots:
    """Where PCI devices sit: fixed by kind, so that detaching a CD never renames a guest's network interface.

    The first card is in slot 3 on ``pc`` (``ens3``) and in slot 2 on ``q35`` (``enp0s2``), where QEMU itself puts it
    when it numbers a simple machine; Linux derives interface names from the slot.
    """

    q35: bool

    @property
    def bus(self) -> str:
        return "pcie.0" if self.q35 else "pci.0"

    @property
    def display(self) -> dict[str, str]:
        return self._at(1 if self.q35 else 2)

    def nic(self, index: int) -> dict[str, str]:
        if index > 7:
            raise ValueError(f"a machine takes 8 network cards, not {index + 1}")
        return self._at((2 if self.q35 else 3) + index)

    @property
    def rng(self) -> dict[str, str]:
        return self._at(0x0B)

    @property
    def usb(self) -> dict[str, str]:
        return self._at(0x0C)

    def controller(self, name: str) -> dict[str, str]:
        """Slot of the virtio-scsi, LSI, PVSCSI or extra AHCI controller called *name*."""
        return self._at({"scsi": 0x0D, "lsi": 0x0E, "pvscsi": 0x0F, "ahci": 0x10}[name])

    def storage(self, index: int) -> dict[str, str]:
        """Slot of the *index*-th disk that is a PCI device of its own (virtio-blk, NVMe)."""
        if index > 13:
            raise ValueError("a machine takes 14 virtio and NVMe disks; attach the others to a SCSI bus")
        return self._at(0x11 + index)

    def _at(self, slot: int) -> dict[str, str]:
        return {"bus": self.bus, "addr": f"{slot:#x}"}
