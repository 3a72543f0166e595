"""How a command that has begun something ends early: all the same, whichever signal asks for it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """While the body runs, SIGINT, SIGTERM and SIGHUP cancel its task: everything is torn down, nothing is half there.

    SIGINT too, although Python would do the same: a shell starts its background jobs with SIGINT ignored.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for number in ENDING:
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number in ENDING:
            loop.remove_signal_handler(number)
