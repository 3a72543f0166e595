"""The syntax tree of HCL: expressions, template parts, blocks. Every node knows the stretch of text it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from factory.template.packer.hcl.source import Span


@dataclass(frozen=True, slots=True)
class Node:
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Expression(Node):
    """Base of everything that has a value."""


@dataclass(frozen=True, slots=True)
class Literal(Expression):
    """A number, ``true``, ``false``, ``null``, or a text without any template sequence."""

    value: Decimal | bool | str | None


@dataclass(frozen=True, slots=True)
class Template(Expression):
    """A text with template sequences: quoted, heredoc, or a whole file."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Wrapped(Expression):
    """``"${x}"`` and nothing else: the value keeps its type."""

    inner: Expression


@dataclass(frozen=True, slots=True)
class Parenthesised(Expression):
    """``(x)``. Kept, because a parenthesised object key is an expression, not a name."""

    inner: Expression


@dataclass(frozen=True, slots=True)
class Directive(Expression):
    """``%{ if … }`` inside a template; without an ``else`` the other part is empty."""

    condition: Expression
    then: Template
    otherwise: Template


@dataclass(frozen=True, slots=True)
class Loop(Expression):
    """``%{ for … }`` inside a template."""

    key: str
    value: str
    collection: Expression
    body: Template


@dataclass(frozen=True, slots=True)
class Variable(Expression):
    """The root of a reference: ``var`` in ``var.x``."""

    name: str


@dataclass(frozen=True, slots=True)
class GetAttribute(Expression):
    target: Expression
    name: str


@dataclass(frozen=True, slots=True)
class Index(Expression):
    target: Expression
    key: Expression


@dataclass(frozen=True, slots=True)
class SplatItem(Expression):
    """Stands for the element at hand inside the *each* expression of a splat."""


@dataclass(frozen=True, slots=True)
class Splat(Expression):
    """``target[*].x`` and ``target.*.x``: *each* is evaluated once per element."""

    target: Expression
    each: Expression


@dataclass(frozen=True, slots=True)
class Unary(Expression):
    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Expression):
    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Conditional(Expression):
    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Call(Expression):
    name: str
    arguments: tuple[Expression, ...]
    expand_last: bool
    name_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Tuple(Expression):
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Object(Expression):
    """``{ a = 1 }``. A key that was written as a bare name is a text literal."""

    items: tuple[tuple[Expression, Expression], ...]


@dataclass(frozen=True, slots=True)
class ForTuple(Expression):
    """``[for k, v in collection : value if condition]``."""

    key: str
    value: str
    collection: Expression
    result: Expression
    condition: Expression | None


@dataclass(frozen=True, slots=True)
class ForObject(Expression):
    """``{for k, v in collection : key => value if condition}``; *grouped* when the value ends in ``...``."""

    key: str
    value: str
    collection: Expression
    result_key: Expression
    result: Expression
    condition: Expression | None
    grouped: bool


@dataclass(frozen=True, slots=True)
class Attribute(Node):
    name: str
    value: Expression
    name_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Body(Node):
    attributes: Mapping[str, Attribute]
    blocks: tuple[Block, ...]

    def blocks_of(self, kind: str) -> tuple[Block, ...]:
        return tuple(b for b in self.blocks if b.kind == kind)


@dataclass(frozen=True, slots=True)
class Block(Node):
    kind: str
    labels: tuple[str, ...]
    body: Body
    kind_span: Span = field(compare=False, repr=False)
    label_spans: tuple[Span, ...] = field(default=(), compare=False, repr=False)
