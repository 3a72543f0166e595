"""Writes templates for tests, and loads them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from factory.errors import Problem, TemplateError
from factory.template.packer import PackerConfig, QemuSource, load

NOON = datetime(2024, 2, 29, 12, 34, 56, tzinfo=UTC)
LEAST = 'iso_url = "http://example.com/a.iso"\n  iso_checksum = "none"\n  ssh_username = "root"\n'


def loaded(folder: Path, files: Mapping[str, str], name: str = ".", **more: Any) -> PackerConfig:
    """Writes *files* and loads *name*, the folder itself by default."""
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    more.setdefault("environ", {})
    more.setdefault("working", folder)
    return load(folder / name, clock=lambda: NOON, **more)


def hcl(folder: Path, text: str, **more: Any) -> PackerConfig:
    return loaded(folder, {"t.pkr.hcl": text}, "t.pkr.hcl", **more)


def problems_of(folder: Path, files: Mapping[str, str], name: str = ".", **more: Any) -> tuple[Problem, ...]:
    with pytest.raises(TemplateError) as caught:
        loaded(folder, files, name, **more)
    return caught.value.problems


def qemu(folder: Path, options: str = "", **more: Any) -> QemuSource:
    """The qemu source of a template with the least that is needed and *options*."""
    text = f'source "qemu" "vm" {{\n  {LEAST}\n{options}\n}}\nbuild {{\n  sources = ["source.qemu.vm"]\n}}\n'
    source = hcl(folder, text, **more).builds[0].source
    assert isinstance(source, QemuSource)
    return source


def qemu_problems(folder: Path, options: str) -> list[str]:
    text = f'source "qemu" "vm" {{\n{options}\n}}\nbuild {{\n  sources = ["source.qemu.vm"]\n}}\n'
    return [str(p) for p in problems_of(folder, {"t.pkr.hcl": text})]


def build_with(steps: str, source: str = "") -> str:
    return f'source "qemu" "vm" {{\n  {LEAST}\n{source}}}\nbuild {{\n  sources = ["source.qemu.vm"]\n{steps}\n}}\n'
