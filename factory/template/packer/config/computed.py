"""Local values and data sources, evaluated in the order in which they need one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from factory.errors import Problem, TemplateError
from factory.template.packer.config.bodies import settings_of
from factory.template.packer.hcl import Span
from factory.template.packer.hcl.references import references
from factory.template.packer.hcl.syntax import Block, Expression, Literal, Node
from factory.template.packer.language.evaluator import evaluate
from factory.template.packer.language.scope import Scope
from factory.template.packer.language.values import UNKNOWN_VALUE, Value, from_python, object_value, to_python
from factory.template.packer_files import DataReader

Key: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Computation:
    """Something to compute: a local value, or a data source."""

    key: Key
    span: Span
    body: Node
    sensitive: bool = False


class Computed:
    def __init__(self, scope: Scope, problems: list[Problem], reader: DataReader | None) -> None:
        self.scope = scope
        self.problems = problems
        self.reader = reader
        self.nodes: dict[Key, Computation] = {}
        self.values: dict[Key, Value] = {}
        self._open: list[Key] = []
        self._of_builds: dict[Key, tuple[Problem, ...]] = {}
        """What is wrong with local values that name what only a build has."""

    def declare_locals(self, block: Block) -> None:
        """``locals { a = 1 }``."""
        for name, item in block.body.attributes.items():
            self._keep(Computation(("local", name), item.name_span, item.value))

    def declare_local(self, block: Block) -> None:
        """``local "a" { expression = 1, sensitive = true }``."""
        if len(block.labels) != 1 or "expression" not in block.body.attributes:
            self.problems.append(block.kind_span.problem('write local "name" { expression = … }'))
            return
        flag = block.body.attributes.get("sensitive")
        sensitive = flag is not None and isinstance(flag.value, Literal) and flag.value.value is True
        node = Computation(
            ("local", block.labels[0]), block.kind_span, block.body.attributes["expression"].value, sensitive
        )
        self._keep(node)

    def declare_data(self, block: Block) -> None:
        if len(block.labels) != 2:
            self.problems.append(block.kind_span.problem('a data source has two labels: data "http" "name" { … }'))
            return
        self._keep(Computation(("data", *block.labels), block.kind_span, block.body))

    def _keep(self, node: Computation) -> None:
        first = self.nodes.setdefault(node.key, node)
        if first is not node:
            # The same thing in two files of a folder does no harm, though Packer refuses it.
            same = first.body == node.body and first.sensitive == node.sensitive
            name = ".".join(node.key)
            severity = "warning" if same else "error"
            hint = f"first at {first.span.place}"
            self.problems.append(node.span.problem(f"“{name}” is defined twice", hint=hint, severity=severity))

    def compute(self) -> None:
        for key in self.nodes:
            self._value(key)

    def local_values(self) -> Mapping[str, Value]:
        return {key[1]: value for key, value in self.values.items() if key[0] == "local"}

    def names(self) -> Mapping[str, Value]:
        """``local`` and ``data`` with everything computed so far."""
        data: dict[str, dict[str, Value]] = {}
        for key, value in self.values.items():
            if key[0] == "data":
                data.setdefault(key[1], {})[key[2]] = value
        return {
            "local": object_value(self.local_values()),
            "data": object_value({kind: object_value(named) for kind, named in data.items()}),
        }

    def _value(self, key: Key) -> None:
        if key in self.values:
            return
        node = self.nodes[key]
        if key in self._open:
            cycle = " → ".join(".".join(k) for k in [*self._open[self._open.index(key) :], key])
            self.problems.append(node.span.problem(f"these values need one another: {cycle}"))
            self.values[key] = UNKNOWN_VALUE
            return
        self._open.append(key)
        if len(self._open) > 200:
            raise node.span.error("the chain of local values is too long")
        for other in self._needs(node):
            self._value(other)
        self._open.pop()
        if key in self.values:  # a cycle through this value was reported meanwhile
            return
        scope = self.scope.child(self.names())
        value = self._local(node, scope) if key[0] == "local" else self._data(node, scope)
        self.values[key] = value.with_sensitivity(node.sensitive)

    def _needs(self, node: Computation) -> list[Key]:
        found: list[Key] = []
        for names in references(node.body):
            if names[0] not in ("local", "data"):
                continue
            length = 2 if names[0] == "local" else 3
            if len(names) >= length:
                if names[:length] in self.nodes:
                    found.append(names[:length])
            else:  # the whole object is used, so everything in it that is not this value itself
                found.extend(k for k in self.nodes if k[: len(names)] == names and k != node.key)
        return found

    def _local(self, node: Computation, scope: Scope) -> Value:
        assert isinstance(node.body, Expression)
        try:
            return evaluate(node.body, scope)
        except TemplateError as error:
            if any(names[0] in ("source", "build") for names in references(node.body)):
                self._of_builds[node.key] = error.problems
            else:
                self.problems.extend(error.problems)
            return UNKNOWN_VALUE

    def report_of_builds(self, blocks: Sequence[Block]) -> None:
        """A local value that names a source or a build has none: an error where it is used, as in Packer."""
        used = {names[:2] for block in blocks for names in references(block.body)}
        for key, problems in self._of_builds.items():
            wrong = key in used or ("local",) in used
            self.problems.extend(p if wrong else replace(p, severity="warning") for p in problems)

    def _data(self, node: Computation, scope: Scope) -> Value:
        kind, name = node.key[1:]
        settings = settings_of(node.body, scope, self.problems)  # type: ignore[arg-type]
        options = {k: g.value for k, g in settings.options.items() if g.value is not None}
        if kind == "null":
            return object_value({"output": options.get("input", UNKNOWN_VALUE)})
        if self.reader is None or any(v.is_unknown for v in options.values()):
            return UNKNOWN_VALUE
        try:
            answer = self.reader(kind, name, {k: to_python(v) for k, v in options.items()})
        except TemplateError as error:
            self.problems.append(node.span.problem(f"the data source {kind}.{name}: {error.message}", hint=error.hint))
            return UNKNOWN_VALUE
        return UNKNOWN_VALUE if answer is None else from_python(answer)
