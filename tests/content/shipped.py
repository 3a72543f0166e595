"""What is shipped, loaded and rendered as a build would: the ground that the tests of the content stand on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from factory.template.late import render_late
from factory.template.load import load
from factory.template.model import Loaded, Text
from factory.template.seed import SeedFolder, extra_files, seed_names

ROOT = Path(__file__).resolve().parents[2]
HOST = {"mirror": "http://mirror.example/debian", "timezone": "UTC"}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBuildKeyOfThisTestOnly000000000000000000000 factory build"
URL = "http://10.0.2.2:34567/t0ken_-x"
TEMPLATES = tuple(sorted(path.stem for path in (ROOT / "images").glob("*.yml")))
PROFILES = tuple(sorted(path.stem for path in (ROOT / "boot_configs").glob("*.yml")))
INSTALLED = tuple(
    t for t in TEMPLATES if t.startswith(("debian-1", "ubuntu", "alma", "rocky", "fedora", "opensuse", "alpine"))
)
"""Templates of Linux distributions that a vendor's own installer installs."""


@cache
def loaded(name: str, **variables: str) -> Loaded:
    return load(ROOT / "images" / f"{name}.yml", variables=variables, host=HOST)


def late(template: Loaded, *, seed: str | None = URL) -> dict[str, Any]:
    """What is known while a build runs. *seed* None: the answers travel on a CD, so that there is no URL."""
    values: dict[str, Any] = {"build": {"name": template.template.name, "ssh_public_key": KEY}}
    values["vars"] = {name: f"generated <&> '{name}' 1" for name in template.generated}
    if seed is not None:
        values["seed"] = {"url": seed, "host": "10.0.2.2", "port": 34567}
    return values


def rendered(text: Text, template: Loaded, *, seed: str | None = URL) -> str:
    return render_late(text, late(template, seed=seed))


def answers(template: Loaded, *, seed: str | None = URL, more: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Every answer file of *template* that is text, rendered. *more*: values over ``vars`` and ``install``."""
    known = late(template, seed=seed)
    names = seed_names(template, known)
    for group, values in (more or {}).items():
        names[group] = {**names.get(group, {}), **values}
    built = {f.name: Path(os.devnull) for f in _seed_files(template) if f.build}
    folder = SeedFolder(template.seed_directory, names, extra=extra_files(template, known, built))
    found: dict[str, str] = {}
    for name in folder.names():
        content = folder.read(name)
        assert content is not None
        found[name] = content.read_text() if isinstance(content, Path) else content.decode()
    return found


def answer(name: str, file: str, more: Mapping[str, Any] | None = None, **variables: str) -> str:
    """One answer file of the template *name*."""
    return answers(loaded(name, **variables), more=more)[file]


def _seed_files(template: Loaded) -> tuple[Any, ...]:
    return template.template.install.seed_files if template.template.install else ()


def program(name: str, package: str) -> str:
    """A checker on this computer. Without it: fails where tests must be whole (CI), is skipped elsewhere."""
    found = shutil.which(name)
    if found is None:
        words = f"'{name}' is not installed: apt-get install {package}"
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(words)
    return found
