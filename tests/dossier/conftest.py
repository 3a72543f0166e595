"""A bench for builds that fail, and the tiny installer's kernel, made once."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from factory.plan.resources import KernelFiles
from tests.dossier.broken_build import PROJECT, Bench, take_kernel


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(scope="session")
def tiny_kernel(tmp_path_factory: pytest.TempPathFactory) -> KernelFiles:
    folder = tmp_path_factory.mktemp("tiny")
    iso = folder / "tiny.iso"
    subprocess.run([PROJECT / "scripts/iso/tiny", iso], check=True, stdin=subprocess.DEVNULL)
    return asyncio.run(take_kernel(iso, folder))
