"""From an ISO to a template: what ``factory init`` does. Prints."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from factory.cli.report.failure import problem_lines
from factory.cli.template_options import environment
from factory.drivers import iso as iso_driver
from factory.drivers.iso_view import IsoView
from factory.errors import FactoryError, Problem, TemplateError
from factory.host.facts import template_names
from factory.opening import open_content, other_kind
from factory.template import project
from factory.template.boot_files import BootFiles, find_boot_files, initrds, kernels
from factory.template.boot_menus import menu_entries
from factory.template.check import check, check_profile
from factory.template.identify import Identity, identify, is_live
from factory.template.model import Profile
from factory.template.recognise import Match, near_misses, recognise
from factory.template.scaffold import IsoFile, Scaffold, profile_skeleton
from factory.template.starting_points import identity_name, starting_point
from factory.template.suggest import did_you_mean
from factory.template.yaml_source import read_yaml

STDOUT = "-"
BASE = "_base/linux-server"
ARCHITECTURE = "x86_64"
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?\Z")
_SCHEMAS = "docs/reference"


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for on the command line."""

    iso: Path
    name: str | None
    output: str | None
    profile: str | None
    new_profile: str | None
    overwrite: bool


def write_template(wish: Wish) -> None:
    """Recognises the ISO and writes what was asked for.

    Raises: StepError when the file is no ISO; TemplateError when no profile is made for it, or a file is in the way.
    """
    view = asyncio.run(iso_driver.view(wish.iso))
    identity = identify(view)
    profiles = list(_profiles(_root(wish)))
    _say(wish, f"{wish.iso.name}: {_words(identity, view)}")
    _refuse_architecture(wish.iso, identity)
    _refuse_live(wish, view, identity)
    match = _match(wish, view, profiles)
    if match is not None:
        _say(wish, f"boot profile {match.profile.name}: {'; '.join(match.reasons)}")
        with _all_or_nothing() as files:
            _write(wish, view, identity, match, files)
    elif wish.new_profile:
        _describe_unknown(wish, view, profiles)
        with _all_or_nothing() as files:
            _write(wish, view, identity, _skeleton(wish, view, files), files)
    else:
        _describe_unknown(wish, view, profiles)
        raise TemplateError(
            f"no boot profile is made for {wish.iso.name}",
            hint="`--new-profile NAME` writes a skeleton of one, `--profile NAME` takes one that is there",
        )


def _say(wish: Wish, line: str) -> None:
    click.echo(line, err=wish.output == STDOUT)


def _words(identity: Identity, view: IsoView) -> str:
    if identity.family:
        return f"{identity} (by {identity.sign})"
    label = f"labelled '{view.volume_id}'" if view.volume_id else "without a label"
    return f"an ISO {label}, which does not say what it is"


def _refuse_architecture(path: Path, identity: Identity) -> None:
    if identity.architecture and identity.architecture != ARCHITECTURE:
        raise TemplateError(
            f"{path.name} is for {identity.architecture}, and machines here are {ARCHITECTURE}",
            hint=f"take the ISO for {ARCHITECTURE} (amd64)",
        )


def _refuse_live(wish: Wish, view: IsoView, identity: Identity) -> None:
    """Whoever names a profile may have one that can install from it."""
    if is_live(view, identity) and not (wish.profile or wish.new_profile):
        other = "netinst or Server DVD ISO" if identity.family == "Fedora" else "boot, minimal or DVD ISO"
        raise TemplateError(
            f"{wish.iso.name} is a live system: no answer file tells its installer what to do",
            hint=f"take the {other} of {identity.family}, or name a profile of your own by `--profile`",
        )


# --- profiles ------------------------------------------------------------------------------------------------------


def _root(wish: Wish) -> Path:
    """The project that the template will belong to."""
    if wish.output and wish.output != STDOUT:
        return project.project_root(Path(wish.output))
    return project.project_root(Path.cwd() / "template.yml")


