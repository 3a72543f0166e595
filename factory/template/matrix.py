"""`matrix`: one template, many builds.

Each axis sets variables. `release: [bookworm, trixie]` sets the variable of that name; where several belong together,
`release: {"12": {release: bookworm, kernel: "6.1"}, …}` names each choice and sets them all. A build is made for every
combination but those that `exclude` names, in the order written, the last axis turning fastest. It is called as the
template, with the names of its choices appended: `debian-bookworm-minimal`. A `name` that holds an expression is taken
as it is: then it must tell the builds apart by itself.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from factory.errors import Problem
from factory.template.suggest import did_you_mean
from factory.template.yaml_source import Node

EXCLUDE = "exclude"
MOST_BUILDS = 256
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?\Z")


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of an axis: how it is called, and the variables that it sets."""

    axis: str
    label: str
    values: Mapping[str, Node]


@dataclass(frozen=True, slots=True)
class Cell:
    """One build of a matrix."""

    choices: tuple[Choice, ...] = ()

    @property
    def values(self) -> dict[str, Node]:
        """Variable → the value that the matrix gives it."""
        return {name: node for choice in self.choices for name, node in choice.values.items()}

    @property
    def suffix(self) -> str:
        """What is appended to the template's name."""
        return "".join(f"-{slug(choice.label)}" for choice in self.choices)

    def named(self, name: str, written: str) -> str:
        """The build's name, from the template's *name*, which was *written* so."""
        return name if "{{" in written else name + self.suffix


@dataclass(slots=True)
class Matrix:
    """The builds of a template, or what is wrong with its matrix."""

    cells: tuple[Cell, ...] = (Cell(),)
    problems: list[Problem] = field(default_factory=list)


def read_matrix(tree: Node) -> Matrix:
    """The matrix of a template's *tree* (after `extends`); a single cell without choices where there is none."""
    node = tree.get("matrix")
    if node is None:
        return Matrix()
    result = Matrix(())
    if not isinstance(node.value, dict):
        result.problems.append(node.problem("a matrix is a mapping", "write `matrix: {release: [bookworm, trixie]}`"))
        return result
    variables = tree.get("variables")
    declared = list(variables.value) if variables is not None and isinstance(variables.value, dict) else []
    axes = {n: _axis(n, axis, declared, result.problems) for n, axis in node.value.items() if n != EXCLUDE}
    if not axes:
        result.problems.append(node.key_problem("a matrix without an axis", "write `matrix: {release: [a, b]}`"))
    _one_owner(axes, node, result.problems)
    excluded = _excluded(node.get(EXCLUDE), axes, result.problems)
    if result.problems:
        return result
    count = len(list(itertools.islice(itertools.product(*axes.values()), MOST_BUILDS + 1)))
    if count > MOST_BUILDS:
        result.problems.append(node.key_problem(f"a matrix makes at most {MOST_BUILDS} builds", "split the template"))
        return result
    cells = [Cell(choices) for choices in itertools.product(*axes.values())]
    result.cells = tuple(c for c in cells if not any(_matches(c, row) for row in excluded))
    if not result.cells:
        result.problems.append(node.key_problem("`exclude` leaves nothing of this matrix"))
    return result


def name_problems(names: Sequence[str], tree: Node) -> Iterator[Problem]:
    """What is wrong with the names of a matrix' builds."""
    node = tree.get("name") or tree
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        hint = "leave the expression out of `name`, or use every variable of the matrix in it"
        yield node.problem(f"several builds of the matrix are called '{twice[0]}'", hint)
    for name in dict.fromkeys(names):
        if not _NAME.match(name):
            yield node.problem(
                f"the matrix makes a build called '{name}'",
                "a name has up to 64 of a-z, 0-9, `.`, `_`, `-`, a letter or digit at both ends",
            )


def slug(label: str) -> str:
    """*label* as it appears in a name."""
    return re.sub(r"[^a-z0-9._]+", "-", label.lower()).strip("-")


