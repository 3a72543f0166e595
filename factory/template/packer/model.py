"""A Packer template, completely evaluated: what ``load`` gives."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from factory.errors import Problem
from factory.secret import Secret
from factory.template.packer.hcl.source import NOWHERE, Span
from factory.template.packer.language.scope import Scope
from factory.template.packer.language.values import Value
from factory.template.packer.post_processors import PostProcessor
from factory.template.packer.provisioners import Provisioner
from factory.template.packer.qemu_builder import QemuSource

COMPATIBLE_VERSION = "1.16.0"
"""The version of Packer whose behaviour this package follows, and what ``packer.version`` gives."""


@dataclass(frozen=True, kw_only=True)
class OtherBuilder:
    """A builder that factory does not have. Its options are as the template gives them, nothing is checked."""

    type: str
    options: Mapping[str, Any] = field(default_factory=dict)


Source: TypeAlias = QemuSource | OtherBuilder


@dataclass(frozen=True, kw_only=True)
class PackerBuild:
    """One build: one source with the provisioners and post-processors that apply to it.

    ``name`` is what ``-only`` and ``-except`` go by: ``block.type.source``, ``type.source``, or in a JSON template the
    name of the builder.
    """

    name: str
    block_name: str
    source_type: str
    source_name: str
    source: Source
    description: str = ""
    provisioners: tuple[Provisioner, ...] = ()
    error_cleanup: Provisioner | None = None
    post_processors: tuple[tuple[PostProcessor, ...], ...] = ()
    """Chains. Each begins with what the builder made."""
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class BuildBlock:
    """A build as it is written, for ``inspect``: sources, provisioners and chains by name."""

    name: str
    description: str = ""
    sources: tuple[str, ...] = ()
    provisioners: tuple[str, ...] = ()
    chains: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, kw_only=True)
class PackerVariable:
    """A declared variable with the value it has, and where that comes from (``default``, ``PKR_VAR_x``, a file …)."""

    name: str
    value: Value
    origin: str
    description: str = ""
    sensitive: bool = False
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class PackerConfig:
    """A whole template. ``warnings`` hold what a person should know; errors are raised by ``load``."""

    path: Path
    folder: Path
    builds: tuple[PackerBuild, ...]
    blocks: tuple[BuildBlock, ...] = ()
    warnings: tuple[Problem, ...] = ()
    variables: Mapping[str, PackerVariable] = field(default_factory=dict)
    locals: Mapping[str, Value] = field(default_factory=dict)
    secrets: tuple[Secret[str], ...] = ()
    parts: Mapping[str, AbstractSet[str]] = field(default_factory=dict, repr=False)
    """Texts with sensitive parts, and these."""
    description: str = ""
    required_plugins: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    required_version: str = ""
    scope: Scope | None = field(default=None, compare=False, repr=False)
    """What an expression on the console sees; JSON templates have none."""
    working: Path = Path()

    @property
    def qemu_builds(self) -> tuple[PackerBuild, ...]:
        return tuple(b for b in self.builds if isinstance(b.source, QemuSource))

    @property
    def other_builds(self) -> tuple[PackerBuild, ...]:
        return tuple(b for b in self.builds if isinstance(b.source, OtherBuilder))
