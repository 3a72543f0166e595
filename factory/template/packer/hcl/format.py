"""Rewrites HCL in its canonical style: two blanks of indent, equals signs and comments of neighbours aligned.

The style is that of HashiCorp's ``hclwrite``, which ``packer fmt`` uses. Only blanks change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from factory.template.packer.hcl.body_parser import parse_body
from factory.template.packer.hcl.format_tokens import FormatToken, Piece, format_tokens
from factory.template.packer.hcl.source import Source

_NOTHING = FormatToken(Piece.END, "")
_BEFORE_NEGATION = ("(", "{", "[", "=", ",", ":", "?", "==", "!=", "<", ">", "<=", ">=", "&&", "||", "+", "-", "*", "/",
                    "%", "!", "=>")  # fmt: skip


@dataclass(slots=True)
class _Line:
    """One line in up to three cells: what is assigned to, what is assigned, and a comment."""

    lead: list[FormatToken] = field(default_factory=list)
    assign: list[FormatToken] = field(default_factory=list)
    comment: list[FormatToken] = field(default_factory=list)
    end: str = "\n"

    def tokens(self) -> Iterable[FormatToken]:
        yield from self.lead
        yield from self.assign
        yield from self.comment


def format_hcl(source: Source) -> str:
    """Raises: TemplateError when *source* is not HCL."""
    parse_body(source)
    lines = _lines(format_tokens(source))
    _indent(lines)
    for line in lines:
        _space(line.lead)
        _space(line.assign)
        if line.assign:
            line.assign[0].spaces = 1
    _align(lines, lambda line: line.assign, lambda line: _columns(line.lead))
    _align(lines, lambda line: line.comment, lambda line: _columns(line.lead) + _columns(line.assign))
    return "".join("".join(" " * t.spaces + t.text for t in line.tokens()) + line.end for line in lines)


def _bracket_change(token: FormatToken) -> int:
    if token.piece is Piece.OPEN_SEQUENCE or token.is_symbol("{", "[", "("):
        return 1
    if token.piece is Piece.CLOSE_SEQUENCE or token.is_symbol("}", "]", ")"):
        return -1
    return 0


def _lines(tokens: list[FormatToken]) -> list[_Line]:
    lines, current = [], _Line()
    for token in tokens:
        if token.piece is Piece.NEWLINE:
            current.end = token.text
            lines.append(current)
            current = _Line()
        elif token.piece is Piece.END:
            current.end = ""
            lines.append(current)
        else:
            current.lead.append(token)
    for line in lines:
        _split_cells(line)
    return lines


def _split_cells(line: _Line) -> None:
    if len(line.lead) > 1 and line.lead[-1].piece is Piece.COMMENT:
        line.comment = [line.lead.pop()]
    for position, token in enumerate(line.lead):
        if position > 0 and token.is_symbol("="):
            rest = line.lead[position:]
            if sum(map(_bracket_change, rest)) == 0:
                line.assign, line.lead = rest, line.lead[:position]
            return


def _indent(lines: list[_Line]) -> None:
    """A line that opens more than it closes indents what follows by one step, however many it opens."""
    open_counts: list[int] = []
    for line in lines:
        if not line.lead:
            continue
        change = sum(_bracket_change(t) for t in [*line.lead, *line.assign])
        closing = -change
        while closing > 0 and open_counts:
            taken = min(closing, open_counts[-1])
            open_counts[-1] -= taken
            closing -= taken
            if open_counts[-1] == 0:
                open_counts.pop()
        line.lead[0].spaces = 2 * len(open_counts)
        if change > 0:
            open_counts.append(change)


def _space(tokens: list[FormatToken]) -> None:
    for position in range(1, len(tokens)):
        before = tokens[position - 2] if position > 1 else _NOTHING
        tokens[position].spaces = int(_space_between(tokens[position - 1], before, tokens[position]))


def _space_between(subject: FormatToken, before: FormatToken, after: FormatToken) -> bool:
    inside = (Piece.TEXT, Piece.OPEN_QUOTE, Piece.OPEN_HEREDOC)
    if subject.piece is Piece.NAME and after.is_symbol("(", "::"):
        return False
    if subject.is_symbol(".", "::") or after.is_symbol(".", ",", "..."):
        return False
    if subject.is_symbol(","):
        return True
    if subject.piece in inside or after.piece in (Piece.TEXT, Piece.CLOSE_QUOTE, Piece.CLOSE_HEREDOC):
        return False
    if subject.piece is Piece.NAME and subject.text == "in" and before.piece is Piece.NAME:
        return True
    if after.is_symbol("[") and (subject.piece in (Piece.NAME, Piece.NUMBER) or _bracket_change(subject) < 0):
        return False
    if subject.is_symbol("!"):
        return False
    if subject.is_symbol("-"):
        return not (before is _NOTHING or before.is_symbol(*_BEFORE_NEGATION) or before.piece is Piece.OPEN_SEQUENCE)
    if subject.is_symbol("{") or after.is_symbol("}"):
        return not (subject.is_symbol("{") and after.is_symbol("}"))
    if subject.piece is Piece.OPEN_SEQUENCE and after.is_symbol("{"):
        return True
    if subject.is_symbol("}") and after.piece is Piece.CLOSE_SEQUENCE:
        return True
    if subject.piece is Piece.CLOSE_SEQUENCE and after.piece is Piece.OPEN_SEQUENCE:
        return False
    return not (_bracket_change(subject) > 0 or _bracket_change(after) < 0)


def _columns(tokens: list[FormatToken]) -> int:
    return sum(t.spaces + len(t.text) for t in tokens)


def _align(lines: list[_Line], cell: Callable[[_Line], list[FormatToken]], width: Callable[[_Line], int]) -> None:
    """Lines in a row that have this cell start it in the same column."""
    chain: list[_Line] = []
    for line in [*lines, _Line()]:
        if cell(line):
            chain.append(line)
            continue
        widest = max((width(c) for c in chain), default=0)
        for one in chain:
            cell(one)[0].spaces = widest - width(one) + 1
        chain.clear()
