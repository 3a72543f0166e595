from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from factory.engine.collection import collect_garbage, limit_from
from factory.engine.filesystem import store_errors
from factory.engine.store import Layer, LayerStore
from factory.errors import StoreError, TemplateError
from factory.plan.model import Keeps, Recipe
from factory.quantity import Size

pytestmark = pytest.mark.unit


@pytest.fixture
def store(tmp_path: Path) -> LayerStore:
    return LayerStore(tmp_path / "cache")


def add(store: LayerStore, key: str, parent: str = "", content: str = "disk") -> Layer:
    async def make() -> Layer:
        async with store.draft(key, waiting=lambda: None) as draft:
            (draft.path / "disk-main.qcow2").write_text(content)
            return store.commit(
                draft, phase="install", template="image", keeps=Keeps.DISKS, parent=parent,
                recipe=Recipe({"a": 1}), machine={},
            )  # fmt: skip

    return asyncio.run(make())


def test_a_committed_layer_is_found_and_private(store: LayerStore) -> None:
    layer = add(store, "aa")
    found = store.find("aa")
    assert found == layer
    assert store.recipe("aa") == Recipe({"a": 1}, {})
    assert layer.path.stat().st_mode & 0o777 == 0o700
    assert (layer.path / "disk-main.qcow2").stat().st_mode & 0o777 == 0o600
    assert store.newest_keys("image") == {"install": "aa"}


def test_what_is_not_committed_is_gone(store: LayerStore) -> None:
    async def abandon() -> None:
        async with store.draft("aa", waiting=lambda: None) as draft:
            (draft.path / "disk-main.qcow2").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        asyncio.run(abandon())
    assert store.find("aa") is None
    assert list(store.layers.iterdir()) == []


def test_a_draft_whose_maker_was_killed_is_swept(store: LayerStore) -> None:
    left = store.layers / ".draft-aa-1-dead"
    left.mkdir()
    (left / "disk-main.qcow2").write_text("half")
    store.sweep()
    assert not left.exists()


def test_a_changed_file_makes_a_layer_unusable_and_a_new_date_does_not(store: LayerStore) -> None:
    layer = add(store, "aa")
    disk = layer.path / "disk-main.qcow2"
    os.utime(disk, (1, 1))
    assert store.find("aa") is not None
    assert store.verify(layer)
    disk.write_text("dish")  # of the same size
    assert store.find("aa") is None
    assert not store.verify(layer)


def test_a_layer_without_its_parent_is_not_usable(store: LayerStore) -> None:
    add(store, "aa")
    add(store, "bb", "aa")
    (store.layers / "aa" / "disk-main.qcow2").unlink()
    assert store.find("bb") is None


def test_a_layer_takes_what_stands_on_it_along(store: LayerStore) -> None:
    add(store, "aa")
    add(store, "bb", "aa")
    add(store, "cc")
    store.remove("aa")
    assert [layer.key for layer in store.all()] == ["cc"]


def test_a_layer_in_use_stays(store: LayerStore) -> None:
    parent, child = add(store, "aa"), add(store, "bb", "aa")
    with store.hold(child):
        assert store.in_use(parent)
        with pytest.raises(StoreError, match="in use by a running build"):
            store.remove("aa")
    store.remove("aa")


def test_garbage_collection_takes_the_least_recently_used_first(store: LayerStore) -> None:
    for i, (key, parent) in enumerate([("aa", ""), ("bb", "aa"), ("cc", ""), ("dd", "")]):
        layer = add(store, key, parent, "x" * 9000)
        os.utime(layer.path / "layer.json", (1000 + i, 1000))
    held = store.find("cc")
    assert held is not None
    size = sum(p.lstat().st_blocks * 512 for p in (store.layers / "dd").rglob("*"))
    with store.hold(held):
        lines = collect_garbage(store, Size(2 * size))
    assert [line.split()[1] for line in lines] == ["bb", "aa"]
    assert {layer.key for layer in store.all()} == {"cc", "dd"}


def test_garbage_collection_says_when_the_rest_is_in_use(store: LayerStore) -> None:
    layer = add(store, "aa")
    with store.hold(layer):
        assert "in use" in collect_garbage(store, Size(0))[-1]


def test_the_limit_comes_from_option_environment_and_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTORY_CACHE_LIMIT", "3 GiB")
    assert limit_from("1 GiB") == 2**30
    assert limit_from("") == 3 * 2**30
    with pytest.raises(TemplateError, match="not a size"):
        limit_from("much")


def test_the_salt_is_made_once(store: LayerStore) -> None:
    assert store.salt == LayerStore(store.root).salt
    assert len(store.salt) == 32


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "no space left"), (errno.EROFS, "can't write"), (errno.EACCES, "can't write")]
)
def test_what_a_disk_can_do_is_an_error_with_a_way_out(tmp_path: Path, number: int, words: str) -> None:
    with pytest.raises(StoreError, match=words) as caught, store_errors(tmp_path):
        raise OSError(number, os.strerror(number), "file")
    assert "FACTORY_CACHE" in caught.value.hint
    assert caught.value.exit_code == 6


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), store_errors(tmp_path):
        raise FileNotFoundError(errno.ENOENT, "no such file")
