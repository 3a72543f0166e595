"""`extends`: a template made of fragments.

Fragments are applied in the order in which they are named, each over the one before, the file itself last. A mapping
is merged key by key; anything else (a text, a list, null) replaces what was there. A key with a plus, `provision+:`,
appends its list to the one that it extends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from factory.errors import Problem, TemplateError
from factory.template.yaml_source import Node, read_yaml


@dataclass(slots=True)
class Assembly:
    """A template's tree after `extends`, and every file that it was made of, itself first."""

    root: Node
    files: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def assemble(path: Path, folders: Sequence[Path]) -> Assembly:
    """Reads *path* and what it extends. *folders* are searched after a file's own folder.

    Raises: TemplateError when *path* itself can't be read; problems of fragments are collected.
    """
    problems: list[Problem] = []
    assembly = Assembly(read_yaml(path, problems), [path], problems)
    trees: list[Node] = []
    _collect(assembly.root, (path,), folders, assembly, trees)
    whole: Node | None = None
    for tree in trees:
        whole = merged(whole, tree, assembly.problems)
    assembly.root = whole or assembly.root
    return assembly


def merged(below: Node | None, above: Node, problems: list[Problem]) -> Node:
    """*above* over *below*; keys with a plus are resolved even where there is nothing below."""
    if not isinstance(above.value, dict):
        return above
    result = dict(below.value) if below is not None and isinstance(below.value, dict) else {}
    for key, node in above.value.items():
        name = key.removesuffix("+")
        if name != key and name:
            if name in above.value:
                problems.append(node.key_problem(f"both '{name}' and '{key}' are given", "keep one of them"))
            else:
                result[name] = _appended(result.get(name), node, name, problems)
        else:
            result[key] = merged(result.get(key), node, problems)
    return replace(above, value=result)


def _appended(below: Node | None, node: Node, name: str, problems: list[Problem]) -> Node:
    if not isinstance(node.value, list):
        problems.append(node.problem(f"'{name}+' appends to a list, so it must be one", "write `- …` lines below it"))
        return below or node
    if below is None:
        return node
    if not isinstance(below.value, list):
        problems.append(node.key_problem(f"'{name}' is not a list in what this extends ({below.place})"))
        return below
    return replace(node, value=[*below.value, *node.value])


def _collect(
    root: Node, chain: tuple[Path, ...], folders: Sequence[Path], assembly: Assembly, trees: list[Node]
) -> None:
    """Appends to *trees* what *root* extends, then *root*; each file once. *chain* is how we came here."""
    for node in _names(root, assembly.problems):
        fragment = _find(node, chain[-1].parent, folders, assembly.problems)
        if fragment is None:
            continue
        if fragment.resolve() in [p.resolve() for p in chain]:
            way = " → ".join(p.name for p in (*chain, fragment))
            assembly.problems.append(node.problem(f"extends itself: {way}"))
        elif fragment.resolve() not in [p.resolve() for p in assembly.files]:
            assembly.files.append(fragment)
            try:
                _collect(read_yaml(fragment, assembly.problems), (*chain, fragment), folders, assembly, trees)
            except TemplateError as error:
                assembly.problems.extend(error.problems)
    trees.append(root)


def _names(root: Node, problems: list[Problem]) -> list[Node]:
    extends = root.get("extends")
    if extends is None:
        return []
    items = extends.value if isinstance(extends.value, list) else [extends]
    names = [n for n in items if isinstance(n.value, str)]
    problems.extend(n.problem("expected the name of a fragment") for n in items if not isinstance(n.value, str))
    return names


def _find(node: Node, folder: Path, folders: Sequence[Path], problems: list[Problem]) -> Path | None:
    name = str(node.value)
    relative = Path(name if name.endswith((".yml", ".yaml")) else f"{name}.yml")
    for candidate in dict.fromkeys([folder / relative, *(f / relative for f in folders)]):
        if candidate.is_file():
            return candidate
    looked = ", ".join(dict.fromkeys(f"{f.name or f}/" for f in [folder, *folders]))
    problems.append(node.problem(f"there is no fragment '{name}'", f"looked for {relative} in {looked}"))
    return None
