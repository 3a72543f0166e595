"""Which variables a template needs from outside, without evaluating anything else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from factory.errors import TemplateError
from factory.template.packer.config.files import find_files, read_template
from factory.template.packer.config.load_hcl import TOP_LEVEL
from factory.template.packer.hcl import parse_body
from factory.template.packer.hcl.json_form import parse_json_body
from factory.template.packer.hcl.json_parser import JsonObject, JsonScalar, parse_json
from factory.template.packer.hcl.syntax import Expression
from factory.template.packer.language.evaluator import evaluate
from factory.template.packer.language.functions import FUNCTIONS
from factory.template.packer.language.scope import Scope
from factory.template.packer.language.type_expressions import read_type
from factory.template.packer.language.types import ANY, STRING, Type
from factory.template.packer.language.values import to_python

_PLACEHOLDERS = ("unset", "UNSET", "changeme", "CHANGEME")


def required_variables(path: Path, *, also_empty: bool = False) -> Mapping[str, Type]:
    """Names and types of the variables without a default; with *also_empty*, those with a null or empty one too.

    Raises: TemplateError when the template can't be read.
    """
    if path.is_file() and not path.name.endswith((".hcl", ".pkr.json")):
        root = parse_json(read_template(path))
        member = root.last().get("variables") if isinstance(root, JsonObject) else None
        if member is None or not isinstance(member.value, JsonObject):
            return {}
        found = member.value.last().values()
        blanks = (None, "") if also_empty else (None,)
        return {m.name: STRING for m in found if isinstance(m.value, JsonScalar) and m.value.value in blanks}
    result: dict[str, Type] = {}
    scope = Scope({}, FUNCTIONS)
    for file in find_files(path).templates:
        source = read_template(file)
        body = parse_json_body(source, TOP_LEVEL) if file.name.endswith(".json") else parse_body(source)
        for block in body.blocks_of("variable"):
            attributes = block.body.attributes
            default = attributes.get("default")
            empty = also_empty and default is not None and _is_empty(default.value, scope)
            if len(block.labels) == 1 and (default is None or empty):
                kind = read_type(attributes["type"].value, scope, evaluate) if "type" in attributes else ANY
                result[block.labels[0]] = kind
        for block in body.blocks_of("variables") if also_empty else ():
            empty_ones = (n for n, a in block.body.attributes.items() if _is_empty(a.value, scope))
            result.update(dict.fromkeys(empty_ones, ANY))
    return result


def _is_empty(default: Expression, scope: Scope) -> bool:
    """Null or empty in an empty environment: ``env("X")`` is how many templates ask for a value. So is “unset”."""
    try:
        value = to_python(evaluate(default, scope))
        return value is None or (isinstance(value, (str, list, dict)) and value in ("", [], {}, *_PLACEHOLDERS))
    except TemplateError:
        return False
