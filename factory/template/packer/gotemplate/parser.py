"""Parser of Go's text/template: everything but ``define``, ``template`` and ``block``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from factory.errors import TemplateError
from factory.template.packer.gotemplate.nodes import (
    Action,
    Branch,
    Constant,
    Field,
    FunctionName,
    Jump,
    Node,
    Operand,
    Pipeline,
    Text,
    VariableUse,
)
from factory.template.packer.hcl.source import Span

DEEPEST = 40
_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
    | (?P<char>'(?:[^'\\]|\\[^']+|\\')')
    | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]{1,16}|[0-9][0-9_]{0,30}(?:\.[0-9]{0,30})?(?:[eE][+-]?[0-9]{1,3})?))
    | (?P<variable>\$[\w]*)
    | (?P<field>\.[^\W\d]\w*)
    | (?P<dot>\.)
    | (?P<declare>:=)
    | (?P<symbol>[|()=,])
    | (?P<name>[^\W\d]\w*)
    """,
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "'": "'", "\\": "\\", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_COMMENT = re.compile(r"\s*/\*.*?\*/", re.DOTALL)
_TRIMMING_END = re.compile(r"\s-\}\}")
_BLANK = " \t\r\n"
_UNSUPPORTED = ("define", "template", "block")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int


@dataclass(frozen=True, slots=True)
class _Delimited:
    """One ``{{ … }}``: where it lies, and its tokens."""

    start: int
    end: int
    tokens: tuple[_Token, ...]


def parse(text: str, where: Span) -> tuple[Node, ...]:
    """Raises: TemplateError at *where* when *text* is not a Go template."""
    return _Parser(text, where).parse()


