"""Several patterns in one text: ``-only=a,b``."""

from __future__ import annotations

import re
from collections.abc import Iterable

_COMMA = re.compile(r",(?![^{]*\})")


def split_patterns(texts: Iterable[str]) -> tuple[str, ...]:
    """At commas, but not at those inside braces: ``a.{x,y}`` is one."""
    return tuple(p.strip() for one in texts for p in _COMMA.split(one) if p.strip())
