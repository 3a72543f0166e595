"""Regular expressions as Go writes them (RE2), on Python's engine."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Iterator

from factory.template.packer.language.bounds import check_length
from factory.template.packer.language.functions.registry import FunctionError

_POSIX = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7f", "blank": r"\t ", "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~", "space": r"\t\n\v\f\r ",
    "upper": "A-Z", "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_PIECE = re.compile(
    r"\\Q(?P<literal>.*?)(?:\\E|\Z)|\\(?P<z>z)|\\x\{(?P<hex>[0-9a-fA-F]{1,6})\}|\\[pP](?:\{\^?\w+\}|\w)"
    r"|\\(?P<escape>.)|\[:(?P<posix>\^?\w+):\]|(?P<lazy>\(\?[a-z]*U)|(?P<named>\(\?<(?=[A-Za-z_]))",
    re.DOTALL,
)
_UNICODE = {"L": "^\\W\\d_", "Lu": "A-ZÀ-ÖØ-Þ", "Ll": "a-zß-öø-ÿ", "N": "\\d", "Nd": "\\d", "P": "!-/:-@\\[-`{-~"}


@functools.lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Raises: FunctionError when *pattern* is not a regular expression."""
    if re.search(r"\(\?(?:[=!]|<[=!])|\\[1-9]", pattern):
        raise FunctionError(
            "the pattern uses look-around or back references", 0, hint="Packer's regular expressions (RE2) have neither"
        )
    if found := _only_in_python(pattern):
        raise FunctionError(f"the pattern uses “{found}”", 0, hint="Packer's regular expressions (RE2) don't have it")
    try:
        translated, flags = _translate(pattern, re.ASCII)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", FutureWarning
            )  # “[[” may get a meaning in Python some day; RE2 has it plain
            return re.compile(translated, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise FunctionError(f"the pattern is not a regular expression: {error}", 0) from None


_QUOTED = re.compile(r"\\Q.*?(?:\\E|\Z)|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]", re.DOTALL)
_PYTHONS = re.compile(r"\\[^\W_aftnrvAbBdDsSwWzQEpPxC0-7]|(?<!\\)(?:[*+?}]\+|\(\?(?:P=|#|>|\(|[aLux]))")


def _only_in_python(pattern: str) -> str:
    """What Python's engine knows and Go's refuses: possessive repetition, comments, atomic groups, ``\\Z``, ``\\u``."""
    plain = _QUOTED.sub("x", pattern).replace("\\\\", "x")
    found = _PYTHONS.search(re.sub(r"\\[^\w]", "x", plain))
    return found[0] if found else ""


def _translate(pattern: str, flags: re.RegexFlag) -> tuple[str, re.RegexFlag]:
    if re.search(r"\\[pP]", pattern):
        flags &= ~re.ASCII

    def piece(match: re.Match[str]) -> str:
        if match["literal"] is not None:
            return re.escape(match["literal"])
        if match["z"]:
            return r"\Z"
        if match["hex"]:
            return re.escape(chr(int(match["hex"], 16)))
        if match["posix"]:
            negated, name = match["posix"].startswith("^"), match["posix"].lstrip("^")
            if name not in _POSIX or negated:
                raise FunctionError(f"the character class “{match[0]}” is not supported", 0)
            return _POSIX[name]
        if match["lazy"]:
            raise FunctionError("the flag U (ungreedy) is not supported", 0, hint="write *? and +? instead")
        if match["named"]:
            return "(?P<"
        if match["escape"] is None:
            return _unicode_class(match[0])
        return match[0]

    translated = _PIECE.sub(piece, pattern)
    translated = re.sub(r"(?<!\\)\{(,\d+)\}", r"\\{\1\\}", translated)  # Python's “at most”, and plain text in Go
    # Go allows flags anywhere and lets them hold for the rest of the group; Python only at the start or with a colon.
    if leading := re.match(r"\(\?([ims]+)\)", translated):
        for letter in leading[1]:
            flags |= {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}[letter]
        translated = translated[leading.end() :]
    if not flags & re.MULTILINE:
        translated = re.sub(r"(?<!\\)((?:\\\\)*)\$(?![^\[]*\])", r"\1\\Z", translated)
    return translated, flags


def _unicode_class(text: str) -> str:
    name = text[2:].strip("{}")
    if name not in _UNICODE or text[1] == "P" or name.startswith("^"):
        raise FunctionError(f"the character class “{text}” is not supported", 0)
    return f"[{_UNICODE[name]}]"


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
