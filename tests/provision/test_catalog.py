"""Provisioners by name: ours, and those of an installed package."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from factory.errors import PluginError
from factory.outputs.plugins import has_output, load_output
from factory.provision.catalog import BUILT_IN, has_provisioner, load_provisioner

pytestmark = pytest.mark.unit
MODULE = """
class Greeting:
    def __init__(self, options):
        self.words = options["words"]

    async def run(self, context, deadline):
        context.emit(self.words)


class Copy:
    def __init__(self, options):
        self.suffix = options.get("suffix", "copy")

    async def write(self, images, folder, name):
        path = folder / f"{name}.{self.suffix}"
        path.write_bytes(images[0].read_bytes())
        return [path]
"""
ENTRY_POINTS = """[factory.provisioners]
greeting = tiny_plugin:Greeting
broken = tiny_plugin:Nothing

[factory.outputs]
copy = tiny_plugin:Copy
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package as pip leaves it: a module, and metadata with its entry points."""
    site = tmp_path / "site"
    metadata = site / "tiny_plugin-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "tiny_plugin.py").write_text(MODULE)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-plugin\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(site))
    return site


def test_every_kind_of_ours_can_be_loaded() -> None:
    options: dict[str, dict[str, Any]] = {
        "sleep": {"duration": "2s"}, "breakpoint": {"disable": True}, "await-command": {"command": "true"},
        "shell-local": {"inline": ["true"]}, "powershell": {"inline": ["dir"]}, "windows-shell": {"inline": ["dir"]},
        "ansible-local": {"playbook_file": __file__}, "goss": {"tests": [__file__]},
        "windows-update": {"filters": ["include:$true"]},
    }  # fmt: skip
    assert set(options) == set(BUILT_IN)
    for name, given in options.items():
        assert has_provisioner(name)
        assert load_provisioner(name, given)


def test_an_installed_plugin_is_imported_only_when_it_is_used(installed: Path) -> None:
    assert has_provisioner("greeting")
    assert has_output("copy")
    assert "tiny_plugin" not in sys.modules
    assert load_provisioner("greeting", {"words": "hello"}).words == "hello"  # type: ignore[attr-defined]
    assert "tiny_plugin" in sys.modules
    (installed / "disk").write_bytes(b"image")
    files = asyncio.run(load_output("copy", {}).write([installed / "disk"], installed, "vm"))
    assert [f.read_bytes() for f in files] == [b"image"]
    sys.modules.pop("tiny_plugin")


def test_what_nobody_has_names_the_seam() -> None:
    with pytest.raises(PluginError, match="no provisioner is called 'chef-solo'") as caught:
        load_provisioner("chef-solo", {})
    assert "factory.provisioners" in caught.value.hint
    with pytest.raises(PluginError, match="no post-processor or output is called 'nothing'"):
        load_output("nothing", {})


def test_a_broken_plugin_is_named(installed: Path) -> None:
    with pytest.raises(PluginError, match="the provisioner 'broken' can't be used"):
        load_provisioner("broken", {})
    sys.modules.pop("tiny_plugin", None)
