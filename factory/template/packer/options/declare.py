"""How options are declared: one frozen dataclass per plug-in, one field per option, named as Packer names it.

The annotation says how the option is read (``bool``, ``int``, ``str``, ``Duration``, ``Secret[str]``,
``tuple[str, ...]``, ``Mapping[str, str]``, another ``Options`` class, …). A zero value (``""``, ``0``, an empty list)
means the default, as in Packer.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from factory.secret import Secret
from factory.template.packer.hcl.source import Span


@dataclass(frozen=True, slots=True)
class Rule:
    """What the annotation can't say.

    ``late``: names that the option may use in ``{{ }}`` and that only a running build knows; None: the option is not a
    Go template at all. ``choices``: the values allowed. ``replaced_by``: the option to use instead. ``block``: written
    as a block in HCL. ``aliases``: other spellings. ``any_late``: names are not checked.
    """

    required: bool = False
    late: tuple[str, ...] | None = ()
    choices: tuple[str, ...] = ()
    replaced_by: str = ""
    block: bool = False
    any_late: bool = False
    file: bool = False
    """Names a file on this computer, which has to exist before a build starts."""


_PLAIN = Rule()
NO_SECRET = Secret("")


def option(
    default: Any = dataclasses.MISSING,
    *,
    required: bool = False,
    late: tuple[str, ...] | None = (),
    choices: tuple[str, ...] = (),
    replaced_by: str = "",
    block: bool = False,
    any_late: bool = False,
    file: bool = False,
) -> Any:
    """A dataclass field with a rule."""
    rule = Rule(required, late, choices, replaced_by, block, any_late, file)
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata={"rule": rule})
    return dataclasses.field(default=default, metadata={"rule": rule})


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of all options. ``given`` names those that the template sets."""

    given: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    """Options whose value depends on something that only a build can tell; they hold their default here."""
    places: Mapping[str, Span] = dataclasses.field(default_factory=dict, compare=False, repr=False)
    """Where each option that is given stands in the template."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One option of a class, ready for the decoder."""

    name: str
    annotation: Any
    default: Any
    rule: Rule


_NOT_OPTIONS = ("given", "unknown", "places", "build_name")
_DECLARED: dict[type[Options], Mapping[str, Declared]] = {}


def declared(cls: type[Options]) -> Mapping[str, Declared]:
    """The options of *cls* by name."""
    if cls in _DECLARED:
        return _DECLARED[cls]
    hints = typing.get_type_hints(cls)
    result: dict[str, Declared] = {}
    for item in dataclasses.fields(cls):
        if item.name in _NOT_OPTIONS:
            continue
        default = item.default if item.default is not dataclasses.MISSING else None
        if item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        name = item.name.rstrip("_")
        result[name] = Declared(item.name, hints[item.name], default, item.metadata.get("rule", _PLAIN))
    return _DECLARED.setdefault(cls, types.MappingProxyType(result))
