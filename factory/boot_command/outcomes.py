"""What a wait with several outcomes looks for: a text, or ``/a regular expression/``, ``i`` behind it for any case."""

from __future__ import annotations

import re

from factory.boot_command.actions import PatternKind, TextPattern

_REGEX = re.compile(r"/(?P<body>.+)/(?P<flags>i?)", re.DOTALL)


def outcome_pattern(text: str) -> TextPattern:
    """*text* as an outcome's key is written. Raises: ValueError for an expression that is none, or matches nothing."""
    if not text.strip():
        raise ValueError("an outcome needs a text to look for")
    match = _REGEX.fullmatch(text)
    if match is None:
        return TextPattern(text, PatternKind.TEXT)
    return TextPattern(checked_expression(match["body"]), PatternKind.REGEX, ignore_case=match["flags"] == "i")


def checked_expression(source: str) -> str:
    """*source* itself. Raises: ValueError when it is no regular expression, or would not wait."""
    try:
        if re.compile(source, re.MULTILINE).search(""):
            raise ValueError(f"/{source}/ matches an empty screen, so it would never wait")
    except re.error as error:
        raise ValueError(f"/{source}/ is not a regular expression: {error}") from None
    return source
