"""The words of proving an artifact: what is asked for, what is booted, what was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from factory.deadline import Deadline
from factory.drivers.machine_spec import MachineSpec
from factory.drivers.protocols import (
    ApplianceDriver,
    Communicator,
    DiskImages,
    GuestConnection,
    KeyMaker,
    Machine,
    MachineDriver,
    ScreenReader,
    SshProbe,
)
from factory.errors import FactoryError
from factory.outputs.hardware_for_verify import TargetMachine
from factory.outputs.model import Exported
from factory.quantity import Duration

NO_LOGIN = "none"


class Watch(Protocol):
    """Watches a machine while its guest is awaited: yields the deadline to wait by, which ends early when the guest
    hangs and late when it works. A silent guest that still answers by *connection* does not hang.

    Raises: MachineStalled in place of the body's error.
    """

    def __call__(
        self, machine: Machine, deadline: Deadline, connection: GuestConnection | None = None
    ) -> AbstractAsyncContextManager[Deadline]: ...


def unwatched(
    machine: Machine, deadline: Deadline, connection: GuestConnection | None = None
) -> AbstractAsyncContextManager[Deadline]:
    """A ``Watch`` that does not look."""
    return nullcontext(deadline)


@dataclass(frozen=True, slots=True)
class Request:
    """What must be proven. It lies in the manifest, so that it can be proven again anywhere.

    Args:
        formats: "all", "first", or the words of outputs.
        clones: how many machines the first of them is booted as.
        run: commands that must end with 0 in each machine.
        hostname: "any", "same" or "differs": what clones must do about their names.
        grow: the disks are made larger, and the root file system must follow.
        allow_failed: units that may fail.
        login: "ssh", or "none": then a login prompt is enough.
        user: who logs in; empty: nobody, the SSH server's banner is enough.
    """

    formats: str | tuple[str, ...] = "all"
    clones: int = 2
    run: tuple[str, ...] = ()
    hostname: str = "any"
    grow: bool = False
    allow_failed: tuple[str, ...] = ()
    deadline: Duration = Duration(600)
    login: str = "ssh"
    user: str = "root"
    port: int = 22

    @property
    def asks(self) -> bool:
        """Whether somebody logs in, runs the commands, and asks the machine who it is."""
        return self.login != NO_LOGIN and bool(self.user)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "deadline": float(self.deadline)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Request:
        """Raises: TypeError, ValueError for what ``to_json`` did not write."""
        formats = data.get("formats", "all")
        lists = {name: tuple(map(str, data.get(name, ()))) for name in ("run", "allow_failed")}
        return cls(
            **{
                **data,
                **lists,
                "formats": formats if isinstance(formats, str) else tuple(formats),
                "deadline": Duration(float(data.get("deadline", 600))),
            }
        )


@dataclass(frozen=True, slots=True)
class Boot:
    """One machine to start from one delivered file; ``clone`` counts from 1."""

    file: Exported
    clone: int
    choices: tuple[TargetMachine, ...]

    @property
    def key(self) -> str:
        """Names its folder and its result: the file, and which clone of it from the second on."""
        return self.file.path.name if self.clone == 1 else f"{self.file.path.name}-clone-{self.clone}"


@dataclass(frozen=True, slots=True)
class Bench:
    """What machines are started with. ``spec`` is the machine as the template describes it, without disks.

    ``uefi_variables`` are the build's own (as delivered), ``fresh_variables`` those of a machine that never booted;
    both None for BIOS.
    """

    machines: MachineDriver
    images: DiskImages
    appliance: ApplianceDriver
    probe: SshProbe
    communicator: Communicator
    keys: KeyMaker
    screens: ScreenReader | None
    spec: MachineSpec
    machine_types: Mapping[str, str]
    uefi_variables: Path | None = None
    fresh_variables: Path | None = None
    watch: Watch = unwatched


@dataclass(frozen=True, slots=True)
class Identity:
    """What a machine says of itself; what must differ between two machines. Empty: it has no such thing."""

    machine_id: str = ""
    host_keys: tuple[str, ...] = ()
    dhcp: str = ""
    random_seed: str = ""
    hostname: str = ""
    failed_units: tuple[str, ...] = ()
    root_bytes: int = 0
    state: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Seen:
    """What came of one boot. ``by``: "ssh" or "login prompt"."""

    boot: Boot
    machine: TargetMachine | None = None
    by: str = ""
    banner: str = ""
    seconds: float = 0.0
    up_after: float = 0.0
    commands: list[dict[str, Any]] = field(default_factory=list)
    identity: Identity | None = None
    disk_bytes: int = 0
    notes: list[str] = field(default_factory=list)
    error: FactoryError | None = None

    def to_json(self) -> dict[str, Any]:
        machine = self.machine or self.boot.choices[0]
        data: dict[str, Any] = {
            "path": str(self.boot.file.path),
            "format": self.boot.file.format,
            "clone": self.boot.clone,
            "passed": self.error is None,
            "by": self.by,
            "banner": self.banner,
            "seconds": round(self.seconds, 1),
            "up_after_seconds": round(self.up_after, 1),
            "hardware": {
                "machine": machine.type,
                "bus": str(machine.bus),
                "nic": machine.nic,
                "stands_for": machine.stands_for,
                "instead": machine.instead,
            },
            "commands": self.commands,
            "identity": self.identity.to_json() if self.identity else None,
            "notes": self.notes,
        }
        return data | ({"error": self.error.message} if self.error else {})


@dataclass(slots=True)
class Verdict:
    """What was seen of an artifact; goes into its manifest."""

    request: Request
    seen: Sequence[Seen] = ()
    clones: Mapping[str, str] = field(default_factory=dict)
    """What of the machines' identities was compared → "differ", "same", "none"."""
    problems: Sequence[str] = ()
    """What is wrong between the machines: the same identity twice."""

    @property
    def passed(self) -> bool:
        return not self.problems and all(s.error is None for s in self.seen)

    def to_json(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "request": self.request.to_json(),
            "booted": [s.to_json() for s in self.seen],
            "clones": {"compared": len([s for s in self.seen if s.identity]), "result": dict(self.clones)},
            "problems": list(self.problems),
        }
