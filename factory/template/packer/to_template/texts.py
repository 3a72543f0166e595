"""From Go templates to late texts.

A Packer template leaves ``{{ .HTTPIP }}`` and the like for the running build; factory's late texts are Jinja2. Only
what a build really leaves open is translated: a field, perhaps through ``urlquery``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from factory.errors import TemplateError
from factory.template.model import LateText, Text
from factory.template.packer.gotemplate.nodes import Action, Constant, Field, FunctionName, Node
from factory.template.packer.gotemplate.nodes import Text as GoText
from factory.template.packer.gotemplate.parser import parse
from factory.template.packer.hcl.source import NOWHERE
from factory.template.packer.to_template.notes import Notes
from factory.template.packer.to_template.placing import OptionError

HTTP_HOST, HTTP_PORT = "(seed.host if seed is defined else '10.0.2.2')", "(seed.port if seed is defined else 0)"
"""Where nothing is served Packer gives the port 0."""
HTTP_ADDRESS = f"({HTTP_HOST} ~ ':' ~ {HTTP_PORT})"
ARGUMENTS: Mapping[str, str] = MappingProxyType({"HTTPIP": HTTP_HOST, "HTTPPort": HTTP_PORT, "HTTPContent": "''"})
BOOT: Mapping[str, str] = MappingProxyType(
    {"HTTPIP": HTTP_HOST, "HTTPPort": HTTP_PORT, "Name": "build.name", "SSHPublicKey": "build.ssh_public_key"}
)
COMMAND: Mapping[str, str] = MappingProxyType({"Path": "path", "Vars": "vars"})
BUILD_VALUES: Mapping[str, str] = MappingProxyType(
    {
        "Host": "guest.host",
        "Port": "guest.port",
        "PackerHTTPIP": HTTP_HOST,
        "PackerHTTPPort": HTTP_PORT,
        "PackerHTTPAddr": HTTP_ADDRESS,
        "SSHPublicKey": "build.ssh_public_key",
        "PackerRunUUID": "build.run_id",
    }
)


def late_text(text: str, names: Mapping[str, str], option: str, notes: Notes) -> Text:
    """*text* with each action of Go turned into one of Jinja; plain when there is none."""
    if "{{" not in text:
        return text
    try:
        nodes = parse(text, NOWHERE)
    except TemplateError as error:
        raise OptionError(option, error.problems[0].message, hint=error.hint) from None
    if all(isinstance(n, GoText) for n in nodes):
        return "".join(n.text for n in nodes if isinstance(n, GoText))
    return LateText("".join(_piece(node, names, option, notes, text) for node in nodes))


def _piece(node: Node, names: Mapping[str, str], option: str, notes: Notes, text: str) -> str:
    if isinstance(node, GoText):
        return re.sub(r"\{[{%#]", lambda m: "{{ '" + m[0] + "' }}", node.text)
    expression = _expression(node, names)
    if expression is None:
        notes.add(option, f"“{text[node.start : node.end]}” has no equal")
        return ""
    return "{{ " + expression + " }}"


def _expression(node: Node, names: Mapping[str, str]) -> str | None:
    if not isinstance(node, Action) or node.pipeline.declares:
        return None
    first, *filters = node.pipeline.commands
    value: str | None = None
    if len(first) == 1 and isinstance(first[0], Field) and len(first[0].names) == 1 and first[0].base is None:
        value = names.get(first[0].names[0])
    elif len(first) == 1 and isinstance(first[0], Constant) and isinstance(first[0].value, str):
        value = repr(first[0].value)
    elif len(first) == 2 and isinstance(first[0], FunctionName) and first[0].name == "build":
        argument = first[1]
        if isinstance(argument, Constant):
            value = names.get(f"build.{argument.value}")
    for command in filters:
        name = command[0]
        known = {"urlquery": "urlencode", "upper": "upper", "lower": "lower"}
        if value is None or len(command) != 1 or not isinstance(name, FunctionName) or name.name not in known:
            return None
        value = f"({value} | {known[name.name]})"
    return value
