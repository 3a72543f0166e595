"""What Packer asks of names of variables and of their validations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from factory.errors import Problem
from factory.template.packer.hcl.references import references
from factory.template.packer.hcl.syntax import Attribute

_ROOTS = ("var", "local", "data", "source", "build", "path", "packer")
_ENDS = (".", "?", "!")


def is_name(text: str) -> bool:
    """Whether *text* is an identifier of HCL: Unicode's (UAX 31), and dashes after the first character."""
    return text.replace("-", "_").isidentifier() and not text.startswith("-")


def refused_by_packer(variable: str, validation: Mapping[str, Attribute], message: str) -> Iterator[Problem]:
    """Packer refuses these validations; their meaning is plain all the same, so here they are warnings."""
    condition = validation["condition"]
    named = [names for names in references(condition.value) if names[0] in _ROOTS]
    others = sorted({".".join(n[:2]) for n in named if n[:2] != ("var", variable)})
    if others or not named:
        which = f"names {', '.join(others)}" if others else "does not name it"
        problem = f"the condition {which}; Packer wants it to go by var.{variable} alone"
        yield condition.value.span.problem(problem, severity="warning")
    text = message.strip()
    if not text or (text[0].isalpha() and not text[0].isupper() and text[0].islower()) or not text.endswith(_ENDS):
        problem = "Packer takes whole sentences only: with a capital at the beginning and a full stop at the end"
        yield validation["error_message"].value.span.problem(problem, severity="warning")
