"""Bodies of HCL: arguments and blocks."""

from __future__ import annotations

from factory.errors import Problem, TemplateError
from factory.template.packer.hcl.expression_parser import ExpressionParser
from factory.template.packer.hcl.source import Source, Span
from factory.template.packer.hcl.syntax import Attribute, Block, Body, Expression, Literal
from factory.template.packer.hcl.template_reader import read_quoted
from factory.template.packer.hcl.tokens import Kind, Token

_DEEPEST_BLOCK = 40


def parse_body(source: Source) -> Body:
    """Reads a whole file.

    Raises: TemplateError with the first syntax error, or with every argument that is set twice.
    """
    parser = BodyParser(source)
    try:
        body = parser.body(Kind.END)
    except RecursionError:
        raise source.span(parser.position, parser.position + 1).error("this is nested too deeply") from None
    if parser.duplicates:
        raise TemplateError(parser.duplicates)
    return body


def parse_expression(source: Source) -> Expression:
    """Reads one expression that takes up the whole source."""
    parser = ExpressionParser(source)
    try:
        return parser.whole_expression()
    except RecursionError:
        raise source.span(parser.position, parser.position + 1).error("this is nested too deeply") from None


def parse_template(source: Source) -> Expression:
    """Reads the whole source as a template, as ``templatefile`` does."""
    parser = ExpressionParser(source)
    try:
        return parser.whole_template()
    except RecursionError:
        raise source.span(parser.position, parser.position + 1).error("this is nested too deeply") from None


class BodyParser(ExpressionParser):
    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.duplicates: list[Problem] = []
        self._blocks_open = 0

    def body(self, end: Kind | str) -> Body:
        start = self.position
        attributes: dict[str, Attribute] = {}
        blocks: list[Block] = []
        while True:
            token = self.take()
            if token.kind is Kind.NEWLINE:
                continue
            if token.kind is end if isinstance(end, Kind) else token.is_symbol(end):
                return Body(self.span(start), attributes, tuple(blocks))
            item = self._item(token)
            if isinstance(item, Block):
                blocks.append(item)
            else:
                self._keep(attributes, item)

    def _keep(self, attributes: dict[str, Attribute], item: Attribute) -> None:
        first = attributes.setdefault(item.name, item)
        if first is not item:
            self.duplicates.append(
                item.name_span.problem(
                    f"the argument “{item.name}” is set twice", hint=f"it is set first at {first.name_span.place}"
                )
            )

    def _item(self, token: Token) -> Attribute | Block:
        if token.kind is Kind.QUOTE:
            raise self.unexpected(
                token, "the name of an argument or of a block", hint="names of arguments stand without quotes"
            )
        if token.kind is not Kind.NAME:
            hint = ""
            if token.kind is Kind.END:
                hint = "a closing brace “}” is missing"
            elif token.is_symbol("}"):
                hint = "this closing brace has no opening one"
            raise self.unexpected(token, "the name of an argument or of a block", hint=hint)
        following = self.peek()
        if following.is_symbol("="):
            self.take()
            return self._attribute(token)
        if following.kind in (Kind.QUOTE, Kind.NAME) or following.is_symbol("{"):
            return self._block(token)
        if following.is_symbol("."):
            raise self.unexpected(following, "“=” or a block", hint="the name of an argument can't contain a dot")
        if following.is_symbol(":"):
            raise self.unexpected(following, "“=”", hint="arguments are set with an equals sign, not a colon")
        raise self.unexpected(
            following,
            f"“=” and a value, or “{{” and a block, after “{token.text}”",
            hint=f"write {token.text} = … to set an argument, {token.text} {{ … }} for a block",
        )

    def _attribute(self, name: Token) -> Attribute:
        argument = self._argument(name)
        self._end_of_item(f"a new line after the argument “{name.text}”")
        return argument

    def _argument(self, name: Token) -> Attribute:
        value = self.expression()
        name_span = self.span(name.start, name.end)
        return Attribute(name_span.to(value.span), name.text, value, name_span)

    def _end_of_item(self, expected: str) -> None:
        token = self.peek()
        if token.kind is Kind.NEWLINE:
            self.take()
        elif token.kind is not Kind.END:
            hint = "arguments are separated by new lines, not by commas" if token.is_symbol(",") else ""
            if self._blocks_open and token.is_symbol("}"):
                hint = "the closing brace of a block of several lines has a line of its own"
            raise self.unexpected(token, expected, hint=hint)

    def _block(self, kind: Token) -> Block:
        labels: list[str] = []
        label_spans: list[Span] = []
        while not (token := self.peek()).is_symbol("{"):
            if token.kind is Kind.NAME:
                self.take()
                labels.append(token.text)
            elif token.kind is Kind.QUOTE:
                labels.append(self._quoted_label(token))
            else:
                hint = f"write {kind.text} = … to set an argument" if token.is_symbol("=") else ""
                raise self.unexpected(token, f"“{{” or a label of the block “{kind.text}”", hint=hint)
            label_spans.append(self.span(token.start))
        self.take()
        self._blocks_open += 1
        if self._blocks_open > _DEEPEST_BLOCK:
            raise self.span(kind.start, kind.end).error("blocks are nested too deeply")
        one_line = self.peek().kind is not Kind.NEWLINE
        body = self._one_line_body(kind) if one_line else self.body("}")
        self._blocks_open -= 1
        self._end_of_item(f"a new line after the block “{kind.text}”")
        kind_span = self.span(kind.start, kind.end)
        span = self.span(kind.start, body.span.end)
        return Block(span, kind.text, tuple(labels), body, kind_span, tuple(label_spans))

    def _one_line_body(self, block: Token) -> Body:
        """What follows a brace on its own line: nothing, or one argument, and the closing brace."""
        start, hint = self.position, "a block with more than one argument has a line for each, and for its braces"
        attributes: dict[str, Attribute] = {}
        token = self.take()
        if not token.is_symbol("}"):
            if token.kind is not Kind.NAME or not self.peek().is_symbol("="):
                raise self.unexpected(token, f"one argument or “}}” on the line that opens “{block.text}”", hint=hint)
            self.take()
            attributes[token.text] = self._argument(token)
            if not (closing := self.take()).is_symbol("}"):
                raise self.unexpected(closing, f"“}}” after the only argument of “{block.text}”", hint=hint)
        return Body(self.span(start), attributes, ())

    def _quoted_label(self, token: Token) -> str:
        label = read_quoted(self, token.start)
        if not isinstance(label, Literal) or not isinstance(label.value, str):
            raise label.span.error("a label is a fixed text: template sequences are not allowed here")
        return label.value
