"""What the newest build of each template was made of, phase by phase: also of phases that leave no layer.

One file per build's name below ``names/`` (0600, as all of the store: it holds the texts of scripts).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

from factory.engine.filesystem import write_json
from factory.plan.model import Recipe


def recall(root: Path, name: str) -> dict[str, Recipe]:
    """Phase → recipe, as far as it was ever built here; empty when it was not, or when that can't be read."""
    try:
        data = json.loads(_file(root, name).read_text())
        return {
            phase: Recipe(entry["counts"], entry["labels"], entry.get("texts", {})) for phase, entry in data.items()
        }
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return {}


def remember(root: Path, name: str, recipes: Mapping[str, Recipe]) -> None:
    """Notes the recipes of phases that have run, or were found stored. A store that can't be written is no error."""
    known = recall(root, name) | dict(recipes)
    with contextlib.suppress(OSError):
        write_json(_file(root, name), {phase: recipe.to_json() for phase, recipe in known.items()})


def _file(root: Path, name: str) -> Path:
    return root / "names" / f"{name}.recipes.json"
