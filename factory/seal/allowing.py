"""What may stay on a sealed disk because somebody says so: the list ``allow``."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence


def is_allowed(name: str, where: str, allow: Sequence[str]) -> bool:
    """Whether *allow* names it: by its name, or by ``name:glob of paths``."""
    return any(
        fnmatch.fnmatchcase(name, entry) or (":/" in entry and fnmatch.fnmatchcase(f"{name}:{where}", entry))
        for entry in allow
    )
