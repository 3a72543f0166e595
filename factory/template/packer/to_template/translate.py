"""A Packer build as a loaded template: everything downstream (plan, layers, senses) takes it like one of our own."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory.errors import Place, TemplateError
from factory.template.model import (
    Delivery,
    ImageSource,
    IsoSource,
    Layers,
    Loaded,
    Provision,
    Shutdown,
    Template,
)
from factory.template.model import Source as TemplateSource
from factory.template.model.provision import ON_HOST
from factory.template.packer.hcl.source import NOWHERE
from factory.template.packer.language.values import to_python, wholly_known
from factory.template.packer.model import PackerBuild, PackerConfig
from factory.template.packer.provisioners import Provisioner
from factory.template.packer.qemu_builder import QemuSource
from factory.template.packer.to_template.access import access_of, refuse_unreachable
from factory.template.packer.to_template.installation import install_of, profile_of, seed_directory
from factory.template.packer.to_template.machine import machine_of
from factory.template.packer.to_template.notes import Note, Notes
from factory.template.packer.to_template.placing import NotMadeHere, placed
from factory.template.packer.to_template.post_processing import chains_of
from factory.template.packer.to_template.qemu_arguments import read_arguments
from factory.template.packer.to_template.steps import StepTexts, provision_of

EVERYBODYS = frozenset({"vagrant", "packer", "root", "ubuntu", "debian", "admin", "password", "toor", "changeme"})
"""Passwords that hide nothing: masking them would mask half of what a build prints."""


@dataclass(frozen=True, slots=True)
class Translation:
    """*loaded* is the template; *notes* say what had no field."""

    loaded: Loaded
    notes: tuple[Note, ...]
    places: Mapping[str, Place] = field(default_factory=dict)
    """Where the options of the source stand."""


def to_template(config: PackerConfig, build: PackerBuild) -> Translation:
    """Raises: TemplateError when the build is not one of the qemu builder, or needs what only a data source tells."""
    source = build.source
    if not isinstance(source, QemuSource):
        message = f"the build “{build.name}” is for {build.source_type}, which factory does not have"
        raise TemplateError([build.span.problem(message, hint="take builds of the qemu builder: -only=…")])
    if source.unknown:
        hint = "it depends on a data source, which plan, build and -evaluate-datasources read"
        raise NotMadeHere(
            [
                source.places.get(name, build.span).problem(f"{build.name}: “{name}” has no value yet", hint=hint)
                for name in sorted(source.unknown)
            ]
        )
    with placed(source, build.span):
        return _translated(config, build, source)


def _translated(config: PackerConfig, build: PackerBuild, source: QemuSource) -> Translation:
    notes = Notes()
    found = read_arguments(source, notes)
    refuse_unreachable(source, found)
    texts = StepTexts.of(source, build, notes, config)
    provision = tuple(p for one in build.provisioners for p in _placed_provision(one, texts))
    cleanup = next(iter(_placed_provision(build.error_cleanup, texts)), None) if build.error_cleanup else None
    if source.communicator == "none":
        _refuse_without_guest(build)
        if cleanup and not cleanup.on_host:
            notes.add(f"error-cleanup-provisioner “{cleanup.type}”:", "without a communicator it can't run")
            cleanup = None
    medium = _source(source, config)
    image = config.working / medium.image.path if medium.image and isinstance(medium.image.path, str) else None
    template = Template(
        format=1,
        name=_name(build),
        description=build.description,
        source=medium,
        machine=machine_of(source, found, notes, image),
        install=install_of(source, found, config, texts),
        access=access_of(source, found, notes),
        provision=provision,
        shutdown=Shutdown(command=source.shutdown_command.reveal() or None, deadline=source.shutdown_timeout),
        seal=None,
        outputs=(),
        verify=None,
        layers=Layers.AUTO,
    )
    if not source.shutdown_command.reveal():
        notes.add(
            "shutdown_command",
            "is not set: Packer cuts the power, factory lets the guest shut down",
            matters=False,
        )
    places = {name: span.place for name, span in source.places.items() if span is not NOWHERE}
    return Translation(_loaded(config, build, source, template, cleanup, texts), tuple(notes.items), places)


def _refuse_without_guest(build: PackerBuild) -> None:
    """Packer, too, runs what needs no guest, and fails where it would put a script into the guest.

    Raises: NotMadeHere for each provisioner that needs the guest.
    """
    wrong = [p for p in build.provisioners if p.type not in ON_HOST]
    if wrong:
        hint = f"without a communicator only {', '.join(sorted(ON_HOST))} can run"
        message = "needs the guest, and the communicator is none: Packer's build fails here, too"
        raise NotMadeHere([p.span.problem(f"“{p.type}” {message}", hint=hint) for p in wrong])


def _placed_provision(provisioner: Provisioner, texts: StepTexts) -> list[Provision]:
    with placed(provisioner.options, provisioner.span):
        return list(provision_of(provisioner, texts))


def _loaded(
    config: PackerConfig, build: PackerBuild, source: QemuSource, template: Template, cleanup: Provision | None,
    texts: StepTexts,
) -> Loaded:  # fmt: skip
    return Loaded(
        template=template,
        profile=profile_of(source),
        path=config.path,
        root=config.working.absolute(),
        variables={n: to_python(v.value) for n, v in config.variables.items() if wholly_known(v.value)},
        generated={},
        raw={},
        secrets=_secrets(config, source),
        files=(config.path,),
        seed_directory=seed_directory(source, config),
        origins={n: v.origin for n, v in config.variables.items()},
        warnings=config.warnings,
        delivery=_delivery(config, build, source, template, texts),
        error_cleanup=cleanup,
    )


def _delivery(
    config: PackerConfig, build: PackerBuild, source: QemuSource, template: Template, texts: StepTexts
) -> Delivery:
    machine, working = template.machine, config.working.absolute()
    return Delivery(
        folder=Path(os.path.normpath(working / source.output_directory)),
        folder_name=os.path.normpath(source.output_directory),
        file_name=source.vm_name,
        format=source.format,
        compress=source.disk_compression,
        build=texts.build_name,
        builder="qemu",
        working=working,
        lists_variables=not source.efi_drop_efivars,
        hardware={"memory": int(machine.memory), "cpus": machine.cpus, "firmware": machine.firmware.value},
        chains=chains_of(build, texts),
    )


def _secrets(config: PackerConfig, source: QemuSource) -> tuple[str, ...]:
    known = {"", *EVERYBODYS, source.ssh_username, source.winrm_username}
    given = (source.ssh_password, source.winrm_password, source.ssh_bastion_password)
    passwords = [s.reveal() for s in given]
    found = [*(s.reveal() for s in config.secrets), *(p for p in passwords if p.lower() not in known)]
    return tuple(dict.fromkeys(s for s in found if s))


def _name(build: PackerBuild) -> str:
    text = re.sub(r"[^a-z0-9._-]+", "-", build.name.lower()).strip("-._")
    return text[:64].rstrip("-._") or "image"


def _source(s: QemuSource, config: PackerConfig) -> TemplateSource:
    fields: dict[str, Any] = {"checksum": _checksum(s, config)}
    urls = [url.removeprefix("file://") for url in s.iso_urls or (s.iso_url,)]
    local = [u for u in urls if "://" not in u and not re.match(r"\w+::", u)]
    there = next((u for u in local if (config.working / u).expanduser().exists()), None)
    remote = tuple(u for u in urls if u not in local)
    if not any(urls):
        raise NotMadeHere([s.places.get("iso_urls", NOWHERE).problem("“iso_urls” holds no address", hint="set it")])
    if there or not remote:
        fields["path"] = there or local[0]
    else:
        fields["urls"] = remote
    if s.disk_image:
        return TemplateSource(image=ImageSource(**fields))
    return TemplateSource(iso=IsoSource(**fields))


def _checksum(s: QemuSource, config: PackerConfig) -> str:
    """A list of checksums may be a file of this host: named whole, because a downloader knows no folder of ours."""
    kind, _, place = s.iso_checksum.partition(":")
    if kind.lower() != "file" or ("://" in place and not place.startswith("file://")):
        return s.iso_checksum
    return f"file:{(config.working / place.removeprefix('file://')).absolute()}"
