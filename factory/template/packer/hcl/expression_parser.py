"""Expressions of HCL, by recursive descent."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from factory.errors import TemplateError
from factory.template.packer.hcl.source import Source, Span
from factory.template.packer.hcl.syntax import (
    Binary,
    Call,
    Conditional,
    Expression,
    ForObject,
    ForTuple,
    GetAttribute,
    Index,
    Literal,
    Object,
    Parenthesised,
    Splat,
    SplatItem,
    Tuple,
    Unary,
    Variable,
)
from factory.template.packer.hcl.template_reader import read_bare, read_heredoc, read_quoted
from factory.template.packer.hcl.tokens import Kind, Token, describe, token_at

_PRECEDENCE = {
    "||": 1, "&&": 2, "==": 3, "!=": 3, "<": 4, ">": 4, "<=": 4, ">=": 4, "+": 5, "-": 5, "*": 6, "/": 6, "%": 6,
}  # fmt: skip
_CONSTANTS = {"true": True, "false": False, "null": None}
DEEPEST = 60
"""Levels of nesting. Each costs several Python frames; what people write has fewer than ten."""
LARGEST_EXPONENT = 4000


class ExpressionParser:
    """Reads expressions from *source* at *position*, and leaves *position* behind what it read."""

    def __init__(self, source: Source, position: int = 0) -> None:
        self.source = source
        self.position = position
        self._newlines_ignored: list[bool] = [False]
        self._memo: tuple[int, Token] | None = None
        self._depth = 0

    # --- tokens

    def peek(self) -> Token:
        position = self.position
        while True:
            if self._memo and self._memo[0] == position:
                token = self._memo[1]
            else:
                token = token_at(self.source, position)
                self._memo = (position, token)
            if token.kind is not Kind.NEWLINE or not self._newlines_ignored[-1]:
                return token
            position = token.end

    def take(self) -> Token:
        token = self.peek()
        self.position = token.end
        return token

    def ignore_newlines(self) -> None:
        self._newlines_ignored.append(True)

    def heed_newlines(self) -> None:
        self._newlines_ignored.append(False)

    def restore_newlines(self) -> None:
        self._newlines_ignored.pop()

    def span(self, start: int, end: int | None = None) -> Span:
        return Span(self.source, start, self.position if end is None else end)

    def unexpected(self, token: Token, expected: str, *, hint: str = "") -> TemplateError:
        found = describe(token.text) if token.kind is Kind.BAD else str(token)
        return Span(self.source, token.start, max(token.end, token.start + 1)).error(
            f"expected {expected}, found {found}", hint=hint
        )

    def expect(self, symbol: str, expected: str = "") -> Token:
        token = self.take()
        if not token.is_symbol(symbol):
            raise self.unexpected(token, expected or f"“{symbol}”")
        return token

    # --- expressions

    def whole_expression(self) -> Expression:
        """Reads an expression that takes up the whole source."""
        self.ignore_newlines()
        result = self.expression()
        if (rest := self.peek()).kind is not Kind.END:
            raise self.unexpected(rest, "the end of the expression")
        return result

    def whole_template(self) -> Expression:
        return read_bare(self)

    def expression(self) -> Expression:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self.span(self.position, self.position + 1).error("this expression is nested too deeply")
        start = self.peek().start
        result = self._binary(1)
        if self.peek().is_symbol("?"):
            self.take()
            then = self.expression()
            self.expect(":", "“:” and the other result of the conditional")
            otherwise = self.expression()
            result = Conditional(self.span(start), result, then, otherwise)
        self._depth -= 1
        return result

    def _binary(self, least: int) -> Expression:
        left = self._unary()
        while True:
            token = self.peek()
            precedence = _PRECEDENCE.get(token.text, 0) if token.kind is Kind.SYMBOL else 0
            if precedence < least or precedence == 0:
                return left
            self.take()
            right = self._binary(precedence + 1)
            left = Binary(left.span.to(right.span), token.text, left, right)

    def _unary(self) -> Expression:
        operators: list[Token] = []
        while self.peek().is_symbol("-", "!"):
            operators.append(self.take())
            if len(operators) > DEEPEST:
                raise self.span(operators[0].start).error("too many operators in a row")
        result = self._with_traversal()
        for operator in reversed(operators):
            result = Unary(self.span(operator.start), operator.text, result)
        return result

    def _with_traversal(self) -> Expression:
        start = self.peek().start
        result = self._primary()
        while True:
            token = self.peek()
            if token.is_symbol("."):
                self.take()
                result = self._after_dot(result, start)
            elif token.is_symbol("["):
                result = self._brackets(result, start)
            else:
                return result

    def _after_dot(self, target: Expression, start: int) -> Expression:
        token = self.take()
        if token.kind is Kind.NAME:
            return GetAttribute(self.span(start), target, token.text)
        if token.kind is Kind.NUMBER:  # the old index form, a.0.b
            return self._old_index(target, start, token)
        if token.is_symbol("*"):
            each: Expression = SplatItem(self.span(token.start))
            while self.peek().is_symbol("."):
                self.take()
                each = self._after_dot(each, token.start)
            return Splat(self.span(start), target, each)
        raise self.unexpected(token, "the name of an attribute after the dot")

    def _old_index(self, target: Expression, start: int, token: Token) -> Expression:
        indices = token.text.split(".")
        if not all(i.isdigit() for i in indices):
            raise self.unexpected(token, "a name or an index after the dot")
        if len(indices) > 1:  # a.0.1 reads like the number 0.1, and Packer refuses it
            proper = "".join(f"[{i}]" for i in indices)
            raise self.span(token.start, token.end).error(
                "two indices can't follow each other in this old form", hint=f"write {proper}"
            )
        return Index(self.span(start), target, Literal(self.span(token.start), Decimal(token.text)))

    def _brackets(self, target: Expression, start: int) -> Expression:
        opening = self.take()
        self.ignore_newlines()
        if self.peek().is_symbol("*"):
            self.take()
            self.expect("]", "“]” after the splat operator")
            self.restore_newlines()
            each: Expression = SplatItem(self.span(opening.start))
            while (token := self.peek()).is_symbol(".", "["):
                if token.is_symbol("."):
                    self.take()
                    each = self._after_dot(each, opening.start)
                else:
                    each = self._brackets(each, opening.start)
            return Splat(self.span(start), target, each)
        key = self.expression()
        self.expect("]", "“]” that closes the index")
        self.restore_newlines()
        return Index(self.span(start), target, key)

    def _primary(self) -> Expression:
        token = self.peek()
        if token.kind is Kind.NUMBER:
            self.take()
            return self._number(token)
        if token.kind is Kind.NAME:
            self.take()
            if token.text in _CONSTANTS:
                return Literal(self.span(token.start), _CONSTANTS[token.text])
            if self.peek().is_symbol("(", "::"):
                return self._call(token)
            return Variable(self.span(token.start), token.text)
        if token.kind is Kind.QUOTE:
            return read_quoted(self, token.start)
        if token.kind is Kind.HEREDOC:
            return read_heredoc(self, token.start)
        if token.is_symbol("("):
            return self._parenthesised()
        if token.is_symbol("["):
            return self._tuple()
        if token.is_symbol("{"):
            return self._object()
        raise self.unexpected(
            token,
            "a value",
            hint="a value is a text in quotes, a number, true, false, null, a list […], an object {…}, "
            "a reference such as var.x, or a function call",
        )

    def _number(self, token: Token) -> Expression:
        try:
            value = Decimal(token.text)
        except InvalidOperation:
            raise self.span(token.start).error(f"“{token.text}” is not a number that can be used") from None
        if value and abs(value.adjusted()) > LARGEST_EXPONENT:
            raise self.span(token.start).error(f"the number “{token.text}” is too large or too small")
        following = self.source.text[token.end : token.end + 1]
        if following and (following.isalnum() or following == "_"):
            raise self.span(token.start, token.end + 1).error(
                "a number can't be followed by letters", hint='write sizes and times as a text: "10G", "5m"'
            )
        return Literal(self.span(token.start), value)

    def _parenthesised(self) -> Expression:
        start = self.take().start
        self.ignore_newlines()
        inner = self.expression()
        self.expect(")", "“)” that closes the parenthesis")
        self.restore_newlines()
        return Parenthesised(self.span(start), inner)

    def _call(self, name: Token) -> Expression:
        full = name.text
        while self.peek().is_symbol("::"):
            self.take()
            piece = self.take()
            if piece.kind is not Kind.NAME:
                raise self.unexpected(piece, "the name of a function after “::”")
            full += "::" + piece.text
        name_span = self.span(name.start)
        self.expect("(", "“(” and the arguments of the function")
        self.ignore_newlines()
        arguments: list[Expression] = []
        expand = False
        while not self.peek().is_symbol(")"):
            arguments.append(self.expression())
            if self.peek().is_symbol("..."):
                self.take()
                expand = True
                if not self.peek().is_symbol(")"):
                    raise self.unexpected(self.peek(), f"“)” after the expanded argument of {full}")
                break
            if not self.peek().is_symbol(","):
                break
            self.take()
        self.expect(")", f"“,” or “)” in the call of {full}")
        self.restore_newlines()
        return Call(self.span(name.start), full, tuple(arguments), expand, name_span)

    def _tuple(self) -> Expression:
        start = self.take().start
        self.ignore_newlines()
        if self.peek().is_name("for"):
            result = self._for(start, "]")
            self.restore_newlines()
            return result
        items: list[Expression] = []
        while not self.peek().is_symbol("]"):
            items.append(self.expression())
            if not self.peek().is_symbol(","):
                break
            self.take()
        self.expect("]", "“,” or “]” in the list")
        self.restore_newlines()
        return Tuple(self.span(start), tuple(items))

    def _object(self) -> Expression:
        start = self.take().start
        self.ignore_newlines()
        if self.peek().is_name("for") and self._really_for():
            result = self._for(start, "}")
            self.restore_newlines()
            return result
        self.restore_newlines()
        self.heed_newlines()
        items: list[tuple[Expression, Expression]] = []
        while True:
            while self.peek().kind is Kind.NEWLINE:
                self.take()
            if self.peek().is_symbol("}"):
                break
            items.append(self._object_item())
            token = self.peek()
            if token.is_symbol(","):
                self.take()
            elif token.kind is not Kind.NEWLINE and not token.is_symbol("}"):
                raise self.unexpected(token, "“,”, a new line or “}” after the value of the object")
        self.take()
        self.restore_newlines()
        return Object(self.span(start), tuple(items))

    def _really_for(self) -> bool:
        """``{ for = 1 }`` is an object with the key *for*."""
        following = token_at(self.source, self.peek().end)
        while following.kind is Kind.NEWLINE:
            following = token_at(self.source, following.end)
        return following.kind is Kind.NAME

    def _object_item(self) -> tuple[Expression, Expression]:
        key = self.expression()
        if isinstance(key, Variable):
            key = Literal(key.span, key.name)
        elif isinstance(key, Literal) and not isinstance(key.value, (str, Decimal)):
            key = Literal(key.span, key.span.text)
        elif isinstance(key, (GetAttribute, Index)):
            raise key.span.error(
                f"“{key.span.text}” as a key has two meanings",
                hint=f'write "{key.span.text}" for a fixed key, or ({key.span.text}) for its value',
            )
        separator = self.take()
        if not separator.is_symbol("=", ":"):
            raise self.unexpected(separator, "“=” or “:” after the key of the object")
        return key, self.expression()

    def _for(self, start: int, closing: str) -> Expression:
        self.take()
        names = [self._for_name()]
        if self.peek().is_symbol(","):
            self.take()
            names.append(self._for_name())
        key, value = names[0] if len(names) == 2 else "", names[-1]
        if not (into := self.take()).is_name("in"):
            raise self.unexpected(into, "“in” after the names of the for expression")
        collection = self.expression()
        self.expect(":", "“:” before the result of the for expression")
        first = self.expression()
        second: Expression | None = None
        if self.peek().is_symbol("=>"):
            arrow = self.take()
            if closing == "]":
                raise self.unexpected(arrow, "“]” or “if”", hint="a for expression with “=>” stands in braces: {for …}")
            second = self.expression()
        elif closing == "}":
            raise self.unexpected(self.peek(), "“=>” and the value, as an object has keys and values")
        grouped = self.peek().is_symbol("...")
        if grouped:
            self.take()
        condition: Expression | None = None
        if self.peek().is_name("if"):
            self.take()
            condition = self.expression()
        self.expect(closing, f"“{closing}” that closes the for expression")
        if second is None:
            return ForTuple(self.span(start), key, value, collection, first, condition)
        return ForObject(self.span(start), key, value, collection, first, second, condition, grouped)

    def _for_name(self) -> str:
        token = self.take()
        if token.kind is not Kind.NAME:
            raise self.unexpected(token, "the name of a variable of the for expression")
        return token.text
