"""Did you mean: the nearest of the names that would have been right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_SHOWN = 25


def nearest(written: str, known: Iterable[str]) -> str:
    """A hint: the nearest of *known*; empty when none is near."""
    folded = {n.casefold(): n for n in sorted(set(known), reverse=True)}
    close = difflib.get_close_matches(written.casefold(), folded, n=1, cutoff=0.6)
    return f"did you mean '{folded[close[0]]}'?" if close else ""


def did_you_mean(written: str, known: Iterable[str], *, kind: str = "known") -> str:
    """A hint: the nearest of *known*, or all of them when none is near; empty when there are none."""
    names = sorted(set(known))
    if hint := nearest(written, names):
        return hint
    if not names:
        return ""
    shown = names[:MOST_SHOWN] + ["…"] * (len(names) > MOST_SHOWN)
    return f"{kind}: {', '.join(shown)}"
