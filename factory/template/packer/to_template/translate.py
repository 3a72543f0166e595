"""A Packer build as a loaded template: everything downstream (plan, layers, senses) takes it like one of our own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from factory.errors import TemplateError
from factory.quantity import Duration
from factory.template.model import (
    Access,
    ImageSource,
    Install,
    IsoSource,
    Layers,
    Loaded,
    Profile,
    ProfileSeed,
    SeedDelivery,
    SeedFile,
    Shutdown,
    Ssh,
    Template,
    TypedBoot,
    WinRm,
)
from factory.template.model import Source as TemplateSource
from factory.template.output_options import Output, Qcow2, Raw, Vagrant
from factory.template.packer.language.values import to_python, wholly_known
from factory.template.packer.model import PackerBuild, PackerConfig
from factory.template.packer.post_processors import PostProcessor
from factory.template.packer.post_processors.kinds import Vagrant as VagrantBox
from factory.template.packer.qemu_builder import QemuSource
from factory.template.packer.to_template.machine import machine_of
from factory.template.packer.to_template.notes import Note, Notes
from factory.template.packer.to_template.steps import provision_of
from factory.template.packer.to_template.texts import BOOT, late_text

PROFILE = "packer"


@dataclass(frozen=True, slots=True)
class Translation:
    """*loaded* is the template; *notes* say what had no field; *post_processors* are the chains left to be run on the
    artifacts (all but the ones that became outputs); *output_directory* and *file_name* are Packer's."""

    loaded: Loaded
    notes: tuple[Note, ...]
    post_processors: tuple[tuple[PostProcessor, ...], ...]
    output_directory: str
    file_name: str


def to_template(config: PackerConfig, build: PackerBuild) -> Translation:
    """Raises: TemplateError when the build is not one of the qemu builder, or needs what only a data source tells."""
    source = build.source
    if not isinstance(source, QemuSource):
        message = f"the build “{build.name}” is for {build.source_type}, which factory does not have"
        raise TemplateError(message, hint="take builds of the qemu builder: -only=…")
    if source.unknown:
        names = ", ".join(sorted(source.unknown))
        raise TemplateError(
            f"the build “{build.name}” has no value yet for {names}", hint="a data source has to be read"
        )
    try:
        return _translated(config, build, source)
    except ValidationError as error:
        problems = [build.span.problem(f"{build.name}: {e['msg']}") for e in error.errors()]
        raise TemplateError(problems) from None


def _translated(config: PackerConfig, build: PackerBuild, source: QemuSource) -> Translation:
    notes = Notes()
    outputs, chains = _outputs(source, build, notes)
    provision = tuple(p for one in build.provisioners for p in provision_of(one, notes))
    if source.communicator == "none" and provision:
        notes.add("provisioner", "the communicator is none, so no provisioner can run")
        provision = ()
    template = Template(
        format=1,
        name=_name(build),
        description=build.description,
        source=_source(source),
        machine=machine_of(source, notes),
        install=None if source.disk_image else _install(source, notes),
        access=_access(source, notes),
        provision=provision,
        shutdown=Shutdown(command=source.shutdown_command.reveal() or None, deadline=source.shutdown_timeout),
        seal=None,
        outputs=outputs,
        verify=None,
        layers=Layers.AUTO,
    )
    if build.error_cleanup is not None:
        notes.add("error-cleanup-provisioner", "has no equal: nothing runs in the guest after an error")
    if not source.shutdown_command.reveal():
        notes.add("shutdown_command", "is not set: Packer switches the machine off, factory presses the power button")
    loaded = Loaded(
        template=template,
        profile=None if source.disk_image else _profile(source),
        path=config.path,
        root=config.working,
        variables=_variables(config),
        generated={},
        raw={},
        secrets=tuple(s.reveal() for s in config.secrets),
        files=(config.path,),
        seed_directory=_seed_directory(source, config),
        origins={n: v.origin for n, v in config.variables.items()},
        warnings=config.warnings,
    )
    return Translation(loaded, tuple(notes.items), chains, source.output_directory, source.vm_name)


def _variables(config: PackerConfig) -> dict[str, Any]:
    return {n: to_python(v.value) for n, v in config.variables.items() if wholly_known(v.value)}


def _name(build: PackerBuild) -> str:
    text = re.sub(r"[^a-z0-9._-]+", "-", build.name.lower()).strip("-._")
    return text[:64].rstrip("-._") or "image"


def _source(s: QemuSource) -> TemplateSource:
    urls = s.iso_urls or (s.iso_url,)
    fields: dict[str, Any] = {"checksum": s.iso_checksum}
    first = urls[0]
    if len(urls) == 1 and "://" not in first and not re.match(r"\w+::", first):
        fields["path"] = first
    else:
        fields["urls"] = urls
    if s.disk_image:
        return TemplateSource(image=ImageSource(**fields))
    return TemplateSource(iso=IsoSource(**fields))


