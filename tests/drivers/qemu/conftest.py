"""A folder for sockets and logs, and a machine that is small."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from factory.deadline import Deadline
from factory.drivers.machine_spec import Bus, DiskSpec, MachineSpec
from factory.drivers.protocols import Machine
from factory.drivers.qemu.driver import QemuDriver
from factory.drivers.qemu.machine import QemuMachine
from factory.events import Event
from factory.quantity import Duration, Size


def soon(what: str = "the guest") -> Deadline:
    """Generous: the host may be loaded."""
    return Deadline.after(Duration(120), what)


@dataclass
class Lab:
    """Starts machines and keeps what they told."""

    root: Path
    logs: Path
    events: list[Event] = field(default_factory=list)

    def spec(self, image: Path | None = None, **changes: Any) -> MachineSpec:
        disks = (DiskSpec("main", image, "raw", Bus.IDE, 0),) if image is not None else ()
        fields: dict[str, Any] = {
            "name": "lab",
            "binary": "qemu-system-x86_64",
            "machine_type": "pc",
            "accelerator": "tcg",
            "memory": Size.parse("64 MiB"),
            "disks": disks,
        }
        return MachineSpec(**{**fields, **changes})

    def start(self, spec: MachineSpec, name: str = "m") -> AbstractAsyncContextManager[QemuMachine]:
        return QemuDriver().start(spec, runtime_dir=self.root / name, log_dir=self.logs / name, emit=self.events.append)


async def until_serial(machine: Machine, text: str) -> str:
    """Waits until the guest has written *text*."""
    from factory.deadline import poll

    async def probe() -> str | None:
        seen = machine.serial_text()
        return seen if text in seen else None

    return await poll(probe, soon(f"{text!r} on the serial line"), every=Duration(0.05))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    root = Path(tempfile.mkdtemp(prefix="lab"))  # pytest's own folders are too long for sockets
    yield Lab(root, tmp_path)
    shutil.rmtree(root)
