"""Which names a text uses, which it may use, and whether they are there yet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from jinja2 import TemplateAssertionError, meta, nodes

from factory.secret import Secret
from factory.template.jinja import Environment, RenderError
from factory.template.suggest import did_you_mean

LATE_ATTRIBUTES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "seed": ("url", "host", "port"),
        "build": ("name", "ssh_public_key", "run_id"),
        "guest": ("host", "port"),
    }
)
"""What exists only while a build runs: where the seed is served, the build's own key, how the guest is reached."""


@dataclass(frozen=True, slots=True)
class Use:
    """One name in a text: ``vars.mirror`` is ``Use("vars", "mirror")``; ``attribute`` "" means the whole of it."""

    name: str
    attribute: str
    line: int
    guarded: bool = False
    """True for ``x is defined`` and ``x | default(…)``: it may be missing."""

    @property
    def token(self) -> str:
        return f"{self.name}.{self.attribute}" if self.attribute else self.name


@dataclass(frozen=True, slots=True)
class Scope:
    """The names that a text may use, and their values.

    ``early`` has the namespaces whose values are known (``vars``, ``host``, ``install``, …) and single values
    (``name``); a ``Secret`` in ``vars`` is known, but only rendered when it is needed.
    """

    early: Mapping[str, Any]
    generated: frozenset[str] = frozenset()
    """Variables that are made while a build runs."""
    declared: frozenset[str] = frozenset()
    """All variables, also those without a value."""
    failed: frozenset[str] = frozenset()
    """Variables whose problem is reported already."""
    late: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: LATE_ATTRIBUTES)
    """Names that come later, and their attributes (none for a plain text)."""
    note: str = ""
    """A hint for who asks a plain text of ``late`` for an attribute."""

    def is_late(self, use: Use) -> bool:
        if use.name in self.late:
            return True
        if use.name != "vars":
            return False
        variables = self.early.get("vars", {})
        if not use.attribute:
            return bool(self.generated) or any(isinstance(v, Secret) for v in variables.values())
        return use.attribute in self.generated or isinstance(variables.get(use.attribute), Secret)

    def is_failed(self, use: Use) -> bool:
        return use.name == "vars" and use.attribute in self.failed

    def missing(self, use: Use) -> RenderError | None:
        """What is wrong with a name, None when nothing is."""
        if self.is_failed(use):
            return None
        if use.name not in self.late and use.name not in self.early:
            hint = did_you_mean(use.name, self._reachable(use.name))
            return RenderError(f"unknown name '{use.name}'", hint=hint, line=use.line, token=use.token)
        if not use.attribute or use.guarded:
            return None
        if use.name in self.late:
            known: tuple[str, ...] = tuple(self.late[use.name])
            message = f"there is no '{use.token}'"
        elif isinstance(self.early[use.name], Mapping):
            if use.attribute in self.early[use.name]:
                return None
            known = tuple(self.early[use.name])
            message = f"there is no variable '{use.attribute}'" if use.name == "vars" else f"there is no '{use.token}'"
            if use.name == "vars":
                if use.attribute in self.generated:
                    return None
                known = (*known, *self.declared)
            if use.name == "vars" and use.attribute in self.declared:
                hint = f"give it a default, or -var {use.attribute}=…"
                return RenderError(
                    f"variable '{use.attribute}' has no value", hint=hint, line=use.line, token=use.token
                )
        else:
            return None
        if use.attribute in known:
            return None
        if use.name in self.late and not known:
            return RenderError(f"'{use.name}' is a text here", hint=self.note, line=use.line, token=use.token)
        return RenderError(message, hint=did_you_mean(use.attribute, known), line=use.line, token=use.token)

    def _reachable(self, written: str) -> list[str]:
        names = [*self.early, *self.late]
        # `{{ mirror }}` for `{{ vars.mirror }}` is the most common slip
        return [f"vars.{written}"] if written in self.declared else names


def uses(tree: nodes.Template, environment: Environment) -> tuple[Use, ...]:
    """Every name that *tree* takes from outside, in the order of the text. Raises: RenderError."""
    outside = _undeclared(tree, environment) - set(environment.globals)
    # `{% if x %}{% set y = … %}{{ y }}{% endif %}`: a name that is set somewhere is the text's own
    outside -= {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}
    found: list[Use] = []
    _walk(tree, outside, False, found)
    guarded = {(u.name, u.attribute) for u in found if u.guarded}
    # `{% if vars.x is defined %}{{ vars.x }}{% endif %}`: what is asked about anywhere may be missing everywhere
    return tuple(Use(u.name, u.attribute, u.line, (u.name, u.attribute) in guarded) for u in found)


def _walk(node: nodes.Node, outside: set[str], guarded: bool, found: list[Use]) -> None:
    if isinstance(node, nodes.Name) and node.ctx == "load" and node.name in outside:
        found.append(Use(node.name, "", node.lineno, guarded))
        return
    if isinstance(node, (nodes.Getattr, nodes.Getitem)) and isinstance(node.node, nodes.Name):
        attribute = node.attr if isinstance(node, nodes.Getattr) else _constant(node.arg)
        if node.node.name in outside and attribute:
            found.append(Use(node.node.name, attribute, node.lineno, guarded))
            return
    for child in node.iter_child_nodes():
        _walk(child, outside, _is_guard(node) and child is getattr(node, "node", None), found)


def _undeclared(tree: nodes.Template, environment: Environment) -> set[str]:
    """Raises: RenderError for a filter or test that does not exist."""
    try:
        return meta.find_undeclared_variables(tree)
    except TemplateAssertionError as error:
        name = (re.findall(r"'(\w+)'", str(error.message)) or [""])[0]
        known = environment.tests if "test" in str(error.message) else environment.filters
        kind = "test" if known is environment.tests else "filter"
        hint = did_you_mean(name, (n for n in known if not n.startswith("_")), kind="known")  # those are our own
        raise RenderError(f"there is no {kind} '{name}'", hint=hint, line=error.lineno, token=name) from None


def _is_guard(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Filter):
        return node.name in ("default", "d")
    return isinstance(node, nodes.Test) and node.name in ("defined", "undefined")


def _constant(argument: nodes.Node) -> str:
    return argument.value if isinstance(argument, nodes.Const) and isinstance(argument.value, str) else ""


def early_part(scope: Scope, used: tuple[Use, ...]) -> dict[str, Any]:
    """The values of *scope* that *used* needs: what a late text carries with it, and what enters its key."""
    part: dict[str, Any] = {}
    for use in used:
        if use.name not in scope.early:
            continue
        value = scope.early[use.name]
        if isinstance(value, Mapping):
            chosen = part.setdefault(use.name, {})
            chosen |= {k: v for k, v in value.items() if k == use.attribute or not use.attribute}
        else:
            part[use.name] = value
    return part
