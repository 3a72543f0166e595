"""Files that a template names and that have to be there before a build starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from factory.errors import Problem
from factory.opening import other_kind
from factory.template.packer.gotemplate import is_template
from factory.template.packer.hcl.source import Span
from factory.template.packer.language.scope import World
from factory.template.packer.model import PackerConfig
from factory.template.packer.options import Options
from factory.template.packer.options.declare import declared
from factory.template.packer.post_processors.kinds import Vagrant
from factory.template.packer.provisioners.simple import File
from factory.template.packer.qemu_builder import QemuSource


def missing_files(config: PackerConfig) -> tuple[Problem, ...]:
    """One problem for each file or folder that is not there. Relative names start from the working folder."""
    world = World(config.working, config.folder)
    found: dict[Problem, None] = {}
    for build in config.builds:
        if not isinstance(build.source, QemuSource):
            continue
        for problem in _missing_checksums(build.source, build.span, world):
            found[problem] = None
        for options, span in _parts(build.source, build.span, build.provisioners, build.post_processors):
            if isinstance(options, File) and (options.generated or options.direction == "download"):
                continue
            if isinstance(options, Vagrant) and options.vagrantfile_template_generated:
                continue
            for option, name in _names(options):
                if not is_template(name) and not world.find(name).exists():
                    where = options.places.get(option, span)
                    severity = "warning" if option == "http_directory" else "error"  # Packer serves nothing, then
                    message = f"“{option}”: there is no file or folder “{name}”"
                    found[where.problem(message, severity=severity)] = None
    return tuple(found)


def _missing_checksums(source: QemuSource, span: Span, world: World) -> Iterator[Problem]:
    kind, _, name = source.iso_checksum.partition(":")
    name = name.removeprefix("file://")
    if kind.lower() != "file" or "://" in name or is_template(name) or "iso_checksum" in source.unknown:
        return
    found = world.find(name)
    if not found.is_file():
        where = source.places.get("iso_checksum", span)
        what = f"“{name}” is {kind}, and no file" if (kind := other_kind(found)) else f"there is no file “{name}”"
        yield where.problem(f"“iso_checksum”: {what}")


def _parts(source: QemuSource, span: Span, provisioners: Any, chains: Any) -> Iterator[tuple[Options, Span]]:
    yield source, span
    for provisioner in provisioners:
        yield provisioner.options, provisioner.span
    for chain in chains:
        for link in chain:
            yield link.options, link.span


def _names(options: Options) -> Iterator[tuple[str, str]]:
    rules: Mapping[str, Any] = declared(type(options))
    for name, item in rules.items():
        if not item.rule.file or name in options.unknown:
            continue
        value = getattr(options, item.name)
        for one in (value,) if isinstance(value, str) else value:
            if one:
                yield name, one
