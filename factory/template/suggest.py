"""Did you mean: the nearest of the names that would have been right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_SHOWN = 25


def did_you_mean(written: str, known: Iterable[str], *, kind: str = "known") -> str:
    """A hint: the nearest of *known*, or all of them when none is near; empty when there are none."""
    names = sorted(set(known))
    folded = {n.casefold(): n for n in reversed(names)}
    close = difflib.get_close_matches(written.casefold(), folded, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{folded[close[0]]}'?"
    if not names:
        return ""
    shown = names[:MOST_SHOWN] + ["…"] * (len(names) > MOST_SHOWN)
    return f"{kind}: {', '.join(shown)}"
