"""Spans of numbers: which of many lie in one, and which ones a bitmap leaves clear."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence


def inside(numbers: Sequence[int], first: int, count: int) -> Sequence[int]:
    """Of *numbers*, which are in ascending order, those from *first* on, and less than *first* + *count*."""
    return numbers[bisect.bisect_left(numbers, first) : bisect.bisect_left(numbers, first + count)]


def clear_runs(bitmap: bytes, count: int) -> Iterator[tuple[int, int]]:
    """``(first, last + 1)`` of runs of clear bits; by whole bytes, as most groups are mostly free or mostly not."""
    start = -1
    for at in range(0, count, 8):
        byte = bitmap[at // 8]
        if byte == 0 and at + 8 <= count:
            start = at if start < 0 else start
        elif byte == 0xFF:
            if start >= 0:
                yield start, at
                start = -1
        else:
            for bit in range(at, min(at + 8, count)):
                if byte >> (bit - at) & 1:
                    if start >= 0:
                        yield start, bit
                        start = -1
                elif start < 0:
                    start = bit
    if start >= 0:
        yield start, count
