"""Chained keys: a phase's key names everything before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from factory.digest import digest_of, to_json
from factory.plan.model import KEY_FORMAT, Recipe
from factory.plan.step import Step

ROOT = ""
"""The parent key of a first phase."""


def make_recipe(parts: dict[str, Any], steps: Sequence[Step], *, labels: dict[str, str], salt: bytes) -> Recipe:
    """Makes a recipe of *parts* and of each step's name and version. Secrets enter as an HMAC under *salt*."""
    counts = to_json({**parts, "steps": [[s.name, s.version] for s in steps]}, salt=salt)
    assert isinstance(counts, dict)
    return Recipe(counts, labels)


def chain(parent: str, name: str, recipe: Recipe) -> str:
    """The key of a phase: SHA-256 over format, parent key, the phase's name and what counts (hex, 64 characters)."""
    return digest_of({"format": KEY_FORMAT, "parent": parent, "phase": name, "recipe": dict(recipe.counts)})
