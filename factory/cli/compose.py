"""The composition root: picks the concrete drivers and hands them, by their Protocols, to engine and steps.

Imported by a build that has something to run: the libraries below take longer to load than a plan takes to make.
"""

from __future__ import annotations

from pathlib import Path

from factory.cli.adapters import DiscMaker, GuestTypist, KnownMachines, MachineProbes, MachineScreens, make_build_key
from factory.cli.appliance import ApplianceWhenNeeded
from factory.cli.given import HostPrograms
from factory.drivers import protocols
from factory.drivers.http_server import HttpSeedServer
from factory.drivers.libvirt import Libvirt
from factory.drivers.qemu.checkpoint import QemuCheckpoints
from factory.drivers.qemu.disk_image import QemuImg
from factory.drivers.qemu.machine import QemuDriver
from factory.drivers.screen.recorder import RecorderLimits
from factory.drivers.ssh import SshCommunicator
from factory.drivers.ssh_banner import wait_for_banner
from factory.engine.media import Library
from factory.engine.run_control import RunControl
from factory.engine.run_directory import Run
from factory.engine.scope import StepScope
from factory.events import Emit
from factory.host.facts import HostFacts
from factory.plan.resources import BuildName, GuestNotice
from factory.secret import Redactor
from factory.steps.fetch_media import MediaLibrary
from factory.template.model import WinRm


def communicator(winrm: WinRm | None) -> protocols.Communicator:
    """SSH, unless the template says WinRM. Raises: HostError when the extra ``winrm`` is not installed."""
    if winrm is None:
        return SshCommunicator()
    from factory.drivers.winrm import WinRmCommunicator, WinRmSettings

    return WinRmCommunicator(WinRmSettings(tls=winrm.tls))


def base_scope(
    *,
    name: str,
    run: Run,
    facts: HostFacts,
    cache: Path,
    library: Library,
    redactor: Redactor,
    emit: Emit,
    winrm: WinRm | None,
    fonts: Path,
    control: RunControl,
    limits: RecorderLimits,
) -> StepScope:
    """Everything that the steps of a build may ask for."""
    screens = MachineScreens(fonts)
    scope = StepScope(emit, "", run.path, run.runtime, run.path)
    scope.put(redactor)
    scope.put(BuildName(name))
    scope.put_as(MediaLibrary, library)
    scope.put_as(GuestNotice, control)
    scope.put_as(protocols.MachineDriver, KnownMachines(QemuDriver(), control, screens, limits))
    scope.put_as(protocols.DiskImages, QemuImg(emit))
    scope.put_as(protocols.Communicator, communicator(winrm))
    scope.put_as(protocols.SeedServer, HttpSeedServer())
    scope.put_as(protocols.ApplianceDriver, ApplianceWhenNeeded(cache, facts))
    scope.put_as(protocols.Checkpoints, QemuCheckpoints(facts.qemu_version, host_cpu=facts.cpu_name))
    scope.put_as(protocols.KeyMaker, make_build_key)
    scope.put_as(protocols.ScreenReader, screens)
    scope.put_as(protocols.ActivityProbe, MachineProbes(screens))
    scope.put_as(protocols.Typist, GuestTypist(screens, redactor))
    scope.put_as(protocols.SshProbe, wait_for_banner)
    scope.put_as(protocols.MediaMaker, DiscMaker())
    scope.put_as(protocols.Programs, HostPrograms())
    scope.put_as(protocols.LibvirtDriver, Libvirt())
    return scope
