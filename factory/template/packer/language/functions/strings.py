"""Functions about texts."""

from __future__ import annotations

import re
from decimal import Decimal

from factory.template.packer.language.bounds import check_length
from factory.template.packer.language.functions.bounded import bounded
from factory.template.packer.language.functions.characters import clusters
from factory.template.packer.language.functions.formatting import format_text
from factory.template.packer.language.functions.patterns import compile_pattern, matches, replaced
from factory.template.packer.language.functions.registry import FunctionError, define
from factory.template.packer.language.types import STRING, is_sequence
from factory.template.packer.language.values import (
    UNKNOWN,
    Value,
    list_value,
    object_value,
    string,
    tuple_value,
    wholly_known,
)


@define("chomp", "str:s")
def chomp(text: str) -> str:
    return text.rstrip("\r\n")


@define("endswith", "str:s suffix:s")
def endswith(text: str, suffix: str) -> bool:
    return text.endswith(suffix)


@define("startswith", "str:s prefix:s")
def startswith(text: str, prefix: str) -> bool:
    return text.startswith(prefix)


@define("strcontains", "str:s substr:s")
def strcontains(text: str, part: str) -> bool:
    return part in text


@define("format", "format:s *args:d?", unknown=True)
def format_(pattern: str | Value, *arguments: Value) -> Value:
    if isinstance(pattern, Value) or not all(wholly_known(a) for a in arguments):
        return Value(STRING, UNKNOWN)
    return string(format_text(pattern, arguments))


@define("formatlist", "format:s *args:d?")
def formatlist(pattern: str, *arguments: Value) -> Value:
    lengths = {len(a.items()) for a in arguments if is_sequence(a.type) and not a.is_null}
    if len(lengths) > 1:
        raise FunctionError(f"the lists have different lengths: {', '.join(map(str, sorted(lengths)))}")
    count = lengths.pop() if lengths else 1
    rows = ([a.items()[i] if is_sequence(a.type) and not a.is_null else a for a in arguments] for i in range(count))
    return list_value((string(format_text(pattern, row)) for row in rows), STRING)


@define("indent", "spaces:n str:s")
def indent(spaces: Decimal, text: str) -> str:
    if not 0 <= spaces <= 10000 or spaces != spaces.to_integral_value():
        raise FunctionError("the number of spaces must be a whole number from 0 on", 0)
    check_length(len(text) + text.count("\n") * int(spaces))
    return text.replace("\n", "\n" + " " * int(spaces))


@define("join", "separator:s *lists:l")
def join(separator: str, *lists: Value) -> str:
    pieces: list[str] = []
    if not lists:
        raise FunctionError("at least one list is needed")
    for number, one in enumerate(lists):
        for position, item in enumerate(one.items()):
            if item.is_null:
                raise FunctionError(f"element {position} is null", number + 1)
            pieces.append(item.text())
    check_length(sum(map(len, pieces)) + len(separator) * len(pieces))
    return separator.join(pieces)


@define("lower", "str:s")
def lower(text: str) -> str:
    return text.lower()


@define("upper", "str:s")
def upper(text: str) -> str:
    return "".join(c.upper() if len(c.upper()) == 1 else c for c in text)


@define("title", "str:s")
def title(text: str) -> str:
    """A letter that begins a word, by the rules of Go's strings.Title: beyond ASCII only blanks divide words."""
    pieces: list[str] = []
    begins = True
    for c in text:
        upper = c.title()
        pieces.append(upper if begins and len(upper) == 1 else c)
        begins = c.isspace() if not c.isascii() else not (c.isalnum() or c == "_")
    return "".join(pieces)


@define("replace", "str:s substr:s replace:s")
def replace(text: str, part: str, replacement: str) -> str:
    check_length(len(text) + text.count(part) * (len(replacement) - len(part)))
    return text.replace(part, replacement)


@define("regex", "pattern:s string:s")
def regex(pattern: str, text: str) -> Value:
    with bounded(0):
        match = compile_pattern(pattern).search(text)
    if match is None:
        raise FunctionError("the pattern does not match the text", 1)
    return _match_value(match)


@define("regexall", "pattern:s string:s")
def regexall(pattern: str, text: str) -> Value:
    with bounded(0):
        found = list(matches(compile_pattern(pattern), text))
    return list_value(map(_match_value, found))


def _match_value(match: re.Match[str]) -> Value:
    def group(value: str | None) -> Value:
        return Value(STRING, value)

    if names := match.re.groupindex:
        if len(names) != match.re.groups:
            raise FunctionError("named and unnamed groups can't be mixed", 0)
        return object_value({name: group(match[name]) for name in names})
    if match.re.groups:
        return tuple_value(group(g) for g in match.groups())
    return string(match[0])


@define("regex_replace", "str:s pattern:s replace:s")
def regex_replace(text: str, pattern: str, replacement: str) -> str:
    with bounded(1):
        return replaced(compile_pattern(pattern), text, replacement)


@define("split", "separator:s str:s")
def split(separator: str, text: str) -> Value:
    pieces = text.split(separator) if separator else clusters(text)
    return list_value((string(p) for p in pieces), STRING)


@define("strrev", "str:s")
def strrev(text: str) -> str:
    return "".join(reversed(clusters(text)))


@define("substr", "str:s offset:n length:n")
def substr(text: str, offset: Decimal, length: Decimal) -> str:
    for position, given in ((1, offset), (2, length)):
        if given != given.to_integral_value():
            raise FunctionError("a whole number is needed", position)
    parts = clusters(text)
    start, count = int(offset), int(length)
    if start < 0:
        start = max(len(parts) + start, 0)
    return "".join(parts[start:] if count < 0 else parts[start : start + count])


@define("trim", "str:s cutset:s")
def trim(text: str, characters: str) -> str:
    return text.strip(characters) if characters else text


@define("trimprefix", "str:s prefix:s")
def trimprefix(text: str, prefix: str) -> str:
    return text.removeprefix(prefix)


@define("trimsuffix", "str:s suffix:s")
def trimsuffix(text: str, suffix: str) -> str:
    return text.removesuffix(suffix)


@define("trimspace", "str:s")
def trimspace(text: str) -> str:
    return text.strip()
