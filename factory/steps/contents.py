"""The table of contents of a build: which phases and steps a template becomes on this host.

Pure but for reading the files that the template names: no clock, no randomness, no writes. The same template,
variables and contents give the same keys on every host with the same firmware and machine type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from factory import __version__
from factory.digest import Json, file_digest, to_json
from factory.host.platform import Platform
from factory.opening import Stamp, noting
from factory.outputs.hardware import OvfHardware
from factory.outputs.hardware_for_verify import KVM, TargetMachine
from factory.outputs.plugins import has_output, missing_output
from factory.outputs.post.run import check_chains
from factory.plan.explain import ONCE
from factory.plan.keys import ROOT, chain, make_recipe
from factory.plan.model import Keeps, Phase, Plan, Power
from factory.plan.step import Step
from factory.provision.catalog import has_provisioner, missing_provisioner
from factory.seal.findings import FINDINGS, check_allow
from factory.seal.model import SealOptions
from factory.seal.operations.accounts import check_users
from factory.secret import Secret
from factory.steps.artifact import ExportImages, OpenStaging, Publish
from factory.steps.base_image import AdmitBuildKey, FitDisks
from factory.steps.build_secrets import LoadBuildSecrets, MakeBuildSecrets
from factory.steps.connect_guest import ConnectGuest
from factory.steps.create_disks import CreateDisks, ImportImage
from factory.steps.define_in_libvirt import DefineInLibvirt
from factory.steps.deliver import DeliverDisks, PostProcessArtifact
from factory.steps.fetch_media import FetchMedia
from factory.steps.installer import Installer, late_arguments, late_networks, stall_of
from factory.steps.layer_choice import choose_layers
from factory.steps.machine_plan import (
    guest_address,
    guest_port,
    machine_facts,
    machine_recipe,
    machine_spec,
    uefi_firmware,
)
from factory.steps.rebuild_initramfs import SCRIPT, RebuildInitramfs, early_modules
from factory.steps.recipes import Contents, provision_recipe, seed_recipe
from factory.steps.run_provisioner import RunOnHost, RunProvisioner
from factory.steps.seal_disks import SealDisks
from factory.steps.seed import MakeSeedMedia
from factory.steps.shut_down import ShutDown
from factory.steps.start_machine import Role, StartMachine, StartTpm
from factory.steps.verify_images import VerifyImages, request_of
from factory.template.model import (
    Delivery,
    Firmware,
    LateText,
    Layers,
    Loaded,
    SeedDelivery,
    Source,
    Ssh,
)
from factory.template.output_options import Libvirt, PluginOutput


@dataclass(frozen=True, slots=True)
class PlanInputs:
    """Everything that a plan is made of.

    Args:
        media: identity of the source's content (``engine.media.Library.identity``).
        seed_files: identity of each seed file that a script makes, by name.
        output: the folder that artifacts appear in.
        salt: the store's own, for digests of secrets.
        layers: what the command line says in place of the template.
        base: key of the layer that holds the image of `source.image.template`.
        once: phases that are never the same again, each with a word that is not used twice: what they are made from
            changes while they run.
    """

    loaded: Loaded
    platform: Platform
    media: str
    seed_files: Mapping[str, str]
    output: Path
    salt: bytes
    layers: Layers | None = None
    base: str = ""
    once: Mapping[str, str] = field(default_factory=dict)


def make_plan(inputs: PlanInputs) -> Plan:
    """Raises: HostError, TemplateError, SeedError."""
    with noting() as noted:
        return _Planner(inputs, noted).plan()


class _Planner:
    def __init__(self, inputs: PlanInputs, noted: dict[str, Stamp]) -> None:
        self.noted = noted
        self.inputs, self.loaded, self.platform = inputs, inputs.loaded, inputs.platform
        self.template = inputs.loaded.template
        self.contents = Contents(inputs.loaded, inputs.output)
        self.secrets = tuple(inputs.loaded.secrets)
        self.spec = machine_spec(self.template, self.platform)
        self.installer = Installer(self.loaded, self.spec, inputs.seed_files)
        self.layers, self.because = choose_layers(self.loaded, inputs.layers or self.template.layers)
        self.phases: list[Phase] = []

    def plan(self) -> Plan:
        self._install()
        if not self.template.access.none:
            self._provision()
        self._seal()
        self._export()
        boot, shutdown = self._boot_steps(), self.template.shutdown
        return Plan(
            name=self.template.name,
            template=str(self.loaded.path),
            phases=tuple(self.phases),
            boot=boot,
            power_off=(ShutDown(shutdown.command, shutdown.deadline, stall_of(self.template)),),
            facts={**self._facts(), **({"layers because": self.because} if self.because else {})},
            base=self.inputs.base,
            machine=machine_facts(self.template.machine, self.platform, self.secrets),
        )

    # --- phases ----------------------------------------------------------------------------------------------------

    def _add(self, name: str, parts: Mapping[str, Any], steps: Sequence[Step], *, power: Power, keeps: Keeps) -> None:
        if self.layers is Layers.NONE and keeps in (Keeps.DISKS, Keeps.MEMORY):
            keeps = Keeps.NOTHING
        if once := self.inputs.once.get(name):
            parts = {**parts, ONCE: once}
        recipe = make_recipe(
            parts,
            steps,
            labels=dict(self.contents.labels),
            salt=self.inputs.salt,
            secrets=self.secrets,
            texts=dict(self.contents.texts),
        )
        parent = self.phases[-1].key if self.phases else self.inputs.base or ROOT
        key = chain(parent, name, recipe)
        self.phases.append(Phase(name, tuple(steps), recipe, key, power, keeps, dict(self.noted)))
        self.noted.clear()

    def _continue(self, base: str) -> None:
        """On the image of the build called *base*. Its key is the parent's; as a part it says what changed."""
        self.contents.labels[self.inputs.base] = f"the image of {base}"
        machine, access = self.template.machine, self.template.access
        parts: dict[str, Any] = {
            "image": {"sha256": self.inputs.base},
            "machine": machine_recipe(machine, self.platform),
            "generate": dict(self.loaded.generated),
        }
        steps: list[Step] = [
            MakeBuildSecrets(tuple(sorted(self.loaded.generated.items()))),
            FitDisks(base, machine.disks),
        ]
        if self.loaded.profile:
            parts["seed"] = seed_recipe(self.loaded, self.inputs.seed_files)
        elif not (access.none or access.winrm or self._ssh().password is not None or self._ssh().private_key):
            steps.append(AdmitBuildKey(self._ssh().user, self._disk_ids()))
            parts["user"] = self._ssh().user
        steps += self._on_host(parts)
        self._add("import", parts, steps, power=Power.OFF, keeps=Keeps.DISKS)

    def _install(self) -> None:
        template, machine = self.template, self.template.machine
        if template.source.image and template.source.image.template:
            self._continue(template.source.image.template)
            return
        firmware = uefi_firmware(machine, self.platform)
        variables = firmware.variables if firmware else None
        self.contents.labels[self.inputs.media] = _medium(template.source)
        generate = MakeBuildSecrets(tuple(sorted(self.loaded.generated.items())))
        parts: dict[str, Any] = {
            "media": self.inputs.media,
            "machine": machine_recipe(machine, self.platform),
            "generate": dict(self.loaded.generated),
        }
        disks: Step
        if template.source.image:
            media = FetchMedia(template.source.image, "source image")
            format = template.source.image.format or ""
            disks = ImportImage(machine.disks, variables, format)
            parts |= {"image_format": format} if format else {}
        else:
            assert template.source.iso is not None
            media = FetchMedia(template.source.iso)
            disks = CreateDisks(machine.disks, variables)
        steps: list[Step] = [media, generate, disks]
        if self.installer.runs_on:
            self._add("prepare", parts, steps, power=Power.OFF, keeps=Keeps.NOTHING)
            keeps = Keeps.MEMORY if self.layers is Layers.LIVE else Keeps.NOTHING
            self._add("install", self.installer.recipe(self.contents), (), power=Power.RUNNING, keeps=keeps)
        elif template.source.image and not self.installer.installs_itself:
            if self.loaded.profile:
                parts["seed"] = seed_recipe(self.loaded, self.inputs.seed_files)
            steps += self._on_host(parts)
            self._add("import", parts, steps, power=Power.OFF, keeps=Keeps.DISKS)
        else:
            steps += self.installer.steps(self._on_host(parts))
            parts |= self.installer.recipe(self.contents)
            self._add("install", parts, steps, power=Power.OFF, keeps=Keeps.DISKS)

    def _on_host(self, parts: dict[str, Any]) -> list[Step]:
        """The provisioners of a template that has no way into its guest; what counts of them goes to *parts*."""
        provision = self.template.provision
        if not self.template.access.none or not provision:
            return []
        parts["provision"] = [provision_recipe(p, self.contents) for p in provision]
        stall = stall_of(self.template)
        return [RunOnHost(p, number, self.loaded, stall) for number, p in enumerate(provision, 1)]

    def _provision(self) -> None:
        live = self.layers is Layers.LIVE
        stall = stall_of(self.template)
        if live and not self.installer.runs_on:
            self._add("boot", {"user": self._ssh().user}, (), power=Power.RUNNING, keeps=Keeps.MEMORY)
        for output in self.template.outputs:
            if isinstance(output, PluginOutput) and not has_output(output.name):
                raise missing_output(output.name)
        for provision in self.template.provision:
            # Now, not when the installation is over.
            if provision.plugin and not has_provisioner(provision.plugin.name):
                raise missing_provisioner(provision.plugin.name)
        for number, provision in enumerate(self.template.provision, 1):
            last = number == len(self.template.provision)
            keeps = Keeps.MEMORY if live else Keeps.DISKS if last else Keeps.NOTHING
            self._add(
                f"provision-{number}",
                provision_recipe(provision, self.contents),
                [RunProvisioner(provision, number, self.loaded, stall)],
                power=Power.RUNNING,
                keeps=keeps,
            )

        modules = early_modules(self.template.outputs) if self.template.initramfs == "rebuild" else ()
        if modules:
            keeps = Keeps.MEMORY if live else Keeps.DISKS
            recipe = {"modules": modules, "script": {"sha256": file_digest(SCRIPT)}}
            step = RebuildInitramfs(modules, stall_of(self.template))
            self._add("initramfs", recipe, [step], power=Power.RUNNING, keeps=keeps)

    def _seal(self) -> None:
        seal = self.template.seal
        if seal is None:
            return
        options = SealOptions(
            only=seal.only,
            except_=seal.except_,
            trim=seal.trim,
            shrink=seal.shrink,
            allow=seal.allow,
            remove_users=seal.remove_users,
        )
        check_users(options.remove_users)
        check_allow(options.allow, FINDINGS)
        secrets = {name: value for name, value in self.loaded.variables.items() if isinstance(value, Secret)}
        step = SealDisks(self._disk_ids(), options, secrets)
        self._add("seal", {"seal": seal}, [LoadBuildSecrets(), step], power=Power.OFF, keeps=Keeps.DISKS)

    def _export(self) -> None:
        template = self.template
        if self.loaded.delivery:
            self._deliver(self.loaded.delivery)
            return
        if not template.outputs:
            return
        staging = OpenStaging(self.inputs.output, template.name)
        machine = template.machine
        own = TargetMachine(machine.type, machine.disks[0].bus, machine.nics[0].model if machine.nics else "", KVM)
        firmware = uefi_firmware(machine, self.platform)
        code = firmware.code if firmware else None
        export = ExportImages(self._disk_ids(), template.outputs, hardware(self.loaded), template.name, code, own)
        verify: list[Step] = []
        if template.verify and template.verify.boot:
            fresh = firmware.variables if firmware else None
            types = self.platform.machine_types
            stall = stall_of(template)
            step = VerifyImages(template.verify, request_of(template), self.spec, types, fresh, stall)
            verify = [LoadBuildSecrets(), step]
        domains = [
            DefineInLibvirt(o, template.name, hardware(self.loaded), own, self.platform.accelerator)
            for o in template.outputs
            if isinstance(o, Libvirt)
        ]
        steps: list[Step] = [staging, export, *verify, *domains, Publish({})]
        parts = {"outputs": template.outputs, "hardware": hardware(self.loaded), "verify": template.verify}
        self._add("export", parts, steps, power=Power.OFF, keeps=Keeps.ARTIFACT)
        last = self.phases.pop()
        about = {**self._facts(), "key": last.key, "template": template.name}
        self.phases.append(replace(last, steps=(*last.steps[:-1], Publish(about))))

    def _deliver(self, delivery: Delivery) -> None:
        check_chains(delivery.chains)
        steps: list[Step] = [DeliverDisks(delivery, self._disk_ids(), bool(self.spec.uefi))]
        if delivery.chains:
            steps.append(PostProcessArtifact(delivery))
        parts = {"format": delivery.format, "compress": delivery.compress, "chains": delivery.chains}
        self._add("export", parts, steps, power=Power.OFF, keeps=Keeps.ARTIFACT)

    # --- parts -----------------------------------------------------------------------------------------------------

    def _boot_steps(self) -> tuple[Step, ...]:
        steps: list[Step] = [LoadBuildSecrets()]
        if self.installer.runs_on:
            # The same machine, whether it starts here or goes on from memory: its media stay in its drives.
            if self.template.source.iso:
                steps.append(FetchMedia(self.template.source.iso))
            return (*steps, *self.installer.started(), *self._connect())
        if self.template.machine.tpm:
            steps.append(StartTpm(self.template.machine.tpm.version))
        delivery = self.installer.delivery
        if self.template.source.image and self.loaded.profile and delivery is not SeedDelivery.NONE:
            label = self.loaded.profile.seed.cd_label if self.loaded.profile.seed else "cidata"
            steps.append(MakeSeedMedia(self.loaded, self.loaded.seed_directory, SeedDelivery.CD, label))
        template = self.template
        late, networks = late_arguments(template), late_networks(template)
        at = guest_address(template)
        steps.append(
            StartMachine(self.spec, Role.BOOT, guest_port(template), arguments=late, networks=networks, guest=at)
        )
        steps += self._connect()
        return tuple(steps)

    def _connect(self) -> list[Step]:
        access = self.template.access
        if access.none:
            return []
        # Where the installer ends by letting us in, this is the wait for the whole installation.
        stall = stall_of(self.template, self.loaded.profile if self.installer.runs_on else None)
        if access.winrm:
            winrm = access.winrm
            return [ConnectGuest(winrm.user, winrm.password, None, winrm.deadline, stall, "WinRM", settle=winrm.settle)]
        ssh = self._ssh()
        key = self.loaded.resolve(ssh.private_key) if ssh.private_key else None
        certificate = self.loaded.resolve(ssh.certificate) if ssh.certificate else None
        agent = "SSH_AUTH_SOCK" if ssh.agent else ""
        return [
            ConnectGuest(
                ssh.user,
                ssh.password,
                key,
                ssh.deadline,
                stall,
                certificate=certificate,
                agent=agent,
                settle=ssh.settle,
            )
        ]

    def _ssh(self) -> Ssh:
        return self.template.access.ssh or Ssh()

    def _disk_ids(self) -> tuple[str, ...]:
        return tuple(d.id for d in self.template.machine.disks)

    def _facts(self) -> dict[str, Json]:
        facts = to_json(
            {
                "media": self.inputs.media,
                "machine_type": self.spec.machine_type,
                "firmware": self.template.machine.firmware,
                "accelerator": self.platform.accelerator,
                "layers": self.layers,
                "versions": {"factory": __version__, "qemu": self.platform.qemu_version},
            }
        )
        assert isinstance(facts, dict)
        return facts


def _medium(source: Source) -> str:
    """What a person calls the installer or image."""
    origin = source.iso or source.image
    assert origin is not None
    if origin.build:
        return f"what {origin.build.script} builds"
    name = origin.path or origin.url or origin.urls[0]
    return name.source if isinstance(name, LateText) else name


def hardware(loaded: Loaded) -> OvfHardware:
    """What a machine made from an OVA or a box looks like."""
    machine = loaded.template.machine
    return OvfHardware(
        cpus=machine.cpus,
        memory=machine.memory,
        uefi=machine.firmware is not Firmware.BIOS,
        secure_boot=machine.firmware is Firmware.UEFI_SECURE,
        macs=tuple(nic.mac for nic in machine.nics),
    )
