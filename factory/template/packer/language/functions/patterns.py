"""Regular expressions as Go writes them (RE2), on Python's engine."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Iterator

from factory.template.packer.language.bounds import check_length
from factory.template.packer.language.functions.go_patterns import translate
from factory.template.packer.language.functions.registry import FunctionError


@functools.lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Raises: FunctionError when *pattern* is not a regular expression."""
    if re.search(r"\(\?(?:[=!]|<[=!])|\\(?:[89]|[1-7](?![0-7]))", pattern.replace("\\\\", "")):
        raise FunctionError(
            "the pattern uses look-around or back references", 0, hint="Packer's regular expressions (RE2) have neither"
        )
    if found := _only_in_python(pattern):
        raise FunctionError(f"the pattern uses “{found}”", 0, hint="Packer's regular expressions (RE2) don't have it")
    try:
        translated, flags = translate(pattern)
        with warnings.catch_warnings():  # of set operations that Python may have one day, in words for programmers
            warnings.simplefilter("ignore", FutureWarning)
            return re.compile(translated, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise FunctionError(f"the pattern is not a regular expression: {error}", 0) from None


_QUOTED = re.compile(r"\\Q.*?(?:\\E|\Z)|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]", re.DOTALL)
_PYTHONS = re.compile(r"\\[^\W_aftnrvAbBdDsSwWzQEpPxC0-7]|(?<!\\)(?:[*+?}]\+|\(\?(?:P=|#|>|\(|[aLux]))")


def _only_in_python(pattern: str) -> str:
    """What Python's engine knows and Go's refuses: possessive repetition, comments, atomic groups, ``\\Z``, ``\\u``."""
    plain = _QUOTED.sub("x", pattern).replace("\\\\", "x")
    plain = re.sub(r"\\[pPx]\{[^}]*\}", "x", plain)
    found = _PYTHONS.search(re.sub(r"\\[^\w]", "x", plain))
    return found[0] if found else ""


def matches(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Those that Go finds: never an empty one where the one before it has ended."""
    position, last = 0, -1
    while position <= len(text) and (match := pattern.search(text, position)) is not None:
        if match.end() > match.start() or match.end() != last:
            yield match
        last = match.end()
        position = max(match.end(), position + 1) if match.end() > position else position + 1


def replaced(pattern: re.Pattern[str], text: str, replacement: str) -> str:
    pieces: list[str] = []
    end = length = 0
    for match in matches(pattern, text):
        pieces += [text[end : match.start()], expand(match, replacement)]
        length += len(pieces[-1])
        check_length(length)
        end = match.end()
    return "".join([*pieces, text[end:]])


_REFERENCE = re.compile(r"\$(?:\{(\w+)\}|(\w+)|(\$))")


def expand(match: re.Match[str], replacement: str) -> str:
    """Puts groups into *replacement* as Go does: ``$1``, ``${1}``, ``$name``, ``$$``; unknown groups are empty."""

    def group(reference: re.Match[str]) -> str:
        if reference[3]:
            return "$"
        name = reference[1] or reference[2]
        try:
            return match[int(name) if name.isdigit() else name] or ""
        except (IndexError, ValueError):
            return ""

    return _REFERENCE.sub(group, replacement)
