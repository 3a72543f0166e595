"""Reads options into their dataclass, and collects every problem on the way."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, TypeVar

from factory.errors import Problem, TemplateError
from factory.quantity import Duration
from factory.secret import Secret
from factory.template.packer.gotemplate import Context, is_template, render_known
from factory.template.packer.hcl.source import NOWHERE, Span
from factory.template.packer.language.convert import ConversionError, as_text, convert
from factory.template.packer.language.functions.times import parse_go_duration
from factory.template.packer.language.scope import did_you_mean
from factory.template.packer.language.types import BOOL, NUMBER, STRING, is_mapping, is_sequence
from factory.template.packer.language.values import Value, describe, secrets_within, to_python, wholly_known
from factory.template.packer.options.declare import Declared, Options, Rule, declared

O = TypeVar("O", bound=Options)  # noqa: E741


class Dialect(enum.Enum):
    """HCL converts by its own rules; JSON templates also take a single value for a list, and ``""`` for a number."""

    HCL = "hcl"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Given:
    """One option as the template gives it: a value, or blocks of options."""

    value: Value | None
    span: Span
    name_span: Span = NOWHERE
    blocks: tuple[Settings, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """All options that a block or JSON object gives, and where it stands."""

    options: Mapping[str, Given]
    span: Span

    def without(self, *names: str) -> Settings:
        return Settings({k: v for k, v in self.options.items() if k not in names}, self.span)

    def with_defaults(self, other: Settings) -> Settings:
        return Settings({**other.options, **self.options}, self.span)


@dataclass(slots=True)
class Decoder:
    """Decodes for one build. *functions* are those of Go templates; *explain* may say more about an unknown option."""

    problems: list[Problem]
    dialect: Dialect
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    explain: Callable[[str, str], Problem | str | None] = lambda plugin, name: None
    nested: str = ""

    def decode(self, cls: type[O], settings: Settings, plugin: str) -> O:
        """Reads *settings* into *cls*; what is wrong goes to ``problems``, and such an option keeps its default."""
        known = declared(cls)
        values: dict[str, Any] = {}
        unknown: set[str] = set()
        for name, given in settings.options.items():
            if name not in known:
                self._unknown_option(plugin, name, given, known)
                continue
            item = known[name]
            if item.rule.replaced_by:
                self.warn(given, f"“{name}” is deprecated", f"write “{item.rule.replaced_by}” instead")
            if given.value is not None and not wholly_known(given.value):
                unknown.add(item.name)
                continue
            try:
                value = self._read(item, given)
            except ConversionError as error:
                self.error(given, f"“{name}”: {error}")
                continue
            except TemplateError as error:
                self.problems.extend(error.problems)
                continue
            if value is not None and not _is_zero(value, item):
                values[item.name] = value
        for name, item in known.items():
            if item.rule.required and item.name not in values and item.name not in unknown:
                if name in settings.options and any(p.severity == "error" for p in self.problems):
                    continue
                self.problems.append(settings.span.problem(f"{plugin}: “{name}” must be set"))
        for item in known.values():
            if item.name not in values and item.default is None and item.rule.required:
                values[item.name] = _empty(item.annotation)
        given_names = frozenset(n for n in settings.options if n in known)
        places = {n: g.name_span if g.name_span is not NOWHERE else g.span for n, g in settings.options.items()}
        return cls(**values, given=given_names, unknown=frozenset(unknown), places=places)

    def error(self, given: Given, message: str, hint: str = "") -> None:
        self.problems.append(given.span.problem(message, hint=hint))

    def warn(self, given: Given, message: str, hint: str = "") -> None:
        span = given.name_span if given.name_span is not NOWHERE else given.span
        self.problems.append(span.problem(message, hint=hint, severity="warning"))

    def _unknown_option(self, plugin: str, name: str, given: Given, known: Mapping[str, Declared]) -> None:
        span = given.name_span if given.name_span is not NOWHERE else given.span
        special = self.explain(plugin, name)
        if isinstance(special, Problem):
            self.problems.append(span.problem(special.message, hint=special.hint, severity=special.severity))
            return
        hint = special or did_you_mean(name, known)
        self.problems.append(span.problem(f"{plugin} has no option “{name}”", hint=hint or ""))

    # --- one value

    def _read(self, item: Declared, given: Given) -> Any:
        inner = _options_class(item.annotation)
        if inner is not None:
            return self._read_nested(item, inner, given)
        if given.value is None:
            raise ConversionError("this is an argument, so write it with “=”, not as a block")
        if given.value.is_null:
            return None
        self.secrets.update(secrets_within(given.value))
        return self._typed(given.value, item.annotation, item.rule, given)

    def _read_nested(self, item: Declared, cls: type[Options], given: Given) -> Any:
        blocks = given.blocks
        if given.value is not None:
            if given.value.is_null:
                return None
            if not item.rule.block or self.dialect is Dialect.JSON:
                blocks = _as_settings(given.value, given)
            else:
                raise ConversionError(f"this is a block: write {item.name} {{ … }} without “=”")
        decoded = tuple(self.decode(cls, b, item.name) for b in blocks)
        if typing.get_origin(item.annotation) is tuple:
            return decoded
        if len(decoded) > 1:
            raise ConversionError("one block is enough")
        return decoded[0] if decoded else None

    def _typed(self, value: Value, annotation: Any, rule: Rule, given: Given) -> Any:
        origin = typing.get_origin(annotation)
        if origin in (typing.Union, types.UnionType):
            annotation = next(a for a in typing.get_args(annotation) if a is not type(None))
            origin = typing.get_origin(annotation)
        if origin is tuple:
            element = typing.get_args(annotation)[0]
            return tuple(self._typed(v, element, rule, given) for v in self._elements(value))
        if origin is not None and issubclass(origin, Mapping):
            element = typing.get_args(annotation)[1]
            fields = self._fields(value)
            return {
                self._render(k, rule, given): self._typed(v, element, rule, given)
                for k, v in fields.items()
                if not v.is_null
            }
        if annotation is Any:
            return self._anything(value, rule, given)
        return self._scalar(value, annotation, rule, given)

    def _elements(self, value: Value) -> tuple[Value, ...]:
        if is_sequence(value.type):
            items = value.items()
            if any(i.is_null for i in items):
                raise ConversionError("an element of the list is null")
            return items
        if self.dialect is Dialect.JSON and not is_mapping(value.type):
            return () if value.data == "" else (value,)
        raise ConversionError(f"a list is required, not {describe(value)}; write [ … ]")

    def _fields(self, value: Value) -> Mapping[str, Value]:
        if is_mapping(value.type):
            return value.fields()
        if self.dialect is Dialect.JSON and is_sequence(value.type) and all(is_mapping(i.type) for i in value.items()):
            return {k: v for item in value.items() for k, v in item.fields().items()}
        raise ConversionError(f"a map is required, not {describe(value)}; write {{ name = value }}")

    def _scalar(self, value: Value, annotation: Any, rule: Rule, given: Given) -> Any:
        if annotation is bool:
            return self._bool(self._rendered_value(value, rule, given))
        if annotation in (int, float):
            return self._number(self._rendered_value(value, rule, given), annotation)
        text = as_text(value)
        if text is None:
            raise ConversionError(f"a text is required, not {describe(value)}")
        text = self._render(text, rule, given)
        if annotation is Duration:
            return self._duration(text, value, given)
        if typing.get_origin(annotation) is Secret or annotation is Secret:
            return Secret(text)
        if rule.choices and text and text not in rule.choices and not is_template(text):
            hint = did_you_mean(text, rule.choices)
            raise ConversionError(f"“{text}” is not one of {', '.join(rule.choices)}" + (f"; {hint}" if hint else ""))
        return text if annotation is str else annotation(text)

    def _rendered_value(self, value: Value, rule: Rule, given: Given) -> Value:
        if isinstance(value.data, str) and is_template(value.data):
            return Value(STRING, self._render(value.data, rule, given))
        return value

    def _bool(self, value: Value) -> bool:
        if self.dialect is Dialect.JSON:
            if value.data == "":
                return False
            text = as_text(value) or ""
            if text in ("1", "t", "T", "TRUE", "True"):
                return True
            if text in ("0", "f", "F", "FALSE", "False"):
                return False
        return convert(value, BOOL).data is True

    def _number(self, value: Value, annotation: type) -> int | float:
        if self.dialect is Dialect.JSON and value.data == "":
            return 0
        if self.dialect is Dialect.JSON and isinstance(value.data, bool):
            return int(value.data)
        number = convert(value, NUMBER).number()
        if annotation is int and number != number.to_integral_value():
            raise ConversionError(f"a whole number is required, not {number}")
        return int(number) if annotation is int else float(number)

    def _duration(self, text: str, value: Value, given: Given) -> Duration | None:
        if text == "":
            return None
        try:
            return Duration(float(parse_go_duration(text)))
        except ValueError as error:
            if isinstance(value.data, Decimal) and self.dialect is Dialect.JSON:
                self.warn(given, f"a number without a unit means nanoseconds: {text}", f'write "{text}s" for seconds')
                return Duration(float(value.data) * 1e-9)
            hint = f'; write "{text}s" for seconds' if text.isdigit() else ""
            raise ConversionError(f"{error}{hint}") from None

    def _anything(self, value: Value, rule: Rule, given: Given) -> Any:
        def walk(data: Any) -> Any:
            if isinstance(data, str):
                return self._render(data, rule, given)
            if isinstance(data, list):
                return tuple(walk(d) for d in data)
            if isinstance(data, dict):
                return {k: walk(v) for k, v in data.items()}
            return data

        return walk(to_python(value))

    def _render(self, text: str, rule: Rule, given: Given) -> str:
        if rule.late is None or not is_template(text):
            return text
        late = None if rule.any_late else frozenset(rule.late)
        missing = None if rule.late else self._missing(given)
        context = Context({}, self.functions, late, missing, self.dialect is Dialect.JSON)
        try:
            return render_known(text, context, given.span)
        except TemplateError as error:
            if not rule.late:
                raise
            # Packer only looks at it when the build comes to it, so it can't stop the template here.
            self.problems.extend(replace(p, severity="warning") for p in error.problems)
            return text

    def _missing(self, given: Given) -> Callable[[str], None]:
        def report(name: str) -> None:
            self.warn(
                given,
                f"there is no value “.{name}” here, so it becomes “<no value>”, as in Packer",
                'for a literal “{{” write {{ "{{" }}',
            )

        return report


def _as_settings(value: Value, given: Given) -> tuple[Settings, ...]:
    items = value.items() if is_sequence(value.type) else (value,)
    result: list[Settings] = []
    for item in items:
        if not is_mapping(item.type):
            raise ConversionError(f"an object is required, not {describe(item)}")
        hidden = value.sensitive or item.sensitive
        fields = {k: v.with_sensitivity(hidden) for k, v in item.fields().items()}
        options = {k: Given(v, given.span, given.name_span) for k, v in fields.items()}
        result.append(Settings(options, given.span))
    return tuple(result)


def _options_class(annotation: Any) -> type[Options] | None:
    candidates = [annotation, *typing.get_args(annotation)]
    for candidate in candidates:
        if isinstance(candidate, type) and issubclass(candidate, Options):
            return candidate
    return None


def _is_zero(value: Any, item: Declared) -> bool:
    """A zero value means the default, except for a boolean whose default is true."""
    if isinstance(value, bool):
        return False
    if isinstance(value, Secret):
        return bool(value.reveal() == "")
    zeroes: tuple[Any, ...] = ("", 0, (), {})
    return bool(value in zeroes)


def _empty(annotation: Any) -> Any:
    """Stands in for a required option that is missing; the problem is recorded, so nothing uses it."""
    origin = typing.get_origin(annotation)
    if origin is tuple:
        return ()
    if origin is Secret:
        return Secret("")
    return {str: "", int: 0, bool: False}.get(annotation)
