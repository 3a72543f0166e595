"""The steps that run an installer, and what of them counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from factory.drivers.machine_spec import MachineSpec
from factory.plan.step import Step
from factory.quantity import Duration
from factory.steps.await_installer import AwaitPowerOff, AwaitSeedFetch
from factory.steps.installation import (
    Method,
    boot_command,
    boot_method,
    command_line,
    expectations,
    expected,
    typed_at_outcomes,
    typed_words,
)
from factory.steps.machine_plan import guest_address, guest_port, installer_spec
from factory.steps.media import MakeMedia, media_recipe
from factory.steps.recipes import Contents, seed_recipe
from factory.steps.seed import ExtractKernel, InjectSeed, MakeSeedMedia, ServeSeed
from factory.steps.start_machine import Role, StartMachine, StartTpm
from factory.template.model import (
    DEFAULT_STALL,
    Finished,
    Install,
    LateText,
    Loaded,
    Profile,
    SeedDelivery,
    Template,
    Text,
)


@dataclass(frozen=True, slots=True)
class Installer:
    """What makes an installed system of an empty disk, or of a disk image that is told what to do.

    ``spec`` is the plan's machine, ``seed_files`` the identity of each seed file that a script makes, by name. A
    template that installs nothing has one too, of which nothing is asked but ``runs_on``, ``installs_itself`` and
    ``delivery``.
    """

    loaded: Loaded
    spec: MachineSpec
    seed_files: Mapping[str, str]

    @property
    def runs_on(self) -> bool:
        """One machine from the first key to the end of provisioning: the installer ends by letting us in."""
        return bool(self.loaded.profile and self.loaded.profile.finished is Finished.CONNECTED)

    @property
    def installs_itself(self) -> bool:
        """A disk image that is started, told what to do, and powers itself off."""
        profile = self.loaded.profile
        return bool(self.loaded.template.access.none and profile and profile.finished is Finished.POWER_OFF)

    @property
    def delivery(self) -> SeedDelivery:
        """How its answers reach it: as the template says, else as the profile does."""
        install, profile = self.loaded.template.install, self.loaded.profile
        if install and install.seed:
            return install.seed
        return profile.seed.delivery if profile and profile.seed else SeedDelivery.NONE

    def recipe(self, contents: Contents) -> dict[str, Any]:
        """What counts of it."""
        install = self.loaded.template.install
        recipe: dict[str, Any] = {"boot": self._boot_recipe(), "seed": seed_recipe(self.loaded, self.seed_files)}
        if install and install.media:
            recipe["further_media"] = media_recipe(install.media, contents)
        return recipe

    def steps(self, meanwhile: Sequence[Step] = ()) -> list[Step]:
        """From its start until it has powered off; *meanwhile* once it knows what to do, as Packer's provisioners."""
        profile, install = self._parts
        steps = self.started()
        if self.delivery is SeedDelivery.HTTP and profile.seed and profile.seed.main:
            budget = install.seed_deadline or profile.seed_deadline
            steps.append(AwaitSeedFetch(profile.seed.main, budget, stall_of(self.loaded.template, profile)))
        steps += expectations(self.loaded)[1]
        stall = stall_of(self.loaded.template, profile)
        steps += meanwhile
        steps.append(AwaitPowerOff(profile.finished, install.deadline or profile.deadline, stall))
        return steps

    def started(self) -> list[Step]:
        """With its seed and media, started and told what to do."""
        template = self.loaded.template
        profile, install = self._parts
        method = boot_method(self.loaded)
        steps: list[Step] = []
        if method is Method.DIRECT and profile.direct:
            steps.append(ExtractKernel(profile.direct))
        steps += self._seed_steps(profile)
        if install.media:
            steps.append(MakeMedia(self.loaded, install.media))
        if template.machine.tpm:
            steps.append(StartTpm(template.machine.tpm.version))
        spec = installer_spec(self.spec, profile.finished) if template.source.iso else self.spec
        line = command_line(self.loaded)
        steps.append(
            StartMachine(
                spec,
                Role.INSTALL,
                guest_port(template),
                line,
                late_arguments(template),
                late_networks(template),
                guest_address(template),
            )
        )
        if method is Method.TYPED:
            steps.append(boot_command(self.loaded))
        steps += expectations(self.loaded)[0]
        return steps

    def _seed_steps(self, profile: Profile) -> list[Step]:
        delivery, folder = self.delivery, self.loaded.seed_directory
        if delivery is SeedDelivery.HTTP:
            return [ServeSeed(self.loaded, folder)]
        if delivery is SeedDelivery.INITRD:
            return [InjectSeed(self.loaded, folder)]
        if delivery in (SeedDelivery.CD, SeedDelivery.FLOPPY):
            label = profile.seed.cd_label if profile.seed else "cidata"
            return [MakeSeedMedia(self.loaded, folder, delivery, label)]
        return []

    def _boot_recipe(self) -> dict[str, Any]:
        profile, _ = self._parts
        method = boot_method(self.loaded)
        recipe: dict[str, Any] = {"method": method.value, "finished": profile.finished, "delivery": self.delivery}
        if typed := typed_at_outcomes(expected(self.loaded)):
            recipe["outcomes"] = typed
        if method is Method.TYPED:
            step = boot_command(self.loaded)
            return recipe | {"command": typed_words(step.command), "layout": step.layout}
        return recipe | {"command_line": command_line(self.loaded), "direct": profile.direct}

    @property
    def _parts(self) -> tuple[Profile, Install]:
        profile, install = self.loaded.profile, self.loaded.template.install
        assert profile is not None
        assert install is not None
        return profile, install


def late_arguments(template: Template) -> tuple[Text, ...]:
    """The user's arguments for QEMU when one of them has a value that only the running build knows."""
    arguments = template.machine.extra_args
    return arguments if any(isinstance(a, LateText) for a in arguments) else ()


def late_networks(template: Template) -> tuple[tuple[Text, ...], ...]:
    """The same for the user networks of the machine's cards."""
    networks = tuple(nic.network for nic in template.machine.nics)
    return networks if any(isinstance(o, LateText) for network in networks for o in network) else ()


def stall_of(template: Template, profile: Profile | None = None) -> Duration:
    """What the template says; else an installer's profile, and the profiles' default for an installed system."""
    if template.stall is not None:
        return template.stall
    return profile.stall if profile else DEFAULT_STALL
