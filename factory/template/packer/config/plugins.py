"""The ``packer`` block: versions and plug-ins that a template asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping

from factory.errors import Problem
from factory.template.packer.config.bodies import argument
from factory.template.packer.hcl.syntax import Block
from factory.template.packer.language.convert import as_text
from factory.template.packer.language.scope import Scope
from factory.template.packer.language.types import is_mapping
from factory.template.packer.model import COMPATIBLE_VERSION

_CONSTRAINT = re.compile(r"(=|!=|>=|<=|>|<|~>)?\s*v?(\d+(?:\.\d+)*)(-[\w.+-]+)?\Z")


def read_packer_block(
    block: Block, scope: Scope, problems: list[Problem]
) -> tuple[str, Mapping[str, Mapping[str, str]]]:
    """The version constraint and the plug-ins of a ``packer`` block. A version that does not fit is a warning."""
    version = ""
    for name, item in block.body.attributes.items():
        if name != "required_version":
            problems.append(item.name_span.problem(f"the packer block has no argument “{name}”"))
            continue
        version = as_text(argument(item, scope, problems)) or ""
        verdict = satisfies(COMPATIBLE_VERSION, version)
        if verdict is None:
            problems.append(
                item.value.span.problem(f"“{version}” is not a version constraint", hint='such as ">= 1.7.0"')
            )
        elif not verdict:
            message = f"the template wants Packer {version}; this is compatible with {COMPATIBLE_VERSION}"
            problems.append(item.value.span.problem(message, severity="warning"))
    plugins: dict[str, Mapping[str, str]] = {}
    for inner in block.body.blocks:
        if inner.kind != "required_plugins":
            problems.append(inner.kind_span.problem(f"the packer block has no block “{inner.kind}”"))
            continue
        for name, item in inner.body.attributes.items():
            value = argument(item, scope, problems)
            if value.is_unknown:
                continue
            if is_mapping(value.type):
                plugins[name] = {k: as_text(v) or "" for k, v in value.fields().items()}
            else:
                plugins[name] = {"version": as_text(value) or ""}
    return version, plugins


def satisfies(version: str, constraints: str) -> bool | None:
    """Whether *version* fulfils all of *constraints* (``>= 1.7, < 2``); None when they can't be read."""
    mine = [int(n) for n in version.split(".")]
    for piece in constraints.split(","):
        match = _CONSTRAINT.match(piece.strip())
        if match is None:
            return None
        operator, wanted = match[1] or "=", [int(n) for n in match[2].split(".")]
        length = max(len(mine), len(wanted))
        a, b = mine + [0] * (length - len(mine)), wanted + [0] * (length - len(wanted))
        upper = [*wanted[:-2], wanted[-2] + 1] if len(wanted) > 1 else [wanted[0] + 1]
        fits = {
            "=": a == b, "!=": a != b, ">=": a >= b, "<=": a <= b, ">": a > b, "<": a < b,
            "~>": a >= b and mine[: len(upper)] < upper,
        }[operator]  # fmt: skip
        if not fits:
            return False
    return True
