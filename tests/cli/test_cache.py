"""``factory cache`` on a store with three layers, and what it refuses."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from factory.cli.cache_command import command
from factory.cli.clean_command import command as clean_command
from factory.engine.store import LayerStore
from factory.errors import StoreError
from factory.plan.model import Keeps, Recipe

pytestmark = pytest.mark.unit


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LayerStore:
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FACTORY_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("FACTORY_CACHE_LIMIT", raising=False)
    store = LayerStore(tmp_path / "cache")
    add(store, "aa11", "install", "", {"size": 1}, Keeps.DISKS)
    add(store, "bb22", "boot", "aa11", {"user": "root"}, Keeps.MEMORY)
    add(store, "bb33", "boot", "aa11", {"user": "admin"}, Keeps.MEMORY)
    return store


def add(store: LayerStore, key: str, phase: str, parent: str, counts: dict[str, object], keeps: Keeps) -> None:
    async def make() -> None:
        async with store.draft(key, waiting=lambda: None) as draft:
            (draft.path / "disk-main.qcow2").write_text("disk")
            store.commit(
                draft, phase=phase, template="image", keeps=keeps, parent=parent, recipe=Recipe(counts),  # type: ignore[arg-type]
                machine={},
            )  # fmt: skip

    asyncio.run(make())


def cache(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def test_ls_names_layers_their_templates_and_what_is_in_use(store: LayerStore) -> None:
    held = store.find("bb22")
    assert held is not None
    with store.hold(held):
        lines = [line.split() for line in cache("ls").stdout.splitlines()]
    rows = {line[0]: line for line in lines}
    assert rows["aa11"][1:4] == ["image", "install", "off"]
    assert rows["bb22"][1:4] == ["image", "boot", "live"]
    assert rows["bb22"][-2:] == ["in", "use"]
    assert rows["aa11"][-2:] == ["in", "use"], "a parent is used with its child"
    assert rows["bb33"][-1] == "ago"


def test_size_says_the_limit_too(store: LayerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTORY_CACHE_LIMIT", "3 GiB")
    assert "(limit 3 GiB)" in cache("size").stdout


def test_why_says_how_a_layer_differs_from_the_newest(store: LayerStore) -> None:
    said = cache("why", "bb22").stdout
    assert "image, after boot, on aa11" in said
    assert "the newest is bb33: user changed from 'root' to 'admin'" in said
    assert "the newest boot of image" in cache("why", "bb33").stdout


def test_rm_takes_what_stands_on_it_along_and_says_so(store: LayerStore) -> None:
    said = cache("rm", "aa").stdout
    assert {line.split()[1] for line in said.splitlines()} == {"aa11", "bb22", "bb33"}
    assert store.all() == ()


@pytest.mark.parametrize(("prefix", "number"), [("bb", "2"), ("ff", "0")])
def test_a_key_must_name_one_layer(store: LayerStore, prefix: str, number: str) -> None:
    result = cache("rm", prefix)
    assert isinstance(result.exception, StoreError)
    assert f"{number} layers begin with '{prefix}'" in str(result.exception)
    assert len(store.all()) == 3


def test_rm_leaves_what_a_build_uses(store: LayerStore) -> None:
    held = store.find("bb22")
    assert held is not None
    with store.hold(held):
        result = cache("rm", "aa11")
    assert isinstance(result.exception, StoreError)
    assert "in use by a running build" in str(result.exception)


def test_verify_finds_a_flipped_byte_and_an_index_that_is_gone(store: LayerStore) -> None:
    assert "3 layers are whole" in cache("verify").stdout
    disk = store.layers / "bb22" / "disk-main.qcow2"
    before = disk.stat()
    disk.write_text("dosk")
    os.utime(disk, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a disk that rots does it
    (store.layers / "bb33" / "layer.json").unlink()
    result = cache("verify")
    assert isinstance(result.exception, StoreError)
    assert "bb22  image boot: damaged; it will be built again" in result.stderr
    assert "bb33  can't be read" in result.stderr


def test_gc_keeps_within_the_limit_and_removes_what_cannot_be_read(store: LayerStore) -> None:
    (store.layers / "bb33" / "layer.json").unlink()
    lines = cache("gc", "--limit", "1 B").stdout.splitlines()
    assert [line.split()[1].rstrip(",") for line in lines] == ["bb33", "bb22", "aa11"]


def test_gc_removes_downloads_that_were_not_used(store: LayerStore) -> None:
    wrong = set_aside(store)
    assert f"removed {wrong.name}, a download that was not used" in cache("gc").stdout
    assert not wrong.exists()


def test_clean_removes_downloads_that_were_not_used(store: LayerStore, tmp_path: Path) -> None:
    wrong = set_aside(store)
    result = CliRunner().invoke(clean_command, ["-o", str(tmp_path / "output")])
    assert result.exit_code == 0
    assert f"removed {wrong}" in result.stdout
    assert not wrong.exists()


def set_aside(store: LayerStore) -> Path:
    wrong = store.root / "media" / "parts" / "ab12.wrong"
    wrong.parent.mkdir(parents=True)
    wrong.touch()
    return wrong


def test_clean_removes_what_dead_builds_left(store: LayerStore, tmp_path: Path) -> None:
    draft = store.layers / ".draft-cc44-1-dead"
    staging = tmp_path / "output" / ".staging" / "image-dead"
    for folder in (draft, staging):
        folder.mkdir(parents=True)
        (folder / "half").touch()
    result = CliRunner().invoke(clean_command, ["-o", str(tmp_path / "output")])
    assert result.exit_code == 0
    assert f"removed {staging}" in result.stdout
    assert not draft.exists()
    assert len(store.all()) == 3


def test_a_layer_that_verify_has_condemned_is_shown_as_one(store: LayerStore) -> None:
    layer = store.all()[0]
    disk = next(layer.path.glob("disk-*"))
    disk.write_bytes(disk.read_bytes()[::-1] + b"!")
    assert cache("verify").exit_code != 0
    lines = {line.split()[0]: line for line in cache("ls").stdout.splitlines()}
    assert lines[layer.key[:12]].endswith("; damaged, and not used")
    assert sum("damaged" in line for line in lines.values()) == 1


def test_key_pairs_of_templates_are_shown_and_stay_until_they_are_removed(store: LayerStore) -> None:
    """Packer's sshkey plug-in keeps the key of a name; images carry its public half."""
    assert "key pair" not in cache("size").stdout
    keys = store.root / "keys"
    keys.mkdir()
    for name in ("packer_rsa.pem", "vm_ed25519.pem"):
        (keys / name).write_text("key")
    shown = cache("ls").stdout
    assert "keys/packer_rsa.pem  of a Packer template" in shown
    assert "keys/vm_ed25519.pem" in shown
    assert ", 2 key pairs, in " in cache("size").stdout
    result = cache("rm", "keys/packer_rsa.pem", "bb33")
    assert "packer_rsa.pem" in result.stdout
    assert "removed bb33" in result.stdout
    cache("gc", "--limit", "0")
    assert store.all() == ()
    assert [p.name for p in keys.iterdir()] == ["vm_ed25519.pem"]
    result = cache("rm", "keys/../salt")
    assert isinstance(result.exception, StoreError)
