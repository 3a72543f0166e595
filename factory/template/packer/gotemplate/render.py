"""Renders Go templates, at once or in two stages.

What only a running build knows (``{{ .HTTPPort }}``, ``{{ build "Host" }}``) is *late*. ``render_known`` works out
everything else and leaves the late actions as they were written, so that its result is a template again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from factory.errors import TemplateError
from factory.template.packer.gotemplate.builtins import BUILTINS, GoTemplateError, show, truth
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
from factory.template.packer.gotemplate.parser import parse
from factory.template.packer.hcl.source import Span
from factory.template.packer.language.scope import did_you_mean

LONGEST_RESULT = 16 * 2**20


class Late(Exception):
    """Raised by a function, or for a field, whose value only a running build knows."""


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Context:
    """What a template sees.

    *late* names the fields that come later; None lets every unknown field be late. With *missing*, a field that does
    not exist is reported there and has no value; without it, that is an error.
    """

    data: Mapping[str, Any] = field(default_factory=dict)
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    late: frozenset[str] | None = frozenset()
    missing: Callable[[str], None] | None = None
    results_are_templates: bool = False
    """Whether ``render_known`` leaves a late action in the *result* of an action alone: a variable of a JSON template
    may hold ``{{ .HTTPIP }}``, which is filled in where the variable is used."""


def is_template(text: str) -> bool:
    return "{{" in text


def render(text: str, context: Context, where: Span) -> str:
    """Raises: TemplateError at *where* when *text* is wrong, or needs something that *context* does not have."""
    if not is_template(text):
        return text
    try:
        return _Renderer(text, context, where).whole(parse(text, where))
    except Late as late:
        raise where.error(f"“{late}” has no value here") from None


def render_known(text: str, context: Context, where: Span) -> str:
    """Renders what can be rendered now; late actions stay as they are."""
    if not is_template(text):
        return text
    renderer = _Renderer(text, context, where)
    pieces: list[str] = []
    for node in parse(text, where):
        try:
            piece = renderer.whole((node,))
            computed = isinstance(node, (Action, Branch)) and not context.results_are_templates
            pieces.append(piece.replace("{{", '{{"{{"}}') if computed else piece)
        except Late:
            pieces.append(text[node.start : node.end])
    return "".join(pieces)


def fields_of(text: str, where: Span) -> frozenset[str]:
    """The names of the fields that *text* uses: ``HTTPIP`` for ``{{ .HTTPIP }}``."""
    return frozenset(_fields(parse(text, where))) if is_template(text) else frozenset()


def _fields(nodes: tuple[Node, ...]) -> list[str]:
    found: list[str] = []

    def operand(item: Operand) -> None:
        if isinstance(item, Field):
            if item.base is not None:
                operand(item.base)
            elif item.names:
                found.append(item.names[0])
        elif isinstance(item, Pipeline):
            pipeline(item)

    def pipeline(item: Pipeline) -> None:
        for command in item.commands:
            for part in command:
                operand(part)

    for node in nodes:
        if isinstance(node, Action):
            pipeline(node.pipeline)
        elif isinstance(node, Branch):
            pipeline(node.pipeline)
            found.extend(_fields(node.then))
            found.extend(_fields(node.otherwise))
    return found


class _Renderer:
    def __init__(self, text: str, context: Context, where: Span) -> None:
        self.text = text
        self.context = context
        self.where = where
        self.variables: list[tuple[str, Any]] = []
        self.length = 0

    def error(self, message: str, hint: str = "") -> TemplateError:
        shown = self.text if len(self.text) <= 60 else self.text[:59] + "…"
        return self.where.error(f"in the Go template “{shown}”: {message}".replace("\n", "⏎"), hint=hint)

    def whole(self, nodes: tuple[Node, ...]) -> str:
        pieces: list[str] = []
        try:
            self._nodes(nodes, self.context.data, pieces)
        except GoTemplateError as error:
            raise self.error(str(error)) from None
        except (_Break, _Continue):
            raise self.error("{{ break }} and {{ continue }} stand inside {{ range }} only") from None
        except RecursionError:
            raise self.error("it is nested too deeply") from None
        return "".join(pieces)

    def _emit(self, pieces: list[str], text: str) -> None:
        self.length += len(text)
        if self.length > LONGEST_RESULT:
            raise GoTemplateError("the result is too long")
        pieces.append(text)

    def _nodes(self, nodes: tuple[Node, ...], dot: Any, pieces: list[str]) -> None:
        for node in nodes:
            if isinstance(node, Text):
                self._emit(pieces, node.text)
            elif isinstance(node, Action):
                value = self._pipeline(node.pipeline, dot)
                if not node.pipeline.declares:
                    self._emit(pieces, show(value))
            elif isinstance(node, Branch):
                depth = len(self.variables)
                self._branch(node, dot, pieces)
                del self.variables[depth:]
            elif isinstance(node, Jump):
                raise _Break if node.keyword == "break" else _Continue

    def _branch(self, node: Branch, dot: Any, pieces: list[str]) -> None:
        if node.keyword == "range":
            self._range(node, dot, pieces)
            return
        value = self._pipeline(node.pipeline, dot)
        inner = value if node.keyword == "with" and truth(value) else dot
        self._nodes(node.then if truth(value) else node.otherwise, inner, pieces)

    def _range(self, node: Branch, dot: Any, pieces: list[str]) -> None:
        names = node.pipeline.declares
        value = self._pipeline(Pipeline(node.pipeline.commands), dot)
        if isinstance(value, Mapping):
            pairs: list[tuple[Any, Any]] = [(k, value[k]) for k in sorted(value)]
        elif isinstance(value, (list, tuple)):
            pairs = list(enumerate(value))
        elif value is None:
            pairs = []
        else:
            raise GoTemplateError(f"range: {show(value)} has no elements")
        if not pairs:
            self._nodes(node.otherwise, dot, pieces)
        for key, item in pairs:
            depth = len(self.variables)
            if len(names) == 2:
                self.variables.append((names[0], key))
            if names:
                self.variables.append((names[-1], item))
            try:
                self._nodes(node.then, item, pieces)
            except _Continue:
                continue
            except _Break:
                break
            finally:
                del self.variables[depth:]

    def _pipeline(self, pipeline: Pipeline, dot: Any) -> Any:
        value: Any = None
        for position, command in enumerate(pipeline.commands):
            value = self._command(command, dot, [value] if position else [])
        for name in pipeline.declares:
            if pipeline.assigns:
                self._assign(name, value)
            else:
                self.variables.append((name, value))
        return value

    def _assign(self, name: str, value: Any) -> None:
        for position in range(len(self.variables) - 1, -1, -1):
            if self.variables[position][0] == name:
                self.variables[position] = (name, value)
                return
        raise GoTemplateError(f"the variable ${name} is not declared")

    def _command(self, command: tuple[Operand, ...], dot: Any, piped: list[Any]) -> Any:
        first, rest = command[0], command[1:]
        if isinstance(first, FunctionName):
            return self._call(first.name, rest, dot, piped)
        if rest or piped:
            raise GoTemplateError("a value that is no function can't take arguments")
        if isinstance(first, Constant) and first.value is None:
            raise GoTemplateError("nil is not a command")
        return self._operand(first, dot)

    def _operand(self, operand: Operand, dot: Any) -> Any:
        if isinstance(operand, Constant):
            return operand.value
        if isinstance(operand, Pipeline):
            return self._pipeline(operand, dot)
        if isinstance(operand, FunctionName):
            return self._call(operand.name, (), dot, [])
        if isinstance(operand, VariableUse):
            return self._walk(self._variable(operand.name), operand.names)
        base = dot if operand.base is None else self._operand(operand.base, dot)
        return self._walk(base, operand.names, root=operand.base is None and dot is self.context.data)

    def _variable(self, name: str) -> Any:
        if not name:
            return self.context.data
        for known, value in reversed(self.variables):
            if known == name:
                return value
        raise GoTemplateError(f"the variable ${name} is not declared")

    def _walk(self, value: Any, names: tuple[str, ...], *, root: bool = False) -> Any:
        for position, name in enumerate(names):
            if isinstance(value, Mapping) and name in value:
                value = value[name]
                continue
            late = self.context.late
            if root and position == 0:
                if late is None or name in late:
                    raise Late("." + name)
                if self.context.missing is not None:
                    self.context.missing(name)
                    return None
                known = {*self.context.data, *late}
                hint = did_you_mean(name, known) or (
                    "known here: " + ", ".join(f".{n}" for n in sorted(known)) if known else ""
                )
                raise self.error(f"there is no value “.{name}” here", hint)
            raise GoTemplateError(f"“.{name}” does not exist")
        return value

    def _call(self, name: str, operands: tuple[Operand, ...], dot: Any, piped: list[Any]) -> Any:
        if name in ("and", "or"):
            return self._decide(name, operands, dot, piped)
        function = self.context.functions.get(name) or BUILTINS.get(name)
        if function is None:
            known = [*self.context.functions, *BUILTINS, "and", "or"]
            raise self.error(f"there is no function “{name}”", did_you_mean(name, known))
        arguments = [self._operand(o, dot) for o in operands] + piped
        try:
            return function(*arguments)
        except TypeError as error:
            raise GoTemplateError(f"{name}: the arguments do not fit") from error

    def _decide(self, name: str, operands: tuple[Operand, ...], dot: Any, piped: list[Any]) -> Any:
        if not operands and not piped:
            raise GoTemplateError(f"{name}: an argument is missing")
        value: Any = None
        for operand in operands:
            value = self._operand(operand, dot)
            if truth(value) == (name == "or"):
                return value
        return piped[0] if piped else value