class _Parser:
    def __init__(self, text: str, where: Span) -> None:
        self.text = text
        self.where = where
        self.pieces = self._split()
        self.index = 0
        self.tokens: tuple[_Token, ...] = ()
        self.position = 0
        self.depth = 0

    def error(self, message: str, hint: str = "") -> TemplateError:
        return self.where.error(f"in the Go template “{_short(self.text)}”: {message}", hint=hint)

    def _split(self) -> list[Text | _Delimited]:
        pieces: list[Text | _Delimited] = []
        text, here, trim_next = self.text, 0, False
        while True:
            start = text.find("{{", here)
            literal = text[here : start if start >= 0 else len(text)]
            if trim_next:
                literal = literal.lstrip(_BLANK)
            if start < 0:
                if literal:
                    pieces.append(Text(here, len(text), literal))
                return pieces
            inside = start + 2
            if text[inside : inside + 1] == "-" and text[inside + 1 : inside + 2] in (" ", "\t", "\n", "\r"):
                literal = literal.rstrip(_BLANK)
                inside += 1
            if literal:
                pieces.append(Text(here, start, literal))
            delimited, trim_next = self._delimited(start, inside)
            if delimited.tokens:
                pieces.append(delimited)
            here = delimited.end

    def _delimited(self, start: int, inside: int) -> tuple[_Delimited, bool]:
        tokens: list[_Token] = []
        text, here = self.text, inside
        comment = _COMMENT.match(text, here)
        if comment:
            here = comment.end()
        while True:
            if text.startswith("}}", here):
                if not tokens and not comment:
                    raise self.error("a value is missing")
                return _Delimited(start, here + 2, tuple(tokens)), False
            if trim := _TRIMMING_END.match(text, here):
                return _Delimited(start, trim.end(), tuple(tokens)), True
            match = _TOKEN.match(text, here)
            if match is None:
                if here >= len(text):
                    raise self.error("“{{” has no “}}”", 'a literal “{{” is written {{ "{{" }}')
                raise self.error(f"unexpected character “{text[here]}”")
            kind = match.lastgroup or ""
            if kind != "space":
                if comment:
                    raise self.error("a comment stands alone in its braces")
                tokens.append(_Token(kind, match[0], match.start()))
            here = match.end()

    def parse(self) -> tuple[Node, ...]:
        nodes, _ = self._list(())
        return nodes

    def _list(self, ends: tuple[str, ...]) -> tuple[tuple[Node, ...], _Delimited | None]:
        """Nodes up to one of the keywords *ends*, and that keyword's delimiters."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error("blocks are nested too deeply")
        nodes: list[Node] = []
        while self.index < len(self.pieces):
            piece = self.pieces[self.index]
            self.index += 1
            if isinstance(piece, Text):
                nodes.append(piece)
                continue
            first = piece.tokens[0]
            if first.kind == "name" and first.text in ("end", "else"):
                if first.text not in ends:
                    raise self.error(f"unexpected {{{{ {first.text} }}}}")
                self.depth -= 1
                return tuple(nodes), piece
            nodes.append(self._node(piece))
        if ends:
            raise self.error("a block has no {{ end }}")
        self.depth -= 1
        return tuple(nodes), None

    def _node(self, piece: _Delimited) -> Node:
        first = piece.tokens[0]
        word = first.text if first.kind == "name" else ""
        if word in ("if", "with", "range"):
            self._enter(piece, 1)
            return self._branch(piece, word)
        if word in ("break", "continue") and len(piece.tokens) == 1:
            return Jump(piece.start, piece.end, word)
        if word in _UNSUPPORTED:
            raise self.error(f"{{{{ {word} }}}} is not supported")
        self._enter(piece, 0)
        return Action(piece.start, piece.end, self._whole_pipeline())

    def _enter(self, piece: _Delimited, skip: int) -> None:
        self.tokens, self.position = piece.tokens, skip

    def _branch(self, piece: _Delimited, keyword: str) -> Branch:
        pipeline = self._whole_pipeline()
        then, stop = self._list(("else", "end"))
        otherwise: tuple[Node, ...] = ()
        assert stop is not None  # _list raises when the text ends first
        end = stop.end
        if stop.tokens[0].text == "else":
            if len(stop.tokens) > 1:  # {{ else if … }}
                chained = stop.tokens[1].text
                if chained not in ("if", "with"):
                    raise self.error("after {{ else }} comes nothing, or “if” and a condition")
                self._enter(stop, 2)
                inner = self._branch(stop, chained)
                return Branch(piece.start, inner.end, keyword, pipeline, then, (inner,))
            otherwise, stop = self._list(("end",))
            assert stop is not None
            end = stop.end
        return Branch(piece.start, end, keyword, pipeline, then, otherwise)

    # --- inside the braces

    def _peek(self) -> _Token | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def _whole_pipeline(self) -> Pipeline:
        result = self._pipeline()
        if (rest := self._peek()) is not None:
            raise self.error(f"unexpected “{rest.text}”")
        return result

    def _pipeline(self) -> Pipeline:
        declares, assigns = self._declaration()
        commands: list[tuple[Operand, ...]] = []
        while True:
            operands: list[Operand] = []
            while (token := self._peek()) is not None and token.text not in ("|", ")"):
                operands.append(self._operand())
            if not operands:
                raise self.error("a value is missing")
            commands.append(tuple(operands))
            if token is None or token.text == ")":
                return Pipeline(tuple(commands), declares, assigns)
            self.position += 1

    def _declaration(self) -> tuple[tuple[str, ...], bool]:
        names: list[str] = []
        start = self.position
        while (token := self._peek()) is not None and token.kind == "variable":
            names.append(token.text[1:])
            self.position += 1
            following = self._peek()
            if following is not None and following.text == ",":
                self.position += 1
                continue
            if following is not None and (following.kind == "declare" or following.text == "="):
                self.position += 1
                return tuple(names), following.text == "="
            break
        self.position = start
        return (), False

    def _operand(self) -> Operand:
        token = self._peek()
        assert token is not None
        self.position += 1
        if token.kind == "string":
            return Constant(self._unquote(token.text))
        if token.kind == "char":
            return Constant(ord(self._unquote(token.text)[:1] or "\0"))
        if token.kind == "number":
            return Constant(self._number(token.text))
        if token.kind == "variable":
            return VariableUse(token.text[1:], self._fields())
        if token.kind == "field":
            return Field((token.text[1:], *self._fields()))
        if token.kind == "dot":
            return Field(())
        if token.kind == "name":
            constants = {"true": True, "false": False, "nil": None}
            return Constant(constants[token.text]) if token.text in constants else FunctionName(token.text)
        if token.text == "(":
            return self._parenthesised()
        raise self.error(f"unexpected “{token.text}”")

    def _fields(self) -> tuple[str, ...]:
        """Names that follow without a blank."""
        names: list[str] = []
        while (token := self._peek()) is not None and token.kind == "field":
            before = self.tokens[self.position - 1]
            if before.start + len(before.text) != token.start:
                break
            names.append(token.text[1:])
            self.position += 1
        return tuple(names)

    def _parenthesised(self) -> Operand:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error("parentheses are nested too deeply")
        inner = self._pipeline()
        closing = self._peek()
        if closing is None or closing.text != ")":
            raise self.error("“(” has no “)”")
        self.position += 1
        self.depth -= 1
        names = self._fields()
        return Field(names, inner) if names else inner

    def _number(self, text: str) -> int | float:
        plain = text.replace("_", "")
        try:
            return int(plain, 0)
        except ValueError:
            try:
                return int(plain) if plain.lstrip("+-").isdigit() else float(plain)
            except ValueError:
                raise self.error(f"“{text}” is not a number") from None

    def _unquote(self, text: str) -> str:
        if text[0] == "`":
            return text[1:-1].replace("\r", "")

        def escape(match: re.Match[str]) -> str:
            found = match[0]
            if found[1] in "xuU":
                code = int(found[2:], 16)
                return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\N{REPLACEMENT CHARACTER}"
            if found[1] in "01234567":
                return chr(int(found[1:], 8))
            if found[1] not in _ESCAPES:
                raise self.error(f"“{found}” is not an escape sequence")
            return _ESCAPES[found[1]]

        pattern = r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|[^xuU]|.)"
        try:
            return re.sub(pattern, escape, text[1:-1], flags=re.DOTALL)
        except ValueError:
            raise self.error(f"{text} has an escape sequence that is cut short") from None


def _short(text: str) -> str:
    line = text.replace("\n", "⏎")
    return line if len(line) <= 60 else line[:59] + "…"
