"""JSON with the place of every value, for the JSON form of HCL and for JSON templates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from factory.errors import TemplateError
from factory.template.packer.hcl.source import Source, Span

DEEPEST, LARGEST_EXPONENT = 100, 4000


@dataclass(frozen=True, slots=True)
class JsonNode:
    span: Span


@dataclass(frozen=True, slots=True)
class JsonScalar(JsonNode):
    value: str | Decimal | bool | None


@dataclass(frozen=True, slots=True)
class JsonMember:
    name: str
    name_span: Span
    value: JsonNode


@dataclass(frozen=True, slots=True)
class JsonObject(JsonNode):
    """Members in the order of the file; a name may come up twice."""

    members: tuple[JsonMember, ...]

    def last(self) -> dict[str, JsonMember]:
        """By name; of several members with one name the last counts, as in Go."""
        return {m.name: m for m in self.members}


@dataclass(frozen=True, slots=True)
class JsonArray(JsonNode):
    items: tuple[JsonNode, ...]


_BLANK = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_TEXT = re.compile(r'[^"\\\x00-\x1f]+')
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


def parse_json(source: Source) -> JsonNode:
    """Raises: TemplateError with the first place where *source* is not JSON."""
    parser = _Parser(source)
    node = parser.value()
    parser.blank()
    if parser.position < len(source.text):
        raise parser.error("expected the end of the file after the value")
    return node


_CHARACTER = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u....|\\.|.", re.DOTALL)


def offsets_in(text: Span) -> list[int]:
    """Where each character of a text begins in its source, and where the last one ends; *text* is with its quotes."""
    source = text.source.text
    starts = [found.start() for found in _CHARACTER.finditer(source, text.start + 1, text.end - 1)]
    return [*starts, text.end - 1]


class _Parser:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.position = 0
        self.depth = 0

    def error(self, message: str, hint: str = "") -> TemplateError:
        found = self.text[self.position : self.position + 1]
        shown = "the end of the file" if not found else f"“{found}”" if found.isprintable() else repr(found)
        return self.source.span(self.position, self.position + 1).error(f"{message}, found {shown}", hint=hint)

    def blank(self) -> None:
        match = _BLANK.match(self.text, self.position)
        assert match is not None  # the pattern matches an empty text
        self.position = match.end()

    def value(self) -> JsonNode:
        self.blank()
        start = self.position
        here = self.text[start : start + 1]
        if here == "{":
            return self.object()
        if here == "[":
            return self.array()
        if here == '"':
            text = self.string()
            return JsonScalar(self.source.span(start, self.position), text)
        if match := _NUMBER.match(self.text, start):
            self.position = match.end()
            number = Decimal(match[0])
            if number and abs(number.adjusted()) > LARGEST_EXPONENT:
                raise self.source.span(start, match.end()).error("this number is too large or too small")
            return JsonScalar(self.source.span(start, match.end()), number)
        for word, value in _WORDS.items():
            if self.text.startswith(word, start):
                self.position += len(word)
                return JsonScalar(self.source.span(start, self.position), value)
        hint = "texts stand in double quotes" if here.isalpha() or here == "'" else ""
        hint = "JSON has no comments; use a key that begins with “_”" if here in ("/", "#") else hint
        hint = "a comma before the closing bracket is not allowed" if here in ("]", "}") else hint
        raise self.error("expected a value", hint)

    def _enter(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error("this is nested too deeply")

    def object(self) -> JsonObject:
        self._enter()
        start = self.position
        self.position += 1
        members: list[JsonMember] = []
        self.blank()
        if self.text.startswith("}", self.position):
            self.position += 1
            self.depth -= 1
            return JsonObject(self.source.span(start, self.position), ())
        while True:
            self.blank()
            name_start = self.position
            if not self.text.startswith('"', name_start):
                after_comma = bool(members) and self.text.startswith("}", name_start)
                hint = "a comma before the closing brace is not allowed" if after_comma else ""
                raise self.error("expected a name in double quotes", hint)
            name = self.string()
            name_span = self.source.span(name_start, self.position)
            self.blank()
            if not self.text.startswith(":", self.position):
                raise self.error(f"expected “:” after the name “{name}”")
            self.position += 1
            members.append(JsonMember(name, name_span, self.value()))
            self.blank()
            if self.text.startswith("}", self.position):
                self.position += 1
                self.depth -= 1
                return JsonObject(self.source.span(start, self.position), tuple(members))
            if not self.text.startswith(",", self.position):
                raise self.error(f"expected “,” or “}}” after the value of “{name}”", "a comma may be missing")
            self.position += 1

    def array(self) -> JsonArray:
        self._enter()
        start = self.position
        self.position += 1
        items: list[JsonNode] = []
        self.blank()
        if self.text.startswith("]", self.position):
            self.position += 1
            self.depth -= 1
            return JsonArray(self.source.span(start, self.position), ())
        while True:
            items.append(self.value())
            self.blank()
            if self.text.startswith("]", self.position):
                self.position += 1
                self.depth -= 1
                return JsonArray(self.source.span(start, self.position), tuple(items))
            if not self.text.startswith(",", self.position):
                raise self.error("expected “,” or “]” after the element", "a comma may be missing")
            self.position += 1

    def string(self) -> str:
        start = self.position
        self.position += 1
        pieces: list[str] = []
        while True:
            if match := _TEXT.match(self.text, self.position):
                pieces.append(match[0])
                self.position = match.end()
            here = self.text[self.position : self.position + 1]
            if here == '"':
                self.position += 1
                # Two halves of a surrogate pair, written as two escapes, are one character.
                return "".join(pieces).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            if here == "\\":
                pieces.append(self._escape())
            elif here == "":
                self.position = start
                raise self.source.span(start, start + 1).error("this text has no closing quotation mark")
            else:
                raise self.error("a text can't contain a line break or control character", r"write \n or \t")

    def _escape(self) -> str:
        letter = self.text[self.position + 1 : self.position + 2]
        if letter == "u":
            digits = self.text[self.position + 2 : self.position + 6]
            if re.fullmatch(r"[0-9a-fA-F]{4}", digits):
                self.position += 6
                return chr(int(digits, 16))
        elif letter in _ESCAPES:
            self.position += 2
            return _ESCAPES[letter]
        raise self.error("expected an escape sequence that JSON knows", r"these are \" \\ \/ \b \f \n \r \t \uNNNN")
