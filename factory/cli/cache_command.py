"""``factory cache``."""

from __future__ import annotations

import time

import click

from factory.cli.kept_keys import FOLDER, is_kept_key, kept_keys, remove_kept_key
from factory.cli.places import places
from factory.engine.layer_index import read_layer, size_on_disk
from factory.engine.store import LayerStore
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
    """List the layers, the most recently used last, and the key pairs that templates have asked for by name."""
    store = _store()
    for layer in store.all():
        age = Duration(max(0.0, time.time() - store.last_used(layer)))
        kind, size = "live" if layer.memory else "off", Size(size_on_disk(layer.path))
        used = "in use" if store.in_use(layer) else f"used {age} ago"
        damaged = "; damaged, and not used" if store.is_condemned(layer) else ""
        click.echo(f"{layer.key[:12]}  {layer.template:<16} {layer.phase:<14} {kind:<5} {size!s:>10}  {used}{damaged}")
    for path in store.unreadable():
        click.echo(f"{path.name[:12]}  can't be read; `factory cache gc` removes it", err=True)
    for path in kept_keys(store.root):
        click.echo(f"{FOLDER}/{path.name}  of a Packer template’s sshkey; stays until it is removed by `cache rm`")


@command.command("size")
def size() -> None:
    """Print what the store takes on disk, and its limit."""
    from factory.engine.collection import limit_from

    where = places()
    layers, media = size_on_disk(where.cache / "layers"), size_on_disk(where.media)
    keys = len(kept_keys(where.cache))
    more = f", {keys} key pair{'' if keys == 1 else 's'}" if keys else ""
    click.echo(f"layers {Size(layers)} (limit {limit_from('')}), media {Size(media)}{more}, in {where.cache}")


@command.command("rm")
@click.argument("keys", nargs=-1, required=True)
def rm(keys: tuple[str, ...]) -> None:
    """Remove layers by KEY (its first characters are enough), and those that stand on them.

    A key pair that a Packer template has asked for goes by the name that `factory cache ls` shows: keys/NAME.pem. The
    next build makes a new one.
    """
    store = _store()
    for name in filter(is_kept_key, keys):
        click.echo(f"removed {remove_kept_key(store.root, name)}")
    keys = tuple(key for key in keys if not is_kept_key(key))
    chosen = [one(store, prefix) for prefix in keys]
    for key in chosen:
        before = {layer.key: layer for layer in store.all()}
        store.remove(key)
        after = {layer.key for layer in store.all()}
        for layer in before.values():
            if layer.key not in after:
                click.echo(f"removed {layer.key[:12]} ({layer.template} {layer.phase})")


@command.command("verify")
def verify() -> None:
    """Check every file of every layer against its digest; what is damaged is never used again."""
    store = _store()
    layers = store.all()
    damaged = [f"{x.key[:12]}  {x.template} {x.phase}: damaged" for x in layers if not store.verify(x)]
    damaged += [f"{path.name[:12]}  can't be read" for path in store.unreadable()]
    for line in damaged:
        click.echo(f"{line}; it will be built again", err=True)
    if damaged:
        what = "1 layer is" if len(damaged) == 1 else f"{len(damaged)} layers are"
        raise StoreError(
            f"{what} damaged", hint="the next build makes them anew; `factory cache rm` frees their space now"
        )
    click.echo(f"{len(layers)} layers are whole")


@command.command("why")
@click.argument("key")
def why(key: str) -> None:
    """Say what KEY is made of, and how that differs from the newest build of the same template."""
    import json

    from factory.plan.explain import changes

    store = _store()
    layer = read_layer(store.layers / one(store, key))
    if layer is None:
        raise StoreError(f"the layer {key} can't be read", hint="remove it with `factory cache rm`")
    recipe = store.recipe(layer.key)
    click.echo(f"{layer.key}  {layer.template}, after {layer.phase}, on {layer.parent[:12] or 'nothing'}")
    newest = store.newest_keys(layer.template).get(layer.phase, layer.key)
    newer = store.recipe(newest)
    if newest == layer.key:
        click.echo(f"the newest {layer.phase} of {layer.template}")
    elif recipe and newer:
        said = [change.sentence() for change in changes(recipe, newer)]
        click.echo(f"the newest is {newest[:12]}: {'; '.join(said) or 'what runs before it has changed'}")
    if recipe:
        click.echo(json.dumps(recipe.to_json(), indent=2))


@command.command("gc")
@click.option("--limit", metavar="SIZE", default="", help="Keep at most this much, e.g. '50 GiB'.")
def gc(limit: str) -> None:
    """Remove the layers used least recently until the store fits its limit (FACTORY_CACHE_LIMIT, default 50 GiB).

    Every build does the same at its end. What a running build uses always stays. Downloads with a wrong checksum
    go, too.
    """
    from factory.drivers.download import remove_set_aside
    from factory.engine.collection import collect_garbage, limit_from

    for path in remove_set_aside(places().media):
        click.echo(f"removed {path.name}, a download that was not used")
    for line in collect_garbage(_store(), limit_from(limit)):
        click.echo(line)


def one(store: LayerStore, prefix: str) -> str:
    """The whole key. Raises: StoreError when no layer, or more than one, begins so."""
    found = [layer.key for layer in store.all()] + [path.name for path in store.unreadable()]
    found = [key for key in found if key.startswith(prefix)]
    if len(found) != 1:
        raise StoreError(
            f"{len(found)} layers begin with {prefix!r}", hint="`factory cache ls` lists them; give more characters"
        )
    return found[0]
