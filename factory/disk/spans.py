"""Picks out of many numbers those that lie in a span, without looking at each."""

from __future__ import annotations

import bisect
from collections.abc import Sequence


def inside(numbers: Sequence[int], first: int, count: int) -> Sequence[int]:
    """Of *numbers*, which are in ascending order, those from *first* on, and less than *first* + *count*."""
    return numbers[bisect.bisect_left(numbers, first) : bisect.bisect_left(numbers, first + count)]
