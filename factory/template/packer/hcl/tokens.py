"""Tokens of HCL outside of templates, found one at a time from any offset.

Templates (quoted texts, heredocs) nest expressions and the reverse, so there is no list of all tokens: the parser asks
for the token at an offset and hands over to the template reader where a template starts.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from dataclasses import dataclass

from factory.template.packer.hcl.source import Source


class Kind(enum.Enum):
    NAME = "a name"
    NUMBER = "a number"
    QUOTE = "a text in quotes"
    HEREDOC = "a heredoc"
    SYMBOL = "a symbol"
    NEWLINE = "the end of the line"
    END = "the end of the file"
    BAD = "a character that has no meaning here"


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    start: int
    end: int
    text: str

    def is_symbol(self, *texts: str) -> bool:
        return self.kind is Kind.SYMBOL and self.text in texts

    def is_name(self, *texts: str) -> bool:
        return self.kind is Kind.NAME and self.text in texts

    def __str__(self) -> str:
        if self.kind in (Kind.SYMBOL, Kind.NAME, Kind.NUMBER, Kind.BAD):
            return f"“{self.text}”"
        return str(self.kind.value)


_BLANK = re.compile(r"(?:[ \t]+|\r(?=\n)|/\*.*?\*/)+", re.DOTALL)
_TOKEN = re.compile(
    r"""
      (?P<newline>\n|(?:\#|//)[^\n]*(?:\n|\Z))
    | (?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    | (?P<name>[^\W\d][\w-]*)
    | (?P<heredoc><<-?(?=[^\W\d]))
    | (?P<quote>")
    | (?P<symbol>\.\.\.|&&|\|\||==|!=|<=|>=|=>|::|[{}\[\]()=,.:?!+*/%<>~-])
    | (?P<end>\Z)
    """,
    re.VERBOSE,
)
_KINDS = {
    "newline": Kind.NEWLINE, "number": Kind.NUMBER, "name": Kind.NAME, "heredoc": Kind.HEREDOC,
    "quote": Kind.QUOTE, "symbol": Kind.SYMBOL, "end": Kind.END,
}  # fmt: skip


def token_at(source: Source, offset: int) -> Token:
    """The first token at or after *offset*; blanks and ``/* */`` comments are passed over."""
    text = source.text
    blank = _BLANK.match(text, offset)
    start = blank.end() if blank else offset
    match = _TOKEN.match(text, start)
    if match is None:
        return Token(Kind.BAD, start, start + 1, text[start : start + 1])
    kind = _KINDS[match.lastgroup or "end"]
    if kind is Kind.NAME and not match[0].isascii():
        return _unicode_name(match[0], start)
    return Token(kind, start, match.end(), match[0])


def _unicode_name(text: str, start: int) -> Token:
    """Cuts a name at the first character that Unicode (UAX 31) does not allow inside one; the dash is HCL's own."""
    end = next((i for i, c in enumerate(text) if not (c == "-" or ("a" + c).isidentifier())), len(text))
    if end == 0:
        return Token(Kind.BAD, start, start + 1, text[:1])
    return Token(Kind.NAME, start, start + end, text[:end])


def describe(character: str) -> str:
    """Names a character that has no meaning in HCL, the usual mistakes with the way out."""
    if character in "“”„«»":
        return 'a curly quotation mark; write a straight one (")'
    if character in "'‘’":
        return 'a single quote; texts stand in double quotes (")'
    if character == "`":
        return "a backtick; texts stand in double quotes, longer ones in a heredoc (<<EOT)"
    if character == ";":
        return "a semicolon; arguments end with the line"
    if character == "&":
        return "a single “&”; the logical operator is “&&”"
    if character == "|":
        return "a single “|”; the logical operator is “||”"
    name = unicodedata.name(character, "")
    return f"the character “{character}”" if character.isprintable() else f"the character {name or repr(character)}"
