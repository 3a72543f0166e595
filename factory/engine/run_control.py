"""``control.json``: what a run directory says about its live machines, for people and programs that come to look.

Written by the build whenever something changes, whole or not at all; read by ``factory screen``, ``ssh`` and
``attach``. A reader trusts a machine only while a process with its pid *and* start time is there: a build
that was killed leaves the file behind.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from factory.drivers.protocols import GuestAddress
from factory.engine.filesystem import write_json
from factory.engine.run_directory import start_time
from factory.opening import read_content

CONTROL = "control.json"


class RunState(enum.StrEnum):
    RUNNING = "running"
    KEPT = "kept"  # a step has failed, and the machine waits for a person
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class MachineControl:
    """One running QEMU. ``name`` is the folder of its logs in the run directory ("install", "boot", "clone-1").

    ``started`` is in clock ticks since the host's boot (``run_directory.start_time``). ``observer`` is a second QMP
    monitor, for one visitor at a time; ``serial`` the first serial line, for any number; ``vnc`` is empty without a
    display. All three are unix sockets. ``logs`` is the folder of its logs.
    """

    name: str
    pid: int
    started: int
    observer: str = ""
    serial: str = ""
    vnc: str = ""
    logs: str = ""

    @property
    def alive(self) -> bool:
        return self.started != 0 and start_time(self.pid) == self.started


@dataclass(frozen=True, slots=True)
class GuestControl:
    """How to log in: ``kind`` is "SSH" or "WinRM", ``key`` a private key's file (empty: only a password is known)."""

    kind: str
    host: str
    port: int
    user: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Control:
    """What is known about a run's machines, the newest last."""

    state: RunState = RunState.RUNNING
    phase: str = ""
    message: str = ""
    machines: tuple[MachineControl, ...] = ()
    guest: GuestControl | None = None

    @property
    def machine(self) -> MachineControl | None:
        """The newest that is really there."""
        return next((machine for machine in reversed(self.machines) if machine.alive), None)


def read_control(run: Path) -> Control:
    """What ``control.json`` of a run directory says. Raises: OSError, ValueError when there is none, or half a one."""
    try:
        data = json.loads(read_content(run / CONTROL))
        return Control(
            RunState(data["state"]),
            data["phase"],
            data["message"],
            tuple(MachineControl(**machine) for machine in data["machines"]),
            GuestControl(**data["guest"]) if data["guest"] else None,
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{run / CONTROL} is not complete: {error}") from error


class RunControl:
    """The writing side: implements ``plan.resources.GuestNotice``. Made by the build that owns *run*."""

    def __init__(self, run: Path) -> None:
        self._path = run / CONTROL
        self._control = Control()
        self._write(self._control)

    @property
    def now(self) -> Control:
        """What the file says."""
        return self._control

    def machine_started(self, log_dir: Path, pid: int, attachments: Mapping[str, str]) -> None:
        """*attachments* as ``Machine.attachments`` gives them."""
        machine = MachineControl(
            log_dir.name, pid, start_time(pid),
            attachments.get("observer", ""), attachments.get("serial", ""), attachments.get("vnc", ""), str(log_dir),
        )  # fmt: skip
        self._write(replace(self._control, machines=(*self._control.machines, machine)))

    def machine_ended(self, pid: int) -> None:
        left = tuple(machine for machine in self._control.machines if machine.pid != pid)
        self._write(replace(self._control, machines=left, guest=self._control.guest if left else None))

    def guest_reachable(self, kind: str, address: GuestAddress, user: str, key: Path | None) -> None:
        guest = GuestControl(kind, address.host, address.port, user, str(key) if key else "")
        self._write(replace(self._control, guest=guest))

    def kept(self, phase: str, message: str) -> None:
        """The machine is held for a person, after *phase* failed with *message*."""
        self._write(replace(self._control, state=RunState.KEPT, phase=phase, message=message))

    def released(self) -> None:
        self._write(replace(self._control, state=RunState.RUNNING, phase="", message=""))

    def ended(self) -> None:
        self._write(Control(RunState.ENDED, self._control.phase, self._control.message))

    def _write(self, control: Control) -> None:
        self._control = control
        write_json(self._path, asdict(control))
