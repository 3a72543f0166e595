"""All tokens of a file, blanks left out, for the formatter: templates are taken apart into their literal pieces."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from factory.template.packer.hcl.source import Source
from factory.template.packer.hcl.tokens import Kind, token_at


class Piece(enum.Enum):
    NAME = enum.auto()
    NUMBER = enum.auto()
    SYMBOL = enum.auto()
    NEWLINE = enum.auto()
    COMMENT = enum.auto()
    OPEN_QUOTE = enum.auto()
    CLOSE_QUOTE = enum.auto()
    TEXT = enum.auto()
    OPEN_HEREDOC = enum.auto()
    CLOSE_HEREDOC = enum.auto()
    OPEN_SEQUENCE = enum.auto()
    """``${`` or ``%{``"""
    CLOSE_SEQUENCE = enum.auto()
    END = enum.auto()


@dataclass(slots=True)
class FormatToken:
    piece: Piece
    text: str
    spaces: int = 0
    """Blanks before it."""

    def is_symbol(self, *texts: str) -> bool:
        return self.piece is Piece.SYMBOL and self.text in texts


_COMMENT = re.compile(r"(?:#|//)[^\n]*|/\*.*?\*/", re.DOTALL)
_BLANK = re.compile(r"(?:[ \t]|\r(?!\n))+")
_NEWLINE = re.compile(r"\r?\n")
_QUOTED = re.compile(r'(?:[^$%"\\\r\n]+|\\[^\r\n]|\$\$\{|%%\{|\$(?!\{)|%(?!\{))+')
_LINE = re.compile(r"(?:[^$%\n]+|\$\$\{|%%\{|\$(?!\{)|%(?!\{))*\n?")
_HEREDOC = re.compile(r"<<-?([^\W\d][\w-]*)\r?\n")


def format_tokens(source: Source) -> list[FormatToken]:
    """Raises nothing for a source that the parser accepts."""
    reader = _Reader(source)
    reader.expressions(top=True)
    return reader.tokens


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.position = 0
        self.tokens: list[FormatToken] = []

    def _add(self, piece: Piece, text: str) -> None:
        self.tokens.append(FormatToken(piece, text))
        self.position += len(text)

    def expressions(self, *, top: bool) -> None:
        """Up to the end, or to the brace that closes the template sequence we are in."""
        braces = 0
        while True:
            if blank := _BLANK.match(self.text, self.position):
                self.position = blank.end()
            if self.position >= len(self.text):
                self._add(Piece.END, "")
                return
            if comment := _COMMENT.match(self.text, self.position):
                self._add(Piece.COMMENT, comment[0].rstrip("\r"))
                continue
            if newline := _NEWLINE.match(self.text, self.position):
                self._add(Piece.NEWLINE, newline[0])
                continue
            token = token_at(self.source, self.position)
            if token.kind is Kind.QUOTE:
                self._quoted()
            elif token.kind is Kind.HEREDOC and (match := _HEREDOC.match(self.text, self.position)):
                self._heredoc(match)
            elif not top and braces == 0 and token.is_symbol("}"):
                self._add(Piece.CLOSE_SEQUENCE, "}")
                return
            elif not top and braces == 0 and token.is_symbol("~") and self.text.startswith("~}", self.position):
                self._add(Piece.CLOSE_SEQUENCE, "~}")
                return
            else:
                braces += token.is_symbol("{") - token.is_symbol("}")
                kinds = {Kind.NAME: Piece.NAME, Kind.NUMBER: Piece.NUMBER}
                self._add(kinds.get(token.kind, Piece.SYMBOL), token.text)

    def _sequence(self) -> None:
        length = 3 if self.text.startswith("~", self.position + 2) else 2
        self._add(Piece.OPEN_SEQUENCE, self.text[self.position : self.position + length])
        self.expressions(top=False)

    def _quoted(self) -> None:
        self._add(Piece.OPEN_QUOTE, '"')
        while self.position < len(self.text):
            if self.text[self.position] == '"':
                self._add(Piece.CLOSE_QUOTE, '"')
                return
            match = _QUOTED.match(self.text, self.position)
            if match:
                self._add(Piece.TEXT, match[0])
            else:
                self._sequence()

    def _heredoc(self, opening: re.Match[str]) -> None:
        self._add(Piece.OPEN_HEREDOC, opening[0])
        while self.position < len(self.text):
            match = _LINE.match(self.text, self.position)
            line = match[0] if match else ""
            if self.text[self.position - 1] == "\n" and line.strip() == opening[1]:
                self._add(Piece.CLOSE_HEREDOC, line.rstrip("\r\n"))
                return
            if line:
                self._add(Piece.TEXT, line)
            else:
                self._sequence()
