"""Blocking calls in threads that never delay the end of the program.

``asyncio.to_thread`` has few threads (a handful on a small host) and the interpreter waits for them at exit; a guest
that stops answering would then keep others waiting. Here each call has a daemon thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(function: Callable[[], T], *, on_cancel: Callable[[], None] | None = None) -> T:
    """Runs *function* in a thread of its own and returns its value or raises its exception.

    When the caller is cancelled it goes on at once, and *on_cancel* (which may block, and runs in yet another
    thread) tells *function* to give up, for instance by closing the socket that it reads from.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def finish(value: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)  # type: ignore[arg-type]  # None only where T is

    def work() -> None:
        value: T | None = None
        failure: BaseException | None = None
        try:
            value = function()
        except BaseException as error:  # handed over to the caller, whatever it is
            failure = error
        post(loop, lambda: finish(value, failure))

    threading.Thread(target=work, name=f"factory-{getattr(function, '__name__', 'call')}", daemon=True).start()
    try:
        return await future
    except asyncio.CancelledError:
        if on_cancel is not None:
            give_up(on_cancel)
        raise


def give_up(abort: Callable[[], None]) -> None:
    """Calls *abort*, which may block, in a thread of its own; what it raises has nobody left to be told."""

    def work() -> None:
        with contextlib.suppress(Exception):
            abort()

    threading.Thread(target=work, name="factory-cancel", daemon=True).start()


def post(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """Calls *callback* in *loop*, from any thread; does nothing when the loop has ended meanwhile."""
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        if not loop.is_closed():
            raise
