"""Post-processors: from Packer's chains to plain links that run on the artifact."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Mapping
from typing import Any

from factory.secret import Secret
from factory.template.model import PostProcess
from factory.template.packer.gotemplate import is_template
from factory.template.packer.model import PackerBuild
from factory.template.packer.options import Options
from factory.template.packer.post_processors import OtherPostProcessor, PostProcessor
from factory.template.packer.provisioners.shell import ShellLocal
from factory.template.packer.to_template.steps import PLACEHOLDER, RUN_ID, StepTexts

_GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386"}


def chains_of(build: PackerBuild, texts: StepTexts) -> tuple[tuple[PostProcess, ...], ...]:
    """Raises: TemplateError when an option has no value even with everything that a build knows."""
    return tuple(tuple(_link(link, texts) for link in chain) for chain in build.post_processors)


def _link(link: PostProcessor, texts: StepTexts) -> PostProcess:
    if link.needs:
        link = texts.resolved(link) if RUN_ID in link.needs else link.resolve(texts.known)
    names = {
        "BuildName": texts.build_name,
        "BuilderType": "qemu",
        "Provider": "libvirt",
        "ArtifactId": "VM",
        "Architecture": _GO_ARCHITECTURES.get(platform.machine(), platform.machine()),
    }
    if isinstance(link.options, ShellLocal):  # `execute_command`: filled in by provision.shell_local
        names |= {name: PLACEHOLDER.format(name) for name in ("Vars", "Script", "Command")}
    return PostProcess(
        kind=link.type,
        name=link.name,
        options=_plain(link.options, names, texts),
        keeps_input=link.keeps_input,
    )


def _plain(options: Options, names: Mapping[str, str], texts: StepTexts) -> dict[str, Any]:
    """Every option with its value (a plug-in's: those that are given). ``{{ .ChecksumType }}`` stays for later."""
    if isinstance(options, OtherPostProcessor):
        return {k: _rendered(v, names, texts) for k, v in options.options.items()}
    found: dict[str, Any] = {}
    for item in dataclasses.fields(options):
        if item.name not in ("given", "unknown", "places"):
            found[item.name.rstrip("_")] = _rendered(getattr(options, item.name), names, texts)
    return {**found, "given": sorted(options.given)}


def _rendered(value: Any, names: Mapping[str, str], texts: StepTexts) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, str) and is_template(value):
        return texts.rendered(value, names)
    if isinstance(value, Mapping):
        return {k: _rendered(v, names, texts) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rendered(v, names, texts) for v in value]
    return value
