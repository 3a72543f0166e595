"""Imports never point up (DESIGN §3), and nothing below ``cli/`` prints or exits."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

PACKAGE = Path(__file__).parents[2] / "factory"

LEAVES = {"errors", "quantity", "secret", "log_files", "digest", "events", "deadline", "visible", "opening"} | {
    "control_sequences"
}
SEAMS = {"drivers.iso_view", "drivers.machine_spec", "drivers.protocols"}
MAY_IMPORT: dict[str, set[str]] = {
    "boot_command": LEAVES,
    "host": LEAVES | {"drivers.process", "plan.platform"},
    "template": LEAVES | {"boot_command", "drivers.machine_spec", "drivers.iso_view"},
    "dossier": LEAVES | SEAMS | {"plan.step"},
    "drivers": LEAVES | {"boot_command", "disk"},
    "plan": LEAVES | SEAMS | {"template"},
    "provision": LEAVES | SEAMS,
    "disk": LEAVES,
    "seal": LEAVES | SEAMS | {"seal", "disk"},
    "outputs": LEAVES | SEAMS | {"outputs", "template", "plan", "disk"},
    "verify": LEAVES | SEAMS | {"outputs", "disk", "seal"},
    "engine": LEAVES | SEAMS | {"plan", "template"},
    "steps": LEAVES
    | SEAMS
    | {"plan", "template", "provision", "seal", "outputs", "verify", "disk", "boot_command", "host.platform"},
}
"""For each package, what of ours it may import besides itself. ``cli`` is the composition root and may import all."""

LEAF_ORDER = {
    "errors": set(), "quantity": set(), "secret": set(), "log_files": {"secret"}, "digest": {"secret", "opening"},
    "events": {"secret"}, "deadline": {"errors", "quantity"}, "visible": set(), "opening": set(),
    "control_sequences": {"visible"},
}  # fmt: skip
FORBIDDEN_NAMES = {"util", "utils", "common", "helpers", "base", "core", "manager", "misc"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        yield name, ast.parse(path.read_text(), str(path))


def imports(tree: ast.Module) -> Iterator[str]:
    """Names below ``factory`` that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module == "factory":
                yield from (alias.name for alias in node.names)
            elif node.module.startswith("factory."):
                yield node.module.removeprefix("factory.")
        elif isinstance(node, ast.Import):
            yield from (a.name.removeprefix("factory.") for a in node.names if a.name.startswith("factory."))


def allowed(importer: str, imported: str) -> bool:
    package = importer.split(".")[0]
    if package in LEAF_ORDER:
        return imported in LEAF_ORDER[package]
    if package not in MAY_IMPORT:
        return True
    may = MAY_IMPORT[package] | {package}
    return imported.startswith("__") or any(imported == name or imported.startswith(name + ".") for name in may)


@pytest.mark.parametrize(("name", "tree"), [pytest.param(n, t, id=n) for n, t in modules() if n])
def test_imports_never_point_up(name: str, tree: ast.Module) -> None:
    wrong = [imported for imported in imports(tree) if not allowed(name, imported)]
    assert not wrong, f"{name} imports {', '.join(wrong)}"


def test_the_check_finds_an_import_that_points_up() -> None:
    tree = ast.parse("from factory.cli.main import main\nimport factory.steps.late\n")
    assert [i for i in imports(tree) if not allowed("engine.runner", i)] == ["cli.main", "steps.late"]
    assert not allowed("errors", "events")


def test_concrete_drivers_are_imported_by_the_composition_root_only() -> None:
    for name, tree in modules():
        if name.split(".")[0] in ("cli", "drivers", "host", "testing"):
            continue
        concrete = [i for i in imports(tree) if i.startswith("drivers.") and i not in SEAMS]
        assert not concrete, f"{name} imports {concrete}"


def test_only_the_process_driver_spawns() -> None:
    spawning = {"subprocess", "asyncio.subprocess", "multiprocessing", "pty"}
    for name, tree in modules():
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
        if names & spawning:
            assert name in ("drivers.process", "drivers.guestfs.child", "drivers.watchdog"), name


def test_nothing_below_the_command_line_prints_or_exits() -> None:
    for name, tree in modules():
        if name.split(".")[0] in ("cli", "__main__") or name in ("drivers.guestfs.child", "drivers.watchdog"):
            continue
        calls = [n.func for n in ast.walk(tree) if isinstance(n, ast.Call)]
        assert not [f for f in calls if isinstance(f, ast.Name) and f.id in ("print", "exit", "quit")], name
        exits = [f for f in calls if isinstance(f, ast.Attribute) and f.attr == "exit"]
        assert not [f for f in exits if isinstance(f.value, ast.Name) and f.value.id == "sys"], name


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert not [name for name, _ in modules() if FORBIDDEN_NAMES & set(name.split("."))]


def test_no_bare_create_task() -> None:
    """A task that nobody waits for loses its error: ``TaskGroup.create_task`` only."""
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr == "create_task" and isinstance(node.value, ast.Name):
                assert node.value.id not in ("asyncio", "loop"), f"{name}:{node.lineno}"
