"""Held against virt-sysprep itself, as it is installed: no operation of its is without its like here."""

from __future__ import annotations

import subprocess

import pytest

from tests.seal.test_operations import SYSPREP

pytestmark = pytest.mark.machine

PROVISIONERS = {"customize", "script"}
"""What it runs for its user is what a template's provisioners do."""


def test_every_operation_that_it_lists_has_its_like() -> None:
    listed = subprocess.run(["virt-sysprep", "--list-operations"], capture_output=True, text=True, check=True).stdout
    names = {line.split()[0] for line in listed.splitlines()}
    assert len(names) >= 40
    assert names - PROVISIONERS - set(SYSPREP) == set()
