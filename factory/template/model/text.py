"""Texts whose values may come late, and what every part of the model shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic_core import core_schema

LATE_NAMES = frozenset({"seed", "build", "guest"})
"""Names that exist only at run time: ``seed.url``, ``build.ssh_public_key``, ``guest.port``, …; besides them, every
generated variable (``vars.root_password`` with ``generate:``) is late."""


@dataclass(frozen=True, slots=True)
class LateText:
    """Jinja2 source whose late names are still open. ``variables`` holds the values of the others that it uses."""

    source: str
    variables: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.is_instance_schema(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string"}


Text = str | LateText
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,30}$")]


Keyboard = Literal["us", "gb", "de", "de-nodeadkeys", "fr"]
"""Layouts that a boot prompt may have: those of ``boot_command.keymap``."""


class Strict(BaseModel):
    """Frozen; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, populate_by_name=True)


def one_or_many(value: object) -> object:
    """A validator: a single text stands for a list of one."""
    return [value] if isinstance(value, (str, LateText)) else value


Texts = Annotated[tuple[Text, ...], BeforeValidator(one_or_many, json_schema_input_type=str | list[str])]
