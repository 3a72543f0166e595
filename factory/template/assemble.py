"""From files to a ``Loaded``: fragments, variables, rendering, file names, the model. Collects every problem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from factory.errors import Problem, TemplateError
from factory.template import project
from factory.template.fragments import Assembly, assemble
from factory.template.matrix import Cell
from factory.template.model import Loaded, Profile, Template, Variable
from factory.template.names import Scope
from factory.template.render import Rendering, Unrendered
from factory.template.suggest import did_you_mean, nearest
from factory.template.variables import Resolved, declaration_problems, resolve
from factory.template.wording import FIELDS_OF_TEXTS, problems_in_words, real_loc
from factory.template.yaml_source import Loc, Node, read_yaml

M = TypeVar("M", bound=BaseModel)
_PLAIN_SECTIONS = ("format", "variables", "extends", "matrix")
"""Sections in which nothing is filled in."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a template is loaded with, besides its file."""

    variables: Mapping[str, str] = field(default_factory=dict)
    var_files: tuple[Path, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    host: Mapping[str, Any] = field(default_factory=dict)
    cell: Cell = field(default_factory=Cell)
    """The build of a matrix that is wanted."""
    assembly: Assembly | None = None
    """The template's tree, where it was read before."""


@dataclass(slots=True)
class Draft:
    """A template on its way: what is known so far, for the checks that follow."""

    path: Path
    root: Path
    assembly: Assembly
    variables: Resolved
    rendered: Node
    scope: Scope
    problems: list[Problem]
    template: Template | None = None
    profile: Profile | None = None
    profile_source: Node | None = None
    profile_tree: Node | None = None
    """The profile as written, and rendered."""
    profile_path: Path | None = None
    seed_directory: Path | None = None

    def loaded(self) -> Loaded:
        """Only to be called when ``template`` is there."""
        assert self.template is not None
        return Loaded(
            template=self.template,
            profile=self.profile,
            path=self.path,
            root=self.root,
            variables=self.variables.values,
            generated=self.variables.generated,
            raw=self.assembly.root.plain(),
            secrets=self.variables.secrets,
            files=tuple(self.assembly.files),
            profile_path=self.profile_path,
            seed_directory=self.seed_directory,
            host=dict(self.scope.early["host"]),
            origins=self.variables.origins,
            warnings=tuple(p for p in self.problems if p.severity == "warning"),
            written_name=str(self.scope.early["name"]),
        )


def read_template(path: Path) -> Assembly:
    """The template at *path* with the fragments that it extends. Raises: TemplateError."""
    return assemble(path, [base / "images" for base in project.search_roots(project.project_root(path))])


def draft(path: Path, given: Given) -> Draft:
    """Loads *path* as far as it goes. Raises: TemplateError when it can't even be read as YAML."""
    root = project.project_root(path)
    assembly = given.assembly or read_template(path)
    problems = list(assembly.problems)
    declared, section = _declared(assembly.root, problems)
    variables = resolve(
        declared,
        section,
        given=given.variables,
        files=given.var_files,
        environ=given.environ,
        host=given.host,
        matrix=given.cell.values,
    )
    problems += variables.problems
    scope = _scope(assembly.root, declared, variables, given.host)
    rendering = Rendering(scope)
    tree = rendering.tree(assembly.root, skip=lambda loc: loc[:1] != () and loc[0] in _PLAIN_SECTIONS)
    problems += rendering.problems
    tree = _with_files(tree, root, given.environ, problems)
    result = Draft(path, root, assembly, variables, tree, scope, problems)
    result.template = validated(Template, tree, rendering.computed, problems)
    if result.template is not None:
        name = given.cell.named(result.template.name, str((assembly.root.get("name") or tree).value))
        result.template = result.template.model_copy(update={"name": name})
    _add_profile(result)
    return result


def validated(model: type[M], tree: Node, computed: Iterable[Loc], problems: list[Problem]) -> M | None:
    """*tree* as *model*; None with the problems noted.

    A number or bool that an expression gave where a text is wanted becomes that text: `"{{ vars.port }}"`.
    """
    try:
        return model.model_validate(tree.plain())
    except ValidationError as error:
        wrong = {real for real in _texts_wanted(error, tree) if real in set(computed)}
        if wrong:
            tree = _as_texts(tree, wrong)
            return validated(model, tree, (), problems)
        problems.extend(problems_in_words(error, tree, model))
        return None


def _texts_wanted(error: ValidationError, tree: Node) -> Iterable[Loc]:
    for detail in error.errors(include_url=False, include_context=False):
        loc = real_loc(tree, detail["loc"])
        wanted = detail["type"] == "string_type" or (detail["type"] == "tuple_type" and loc[-1] in FIELDS_OF_TEXTS)
        if wanted and isinstance(detail["input"], (int, float)):
            yield loc


def _as_texts(node: Node, wanted: set[Loc], loc: Loc = ()) -> Node:
    if isinstance(node.value, dict):
        return replace(node, value={k: _as_texts(v, wanted, (*loc, k)) for k, v in node.value.items()})
    if isinstance(node.value, list):
        return replace(node, value=[_as_texts(v, wanted, (*loc, i)) for i, v in enumerate(node.value)])
    if loc not in wanted:
        return node
    text = str(node.value).lower() if isinstance(node.value, bool) else str(node.value)
    return replace(node, value=text)


def _declared(tree: Node, problems: list[Problem]) -> tuple[dict[str, Variable], Node]:
    """The variables that can be read; a wrong one is reported with the rest of the model."""
    section = tree.get("variables") or replace(tree, value={})
    problems += declaration_problems(section)
    found: dict[str, Variable] = {}
    if isinstance(section.value, dict):
        for name, node in section.value.items():
            try:
                found[name] = Variable.model_validate(node.plain())
            except ValidationError:
                found[name] = Variable()
    return found, section


def _scope(tree: Node, declared: Mapping[str, Variable], variables: Resolved, host: Mapping[str, Any]) -> Scope:
    """The names for rendering. `name` may use variables itself."""
    early: dict[str, Any] = {"vars": variables.values, "host": dict(host), "name": ""}
    scope = Scope(early, frozenset(variables.generated), frozenset(declared), frozenset(variables.failed))
    name = tree.get("name")
    if name is not None:
        early["name"] = Rendering(scope).tree(name).value
        if not isinstance(early["name"], str):
            early["name"] = str(name.value)
    return scope


def _with_files(tree: Node, root: Path, environ: Mapping[str, str], problems: list[Problem]) -> Node:
    """*tree* with the names of files resolved: relative to *root* where they lie in it, else absolute."""
    for loc, node in project.file_fields(tree):
        if not isinstance(node.value, str) or isinstance(node.value, Unrendered):
            continue
        prefix = "file:" if loc[-1] == "checksum" else ""
        written = node.value.removeprefix(prefix)
        name, problem = project.resolve_name(written, node.document.path, root, environ)
        if problem:
            problems.append(node.problem(problem, project.nearest_file(written, node.document.path, root)))
        else:
            # a downloader knows no project: sums are named whole
            name = f"file:{root / name}" if prefix else name
            tree = _replaced(tree, loc, replace(node, value=name))
    return tree


def _replaced(tree: Node, loc: Loc, node: Node) -> Node:
    if not loc:
        return node
    child = tree.get(loc[0])
    assert child is not None
    changed = _replaced(child, loc[1:], node)
    if isinstance(tree.value, list):
        assert isinstance(loc[0], int)
        return replace(tree, value=[*tree.value[: loc[0]], changed, *tree.value[loc[0] + 1 :]])
    assert isinstance(tree.value, dict)
    return replace(tree, value={**tree.value, str(loc[0]): changed})


# --- boot profile --------------------------------------------------------------------------------------------------


def _add_profile(result: Draft) -> None:
    node = result.rendered.at("install", "profile")
    if node is None or not isinstance(node.value, str) or isinstance(node.value, Unrendered):
        return
    path = project.find_profile(node.value, result.root)
    if path is None:
        known = project.profile_names(result.root)
        near, listed = nearest(node.value, known), f"known: {', '.join(known)}" if known else ""
        hint = " ".join(filter(None, (near, listed)))
        result.problems.append(node.problem(f"there is no boot profile '{node.value}'", hint))
        return
    _read_profile(result, path)


def profile_draft(path: Path, root: Path) -> Draft:
    """A draft around the profile at *path* alone: names that a template would give are not missed.

    Raises: TemplateError when it can't be read.
    """
    empty = replace(read_yaml(path, []), value={})  # its problems are told when it is read as a profile
    scope = Scope({"vars": _Anything(), "host": _Anything(), "install": _Anything(), "name": "name"})
    result = Draft(path, root, Assembly(empty), Resolved(), empty, scope, [])
    _read_profile(result, path)
    return result


class _Anything(dict[str, str]):
    """Has every name, for a profile that is checked without a template."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> str:
        return f"{key}"


def _read_profile(result: Draft, path: Path) -> None:
    try:
        tree = read_yaml(path, result.problems)
    except TemplateError as error:
        result.problems.extend(error.problems)
        return
    seed_vars = result.rendered.at("install", "seed_vars")
    install = seed_vars.plain() if seed_vars is not None and isinstance(seed_vars.value, dict) else {}
    scope = replace(result.scope, early={"install": install, **result.scope.early})
    result.profile_path, result.profile_source = path, tree
    rendering = Rendering(scope)
    result.profile_tree = rendering.tree(tree)
    result.problems += rendering.problems
    result.profile = validated(Profile, result.profile_tree, rendering.computed, result.problems)
    if result.profile is not None and result.profile.name != path.stem:
        node = result.profile_tree.get("name") or result.profile_tree
        result.problems.append(node.problem(f"the profile in {path.name} must be called '{path.stem}'"))
    _find_seed(result)


def _find_seed(result: Draft) -> None:
    own = result.rendered.at("install", "seed_dir")
    if own is not None and isinstance(own.value, str):
        folder = result.root / own.value
        if folder.is_dir():
            result.seed_directory = folder
        elif folder.exists():
            result.problems.append(own.problem(f"'{own.value}' is not a folder"))
        return
    if result.profile is None or result.profile.seed is None or result.profile_tree is None:
        return
    name = result.profile.seed.directory
    result.seed_directory = project.find_seed_folder(name, result.root)
    if result.seed_directory is None:
        node = result.profile_tree.at("seed", "directory") or result.profile_tree
        hint = did_you_mean(name, project.seed_folder_names(result.root))
        result.problems.append(node.problem(f"there is no folder http_seed/{name}", hint))
