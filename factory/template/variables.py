"""The values of a template's variables: declared, given, computed.

Later wins: default, ``FACTORY_VAR_<name>``, variable files in order, ``-var``, the template's own matrix. A text from
the environment or the command line is read as its variable's type; a file (YAML or JSON) has types of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from factory.errors import Place, Problem, TemplateError
from factory.quantity import Duration, Size
from factory.secret import Secret
from factory.template.model import Variable, VariableType
from factory.template.suggest import did_you_mean
from factory.template.yaml_source import Node, parse_yaml, read_yaml

ENVIRONMENT_PREFIX = "FACTORY_VAR_"
COMMAND_LINE = "-var"
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Given:
    """A value and where it was given. ``typed`` is False for a text that is yet to be read as its variable's type."""

    value: Any
    origin: str
    typed: bool
    node: Node | None = None

    def problem(self, message: str, hint: str = "") -> Problem:
        return self.node.problem(message, hint) if self.node else Problem(message, Place(self.origin), hint)


@dataclass(slots=True)
class Resolved:
    """``values`` holds what is known; a sensitive one is a ``Secret``."""

    values: dict[str, Any] = field(default_factory=dict)
    generated: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    """Where each value comes from, in words."""
    problems: list[Problem] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    """Variables that have no value because of one of the problems."""
    unread: bool = False
    """A file of variables could not be read: what it would have given is not known."""
    hidden: set[tuple[str, int]] = field(default_factory=set)
    """Files and lines on which values of sensitive variables are written."""

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(t for v in self.values.values() if isinstance(v, Secret) for t in texts_in(v.reveal()))


def resolve(
    declared: Mapping[str, Variable],
    section: Node,
    *,
    given: Mapping[str, str],
    files: Iterable[Path],
    environ: Mapping[str, str],
    host: Mapping[str, Any],
    matrix: Mapping[str, Node] = MappingProxyType({}),
) -> Resolved:
    """Collects every problem instead of raising. *section* is the tree of `variables`; what *matrix* sets, nobody else
    can."""
    result = Resolved()
    values = _from_environment(declared, environ) | _from_files(declared, files, result)
    values |= _from_command_line(declared, given, result.problems)
    for name, node in matrix.items():
        if name in given:
            hint = "choose among its builds with -only"
            result.problems.append(Problem(f"the matrix sets '{name}'", Place(COMMAND_LINE), hint))
        values[name] = Given(node.plain(), "matrix", typed=True, node=node)
    for name, variable in declared.items():
        before = len(result.problems)
        if _is_secret(variable) or _is_called_secret(section.get(name)):
            _hide(name, values, section, result)
        _resolve_one(name, variable, values.get(name), section.get(name) or section, host, result)
        nothing = name not in result.values and name not in result.generated
        if len(result.problems) > before or (result.unread and nothing):
            result.failed.add(name)
    return result


def texts_in(value: Any) -> list[str]:
    """Every scalar in *value*, as text."""
    if isinstance(value, Mapping):
        return [t for v in value.values() for t in texts_in(v)]
    if isinstance(value, (list, tuple)):
        return [t for v in value for t in texts_in(v)]
    return [] if value is None or isinstance(value, bool) else [str(value)]


def _from_environment(declared: Mapping[str, Variable], environ: Mapping[str, str]) -> dict[str, Given]:
    """Others than the declared ones may be there for other templates."""
    return {
        name: Given(environ[ENVIRONMENT_PREFIX + name], ENVIRONMENT_PREFIX + name, typed=False)
        for name in declared
        if ENVIRONMENT_PREFIX + name in environ
    }


def _from_files(declared: Mapping[str, Variable], files: Iterable[Path], result: Resolved) -> dict[str, Given]:
    found: dict[str, Given] = {}
    for path in files:
        try:
            tree = read_yaml(path)  # JSON is YAML
        except TemplateError as error:
            # Nobody knows yet which of its lines are secret.
            result.problems.extend(replace(p, source_line="") for p in error.problems)
            result.unread = True
            continue
        assert isinstance(tree.value, dict)
        for name, node in tree.value.items():
            if name in declared:
                found[name] = Given(node.plain(), node.document.name, typed=True, node=node)
            else:
                hint = did_you_mean(name, declared, kind="declared")
                problem = node.key_problem(f"no variable '{name}' is declared", hint, severity="warning")
                result.problems.append(replace(problem, source_line=""))  # it may be a secret's name, mistyped
    return found


def _from_command_line(
    declared: Mapping[str, Variable], given: Mapping[str, str], problems: list[Problem]
) -> dict[str, Given]:
    for name in given:
        if name not in declared:
            hint = did_you_mean(name, declared, kind="declared") or "the template declares no variables"
            problems.append(Problem(f"no variable '{name}' is declared", Place(COMMAND_LINE), hint))
    return {n: Given(v, f"{COMMAND_LINE} {n}", typed=False) for n, v in given.items() if n in declared}


def _resolve_one(
    name: str, variable: Variable, given: Given | None, node: Node, host: Mapping[str, Any], result: Resolved
) -> None:
    if not _IDENTIFIER.match(name):
        hint = f"write '{re.sub(r'[^A-Za-z0-9_]', '_', name)}'"
        result.problems.append(node.key_problem(f"'{name}' can't be used as vars.<name>", hint))
        return
    if given is None:
        given = _default(name, variable, node, host, result)
    if given is None:
        return
    try:
        value = _typed(given, _type_of(variable), describe=_unsaid if _is_secret(variable) else described)
        _check(value, variable)
    except ValueError as error:
        result.problems.append(given.problem(f"variable '{name}': {error}"))
        return
    result.values[name] = Secret(value) if _is_secret(variable) else value
    result.origins[name] = given.origin


