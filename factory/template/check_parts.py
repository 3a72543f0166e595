"""A template in parts: what a rule can be asked about even where another part is wrong."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError, create_model
from pydantic.fields import FieldInfo

from factory.errors import Problem
from factory.template.assemble import Draft
from factory.template.model import Template
from factory.template.yaml_source import Node


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
                self._sections[name] = _section(name, field, node.plain())

    def get(self, name: str) -> Any:
        """The section, None when it is wrong, missing or switched off."""
        return self._sections[name]

    def problem(self, *loc: str | int, message: str, hint: str = "", severity: str = "error") -> Problem:
        """A problem with the value at *loc*, or with what holds it."""
        node: Node = self.tree
        for part in loc:
            node = node.get(part) or node
        return node.key_problem(message, hint, severity) if node.key_line else node.problem(message, hint, severity)


def _section(name: str, field: FieldInfo, value: Any) -> Any:
    """One field's value; of a mapping without the fields that are wrong. None when nothing is left."""
    alone: Any = create_model("Section", **{name: (field.annotation, field)})  # type: ignore[call-overload]
    try:
        return getattr(alone.model_validate({name: value}), name)
    except ValidationError as error:
        wrong = {e["loc"][1] for e in error.errors(include_url=False) if len(e["loc"]) > 1}
        right = {k: v for k, v in value.items() if k not in wrong} if isinstance(value, dict) else {}
        return _section(name, field, right) if right and right != value else None  # a missing field stays missing
