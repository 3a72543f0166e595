"""Runs a test with a machine."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def go(test: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(test)
