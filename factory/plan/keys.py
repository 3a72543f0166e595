"""Chained keys: a phase's key names everything before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from factory.digest import Json, digest_of, to_json
from factory.plan.model import KEY_FORMAT, Recipe
from factory.plan.step import Step
from factory.secret import Secret

ROOT = ""
"""The parent key of a first phase."""


def make_recipe(
    parts: Mapping[str, Any],
    steps: Sequence[Step],
    *,
    labels: Mapping[str, str],
    salt: bytes,
    secrets: Sequence[str] = (),
    texts: Mapping[str, str] = MappingProxyType({}),
) -> Recipe:
    """Makes a recipe of *parts* and of each step's name and version.

    A ``Secret``, and every text that contains one of *secrets*, enters as an HMAC under *salt*: a recipe lies in the
    store as plain JSON. Of *texts* (by their digest) those with a secret in them are left out.
    """
    counts = to_json({**parts, "steps": [[s.name, s.version] for s in steps]}, salt=salt)
    hidden = _hide(counts, tuple(s for s in secrets if s), salt)
    assert isinstance(hidden, dict)
    open_texts = {digest: text for digest, text in texts.items() if not any(s and s in text for s in secrets)}
    return Recipe(hidden, labels, open_texts)


def _hide(value: Json, secrets: tuple[str, ...], salt: bytes) -> Json:
    if isinstance(value, str) and any(secret in value for secret in secrets):
        return to_json(Secret(value), salt=salt)
    if isinstance(value, dict):
        return {k: _hide(v, secrets, salt) for k, v in value.items()}
    if isinstance(value, list):
        return [_hide(v, secrets, salt) for v in value]
    return value


def chain(parent: str, name: str, recipe: Recipe) -> str:
    """The key of a phase: SHA-256 over format, parent key, the phase's name and what counts (hex, 64 characters)."""
    return digest_of({"format": KEY_FORMAT, "parent": parent, "phase": name, "recipe": dict(recipe.counts)})
