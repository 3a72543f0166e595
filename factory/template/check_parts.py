"""A template in parts: what a rule can be asked about even where another part is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError, create_model
from pydantic.fields import FieldInfo

from factory.errors import Problem
from factory.template.assemble import Draft
from factory.template.model import Template
from factory.template.wording import real_loc
from factory.template.yaml_source import Loc, Node


class Parts:
    """The sections of a template that are right by themselves, without those of their fields that are wrong.

    A rule is skipped where nothing of its section can be read.
    """

    def __init__(self, draft: Draft) -> None:
        self.draft, self.tree = draft, draft.rendered
        self._sections: dict[str, Any] = {}
        for name, field in Template.model_fields.items():
            node = draft.rendered.get(name)
            if draft.template is not None:
                self._sections[name] = getattr(draft.template, name)
            elif node is None:
                self._sections[name] = None if field.is_required() else field.get_default(call_default_factory=True)
            else:
                self._sections[name] = _section(name, field, node)

    def get(self, name: str) -> Any:
        """The section, None when it is wrong, missing or switched off."""
        return self._sections[name]

    def problem(self, *loc: str | int, message: str, hint: str = "", severity: str = "error") -> Problem:
        """A problem with the value at *loc*, or with what holds it."""
        node: Node = self.tree
        for part in loc:
            node = node.get(part) or node
        return node.key_problem(message, hint, severity) if node.key_line else node.problem(message, hint, severity)


def _section(name: str, field: FieldInfo, node: Node) -> Any:
    """One field's value, of mappings without the fields that are wrong. None when nothing is left."""
    alone: Any = create_model("Section", **{name: (field.annotation, field)})  # type: ignore[call-overload]
    value = node.plain()
    while True:
        try:
            return getattr(alone.model_validate({name: value}), name)
        except ValidationError as error:
            right = value
            for detail in error.errors(include_url=False):
                right = _without(right, real_loc(node, detail["loc"][1:]))
            if right == value or not right:
                return None
            value = right


def _without(value: Any, loc: Loc) -> Any:
    """*value* without the field at *loc*, or without what should have held it; None when that is all of it.

    Only fields are left out, never an element of a list: rules name the others by their numbers.
    """
    keys = list(loc)
    while keys and not (isinstance(keys[-1], str) and _holds(value, keys)):
        keys.pop()
    return _removed(value, keys) if keys else None


def _holds(value: Any, keys: Sequence[str | int]) -> bool:
    for key in keys:
        if isinstance(key, str):
            if not isinstance(value, dict) or key not in value:
                return False
        elif not isinstance(value, list) or key >= len(value):
            return False
        value = value[key]
    return True


def _removed(value: Any, keys: Sequence[str | int]) -> Any:
    first, *rest = keys
    if not rest:
        return {k: v for k, v in value.items() if k != first}
    changed = _removed(value[first], rest)
    if isinstance(value, list):
        return [changed if i == first else v for i, v in enumerate(value)]
    return {**value, first: changed}
