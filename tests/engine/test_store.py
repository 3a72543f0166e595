from __future__ import annotations

import asyncio
import errno
import os
import shutil
from pathlib import Path

import pytest

from factory.engine.collection import collect_garbage, limit_from
from factory.engine.filesystem import store_errors
from factory.engine.layer_index import size_on_disk
from factory.engine.store import Layer, LayerGone, LayerInUse, LayerStore
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


def test_rot_that_changed_no_date_is_found_by_verify_and_never_used_again(store: LayerStore) -> None:
    layer, child = add(store, "aa"), add(store, "bb", parent="aa")
    disk = layer.path / "disk-main.qcow2"
    stat = disk.stat()
    disk.write_text("dish")  # of the same size
    os.utime(disk, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert store.find("bb") is not None, "no date has changed"
    assert store.verify(child)
    assert not store.verify(layer)
    assert store.find("aa") is store.find("bb") is None
    store.remove("aa")
    add(store, "aa")
    assert store.find("aa") is not None, "made anew it is good"


def rotten(store: LayerStore, key: str) -> Layer:
    """A layer that ``verify`` has found damaged."""
    layer = add(store, key)
    disk = layer.path / "disk-main.qcow2"
    stat = disk.stat()
    disk.write_text("dish")
    os.utime(disk, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert not store.verify(layer)
    assert store.is_condemned(layer)
    return layer


def test_a_layer_that_goes_while_it_is_verified_is_not_damaged(store: LayerStore) -> None:
    layer = add(store, "aa")
    store.remove("aa")
    assert store.verify(layer)
    assert store.find(add(store, "aa").key) is not None


def test_the_verdict_on_a_layer_taken_away_by_hand_is_not_its_successors(store: LayerStore) -> None:
    shutil.rmtree(rotten(store, "aa").path)
    assert store.find(add(store, "aa").key) is not None


def test_the_removal_of_a_copy_acquits_nobody(store: LayerStore) -> None:
    layer = rotten(store, "aa")
    shutil.copytree(layer.path, store.layers / "aa-backup")
    store.remove("aa-backup")
    assert store.find("aa") is None


def test_what_is_no_folder_is_removed_too(store: LayerStore) -> None:
    stray, link = store.layers / "stray", store.layers / "link"
    stray.touch()
    link.symlink_to("/nowhere")
    for path in (stray, link):
        store.remove(path.name)
    assert list(store.layers.iterdir()) == []
    (store.layers / ".draft-stray-removed-00000000").touch()
    store.sweep()
    assert list(store.layers.iterdir()) == []


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


def test_a_new_layer_never_carries_what_stood_on_another_of_its_key(store: LayerStore) -> None:
    """Two installations of one recipe differ in what they make up, such as the UUIDs of file systems."""
    add(store, "aa")
    add(store, "bb", "aa")
    shutil.rmtree(store.layers / "aa")  # by hand
    add(store, "aa", content="another installation")
    assert store.find("aa") is not None
    assert store.find("bb") is None


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
        os.utime(layer.path / "layer.json", (1000, 1000 + i))
    held = store.find("cc")
    assert held is not None
    size = size_on_disk(store.layers / "dd")
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


def test_reading_is_not_using(store: LayerStore) -> None:
    """Looking at the store must not change what its clean-up removes first."""
    older, newer = add(store, "aa"), add(store, "bb")
    os.utime(older.index, (1000, 1000))
    os.utime(newer.index, (2000, 2000))
    for _ in range(2):
        assert [layer.key for layer in store.all()] == ["aa", "bb"]
        assert store.find("aa")
        assert store.verify(older)
    assert store.last_used(older) == 1000


def test_the_order_of_use_survives_a_clock_that_jumps(store: LayerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = {key: add(store, key) for key in ("aa", "bb", "cc")}
    for moment, key in ((5_000_000_000.0, "bb"), (1000.0, "aa"), (900.0, "cc"), (800.0, "bb")):
        monkeypatch.setattr("time.time", lambda moment=moment: moment)
        store.touch(layers[key])
    assert [layer.key for layer in store.all()] == ["aa", "cc", "bb"]
    assert [line.split()[1] for line in collect_garbage(store, Size(0))] == ["aa", "cc", "bb"]


def test_a_store_that_was_copied_is_hashed_once(store: LayerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = add(store, "aa")
    os.utime(layer.path / "disk-main.qcow2", (1, 1))
    assert store.find("aa")
    monkeypatch.setattr("factory.engine.layer_index.file_digest", lambda path: pytest.fail(f"{path} was read again"))
    assert store.find("aa")


def test_a_changed_recipe_makes_a_layer_unusable(store: LayerStore) -> None:
    layer = add(store, "aa")
    (layer.path / "recipe.json").write_text('{"counts": {"a": 2}, "labels": {}}')
    assert store.find("aa") is None


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"format": 1}', "\0\0\0"])
def test_an_index_of_which_only_half_was_written_is_no_layer(store: LayerStore, content: str) -> None:
    layer = add(store, "aa")
    layer.index.write_text(content)
    assert store.find("aa") is None
    assert store.all() == ()
    assert [path.name for path in store.unreadable()] == ["aa"]
    assert "can read" in collect_garbage(store, Size(2**40))[0]
    assert not layer.path.exists()
    assert add(store, "aa") == store.find("aa")


def test_a_layer_that_is_removed_before_it_is_held_is_gone(store: LayerStore) -> None:
    layer = add(store, "bb", add(store, "aa").key)
    store.remove("aa")
    with pytest.raises(LayerGone), store.hold(layer):
        pytest.fail("held what is not there")


def test_nothing_is_removed_when_what_stands_on_it_is_in_use(store: LayerStore) -> None:
    add(store, "aa")
    add(store, "bb", "aa")
    child = add(store, "cc", "aa")
    with store.hold(child):
        store.remove("bb")  # not held, and goes
        with pytest.raises(StoreError, match="in use"):
            store.remove("aa")
    assert {layer.key for layer in store.all()} == {"aa", "cc"}


def test_a_layer_that_is_used_elsewhere_is_replaced_only_afterwards(store: LayerStore) -> None:
    layer, told = add(store, "aa"), []
    with store.hold(layer), pytest.raises(LayerInUse):
        add(store, "aa", content="anew")
    assert store.find("aa") == layer

    async def replace() -> None:
        await store.vacate("aa", waiting=lambda: told.append(1))

    asyncio.run(replace())
    assert told == []
    assert store.find("aa") is None


def test_what_a_killed_writer_left_is_swept(store: LayerStore) -> None:
    left = [store.names / ".image.json.999999999-ab.tmp", store.root / ".salt.999999999-ab.tmp"]
    ours = store.names / f".image.json.{os.getpid()}-ab.tmp"
    for path in (*left, ours):
        path.touch()
    store.sweep()
    assert not any(path.exists() for path in left)
    assert ours.exists()


def test_lock_files_go_with_their_layers(store: LayerStore) -> None:
    add(store, "aa")
    add(store, "bb")
    store.remove("aa")
    collect_garbage(store, Size(2**40))
    assert [path.name for path in store.locks.iterdir()] == ["bb.lock"]


@pytest.mark.parametrize("content", ["", "ab", "not hexadecimal"])
def test_a_salt_of_which_only_half_was_written_is_made_anew(store: LayerStore, content: str) -> None:
    (store.root / "salt").write_text(content)
    assert len(store.salt) == 32
    assert store.salt == store.salt
    assert not list(store.root.glob(".salt*"))


def test_everything_in_a_store_is_private_whatever_the_umask(tmp_path: Path) -> None:
    (tmp_path / "cache" / "host").mkdir(parents=True)  # as the facts of the host make it
    before = os.umask(0)
    try:
        store = LayerStore(tmp_path / "cache")
        add(store, "aa")
        assert store.salt
    finally:
        os.umask(before)
    own = [store.root, *(p for p in store.root.rglob("*") if p.name != "host")]
    assert [str(p) for p in own if p.stat().st_mode & 0o077] == []


def test_the_salt_is_made_once(store: LayerStore) -> None:
    assert store.salt == LayerStore(store.root).salt
    assert len(store.salt) == 32


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "no space left"), (errno.EROFS, "can't write"), (errno.EACCES, "may not use")]
)
def test_what_a_disk_can_do_is_an_error_with_a_way_out(tmp_path: Path, number: int, words: str) -> None:
    with pytest.raises(StoreError, match=words) as caught, store_errors(tmp_path):
        raise OSError(number, os.strerror(number), "file")
    assert "FACTORY_CACHE" in caught.value.hint
    assert caught.value.exit_code == 6


@pytest.mark.parametrize("below", [Path("file"), Path("file/cache")])
def test_a_store_that_can_be_no_folder_is_an_error_with_a_way_out(tmp_path: Path, below: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="can't make") as caught:
        LayerStore(tmp_path / below)
    assert "FACTORY_CACHE" in caught.value.hint


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), store_errors(tmp_path):
        raise FileNotFoundError(errno.ENOENT, "no such file")
