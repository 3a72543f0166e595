"""Renders the texts of a template: to values now, or to ``LateText`` where a build must run first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from jinja2 import nodes

from factory.errors import Problem
from factory.template import jinja
from factory.template.model import LateText
from factory.template.names import Scope, early_part, uses
from factory.template.yaml_source import Loc, Node


def render_value(text: str, scope: Scope) -> object:
    """*text* with its names filled in: a value (its own type when *text* is one ``{{ expression }}``) or a LateText.

    Raises: RenderErrors with everything that is wrong with it.
    """
    if "{{" not in text and "{%" not in text:
        return text
    environment = jinja.value_environment()
    tree = jinja.parse(text, environment)
    used = uses(tree, environment)
    wrong = [error for use in dict.fromkeys(used) if (error := scope.missing(use))]
    if wrong or any(scope.is_failed(use) for use in used):
        raise RenderErrors(wrong)
    if any(scope.is_late(use) for use in used):
        return LateText(text, early_part(scope, used))
    names = dict(scope.early)
    if _is_one_expression(text, tree):
        return _checked_type(jinja.evaluate(text[2:-2].strip("+-"), names, environment))
    return jinja.render_text(text, names, environment)


class RenderErrors(Exception):
    """Several things that are wrong with one text; none when they are all reported already."""

    def __init__(self, errors: list[jinja.RenderError]) -> None:
        super().__init__("; ".join(e.message for e in errors))
        self.errors = errors


def _is_one_expression(text: str, tree: nodes.Template) -> bool:
    if not (text.startswith("{{") and text.endswith("}}")) or len(tree.body) != 1:
        return False
    output = tree.body[0]
    return (
        isinstance(output, nodes.Output)
        and len(output.nodes) == 1
        and not isinstance(output.nodes[0], nodes.TemplateData)
    )


def _checked_type(value: object) -> object:
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [_checked_type(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): _checked_type(v) for k, v in value.items()}
    raise jinja.RenderError(f"gives a {type(value).__name__}, which is not a value of a template")


EXECUTE_COMMAND = Scope(
    {},
    late={"path": (), "vars": ()},
    note="in execute_command, `vars` is the environment of the script: put the value into `env`",
)
"""The names of a shell provisioner's ``execute_command``: where the script lies and its environment, as Packer's."""


def _is_execute_command(loc: Loc) -> bool:
    return loc[:1] == ("provision",) and loc[-1:] == ("execute_command",)


Skip = Callable[[Loc], bool]


class Rendering:
    """Renders a tree of nodes, and remembers which values an expression gave."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.problems: list[Problem] = []
        self.computed: set[Loc] = set()
        """Where a value of a type of its own came out of an expression."""

    def tree(self, node: Node, loc: Loc = (), skip: Skip = lambda loc: False) -> Node:
        """*node* with every text in it rendered; a text with problems becomes None, with the problems noted."""
        if skip(loc):
            return node
        if isinstance(node.value, dict):
            return replace(node, value={k: self.tree(v, (*loc, k), skip) for k, v in node.value.items()})
        if isinstance(node.value, list):
            return replace(node, value=[self.tree(v, (*loc, i), skip) for i, v in enumerate(node.value)])
        if not isinstance(node.value, str):
            return node
        try:
            value = render_value(node.value, EXECUTE_COMMAND if _is_execute_command(loc) else self.scope)
        except RenderErrors as errors:
            self.problems.extend(_placed(e, node) for e in errors.errors)
            return replace(node, value=Unrendered(node.value))
        except jinja.RenderError as error:
            self.problems.append(_placed(error, node))
            return replace(node, value=Unrendered(node.value))
        if not isinstance(value, (str, LateText)):
            self.computed.add(loc)
        return grafted(value, node)


class Unrendered(str):
    """A text that could not be rendered: its problem is known, so no further one is reported for it."""


def grafted(value: object, node: Node) -> Node:
    """*value* as nodes in the place of *node*."""
    if isinstance(value, dict):
        return replace(node, value={k: grafted(v, node) for k, v in value.items()})
    if isinstance(value, list):
        return replace(node, value=[grafted(v, node) for v in value])
    return node if value is node.value else replace(node, value=value)


def _placed(error: jinja.RenderError, node: Node) -> Problem:
    assert isinstance(node.value, str)
    return node.text_problem(error.offset(node.value), error.message, error.hint)
