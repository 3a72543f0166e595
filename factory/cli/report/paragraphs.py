"""Texts of several lines on a terminal."""

from __future__ import annotations

from collections.abc import Iterator


def indented(text: str) -> Iterator[str]:
    """Its lines, all but the first further in than that: they read as a part of it. The text may be styled."""
    first, *further = text.split("\n")
    yield first
    margin = " " * (len(first) - len(first.lstrip(" ")) + 2)
    yield from (f"{margin}{line}".rstrip() for line in further)
