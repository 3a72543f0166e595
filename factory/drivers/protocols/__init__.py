"""The seams: what steps ask of drivers. Concrete drivers are chosen in ``cli/compose.py`` only.

All blocking work happens in threads or child processes behind these async calls. A ``deadline`` is a
``factory.deadline.Deadline``: named, so that its expiry can say what was waited for.
"""

from __future__ import annotations

from factory.drivers.protocols.activity import LOOP, Activity, ActivityProbe, reboots
from factory.drivers.protocols.appliance import (
    Appliance,
    ApplianceCall,
    ApplianceCallFailed,
    ApplianceDisk,
    ApplianceDriver,
    DiskAccess,
)
from factory.drivers.protocols.guest import (
    CommandResult,
    Communicator,
    ConnectState,
    Credentials,
    Guest,
    GuestAddress,
    GuestConnection,
    KeyMaker,
    OnLine,
    SshProbe,
)
from factory.drivers.protocols.images import DiskImages, ImageInfo
from factory.drivers.protocols.libvirt import LibvirtDriver, LibvirtPlace, LibvirtVolume
from factory.drivers.protocols.machine import Checkpoints, Machine, MachineDriver, Qmp, ShutdownReason
from factory.drivers.protocols.media import Downloader, FolderGuard, MediaMaker, ProgramResult, Programs
from factory.drivers.protocols.seed import SeedEndpoint, SeedServer, SeedSource
from factory.drivers.protocols.senses import BootWaits, Outcome, ScreenReader, TypingReport, Typist, Where

__all__ = [
    "LOOP",
    "Activity",
    "ActivityProbe",
    "Appliance",
    "ApplianceCall",
    "ApplianceCallFailed",
    "ApplianceDisk",
    "ApplianceDriver",
    "BootWaits",
    "Checkpoints",
    "CommandResult",
    "Communicator",
    "ConnectState",
    "Credentials",
    "DiskAccess",
    "DiskImages",
    "Downloader",
    "FolderGuard",
    "Guest",
    "GuestAddress",
    "GuestConnection",
    "ImageInfo",
    "KeyMaker",
    "LibvirtDriver",
    "LibvirtPlace",
    "LibvirtVolume",
    "Machine",
    "MachineDriver",
    "MediaMaker",
    "OnLine",
    "Outcome",
    "ProgramResult",
    "Programs",
    "Qmp",
    "ScreenReader",
    "SeedEndpoint",
    "SeedServer",
    "SeedSource",
    "ShutdownReason",
    "SshProbe",
    "TypingReport",
    "Typist",
    "Where",
    "reboots",
]
