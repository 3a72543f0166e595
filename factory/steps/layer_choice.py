"""Which layers a build keeps: what template or command line say, else what fits the machine."""

from __future__ import annotations

from factory.drivers.machine_spec import Bus
from factory.errors import TemplateError
from factory.quantity import Size
from factory.template.model import Finished, Layers, Loaded, Machine

LIVE_LAYERS_UP_TO = Size(4 * 2**30)
"""``layers: auto`` checkpoints machines with up to this much memory: their memory files stay small and quick."""
LIVE_INSTALLERS_UP_TO = Size(16 * 2**30)
"""The same where nothing else can be kept of an installation; pages that the guest never touched are not written."""
_NEVER_SAVED = ("vfio", "nvme", "virtfs", "virtio-9p", "vhost-user", "ivshmem")
"""Devices in a user's own arguments that QEMU can't migrate."""


def choose_layers(loaded: Loaded, wanted: Layers) -> tuple[Layers, str]:
    """What is kept, and why, where that was not said. Raises: TemplateError for memory that can't be kept."""
    machine, obstacle = loaded.template.machine, _never_saved(loaded.template.machine)
    if wanted is Layers.LIVE and obstacle:
        raise TemplateError(
            f"{obstacle}: QEMU can't keep the memory of this machine",
            hint="say `layers: off` (or --layers off), or use another device",
        )
    if wanted is not Layers.AUTO:
        return wanted, ""
    if obstacle:
        return Layers.OFF, f"{obstacle}: QEMU can't keep its memory"
    # Only a live layer can hold what an installation leaves that ends with a machine which runs.
    runs_on = loaded.profile is not None and loaded.profile.finished is Finished.CONNECTED
    most = LIVE_INSTALLERS_UP_TO if runs_on else LIVE_LAYERS_UP_TO
    if machine.memory > most:
        return Layers.OFF, f"the machine has {machine.memory} of memory, more than {most}"
    return Layers.LIVE, ""


def _never_saved(machine: Machine) -> str:
    """Why the machine's memory can't be kept, as far as the template shows it; empty when it can."""
    if disk := next((d for d in machine.disks if d.bus is Bus.NVME), None):
        return f"the disk {disk.id} is an NVMe disk"
    words = " ".join(a for a in machine.extra_args if isinstance(a, str))
    device = next((name for name in _NEVER_SAVED if name in words), "")
    return f"there is a device {device} in extra_args" if device else ""
