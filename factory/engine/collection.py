"""Keeps the store within its limit: the least recently used layers go first, never one that is in use."""

from __future__ import annotations

import os

from factory.engine.layer_index import size_on_disk
from factory.engine.store import LayerInUse, LayerStore
from factory.errors import TemplateError
from factory.quantity import Size

DEFAULT_LIMIT = Size(50 * 2**30)


def limit_from(text: str) -> Size:
    """*text*, else ``FACTORY_CACHE_LIMIT``, else the default. Raises: TemplateError."""
    chosen = text or os.environ.get("FACTORY_CACHE_LIMIT", "")
    try:
        return Size.parse(chosen) if chosen else DEFAULT_LIMIT
    except ValueError as error:
        raise TemplateError(f"the cache's limit: {error}") from error


def collect_garbage(store: LayerStore, limit: Size) -> list[str]:
    """Removes layers until the rest fits *limit*. Returns what was removed, in words."""
    store.sweep()
    removed = []
    for path in store.unreadable():
        store.remove(path.name)
        removed.append(f"removed {path.name[:12]}, which no build can read")
    layers = list(store.all())
    sizes = {layer.key: size_on_disk(layer.path) for layer in layers}
    total, kept = sum(sizes.values()), set[str]()
    while total > limit:
        # The least recently used that nothing stands on: a parent is used whenever its child is.
        parents = {layer.parent for layer in layers}
        victim = next((x for x in layers if x.key not in parents | kept), None)
        if victim is None:
            removed.append(f"the rest is in use and stays, over the limit of {limit}")
            break
        try:
            store.remove(victim.key)
        except LayerInUse:
            kept.add(victim.key)
            continue
        removed.append(f"removed {victim.key[:12]} ({victim.phase}, {Size(sizes[victim.key])})")
        layers.remove(victim)
        total -= sizes[victim.key]
    store.remove_unused_locks()
    return removed
