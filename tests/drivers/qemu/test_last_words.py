"""What QEMU's last words are taken for."""

from __future__ import annotations

import pytest

from factory.drivers.qemu.last_words import refuses_memory

pytestmark = pytest.mark.unit
PROGRAM = "qemu-system-x86_64: "


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Size mismatch: pc.ram: 0x4000000 != 0x6000000\nload of migration failed: Invalid argument", True),
        ("Not a migration stream\nload of migration failed: Invalid argument", True),
        ("Unknown savevm section or instance 'virtio-net' 0.", True),
        ("-netdev user,id=a: Could not set up host forwarding rule 'tcp:127.0.0.1:28222-:22'", False),
        ("warning: this device blocks migration streams\ncannot set up guest memory", False),
        ("", False),
    ],
)
def test_only_what_it_says_of_the_memory_counts_against_a_live_layer(said: str, expected: bool) -> None:
    assert refuses_memory("\n".join(PROGRAM + line for line in said.splitlines())) is expected
