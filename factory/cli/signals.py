"""How a command that has begun something ends early: all the same, whichever signal asks for it.

SIGINT is obeyed although a shell starts its background jobs with it ignored: who sends it to a build in a script means
it, and a build that stays is worse than one that must be started again (Packer does the same). SIGHUP that was ignored
stays ignored: that is what ``nohup`` is for.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupted_by_signals() -> None:
    """From now on the signals raise KeyboardInterrupt, as Ctrl-C does, until a command has a better way to end."""
    for number in _obeyed():
        signal.signal(number, signal.default_int_handler)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """While the body runs, the signals cancel its task: everything is torn down, nothing is half there."""
    import asyncio

    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    before = {number: signal.getsignal(number) for number in _obeyed()}
    for number in before:
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def _obeyed() -> tuple[signal.Signals, ...]:
    return tuple(n for n in ENDING if n is not signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN)
