"""The composition root: picks the concrete drivers and hands them, by their Protocols, to engine and steps.

Imported by a build that has something to run: the libraries below take longer to load than a plan takes to make.
"""

from __future__ import annotations

import os
from pathlib import Path

from factory.cli.adapters import DiscMaker, GuestTypist, KnownMachines, MachineProbes, MachineScreens, make_build_key
from factory.cli.appliance import ApplianceWhenNeeded
from factory.cli.given import HostPrograms
from factory.drivers import protocols
from factory.drivers.http_server import HttpSeedServer
from factory.drivers.libvirt import Libvirt
from factory.drivers.process import gone_with_us
from factory.drivers.qemu.checkpoint import QemuCheckpoints
from factory.drivers.qemu.disk_image import QemuImg
from factory.drivers.qemu.driver import QemuDriver
from factory.drivers.screen.recorder import RecorderLimits
from factory.drivers.ssh import SshCommunicator, SshSettings
from factory.drivers.ssh_banner import wait_for_banner
from factory.drivers.ssh_bastion import BastionHost, ThroughBastion
from factory.engine.media import Library
from factory.engine.run_control import RunControl
from factory.engine.run_directory import Run
from factory.engine.scope import StepScope
from factory.errors import HostError
from factory.events import Emit
from factory.host.facts import HostFacts
from factory.plan.resources import BuildName, GuestNotice
from factory.secret import Redactor, Secret
from factory.steps.fetch_media import MediaLibrary
from factory.template.model import Bastion, Loaded, Ssh
from factory.template.packer.run_id import run_id


def communicator(loaded: Loaded) -> protocols.Communicator:
    """SSH, unless the template says WinRM. Raises: HostError when the extra ``winrm`` is not installed."""
    winrm, ssh = loaded.template.access.winrm, loaded.template.access.ssh or Ssh()
    if winrm is None:
        inner = SshCommunicator(SshSettings(with_terminal=ssh.terminal))
        return inner if ssh.bastion is None else ThroughBastion(inner, bastion_host(ssh.bastion, loaded))
    from factory.drivers.winrm import WinRmCommunicator, WinRmSettings

    return WinRmCommunicator(WinRmSettings(tls=winrm.tls))


def bastion_host(bastion: Bastion, loaded: Loaded) -> BastionHost:
    """Raises: HostError when an agent is asked for and there is none."""
    agent = os.environ.get("SSH_AUTH_SOCK") if bastion.agent else None
    if bastion.agent and not agent:
        raise HostError("SSH_AUTH_SOCK is not set, so there is no SSH agent to ask", hint="start one, or name a key")
    credentials = protocols.Credentials(
        bastion.user,
        Secret(bastion.password) if bastion.password else None,
        loaded.resolve(bastion.private_key) if bastion.private_key else None,
        loaded.resolve(bastion.certificate) if bastion.certificate else None,
        Path(agent) if agent else None,
    )
    return BastionHost(protocols.GuestAddress(bastion.host, bastion.port), credentials)


def base_scope(
    *,
    name: str,
    run: Run,
    facts: HostFacts,
    cache: Path,
    library: Library,
    redactor: Redactor,
    emit: Emit,
    loaded: Loaded,
    fonts: Path,
    control: RunControl,
    limits: RecorderLimits,
) -> StepScope:
    """Everything that the steps of a build may ask for."""
    screens = MachineScreens(fonts, redactor)
    scope = StepScope(emit, "", run.path, run.runtime, run.path)
    scope.put(redactor)
    scope.put(BuildName(name, run_id()))
    scope.put_as(MediaLibrary, library)
    scope.put_as(GuestNotice, control)
    scope.put_as(protocols.MachineDriver, KnownMachines(QemuDriver(redactor), control, screens, limits))
    scope.put_as(protocols.DiskImages, QemuImg(emit))
    scope.put_as(protocols.Communicator, communicator(loaded))
    scope.put_as(protocols.SeedServer, HttpSeedServer())
    scope.put_as(protocols.ApplianceDriver, ApplianceWhenNeeded(cache, facts))
    scope.put_as(protocols.Checkpoints, QemuCheckpoints(facts.qemu_version, host_cpu=facts.cpu_name))
    scope.put_as(protocols.KeyMaker, make_build_key)
    scope.put_as(protocols.ScreenReader, screens)
    scope.put_as(protocols.ActivityProbe, MachineProbes(screens))
    scope.put_as(protocols.Typist, GuestTypist(screens))
    scope.put_as(protocols.SshProbe, wait_for_banner)
    scope.put_as(protocols.MediaMaker, DiscMaker())
    scope.put_as(protocols.Programs, HostPrograms())
    scope.put_as(protocols.FolderGuard, gone_with_us)
    scope.put_as(protocols.LibvirtDriver, Libvirt())
    return scope