def _profiles(root: Path) -> Iterator[Profile]:
    """Every profile that can be read, as written; what is wrong with one is `factory validate`'s to report."""
    for name in project.profile_names(root):
        path = project.find_profile(name, root)
        with contextlib.suppress(TemplateError, ValidationError):
            if path:
                yield Profile.model_validate(read_yaml(path).plain())


def _match(wish: Wish, view: IsoView, profiles: list[Profile]) -> Match | None:
    if wish.profile:
        chosen = next((p for p in profiles if p.name == wish.profile), None)
        if chosen is None:
            hint = did_you_mean(wish.profile, [p.name for p in profiles])
            raise TemplateError(f"there is no boot profile '{wish.profile}'", hint=hint)
        return Match(chosen, ("asked for by --profile",), 0)
    matches = recognise(view, profiles)
    for other in matches[1:]:
        _say(wish, f"fits as well: {other.profile.name} ({'; '.join(other.reasons)})")
    return matches[0] if matches else None


def _describe_unknown(wish: Wish, view: IsoView, profiles: list[Profile]) -> None:
    """What was looked at, and what is there."""
    told = [name for name in view.texts if not name.endswith((".cfg", ".conf"))]
    _say(wish, f"  label '{view.volume_id}', {len(view.names)} files ({view.names_by} names), boots by "
         f"{' and '.join(view.boots).upper() or 'nothing that its boot catalogue names'}")  # fmt: skip
    _say(wish, f"  says of itself: {', '.join(told) or 'nothing (.treeinfo, .disk/info, … are not there)'}")
    _say(
        wish, f"  kernels: {', '.join(kernels(view)[:6]) or 'none'}; initrds: {', '.join(initrds(view)[:6]) or 'none'}"
    )
    for entry in menu_entries(view)[:8]:
        words = " ".join(w for w in (entry.kernel, entry.initrd and f"initrd={entry.initrd}", entry.words) if w)
        _say(wish, f"  boot menu {entry.menu}, '{entry.title}': {words}")
    for miss in near_misses(view, profiles)[:3]:
        _say(wish, f"  not {miss.profile.name}: {'; '.join(miss.holds)}, but {'; '.join(miss.lacks)}")


def _skeleton(wish: Wish, view: IsoView, files: contextlib.ExitStack) -> Match:
    """Writes the skeleton of a profile."""
    name = wish.new_profile or ""
    _check_name(name, "a boot profile")
    root = _root(wish)
    path = root / "boot_configs" / f"{name}.yml"
    content = profile_skeleton(name, view, menu_entries(view), wish.iso.name, _schema(path, root, "profile"))
    _put(path, content, wish, files)
    profile, problems = check_profile(path, root=root)
    if profile is None:
        raise TemplateError(problems)
    _say(wish, f"{_shown(path)}: written; complete it")
    return Match(profile, ("a skeleton, to be completed",), 0)


# --- template ------------------------------------------------------------------------------------------------------


def _write(wish: Wish, view: IsoView, identity: Identity, match: Match, files: contextlib.ExitStack) -> None:
    host = template_names()
    point = starting_point(match.profile, identity, view, host_has_mirror="mirror" in host)
    name = wish.name or (wish.new_profile and identity_name(identity)) or wish.new_profile or point.name
    _check_name(name, "an image")
    path = _template_path(wish, name)
    folder, root = path.parent, _root(wish)
    scaffold = Scaffold(
        name=name,
        iso=IsoFile(_iso_path(wish.iso, folder, root), wish.iso.name, _sha256(wish.iso)),
        identity=identity,
        profile=match.profile,
        reasons=match.reasons,
        point=point,
        view=view,
        boot_files=_boot_files(match.profile, view),
        extends=BASE if point.base and _has_base(folder, root) else "",
        schema=_schema(path, root, "template"),
    )
    if wish.output == STDOUT:
        click.echo(scaffold.yaml(), nl=False)
        return
    _put(path, scaffold.yaml(), wish, files)
    problems = _checked(path, host)
    _say(wish, f"{_shown(path)}: written")
    for note in point.notes:
        _say(wish, f"  {note}")
    for problem in problems:
        for line in problem_lines(problem):
            click.echo(line, err=True)
    shown = shlex.quote(_shown(path))
    first = f"complete boot_configs/{wish.new_profile}.yml; " if match.profile.name == wish.new_profile else ""
    click.echo(f"next: {first}factory plan {shown}; factory build {shown}")