def _install(s: QemuSource, notes: Notes) -> Install:
    steps = [step[0] for step in s.boot_steps] or list(s.boot_command)
    files = [SeedFile(name=path.lstrip("/"), content=text) for path, text in s.http_content.items()]
    delivery = SeedDelivery.HTTP if s.http_directory or s.http_content else SeedDelivery.NONE
    content = {"cd": s.cd_content, "floppy": s.floppy_content}
    paths = {"cd": s.cd_files, "floppy": (*s.floppy_files, *s.floppy_dirs)}
    for kind in ("cd", "floppy"):
        if not content[kind] and not paths[kind]:
            continue
        if delivery is not SeedDelivery.NONE:
            notes.add(f"{kind}_files", f"the {kind} is left out: a seed travels one way only, here by {delivery}")
            continue
        delivery = SeedDelivery(kind)
        files += [SeedFile(name=name.lstrip("/"), content=text) for name, text in content[kind].items()]
        files += [SeedFile(name=Path(p).name, path=p) for p in paths[kind] if not _is_folder_or_pattern(p)]
        for path in paths[kind]:
            if _is_folder_or_pattern(path):
                notes.add(f"{kind}_files", f"“{path}”: folders and patterns have no equal")
    return Install(
        profile=PROFILE,
        boot_wait=s.boot_wait,
        boot_command=tuple(late_text(t, BOOT, "boot_command", notes) for t in steps) or None,
        seed=delivery,
        seed_files=tuple(files),
    )


def _is_folder_or_pattern(path: str) -> bool:
    return path.endswith("/") or any(c in path for c in "*?[") or Path(path).is_dir()


def _profile(s: QemuSource) -> Profile:
    seed = ProfileSeed(directory=PROFILE, cd_label=s.cd_label or "packer")
    return Profile(format=1, name=PROFILE, typed=TypedBoot(wait=s.boot_wait), seed=seed, deadline=_patience(s))


def _patience(s: QemuSource) -> Duration:
    """Packer has one budget for installing and connecting: the communicator's timeout."""
    timeout = s.winrm_timeout if s.communicator == "winrm" else s.ssh_timeout
    return timeout if timeout else Duration(24 * 3600)


def _seed_directory(s: QemuSource, config: PackerConfig) -> Path | None:
    if not s.http_directory:
        return None
    wanted = Path(s.http_directory)
    folders = (config.working / wanted, config.folder / wanted)
    return next((f for f in folders if f.is_dir()), folders[0])


def _access(s: QemuSource, notes: Notes) -> Access:
    if s.communicator == "none":
        return Access(none=True)
    if s.communicator == "winrm":
        return Access(
            winrm=WinRm(
                user=s.winrm_username,
                password=s.winrm_password.reveal(),
                port=s.winrm_port,
                tls=s.winrm_use_ssl,
                deadline=s.winrm_timeout,
            )
        )
    special = ("ssh_bastion_host", "ssh_proxy_host", "ssh_agent_auth", "ssh_local_tunnels", "ssh_remote_tunnels",
               "ssh_certificate_file", "ssh_host", "skip_nat_mapping", "pause_before_connecting",
               "ssh_pty")  # fmt: skip
    for option in special:
        if option in s.given and getattr(s, option):
            notes.add(option, "has no equal")
    return Access(
        ssh=Ssh(
            user=s.ssh_username,
            password=s.ssh_password.reveal() or None,
            private_key=s.ssh_private_key_file or None,
            port=s.ssh_port,
            deadline=s.ssh_timeout if s.ssh_timeout else Duration(24 * 3600),
        )
    )


def _outputs(
    s: QemuSource, build: PackerBuild, notes: Notes
) -> tuple[tuple[Output, ...], tuple[tuple[PostProcessor, ...], ...]]:
    main: Output = Raw() if s.format == "raw" else Qcow2(compress="zlib" if s.disk_compression else "none")
    outputs: list[Output] = [main]
    chains: list[tuple[PostProcessor, ...]] = []
    for chain in build.post_processors:
        first = chain[0]
        if isinstance(first.options, VagrantBox):
            outputs.append(
                Vagrant(
                    vagrantfile=first.options.vagrantfile_template, compression_level=first.options.compression_level
                )
            )
            if first.options.include or "output" in first.options.given:
                notes.add("vagrant.output", "the box lies beside the other artifacts, under their name")
            chain = chain[1:]
        if chain:
            chains.append(chain)
    return tuple(outputs), tuple(chains)
