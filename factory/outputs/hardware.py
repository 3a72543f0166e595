"""What a machine made from an OVA or a box should look like, apart from what the output's own options say."""

from __future__ import annotations

from dataclasses import dataclass

from factory.quantity import Size


@dataclass(frozen=True, slots=True)
class OvfHardware:
    """``macs`` has one entry for each network card; empty lets the hypervisor choose the address.

    ``os_id`` and ``os_version`` are os-release's ("debian", "12"), for the guest type that hypervisors show.
    """

    cpus: int = 2
    memory: Size = Size(2 * 2**30)
    uefi: bool = False
    secure_boot: bool = False
    macs: tuple[str, ...] = ("",)
    os_id: str = ""
    os_version: str = ""
