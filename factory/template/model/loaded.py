"""A template as loaded, with all that it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory.errors import Problem
from factory.template.model.delivery import Delivery
from factory.template.model.profile import Profile
from factory.template.model.provision import Provision
from factory.template.model.template import Template


@dataclass(frozen=True, slots=True)
class Loaded:
    """A template as loaded: the model, where it came from, and its resolved variables (late ones absent)."""

    template: Template
    profile: Profile | None
    path: Path
    root: Path
    """The project folder: relative names of scripts, seeds and profiles are looked up from here."""
    variables: Mapping[str, Any]
    generated: Mapping[str, str]
    """Names of late variables and how they are made."""
    raw: Mapping[str, Any]
    """The whole as written, after `extends` and before anything was filled in."""
    secrets: tuple[str, ...] = ()
    """Every sensitive value as text, for the redactor."""
    files: tuple[Path, ...] = ()
    """The template's file and the fragments it extends."""
    profile_path: Path | None = None
    seed_directory: Path | None = None
    """The folder of answer files: `install.seed_dir`, else the profile's below http_seed/."""
    host: Mapping[str, Any] = field(default_factory=dict)
    """What `host.<name>` gave."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Where each variable's value comes from, in words: "default", "-var mirror", "generated", …"""
    warnings: tuple[Problem, ...] = ()
    delivery: Delivery | None = None
    """Set for Packer's templates; None delivers into ``output/NAME/`` with a manifest."""
    error_cleanup: Provision | None = None
    """Run in the guest when a provisioner has failed, before the machine ends."""
    written_name: str = ""
    """The name without what a matrix appends to it."""

    @property
    def own_name(self) -> str:
        """What `name` and `build.name` give: the same in all builds of a matrix, so that they can share a layer."""
        return self.written_name or self.template.name

    def resolve(self, name: str) -> Path:
        """The path of a file that the template names. Names in the model are relative to ``root`` where they lie in
        it, else absolute."""
        return self.root / name
