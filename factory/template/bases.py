"""Builds that start from the image of another build: `source: {image: NAME}`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from pathlib import Path

from factory.errors import Problem, TemplateError
from factory.template import project
from factory.template.fragments import assemble
from factory.template.model import Loaded
from factory.template.suggest import did_you_mean


def chain_of(
    loaded: Loaded, known: Mapping[str, Loaded], load: Callable[[Path], Iterable[Loaded]]
) -> tuple[Loaded, ...]:
    """What *loaded* starts from, nearest first; empty for one that starts from an installer or a file.

    Args:
        known: builds that are there already; they come before files of the same name.
        load: every build of a template's file.

    Raises: TemplateError for a circle (named whole), a name that no template has, or a template that is wrong.
    """
    chain: list[Loaded] = [loaded]
    while name := base_name(chain[-1]):
        names = [c.template.name for c in chain]
        if name in names:
            circle = " → ".join([*names[names.index(name) :], name])
            raise _problem(chain[-1], f"images are built from each other in a circle: {circle}")
        chain.append(known.get(name) or _find(chain[-1], name, load))
    for above, below in pairwise(chain):
        check_fit(above, below)
    return tuple(chain[1:])


def base_name(loaded: Loaded) -> str:
    """The name of the build that *loaded* starts from; empty when it starts from something else."""
    image = loaded.template.source.image
    return (image.template or "") if image else ""


def candidates(name: str, path: Path, root: Path) -> list[Path]:
    """Files that may hold the build *name*, the likeliest first: beside the template at *path*, then in images/.

    A file whose `matrix` makes it may be called by the beginning of the name.
    """
    beside = project.templates_in(path.absolute().parent)
    inside = project.templates(root)
    found = [templates[name] for templates in (beside, inside) if name in templates]
    prefixes = [f for templates in (beside, inside) for n, f in templates.items() if name.startswith(f"{n}-")]
    return [p for p in dict.fromkeys([*found, *prefixes]) if p.resolve() != path.resolve() or p in prefixes]


def _find(wants: Loaded, name: str, load: Callable[[Path], Iterable[Loaded]]) -> Loaded:
    known: list[str] = []
    for path in candidates(name, wants.path, wants.root):
        for build in load(path):
            if build.template.name == name:
                return build
            known.append(build.template.name)
    known += [*project.templates(wants.root), *project.templates_in(wants.path.absolute().parent)]
    raise _problem(wants, f"there is no template '{name}'", did_you_mean(name, known))


def check_fit(loaded: Loaded, base: Loaded) -> None:
    """Raises: TemplateError where the machine can't go on with the disks of its base."""
    machine, below = loaded.template.machine, base.template.machine
    name = base.template.name
    if machine.firmware is not below.firmware:
        raise _problem(
            loaded,
            f"'{name}' is installed for {below.firmware.value} firmware, and this machine has {machine.firmware.value}",
            f"say `machine: {{firmware: {below.firmware.value}}}`",
        )
    missing = [d.id for d in below.disks if d.id not in {m.id for m in machine.disks}]
    if missing:
        raise _problem(
            loaded,
            f"this machine lacks the disk {', '.join(missing)} that '{name}' has",
            "name the same disks, in the same order",
        )


def _problem(loaded: Loaded, message: str, hint: str = "") -> TemplateError:
    """With the place of `source.image`, in whichever file it was written."""
    tree = assemble(loaded.path, [loaded.root / "images"]).root
    node = tree.at("source", "image", "template") or tree.at("source", "image") or tree
    return TemplateError([node.problem(message, hint)] if node else [Problem(message, hint=hint)])