def _axis(name: str, node: Node, declared: Sequence[str], problems: list[Problem]) -> list[Choice]:
    if isinstance(node.value, list):
        if name not in declared:
            hint = did_you_mean(name, declared, kind="declared") or "declare it under `variables`"
            problems.append(node.key_problem(f"an axis sets a variable, and no variable '{name}' is declared", hint))
        choices = [_scalar(name, value, problems) for value in node.value]
    elif isinstance(node.value, dict):
        choices = [_row(name, label, value, declared, problems) for label, value in node.value.items()]
    else:
        problems.append(node.problem(f"the axis '{name}' is a list of values", f"write `{name}: [a, b]`"))
        return []
    if not choices:
        problems.append(node.problem(f"the axis '{name}' has no values"))
    seen: dict[str, str] = {}
    for choice in choices:
        if slug(choice.label) in seen:
            message = f"'{choice.label}' and '{seen[slug(choice.label)]}' of the axis '{name}' would have the same name"
            problems.append((choice.values.get(name) or node).problem(message))
        seen[slug(choice.label)] = choice.label
    return choices


def _scalar(axis: str, node: Node, problems: list[Problem]) -> Choice:
    if not isinstance(node.value, (str, int, float, bool)) or not slug(_label(node)):
        hint = f"for more than a value write `{axis}: {{label: {{variable: …}}}}`"
        problems.append(node.problem(f"a value of the axis '{axis}' is a text, a number, true or false", hint))
    return Choice(axis, _label(node), {axis: node})


def _row(axis: str, label: str, node: Node, declared: Sequence[str], problems: list[Problem]) -> Choice:
    if not slug(label):
        problems.append(node.key_problem(f"'{label}' has nothing that can stand in a name"))
    if not isinstance(node.value, dict) or not node.value:
        hint = f"write `{label}: {{variable: value}}`, or a list of values"
        problems.append(node.problem(f"'{label}' of the axis '{axis}' sets variables, so it is a mapping", hint))
        return Choice(axis, label, {})
    for name, value in node.value.items():
        if name not in declared:
            hint = did_you_mean(name, declared, kind="declared") or "declare it under `variables`"
            problems.append(value.key_problem(f"no variable '{name}' is declared", hint))
    return Choice(axis, label, node.value)


def _one_owner(axes: Mapping[str, list[Choice]], node: Node, problems: list[Problem]) -> None:
    owners: dict[str, str] = {}
    for axis, choices in axes.items():
        for variable in dict.fromkeys(v for c in choices for v in c.values):
            if variable in owners:
                message = f"the axes '{owners[variable]}' and '{axis}' both set '{variable}'"
                problems.append((node.get(axis) or node).key_problem(message, "one of them must not"))
            owners[variable] = axis


def _excluded(node: Node | None, axes: Mapping[str, list[Choice]], problems: list[Problem]) -> list[dict[str, str]]:
    """Each row as axis → label."""
    if node is None:
        return []
    rows = node.value if isinstance(node.value, list) else []
    if not isinstance(node.value, list) or not all(isinstance(r.value, dict) and r.value for r in rows):
        problems.append(
            node.problem("`exclude` is a list of mappings", "write `exclude: [{release: trixie, flavour: full}]`")
        )
        return []
    found = []
    for row in rows:
        for axis, value in row.value.items():
            labels = [c.label for c in axes.get(axis, ())]
            if axis not in axes:
                problems.append(value.key_problem(f"the matrix has no axis '{axis}'", did_you_mean(axis, axes)))
            elif _label(value) not in labels:
                hint = did_you_mean(_label(value), labels, kind="its values")
                problems.append(value.problem(f"the axis '{axis}' has no value '{_label(value)}'", hint))
        found.append({axis: _label(value) for axis, value in row.value.items()})
    return found


def _matches(cell: Cell, row: Mapping[str, str]) -> bool:
    labels = {choice.axis: choice.label for choice in cell.choices}
    return all(labels.get(axis) == label for axis, label in row.items())


def _label(node: Node) -> str:
    return str(node.value).lower() if isinstance(node.value, bool) else str(node.value)
