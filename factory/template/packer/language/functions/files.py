"""Functions about files and paths. They read, never write."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

from factory.opening import open_content
from factory.template.packer.hcl import Source, parse_template
from factory.template.packer.hcl import syntax as ast
from factory.template.packer.language.functions.registry import Evaluate, FunctionError, define
from factory.template.packer.language.scope import Scope, World, failure
from factory.template.packer.language.types import STRING, is_mapping
from factory.template.packer.language.values import UNKNOWN_VALUE, Value, describe, set_value, string, wholly_known

LARGEST = 32 * 2**20
"""Bytes of a file that may become a text of a template."""
DEEPEST_TEMPLATE = 20


def _read(world: World, path: str) -> bytes:
    found = world.find(path)
    try:
        # A pipe or a device may never end, and opening a pipe may never return.
        if found.exists() and not found.is_file() and not found.is_dir():
            raise FunctionError(f"“{path}” is no regular file", 0, hint="put what it gives into a file, or a variable")
        with open_content(found) as stream:
            content = stream.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise FunctionError(f"“{found}” is larger than {LARGEST // 2**20} MiB", 0)
        return content
    except FileNotFoundError:
        raise FunctionError(
            f"there is no file “{path}”",
            0,
            hint=f"looked in {world.folder.absolute()}"
            + ("" if world.working.absolute() == world.folder.absolute() else f" and {world.working.absolute()}"),
        ) from None
    except FunctionError:
        raise
    except (OSError, ValueError) as error:
        raise FunctionError(f"“{path}” can't be read: {getattr(error, 'strerror', None) or error}", 0) from None


def _read_text(world: World, path: str) -> str:
    try:
        return _read(world, path).decode()
    except UnicodeDecodeError:
        raise FunctionError(f"“{path}” is not a text in UTF-8", 0, hint="use filebase64()") from None


@define("file", "path:s", world=True)
def file(world: World, path: str) -> str:
    return _read_text(world, path)


@define("filebase64", "path:s", world=True)
def filebase64(world: World, path: str) -> str:
    return base64.b64encode(_read(world, path)).decode()


@define("fileexists", "path:s", world=True)
def fileexists(world: World, path: str) -> bool:
    try:
        found = world.find(path)
        is_folder, is_file = found.is_dir(), found.is_file()
    except (OSError, ValueError):
        return False
    if is_folder:
        raise FunctionError(f"“{path}” is a folder, not a file", 0)
    return is_file


@define("fileset", "path:s pattern:s", world=True)
def fileset(world: World, path: str, pattern: str) -> Value:
    root = world.find(path)
    found: list[Value] = []
    try:
        for one in _expand_braces(_checked(pattern)):
            matches = root.glob(one + "/*" if one.endswith("**") else one)
            found.extend(string(m.relative_to(root).as_posix()) for m in matches if m.is_file())
    except PermissionError as error:
        raise FunctionError(f"“{error.filename or root}” can't be read: permission denied", 0) from None
    except (ValueError, OSError, NotImplementedError, IndexError) as error:
        raise FunctionError(f"the pattern “{pattern}” is not usable: {error}", 1) from None
    return set_value(found, STRING)


def _checked(pattern: str) -> str:
    """*pattern* with Python's sign for “none of these”. Raises: ValueError for a bracket without an end or content."""
    plain = re.sub(r"\\.", "", pattern, flags=re.DOTALL)
    plain = re.sub(r"\[[!^]?[^\]]+\]", "", plain)
    if "[" in plain:
        raise ValueError("a bracket has no end, or nothing in it")
    if plain.count("{") > plain.count("}"):
        raise ValueError("a brace has no end")
    return pattern.replace("[^", "[!")


def _expand_braces(pattern: str) -> list[str]:
    """``{a,b}`` means either, in any place; Python's patterns do not know it."""
    start, end = pattern.find("{"), pattern.find("}")
    if start < 0 or end < start:
        return [pattern]
    results: list[str] = []
    for choice in pattern[start + 1 : end].split(","):
        results.extend(_expand_braces(pattern[:start] + choice + pattern[end + 1 :]))
        if len(results) > 1000:
            raise ValueError("too many alternatives")
    return results


@define("abspath", "path:s", world=True)
def abspath(world: World, path: str) -> str:
    return os.path.normpath(world.working.absolute() / path)


@define("basename", "path:s")
def basename(path: str) -> str:
    if not path:
        return "."
    return path.rstrip("/").rpartition("/")[2] or "/"


@define("dirname", "path:s")
def dirname(path: str) -> str:
    head = path.rpartition("/")[0]
    return os.path.normpath(head) if head else ("/" if path.startswith("/") else ".")


@define("pathexpand", "path:s", world=True)
def pathexpand(world: World, path: str) -> str:
    home = world.environment.get("HOME") or str(Path.home())
    return home + path[1:] if path == "~" or path.startswith("~/") else path


@define("templatefile", "path:s vars:d", lazy=True)
def templatefile(node: ast.Call, scope: Scope, evaluate: Evaluate) -> Value:
    """Renders a file as a template. The template sees the given variables and nothing else."""
    if len(node.arguments) != 2:
        raise failure(node.span, "templatefile() takes a path and an object of variables")
    path, variables = (evaluate(a, scope) for a in node.arguments)
    sensitive = variables.sensitive or path.sensitive
    if not wholly_known(path) or variables.is_unknown:
        return UNKNOWN_VALUE.with_sensitivity(sensitive)
    if not isinstance(path.data, str):
        raise failure(node.arguments[0].span, f"templatefile(): the path must be a text, not {describe(path)}")
    if variables.is_null or not is_mapping(variables.type):
        raise failure(
            node.arguments[1].span, f"templatefile(): the variables must be a map or object, not {describe(variables)}"
        )
    try:
        text = _read_text(scope.world, path.data)
    except FunctionError as error:
        told = f"templatefile(): {error}"
        raise failure(node.arguments[0].span, told, hint=error.hint, sensitive=path.sensitive) from None
    depth = _depth(scope) + 1
    if depth > DEEPEST_TEMPLATE:
        raise failure(node.span, "templatefile(): the templates include one another without an end")
    template = parse_template(Source.of(str(scope.world.find(path.data)), text))
    names = {name: value.with_sensitivity(variables.sensitive) for name, value in variables.fields().items()}
    names[_DEPTH] = string("x" * depth)
    inner = Scope(names, scope.functions, scope.world, None, scope.forbidden)
    return evaluate(template, inner).with_sensitivity(sensitive)


_DEPTH = "\0template depth"


def _depth(scope: Scope) -> int:
    marker = scope.find(_DEPTH)
    return len(marker.text()) if marker is not None else 0