def _checked(path: Path, host: Mapping[str, Any]) -> tuple[Problem, ...]:
    """What `factory validate` will say: nothing, or warnings. Raises: TemplateError."""
    _, problems = check(path, environ=environment(), host=host)
    if any(p.severity == "error" for p in problems):
        raise TemplateError(problems, hint="nothing was written; --output - prints what was made of this ISO")
    return tuple(problems)


def _boot_files(profile: Profile, view: IsoView) -> BootFiles | None:
    if profile.direct is None:
        return None
    try:
        return find_boot_files(profile.direct, view)
    except FactoryError:
        return None


def _template_path(wish: Wish, name: str) -> Path:
    if wish.output and wish.output != STDOUT:
        path = Path(wish.output)
        return (path / f"{name}.yml" if path.is_dir() else path).absolute()
    images = _root(wish) / "images"
    return (images if images.is_dir() else Path.cwd()) / f"{name}.yml"


def _iso_path(iso: Path, folder: Path, root: Path) -> str:
    """As seen from the template where both lie in one project, which may then be moved; else absolute."""
    absolute = Path(os.path.normpath(iso.absolute()))
    if absolute.is_relative_to(root.absolute()):
        return os.path.relpath(absolute, folder.absolute())
    return str(absolute)


def _has_base(folder: Path, root: Path) -> bool:
    places = [folder, *(base / "images" for base in project.search_roots(root))]
    return any((place / f"{BASE}.yml").is_file() for place in places)


def _schema(path: Path, root: Path, kind: str) -> str:
    """Where an editor finds the schema, as seen from the file at *path*."""
    for base in project.search_roots(root):
        schema = base.absolute() / _SCHEMAS / f"{kind}.schema.json"
        if schema.is_file():
            return os.path.relpath(schema, path.absolute().parent) if base == root else schema.as_posix()
    return f"{kind}.schema.json"  # `factory schema` prints it


def _sha256(path: Path) -> str:
    from tqdm import tqdm

    digest = hashlib.sha256()
    with (
        open_content(path) as stream,
        tqdm(total=path.stat().st_size, unit="B", unit_scale=True, desc="sha256", leave=False, disable=None) as bar,
    ):
        while piece := stream.read(2**20):
            digest.update(piece)
            bar.update(len(piece))
    return digest.hexdigest()


@contextlib.contextmanager
def _all_or_nothing() -> Iterator[contextlib.ExitStack]:
    """Takes back what was written when something fails: the stack holds how."""
    with contextlib.ExitStack() as undo:
        yield undo
        undo.pop_all()


def _put(path: Path, content: str, wish: Wish, undo: contextlib.ExitStack) -> None:
    """Writes a whole file. Raises: TemplateError when there is one already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if wish.overwrite:
        if kind := other_kind(path):
            raise TemplateError(f"{_shown(path)} is {kind}, and no file to overwrite", hint="give another --output")
        undo.callback(path.write_bytes, path.read_bytes()) if path.exists() else undo.callback(_remove, path)
        draft = path.with_name(f".{path.name}.part")
        draft.write_text(content)
        draft.replace(path)
        return
    try:
        with path.open("x") as stream:
            undo.callback(_remove, path)
            stream.write(content)
    except FileExistsError:
        raise TemplateError(
            f"{_shown(path)} is already there", hint="give it another --name or --output, or overwrite it with --force"
        ) from None


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _check_name(name: str, what: str) -> None:
    if not _NAME.match(name):
        raise TemplateError(
            f"{name!r} can't be the name of {what}", hint="use small letters, digits and . _ - between them"
        )


def _shown(path: Path) -> str:
    return os.path.relpath(path) if path.absolute().is_relative_to(Path.cwd()) else str(path)
