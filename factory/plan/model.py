"""A plan: a template, its variables and a host, fully resolved into phases of steps.

A phase is the smallest part of a plan that leaves a machine state worth keeping. It says in which state it wants the
machine (``Power``) and what it keeps (``Keeps``); the runner boots the machine or powers it off in between with the
plan's own ``boot`` and ``power_off`` steps. So a build can begin at any stored layer, and a phase never has to know
which one that was.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from factory.digest import Json
from factory.opening import Stamp
from factory.plan.step import Step

KEY_FORMAT = 1
"""Counts in every key: raise it when layers of an older factory can't be used any more."""


class Power(enum.StrEnum):
    """The state in which a phase wants the machine."""

    OFF = "off"
    RUNNING = "running"


class Keeps(enum.StrEnum):
    """What is stored after a phase."""

    NOTHING = "nothing"
    DISKS = "disks"  # a powered-off layer
    MEMORY = "memory"  # a live layer: disks and the running machine's memory
    ARTIFACT = "artifact"  # delivered files, not a layer


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a phase's key is made of, and names for it.

    ``counts`` is plain JSON data: parsed values and digests of contents. ``labels`` maps a digest in it to what a
    person calls that content (a script's path), ``texts`` to the content itself where it is a short text, to show
    later what has changed in it. Neither enters a key.
    """

    counts: Mapping[str, Json]
    labels: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"counts": dict(self.counts), "labels": dict(self.labels), "texts": dict(self.texts)}


@dataclass(frozen=True, slots=True)
class Phase:
    name: str
    steps: tuple[Step, ...]
    recipe: Recipe
    key: str
    power: Power
    keeps: Keeps
    sources: Mapping[str, Stamp] = field(default_factory=dict, compare=False)
    """The files on this host that the recipe was made from, by absolute path, as they were right before."""

    def describe(self) -> dict[str, Any]:
        return {
            "phase": self.name,
            "key": self.key,
            "power": self.power.value,
            "keeps": self.keeps.value,
            "steps": [s.describe() for s in self.steps],
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole build. ``facts`` is what a person wants to see resolved (machine type, accelerator, media); ``base``
    is the key of the layer of another build that the first phase starts from, empty when it starts from nothing;
    ``machine`` is what the machine is made of, with the user's own arguments for QEMU and without secrets."""

    name: str
    template: str
    phases: tuple[Phase, ...]
    boot: tuple[Step, ...]
    power_off: tuple[Step, ...]
    facts: Mapping[str, Json]
    base: str = ""
    machine: Mapping[str, Json] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The key of the last phase: names everything that went in."""
        return self.phases[-1].key

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "template": self.template,
            "key": self.key,
            "base": self.base,
            "facts": dict(self.facts),
            "machine": dict(self.machine),
            "phases": [p.describe() for p in self.phases],
            "boot": [s.describe() for s in self.boot],
            "power_off": [s.describe() for s in self.power_off],
        }

    def to_json(self) -> str:
        return json.dumps(self.describe(), indent=2, sort_keys=False)
