"""Input variables: declarations, and the value each gets.

From weakest to strongest: default, ``PKR_VAR_name``, ``*.auto.pkrvars.*`` of the folder, ``-var-file``, ``-var``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from factory.errors import Problem, TemplateError
from factory.template.packer.config.bodies import argument, one_text
from factory.template.packer.config.conditions import is_name, refused_by_packer
from factory.template.packer.config.files import read_source
from factory.template.packer.hcl import NOWHERE, Source, Span, parse_body, parse_expression
from factory.template.packer.hcl.json_form import parse_json_body
from factory.template.packer.hcl.syntax import Attribute, Block, Body
from factory.template.packer.language.convert import ConversionError, as_text, convert
from factory.template.packer.language.evaluator import evaluate
from factory.template.packer.language.functions import FUNCTIONS
from factory.template.packer.language.scope import Scope, did_you_mean
from factory.template.packer.language.type_expressions import read_type
from factory.template.packer.language.types import ANY, PRIMITIVES, Type
from factory.template.packer.language.values import UNKNOWN_VALUE, Value, object_value, string
from factory.template.packer.model import PackerVariable
from factory.template.packer_files import Purpose

ENVIRONMENT_PREFIX = "PKR_VAR_"
_ARGUMENTS = ("type", "default", "description", "sensitive")
_NOT_HERE = dict.fromkeys(
    FUNCTIONS.keys() - {"env"}, "the default of a variable can only use env(): make it a local value"
)


@dataclass(frozen=True, slots=True)
class Condition:
    block: Block
    message: str


@dataclass(slots=True)
class Declaration:
    name: str
    span: Span
    type: Type = ANY
    declared_type: bool = False
    default: Value | None = None
    description: str = ""
    sensitive: bool = False
    conditions: tuple[Condition, ...] = ()
    value: Value | None = None
    origin: str = ""
    value_span: Span = NOWHERE


class Variables:
    """Collects declarations first, then values; ``finish`` gives what every variable is."""

    def __init__(self, scope: Scope, problems: list[Problem]) -> None:
        self.scope = scope
        self.problems = problems
        self.declared: dict[str, Declaration] = {}

    # --- declarations

    def declare(self, block: Block) -> None:
        if len(block.labels) != 1:
            self.problems.append(block.kind_span.problem('a variable has one label, its name: variable "x" { … }'))
            return
        declaration = Declaration(block.labels[0], block.kind_span)
        attributes = block.body.attributes
        if not is_name(declaration.name):
            hint = "a name is made of letters, digits, “_” and “-”, and begins with a letter or “_”"
            self.problems.append(block.kind_span.problem(f"“{declaration.name}” can't be a name", hint=hint))
        for name, item in attributes.items():
            if name not in _ARGUMENTS:
                hint = did_you_mean(name, _ARGUMENTS)
                self.problems.append(item.name_span.problem(f"a variable has no argument “{name}”", hint=hint))
        if "sensitive" in attributes:
            declaration.sensitive = self._flag(attributes["sensitive"])
        if "type" in attributes:
            self._type(declaration, attributes["type"])
        if "default" in attributes:
            self._default(declaration, attributes["default"])
        declaration.description = one_text(attributes, "description", self.scope, self.problems)
        declaration.conditions = tuple(self._conditions(block))
        self._keep(declaration)

    def declare_legacy(self, block: Block) -> None:
        """``variables { a = 1 }``."""
        for name, item in block.body.attributes.items():
            declaration = Declaration(name, item.name_span)
            self._default(declaration, item)
            self._keep(declaration)

    def _keep(self, declaration: Declaration) -> None:
        first = self.declared.setdefault(declaration.name, declaration)
        if first is not declaration:
            self.problems.append(
                declaration.span.problem(
                    f"the variable “{declaration.name}” is declared twice", hint=f"first at {first.span.place}"
                )
            )

    def _type(self, declaration: Declaration, item: Attribute) -> None:
        try:
            declaration.type = read_type(item.value, self.scope, evaluate)
            declaration.declared_type = True
        except TemplateError as error:
            self.problems.extend(error.problems)

    def _default(self, declaration: Declaration, item: Attribute) -> None:
        value = argument(
            item, Scope(self.scope.names, self.scope.functions, self.scope.world, None, _NOT_HERE), self.problems
        )
        if declaration.declared_type:
            value = self._convert(declaration, value, item.value.span, "the default value")
        declaration.default = value
        if not declaration.declared_type and not value.is_null:
            declaration.type = value.type

    def _flag(self, item: Attribute) -> bool:
        value = argument(item, self.scope, self.problems)
        if isinstance(value.data, bool):
            return value.data
        self.problems.append(item.value.span.problem(f"“{item.name}” must be true or false"))
        return False

    def _conditions(self, block: Block) -> Iterable[Condition]:
        for inner in block.body.blocks:
            if inner.kind != "validation":
                self.problems.append(inner.kind_span.problem(f"a variable has no block “{inner.kind}”"))
                continue
            attributes = inner.body.attributes
            if "condition" not in attributes or "error_message" not in attributes:
                self.problems.append(inner.kind_span.problem("a validation needs “condition” and “error_message”"))
                continue
            message = one_text(attributes, "error_message", self.scope, self.problems)
            self.problems.extend(refused_by_packer(block.labels[0], attributes, message))
            yield Condition(inner, message)

    def _convert(self, declaration: Declaration, value: Value, span: Span, what: str) -> Value:
        try:
            return convert(value, declaration.type)
        except ConversionError as error:
            problem = span.problem(f"{what} of the variable “{declaration.name}” does not fit: {error}")
            self.problems.append(_unshown(problem, declaration))
            return UNKNOWN_VALUE

    # --- values

    def from_environment(self, environment: Mapping[str, str]) -> None:
        for key, text in environment.items():
            name = key.removeprefix(ENVIRONMENT_PREFIX)
            if key.startswith(ENVIRONMENT_PREFIX) and name in self.declared:
                self._set_text(self.declared[name], text, key)

    def from_file(self, path: Path, *, shown: str = "", required: bool = True) -> None:
        source = read_source(path, shown)
        json = path.name.endswith(".json")
        body = parse_json_body(source, {}) if json else parse_body(source)
        self._from_body(body, source.name, required)

    def _from_body(self, body: Body, name: str, required: bool) -> None:
        for block in body.blocks:
            hint = "a file of variables has lines such as: name = value"
            self.problems.append(block.kind_span.problem(f"there can't be a block “{block.kind}” here", hint=hint))
        for key, item in body.attributes.items():
            if key not in self.declared:
                if required:
                    problem = item.name_span.problem(
                        f"the variable “{key}” is set here but not declared",
                        hint=did_you_mean(key, self.declared) or f'declare it: variable "{key}" {{ type = … }}',
                        severity="warning",
                    )
                    self.problems.append(replace(problem, source_line=""))  # it may be a secret's name, mistyped
                continue
            plain = Scope({}, self.scope.functions, self.scope.world)
            value = argument(item, plain, self.problems)
            self._set(self.declared[key], value, item.value.span, name)

    def from_options(self, values: Mapping[str, str]) -> None:
        for name, text in values.items():
            if name not in self.declared:
                hint = did_you_mean(name, self.declared) or f'declare it: variable "{name}" {{ type = string }}'
                self.problems.append(Problem(f"-var {name}: there is no variable “{name}”", hint=hint))
                continue
            self._set_text(self.declared[name], text, "-var")

    def _set_text(self, declaration: Declaration, text: str, origin: str) -> None:
        """A text means itself for a variable of a primitive type, and is an expression for any other."""
        source = Source.of(f"<{origin} {declaration.name}>" if origin == "-var" else f"<{origin}>", text)
        span = source.span(0, len(text))
        if declaration.type in PRIMITIVES:
            self._set(declaration, string(text), span, origin)
            return
        try:
            node = parse_expression(source)
            value = evaluate(node, Scope({}, self.scope.functions, self.scope.world))
        except TemplateError as error:
            if declaration.type == ANY:
                self._set(declaration, string(text), span, origin)
                return
            self.problems.extend(_unshown(p, declaration) for p in error.problems)
            return
        self._set(declaration, value, span, origin)

    def _set(self, declaration: Declaration, value: Value, span: Span, origin: str) -> None:
        declaration.value = self._convert(declaration, value, span, "the value")
        declaration.origin = origin
        declaration.value_span = span

    # --- results

    def finish(self, purpose: Purpose = Purpose.CHECK) -> Mapping[str, PackerVariable]:
        """Checks that every variable fulfils its conditions and has a value, which is not needed to show it."""
        result: dict[str, PackerVariable] = {}
        for name, declaration in self.declared.items():
            value = declaration.value if declaration.value is not None else declaration.default
            if value is None:
                if purpose is not Purpose.SHOW:
                    self.problems.append(
                        declaration.span.problem(
                            f"the variable “{name}” has no value",
                            hint=f"give it one: -var {name}=…, {ENVIRONMENT_PREFIX}{name}=…, or a default",
                        )
                    )
                value = UNKNOWN_VALUE
            value = value.with_sensitivity(declaration.sensitive)
            result[name] = PackerVariable(
                name=name,
                value=value,
                origin=declaration.origin or "default",
                description=declaration.description,
                sensitive=declaration.sensitive,
                required=declaration.default is None,
            )
        for name, declaration in self.declared.items():
            self._validate(declaration, result, result[name].value)
        return result

    def _validate(self, declaration: Declaration, known: Mapping[str, PackerVariable], value: Value) -> None:
        names = {"var": object_value({k: v.value for k, v in known.items()})}
        for condition in declaration.conditions:
            item = condition.block.body.attributes["condition"]
            verdict = argument(item, self.scope.child(names), self.problems)
            if verdict.is_unknown or verdict.data is True or as_text(verdict) == "true":
                continue
            span = declaration.value_span if declaration.value is not None else declaration.span
            shown = "" if declaration.sensitive else f" It is {_shown(value)}."
            message = condition.message or "the value does not fulfil its condition."
            hint = f"the condition is at {item.name_span.place}"
            problem = span.problem(f"the variable “{declaration.name}”: {message}{shown}", hint=hint)
            self.problems.append(_unshown(problem, declaration))


def _unshown(problem: Problem, declaration: Declaration) -> Problem:
    """Without the line that it is about, when a sensitive value may be on it."""
    return replace(problem, source_line="") if declaration.sensitive else problem


def _shown(value: Value) -> str:
    text = as_text(value)
    return f"“{text}”" if text is not None else "not a text"
