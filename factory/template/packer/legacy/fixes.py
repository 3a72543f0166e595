"""Old forms of JSON templates, brought up to date as ``packer fix`` does, each with a warning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from factory.errors import Problem
from factory.template.packer.language.types import is_mapping, is_sequence
from factory.template.packer.language.values import Value, object_value, string, tuple_value
from factory.template.packer.options import Given, Settings

_VAGRANT_PROVIDERS = ("aws", "digitalocean", "virtualbox", "vmware", "parallels", "hyperv", "libvirt", "qemu", "docker")


def _warn(problems: list[Problem], given: Given, message: str, hint: str = "") -> None:
    problems.append(given.name_span.problem(message, hint=hint, severity="warning"))


def _replace_in(value: Value, old: str, new: str) -> Value:
    hidden = value.sensitive
    if isinstance(value.data, str):
        return string(value.data.replace(old, new)).with_sensitivity(hidden)
    if is_sequence(value.type) and not value.is_null:
        return tuple_value(_replace_in(v, old, new) for v in value.items()).with_sensitivity(hidden)
    if is_mapping(value.type) and not value.is_null:
        fields = {k: _replace_in(v, old, new) for k, v in value.fields().items()}
        return object_value(fields).with_sensitivity(hidden)
    return value


def _contains(value: Value, text: str) -> bool:
    return _replace_in(value, text, "") != value


def fixed_builder(settings: Settings, problems: list[Problem]) -> Settings:
    """``{{.CreateTime}}`` is ``{{timestamp}}``."""
    options: dict[str, Given] = {}
    for name, given in settings.options.items():
        for old in ("{{.CreateTime}}", "{{ .CreateTime }}"):
            if given.value is not None and _contains(given.value, old):
                _warn(problems, given, f"“{old}” is out of date", "write {{timestamp}}")
                given = replace(given, value=_replace_in(given.value, old, "{{timestamp}}"))
        options[name] = given
    return Settings(options, settings.span)


def fixed_provisioner(kind: str, settings: Settings, problems: list[Problem]) -> Settings:
    """``execute_command`` of shell-local was one text once; ``galaxy_command`` of ansible-local one word."""
    options = dict(settings.options)
    if kind == "ansible-local" and "galaxycommand" in options:
        old = options.pop("galaxycommand")
        _warn(problems, old, "“galaxycommand” is out of date", "write galaxy_command")
        options.setdefault("galaxy_command", old)
    given = options.get("execute_command")
    if kind == "shell-local" and given is not None and given.value is not None and isinstance(given.value.data, str):
        options["execute_command"] = replace(given, value=tuple_value([given.value]))
    return Settings(options, settings.span)


def fixed_post_processor(kind: str, settings: Settings, problems: list[Problem]) -> Settings:
    """Options of a provider at the top of ``vagrant`` belong under ``override``."""
    if kind != "vagrant":
        return settings
    options = dict(settings.options)
    moved: dict[str, Value] = {}
    for provider in _VAGRANT_PROVIDERS:
        given = options.get(provider)
        if given is not None and given.value is not None and is_mapping(given.value.type):
            _warn(problems, given, f"the options for “{provider}” belong under “override”")
            moved[provider] = given.value
            del options[provider]
    if moved:
        current = options.get("override")
        known: Mapping[str, Value] = {}
        if current is not None and current.value is not None and is_mapping(current.value.type):
            known = current.value.fields()
        options["override"] = Given(object_value({**moved, **known}), settings.span)
    return Settings(options, settings.span)
