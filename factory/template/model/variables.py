"""What a user may set."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from factory.template.model.text import Strict


class VariableType(StrEnum):
    STRING = "string"
    NUMBER = "number"
    BOOL = "bool"
    SIZE = "size"
    DURATION = "duration"
    LIST = "list"
    MAP = "map"


class Variable(Strict):
    """A value that the user may set: ``-var``, ``--var-file`` or ``FACTORY_VAR_<name>``."""

    help: str = Field("", description="What it is for, in a sentence.")
    type: VariableType | None = Field(None, description="Default: the type of `default`, else string.")
    default: Any = Field(None, description="`auto` asks this host: mirror, timezone.")
    required: bool = Field(False, description="An error when nobody gives it.")
    choices: tuple[Any, ...] = Field((), description="The only values that it may have.")
    pattern: str = Field("", description="A regular expression that the whole value must match.")
    generate: Literal["password", "uuid", "hex"] | None = Field(
        None, description="Made anew by each installation and kept with its layer; never part of a key."
    )
    sensitive: bool = Field(False, description="Masked wherever it could be shown; enters a key only as a keyed hash.")
