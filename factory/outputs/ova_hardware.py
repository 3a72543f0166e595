"""Reads from somebody's OVA what machine it describes, so that other formats of it describe the same one."""

from __future__ import annotations

from collections.abc import Callable

from factory.outputs.hardware import OvfHardware
from factory.outputs.lint_ova import capacity
from factory.outputs.ova_package import OvaPackage, attribute
from factory.quantity import Size

_CPUS, _MEMORY, _NETWORK_CARD = "3", "4", "10"  # ResourceType of CIM_ResourceAllocationSettingData
_MIB = "byte * 2^20"
_TOO_MANY = 2**31


def hardware_of(package: OvaPackage) -> OvfHardware:
    """CPUs, memory, firmware and the number of network cards; what is not said is as we would write it."""
    usual, items = OvfHardware(), package.items()

    def first(kind: str, read: Callable[[dict[str, str]], int | None]) -> int:
        values = (read(item) for item in items if item.get("ResourceType") == kind)
        return next((value for value in values if value), 0)

    memory = first(_MEMORY, lambda i: capacity(i.get("VirtualQuantity", ""), i.get("AllocationUnits", "") or _MIB))
    cpus = first(_CPUS, lambda i: capacity(i.get("VirtualQuantity", ""), ""))
    cards = sum(1 for item in items if item.get("ResourceType") == _NETWORK_CARD)
    settings = {attribute(c, "key"): attribute(c, "value") for c in package.elements("Config")}
    return OvfHardware(
        cpus=cpus if 0 < cpus < _TOO_MANY else usual.cpus,
        memory=Size(memory) or usual.memory,
        uefi=settings.get("firmware") == "efi",
        secure_boot=settings.get("uefi.secureBoot.enabled", "").lower() == "true",
        macs=("",) * max(cards, 1),
    )
