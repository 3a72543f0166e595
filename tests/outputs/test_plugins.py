"""Outputs of other people's packages: installed as pip leaves them, called with real images."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.drivers.qemu.disk_image import QemuImg
from factory.errors import PluginError
from factory.events import ignore
from factory.outputs.export import export_all, parse_request
from factory.outputs.hardware import OvfHardware
from factory.outputs.model import Exports
from factory.plan.resources import SealedDisk
from factory.quantity import Size

pytestmark = pytest.mark.machine
MODULE = """
class Copy:
    def __init__(self, options):
        self.where = options.get("where", "")

    async def write(self, images, folder, name):
        path = folder / self.where / f"{name}.copy"
        path.write_bytes(images[0].read_bytes())
        return [path]


class Fails(Copy):
    async def write(self, images, folder, name):
        raise ValueError("no such bucket")
"""


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    site = tmp_path / "site"
    metadata = site / "copy_plugin-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "copy_plugin.py").write_text(MODULE)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: copy-plugin\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[factory.outputs]\ncopy = copy_plugin:Copy\nfails = copy_plugin:Fails\n"
    )
    monkeypatch.syspath_prepend(str(site))
    yield
    sys.modules.pop("copy_plugin", None)


def exported(folder: Path, name: str, **options: str) -> Exports:
    disk, staging = folder / "disk.raw", folder / "out"
    disk.write_bytes(b"boot" + bytes(2**20 - 4))
    staging.mkdir()
    request = parse_request("plugin", {"name": name, "options": options})
    return asyncio.run(
        export_all(
            [SealedDisk("main", disk, "raw", Size(2**20))], [request], name="vm", hardware=OvfHardware(),
            uefi_variables=None, staging=staging, images=QemuImg(), emit=ignore,
        )
    )  # fmt: skip


def test_a_plugin_gets_a_qcow2_of_each_disk(tmp_path: Path) -> None:
    (file,) = exported(tmp_path, "copy").files
    assert (str(file.path), file.format, file.target) == ("vm.copy", "copy", None)
    pair = (str(tmp_path / "disk.raw"), str(tmp_path / "out" / file.path))
    compare = ["qemu-img", "compare", "-f", "raw", "-F", "qcow2", *pair]
    subprocess.run(compare, check=True, stdout=subprocess.DEVNULL)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["vm.copy"]


def test_what_a_plugin_does_wrong_names_it(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="the output 'fails' has failed: ValueError: no such bucket"):
        exported(tmp_path, "fails")
    (tmp_path / "out").rmdir()
    with pytest.raises(PluginError, match=r"the output 'copy' says that it made .*vm\.copy, which is no file in"):
        exported(tmp_path, "copy", where="..")
    (tmp_path / "out").rmdir()
    with pytest.raises(PluginError, match="no post-processor or output is called 'gone'") as caught:
        exported(tmp_path, "gone")
    assert "factory.outputs" in caught.value.hint