def _default(name: str, variable: Variable, node: Node, host: Mapping[str, Any], result: Resolved) -> Given | None:
    """The value of a variable that nobody gave, None when it has none (or will be generated)."""
    ways = f"-var {name}=…, {ENVIRONMENT_PREFIX}{name}=… or a variable file"
    if variable.default == "auto":
        if name in host:
            return Given(host[name], "this host", typed=True, node=node)
        if result.unread:
            return None
        known = did_you_mean(name, host, kind="this host knows")
        hint = f"give it: {ways}" + (f"; {known}" if known else "")
        result.problems.append(node.key_problem(f"variable '{name}' is `auto`, but this host can't say it", hint))
    elif variable.default is not None:
        return Given(variable.default, "default", typed=True, node=node.get("default"))
    elif variable.generate:
        result.generated[name] = variable.generate
        result.origins[name] = "generated"
    elif variable.required and not result.unread:
        result.problems.append(node.key_problem(f"variable '{name}' needs a value", f"give it: {ways}"))
    return None


def _type_of(variable: Variable) -> VariableType:
    if variable.type is not None:
        return variable.type
    default = variable.default
    for kind, types in _TYPES.items():
        if kind is not VariableType.STRING and isinstance(default, types):
            return VariableType.BOOL if isinstance(default, bool) else kind
    return VariableType.STRING


_TYPES: dict[VariableType, tuple[type, ...]] = {
    VariableType.STRING: (str,),
    VariableType.BOOL: (bool,),
    VariableType.NUMBER: (int, float),
    VariableType.LIST: (list,),
    VariableType.MAP: (dict,),
}
_WORDS = {
    VariableType.STRING: "a text",
    VariableType.BOOL: "true or false",
    VariableType.NUMBER: "a number",
    VariableType.LIST: "a list",
    VariableType.MAP: "a mapping",
}


def _is_secret(variable: Variable) -> bool:
    return variable.sensitive or variable.generate == "password"


def _is_called_secret(node: Node | None) -> bool:
    """Also where the rest of the declaration is wrong."""
    sensitive, generate = (node.get(key) if node else None for key in ("sensitive", "generate"))
    return bool(sensitive and sensitive.value) or bool(generate and generate.value == "password")


def _hide(name: str, values: Mapping[str, Given], section: Node, result: Resolved) -> None:
    """Notes the lines on which the value of a sensitive variable is written: no problem may show them."""
    declared, given = section.get(name), values.get(name)
    for node in (declared.get("default") if declared else None, given.node if given else None):
        if node is not None:
            lines = range(node.line, node.line + len(str(node.value).splitlines()) + 1)
            result.hidden |= {(node.document.name, line) for line in lines}


def _unsaid(value: object) -> str:
    return "something else"


def _typed(given: Given, kind: VariableType, describe: Callable[[object], str]) -> Any:
    """Raises: ValueError."""
    value = given.value
    if kind is VariableType.SIZE:
        return _quantity(Size.parse, value, describe)
    if kind is VariableType.DURATION:
        return _quantity(Duration.parse, value, describe)
    if not given.typed and kind is not VariableType.STRING:
        value = _read(str(value), kind, describe)
    fits = isinstance(value, _TYPES[kind]) and (kind is VariableType.BOOL or not isinstance(value, bool))
    if not fits:
        hint = ": put it in quotes" if kind is VariableType.STRING and isinstance(value, (int, float)) else ""
        raise ValueError(f"expected {_WORDS[kind]}, got {describe(value)}{hint}")
    return value


def _quantity(parse: Callable[[Any], Any], value: object, describe: Callable[[object], str]) -> Any:
    if not isinstance(value, (str, int)) and not (isinstance(value, float) and parse == Duration.parse):
        raise ValueError(f"expected a text with a unit, got {describe(value)}")
    try:
        return parse(value)
    except ValueError as error:
        raise ValueError("not a number with a unit" if describe is _unsaid else str(error)) from None


def _read(text: str, kind: VariableType, describe: Callable[[object], str]) -> object:
    """A text of the command line as YAML: ``3``, ``true``, ``[a, b]``, ``{a: 1}``."""
    if kind is VariableType.LIST and not text.lstrip().startswith("["):
        text = f"[{text}]"
    try:
        node = parse_yaml(f"v: {text}", Path("-var")).get("v")
    except TemplateError:
        raise ValueError(f"expected {_WORDS[kind]}, got {describe(text)}") from None
    return node.plain() if node else None


def _check(value: Any, variable: Variable) -> None:
    """Raises: ValueError. A sensitive value is not shown."""
    shown = "the value" if _is_secret(variable) else repr(value)
    if variable.choices and value not in variable.choices:
        raise ValueError(f"{shown} is none of {', '.join(map(str, variable.choices))}")
    if variable.pattern:
        try:
            matches = re.fullmatch(variable.pattern, str(value)) is not None
        except re.error:
            matches = True  # a rule of its own says so
        if not matches:
            raise ValueError(f"{shown} does not match {variable.pattern}")


def described(value: object) -> str:
    """*value* in people's words: ``the number 3``, ``a list``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) <= 60 else "a text"
    return {dict: "a mapping", list: "a list", tuple: "a list", type(None): "nothing"}.get(
        type(value), type(value).__name__
    )


def declaration_problems(section: Node) -> list[Problem]:
    """What the model can't see: expressions where plain values belong."""
    problems = []
    for loc, leaf in section.leaves():
        if isinstance(leaf.value, str) and "{{" in leaf.value and loc[1:2] == ("default",):
            problems.append(leaf.problem("a default is a plain value: nothing is filled in here"))
    return problems
