"""How an awaitable ended."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any


async def outcome(awaitable: Coroutine[Any, Any, None]) -> Exception | None:
    try:
        await awaitable
    except Exception as error:
        return error
    return None
