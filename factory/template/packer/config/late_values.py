"""``build.*``: what only a running build can tell.

A text that merely contains ``${build.Host}`` becomes a text with ``{{ build `Host` }}`` in it, which is rendered when
the value is there. Anything else that uses such a value (a function, a condition) is unknown until then.
"""

from __future__ import annotations

from collections.abc import Mapping

from factory.template.packer.hcl.references import references
from factory.template.packer.hcl.syntax import (
    Body,
    Expression,
    GetAttribute,
    Object,
    Parenthesised,
    Template,
    Tuple,
    Variable,
    Wrapped,
)
from factory.template.packer.language.values import UNKNOWN_VALUE, Value, object_value, string

RUNTIME_NAMES = ("ID", "Host", "Port", "User", "Password", "ConnType", "PackerRunUUID", "PackerHTTPIP",
                 "PackerHTTPPort", "PackerHTTPAddr", "SSHPublicKey", "SSHPrivateKey", "SSHPrivateKeyFile",
                 "WinRMPassword", "SourceImageName")  # fmt: skip
_NO_ID = "ERR_ID_NOT_IMPLEMENTED_BY_BUILDER"


def placeholder_build(name: str) -> Value:
    """``build`` with a placeholder for each value that comes later."""
    late = {n: string(f"{{{{ build `{n}` }}}}") for n in RUNTIME_NAMES}
    return object_value({**late, "name": string(name)})


def unknown_build(name: str) -> Value:
    """``build`` whose later values are unknown."""
    return object_value({**dict.fromkeys(RUNTIME_NAMES, UNKNOWN_VALUE), "name": string(name)})


def real_build(name: str, values: Mapping[str, str]) -> Value:
    """``build`` of a running build; the qemu builder gives no ID."""
    known = {n: string(values.get(n, _NO_ID if n == "ID" else "")) for n in RUNTIME_NAMES}
    return object_value({**known, **{k: string(v) for k, v in values.items()}, "name": string(name)})


def runtime_names(body: Body | Expression) -> frozenset[str]:
    """The late values that *body* uses."""
    found: set[str] = set()
    for names in references(body):
        if names[0] == "build":
            found.update(names[1:2] if len(names) > 1 else RUNTIME_NAMES)
    return frozenset(found - {"name"})


def only_inserted(node: Expression) -> bool:
    """Whether every use of a late value inside *node* merely puts it into a text, list or object."""
    if isinstance(node, GetAttribute):
        return True
    if isinstance(node, (Template, Tuple)):
        parts = node.parts if isinstance(node, Template) else node.items
        return all(only_inserted(p) for p in parts)
    if isinstance(node, Object):
        return all(only_inserted(v) and not runtime_names(k) for k, v in node.items)
    if isinstance(node, (Wrapped, Parenthesised)):
        return only_inserted(node.inner)
    return isinstance(node, Variable) is False and not runtime_names(node)
