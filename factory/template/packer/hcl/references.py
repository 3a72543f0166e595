"""Which names an expression refers to, found without evaluating it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from factory.template.packer.hcl.syntax import Body, Expression, GetAttribute, Index, Literal, Node, Variable


def references(node: object) -> Iterator[tuple[str, ...]]:
    """Yields every reference inside *node* as its names: ``("data", "http", "x", "body")`` for ``data.http.x.body``.

    A part that is computed (``local[var.x]``) ends the names; what computes it is a reference of its own.
    """
    stack: list[object] = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, (GetAttribute, Index, Variable)):
            names, rest = _path(item)
            if names:
                yield names
            stack.extend(rest)
        elif isinstance(item, Body):
            stack.extend(a.value for a in item.attributes.values())
            stack.extend(b.body for b in item.blocks)
        elif isinstance(item, Node):
            stack.extend(getattr(item, f.name) for f in dataclasses.fields(item) if not f.name.endswith("span"))
        elif isinstance(item, tuple):
            stack.extend(item)


def _path(node: Expression) -> tuple[tuple[str, ...], list[object]]:
    names: list[str] = []
    rest: list[object] = []
    while True:
        if isinstance(node, GetAttribute):
            names.append(node.name)
            node = node.target
        elif isinstance(node, Index):
            if isinstance(node.key, Literal) and isinstance(node.key.value, str):
                names.append(node.key.value)
            else:
                names.clear()
                rest.append(node.key)
            node = node.target
        elif isinstance(node, Variable):
            return (node.name, *reversed(names)), rest
        else:
            rest.append(node)
            return (), rest
