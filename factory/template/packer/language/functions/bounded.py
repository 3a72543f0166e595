"""Ends the search for a regular expression that would go on for ever, as Python's engine does and RE2 never."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from factory.quantity import Duration
from factory.template.packer.language.functions.registry import UnfinishedError

LONGEST = Duration(1)
"""Of processor time: what is slow on a busy computer only is not ended."""


class _Ended(Exception):
    pass


@contextmanager
def bounded(parameter: int) -> Iterator[None]:
    """A block in which the pattern given as *parameter* is looked for. Raises: UnfinishedError after ``LONGEST``.

    Python's engine looks at signals every few thousand steps. Only the main thread has them; others aren't bounded.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    searching = True

    def end(*_: object) -> None:
        if searching:
            raise _Ended

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, float(LONGEST))
    try:
        yield
    except _Ended:
        raise UnfinishedError(
            f"the pattern takes more than {LONGEST} on this text",
            parameter,
            hint="a repetition within a repetition, such as (a+)+, tries every way to divide the text: write a+",
        ) from None
    finally:
        searching = False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before or signal.SIG_DFL)
