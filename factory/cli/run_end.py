"""How a run ended, told to its own journal: the whole command tells of a build once, when no further run follows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from factory.engine.freshness import PlanOutdated
from factory.errors import FactoryError, in_one_line, unwrapped
from factory.events import BuildFinished, EventBus, Stamped


@contextmanager
def told_to(
    journal: Callable[[Stamped], None], bus: EventBus, build: str, success: Callable[[], str]
) -> Iterator[None]:
    """Tells *journal* alone how the body has ended; *success* says what there is then."""
    began = time.monotonic()

    def tell(outcome: str, message: str = "") -> None:
        event = BuildFinished(build, outcome, round(time.monotonic() - began, 3), message)
        with suppress(OSError):  # a full disk must not hide why the build has ended
            journal(bus.stamped(build, event))

    try:
        yield
    except PlanOutdated as outdated:
        tell("interrupted", f"{outdated.phase} was to be planned anew: {outdated.what}")
        raise
    except Exception as error:
        found = unwrapped(error)
        tell("failed", found.message if isinstance(found, FactoryError) else in_one_line(found))
        raise
    except BaseException:  # Ctrl-C, or another build's failure
        tell("interrupted")
        raise
    tell("succeeded", success())
