"""``factory cache``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from factory.cli.places import places
from factory.engine.store import Layer, LayerStore
from factory.errors import StoreError
from factory.quantity import Duration, Size


@click.group("cache")
def command() -> None:
    """Look at, check and empty the layer store (FACTORY_CACHE).

    \b
    A layer holds the machine's disks and, if live, its memory, secrets included: the folders are yours
    alone (0700). Removing a layer frees its space; it overwrites nothing.
    """


def _store() -> LayerStore:
    return LayerStore(places().cache)


@command.command("ls")
def ls() -> None:
    """List the layers, the most recently used last."""
    store = _store()
    for layer in store.all():
        age = Duration(max(0.0, time.time() - store.last_used(layer)))
        kind = "live" if layer.memory else "off"
        click.echo(f"{layer.key[:12]}  {layer.phase:<14} {kind:<5} {Size(on_disk(layer.path))!s:>10}  used {age} ago")


@command.command("size")
def size() -> None:
    """Print what the store takes on disk."""
    where = places()
    layers, media = on_disk(where.cache / "layers"), on_disk(where.media)
    click.echo(f"layers {Size(layers)}, media {Size(media)}, in {where.cache}")


@command.command("rm")
@click.argument("keys", nargs=-1, required=True)
def rm(keys: tuple[str, ...]) -> None:
    """Remove layers by KEY (its first characters are enough), and those that stand on them."""
    store = _store()
    for prefix in keys:
        store.remove(one(store, prefix).key)


@command.command("verify")
def verify() -> None:
    """Check every file of every layer against its digest."""
    store = _store()
    damaged = [layer for layer in store.all() if not store.verify(layer)]
    for layer in damaged:
        click.echo(f"{layer.key[:12]}  {layer.phase}: damaged; it will be built again", err=True)
    click.echo(f"{len(store.all()) - len(damaged)} layers are whole")
    if damaged:
        raise StoreError(f"{len(damaged)} layers are damaged", hint="remove them with `factory cache rm`")


@command.command("why")
@click.argument("key")
def why(key: str) -> None:
    """Say what KEY is made of."""
    import json

    store = _store()
    layer = one(store, key)
    recipe = store.recipe(layer.key)
    click.echo(f"{layer.key}  after {layer.phase}, on {layer.parent[:12] or 'nothing'}")
    if recipe:
        click.echo(json.dumps(recipe.to_json(), indent=2))


@command.command("gc")
@click.option("--limit", metavar="SIZE", default="", help="Keep at most this much, e.g. '50 GiB'.")
def gc(limit: str) -> None:
    """Remove the layers used least recently until the store fits its limit (FACTORY_CACHE_LIMIT, default 50 GiB)."""
    from factory.engine.collection import collect_garbage, limit_from

    for line in collect_garbage(_store(), limit_from(limit)):
        click.echo(line)


def one(store: LayerStore, prefix: str) -> Layer:
    """Raises: StoreError when no layer, or more than one, begins so."""
    found = [layer for layer in store.all() if layer.key.startswith(prefix)]
    if len(found) != 1:
        raise StoreError(
            f"{len(found)} layers begin with {prefix!r}", hint="`factory cache ls` lists them; give more characters"
        )
    return found[0]


def on_disk(path: Path) -> int:
    """Bytes that a folder really takes."""
    return sum(p.lstat().st_blocks * 512 for p in path.rglob("*")) if path.exists() else 0
