"""The functions that Packer adds to Go templates."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from factory.template.packer.gotemplate.builtins import GoTemplateError, show
from factory.template.packer.gotemplate.render import Late
from factory.template.packer.language.go_time import format_go, format_template_strftime
from factory.template.packer.language.scope import World, did_you_mean

ENV_ELSEWHERE = (
    'env can only be used in the default of a variable: "variables": {"x": "{{ env `X` }}"}, and then {{ user `x` }}'
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the functions tell about: the variables (None outside JSON templates), the build, the version."""

    world: World
    version: str
    variables: Mapping[str, str] | None = None
    in_variables: bool = False
    build_name: str | None = None
    build_type: str | None = None
    secrets: set[str] = field(default_factory=set)
    warn: Callable[[str], None] = lambda message: None


def packer_functions(around: Surroundings) -> Mapping[str, Callable[..., Any]]:
    """``user``, ``env``, ``isotime`` and so on, for *around*."""
    moment = around.world.clock().astimezone(UTC)
    return {
        "user": lambda name: _user(around, name),
        "env": lambda name: _env(around, name),
        "build": _late_build,
        "build_name": lambda: _of_build(around.build_name, "build_name"),
        "build_type": lambda: _of_build(around.build_type, "build_type"),
        "isotime": lambda *layout: format_go(moment, layout[0] if layout else "2006-01-02T15:04:05Z07:00"),
        "strftime": lambda layout: format_template_strftime(moment, layout),
        "timestamp": lambda: str(int(moment.timestamp())),
        "uuid": lambda: str(uuid.uuid4()),
        "pwd": lambda: str(around.world.working.absolute()),
        "template_dir": lambda: str(around.world.folder.absolute()),
        "packer_version": lambda: around.version,
        "split": _split,
        "replace": lambda old, new, count, text: show(text).replace(old, new, int(count)),
        "replace_all": lambda old, new, text: show(text).replace(old, new),
        "upper": lambda text: show(text).upper(),
        "lower": lambda text: show(text).lower(),
        "clean_resource_name": _clean_resource_name,
        "sed": _refuse_sed,
        **{name: _secret_reader(around, name) for name in _STORES},
    }


_STORES = ("consul_key", "vault", "aws_secretsmanager", "aws_secretsmanager_raw")


def _user(around: Surroundings, name: str) -> str:
    if around.variables is None:
        raise GoTemplateError("user variables exist in JSON templates only; in HCL write ${var.…}")
    if name not in around.variables:
        hint = did_you_mean(name, around.variables)
        message = f"there is no variable “{name}”" + (f"; {hint}" if hint else "")
        if around.in_variables:
            raise GoTemplateError(message)
        around.warn(message + "; Packer takes an empty text for it")
        return ""
    return around.variables[name]


def _env(around: Surroundings, name: str) -> str:
    if not around.in_variables:
        raise GoTemplateError(ENV_ELSEWHERE)
    return around.world.environment.get(name, "")


def _late_build(name: str) -> str:
    raise Late(f'build "{name}"')


def _of_build(value: str | None, name: str) -> str:
    if value is None:
        raise Late(name)
    return value


def _split(text: str, separator: str, index: int) -> str:
    pieces = show(text).split(separator) if separator else list(text)
    if not 0 <= int(index) < len(pieces):
        raise GoTemplateError(f"split: “{text}” has {len(pieces)} parts, so there is no part {index}")
    return pieces[int(index)]


def _clean_resource_name(text: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in show(text))


def _refuse_sed(*_: object) -> str:
    raise GoTemplateError("sed does not exist any more; use replace, replace_all or strftime")


def _secret_reader(around: Surroundings, name: str) -> Callable[..., str]:
    def read(*arguments: str) -> str:
        if around.world.secret is None:
            raise GoTemplateError(
                f"there is no connection that {name} could read from; pass the secret in with -var or from the "
                "environment, and name the variable in sensitive-variables"
            )
        value = around.world.secret(name, arguments)
        around.secrets.add(value)
        return value

    return read
