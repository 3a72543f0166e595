"""The way that a kernel takes along a path: from name to name, and on where a link leads. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Generator
from dataclasses import dataclass

MOST_LINKS = 40
"""Links that Linux follows for one path (``MAXSYMLINKS``)."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name on the way. ``path`` has no links among its folders; ``last``: nothing comes behind it."""

    path: str
    last: bool


def walk(path: str) -> Generator[Name, str | None, str]:
    """Yields each name on the way, and is sent where the link of that name leads, or None to go on through it.

    Links are followed inside of the guest: an absolute one begins at its ``/``, and nothing is above that. After
    MOST_LINKS of them the rest of the path is taken as it is.

    Returns: the path without the links.
    """
    todo, real, followed = _names(path), "/", 0
    while todo:
        name = todo.pop()
        if name == "..":
            real = posixpath.dirname(real)
            continue
        here = posixpath.join(real, name)
        target = (yield Name(here, not todo)) if followed < MOST_LINKS else None
        if target is None:
            real = here
            continue
        followed += 1
        real = "/" if target.startswith("/") else real
        todo += _names(target)
    return real


def _names(path: str) -> list[str]:
    """The last first."""
    return [name for name in path.split("/") if name not in {"", "."}][::-1]
