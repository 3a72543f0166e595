"""Why a phase runs again, in one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

from factory.plan.model import Recipe

ONCE = "once"
"""A part of recipes of phases that are never the same again."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two recipes. ``path`` is dotted; a side that lacks the value has None."""

    path: str
    before: Any
    after: Any
    label: str = ""

    def sentence(self) -> str:
        if self.path == ONCE:
            return "what it is made from changed while it ran"
        if self.label:
            what = "is new" if self.before is None else "is gone" if self.after is None else "changed"
            return f"{self.label} {what}"
        if self.before is None:
            return f"{self.path} is new"
        if self.after is None:
            return f"{self.path} is gone"
        if _is_digest(self.before) or _is_digest(self.after):
            return f"{self.path} changed"
        return f"{self.path} changed from {_short(self.before)} to {_short(self.after)}"


def changes(before: Recipe, after: Recipe) -> tuple[Change, ...]:
    """All differences in what counts, in the order of the new recipe."""
    found = []
    for path, old, new in _differences("", before.counts, after.counts):
        label = after.labels.get(_digest_text(new), "") or before.labels.get(_digest_text(old), "")
        found.append(Change(path, old, new, label))
    return tuple(found)


def unified(found: Iterable[Change], before: Recipe, after: Recipe) -> Iterator[str]:
    """Lines of unified diffs of those changes that are texts: contents of files, values of several lines."""
    for change in found:
        old, new = (_text_of(change.before, before), _text_of(change.after, after))
        if old is not None and new is not None:
            name = change.label or change.path
            yield from unified_diff(old.splitlines(), new.splitlines(), name, name, lineterm="")


def _text_of(value: Any, recipe: Recipe) -> str | None:
    """The text that *value* is or stands for; None for what is no text of several lines."""
    if value is None:
        return ""
    known = recipe.texts.get(_digest_text(value))
    if known is not None:
        return known
    return value if isinstance(value, str) and "\n" in value.strip() else None


def why(name: str, before: Recipe | None, after: Recipe, *, parent_changed: str = "") -> str:
    """One sentence for ``factory plan``: why phase *name* is not stored."""
    if parent_changed:
        return f"{name} will run: {parent_changed} runs before it"
    if before is None:
        return f"{name} will run: it has not been built here yet"
    differences = changes(before, after)
    if not differences:
        return f"{name} will run again: its layer is no longer stored"
    more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
    return f"{name} will run again: {differences[0].sentence()}{more}"


def _differences(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*new, *(k for k in old if k not in new)]:
            yield from _differences(f"{path}.{key}" if path else str(key), old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list):
        for i in range(max(len(old), len(new))):
            pair = [side[i] if i < len(side) else None for side in (old, new)]
            yield from _differences(f"{path}[{i}]", *pair)
    elif old != new:
        yield path, old, new


def _digest_text(value: Any) -> str:
    if isinstance(value, Mapping):
        value = value.get("sha256", "")
    return value if isinstance(value, str) else ""


def _is_digest(value: Any) -> bool:
    text = _digest_text(value)
    return len(text) == 64 and all(c in "0123456789abcdef" for c in text)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"
