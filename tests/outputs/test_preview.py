"""What `convert --preview` says of a file is what `ls` shows afterwards."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from factory.outputs.export import parse_request
from factory.outputs.preview import preview

pytestmark = pytest.mark.unit

MIB, GIB = 2**20, 2**30


@dataclass
class Disk:
    """Of *size* bytes, with random data in these extents."""

    size: int
    data: Sequence[tuple[int, int]]

    def extents(self) -> Iterator[tuple[int, int]]:
        yield from self.data

    def read(self, offset: int, length: int) -> bytes:
        return random.Random(offset).randbytes(length)


@pytest.mark.parametrize(
    ("size", "data", "expected"),
    [
        # What `ls` has shown of what QEMU 7.2 had written.
        (64 * MIB, [], 8 * MIB),
        (3 * GIB, [(at * MIB, MIB) for at in (0, 100, 200, 1500, 2900)], 88 * MIB),
        (3 * GIB, [(0, 4096), (8 * MIB, 4096), (15 * MIB, 2 * MIB)], 40 * MIB),
        (GIB, [(7 * MIB, 2 * MIB)], 24 * MIB),
    ],
)
def test_a_vhdx_has_whole_blocks(size: int, data: list[tuple[int, int]], expected: int) -> None:
    (estimate,) = preview([Disk(size, data)], [parse_request("vhdx")]).estimates
    assert estimate.size == expected
    assert estimate.space <= expected
