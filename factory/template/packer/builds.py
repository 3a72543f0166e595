"""A Packer template as builds of ours: what ``template.load`` gives for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from factory.errors import Place, Problem, TemplateError
from factory.template.model import Loaded
from factory.template.packer.load import load
from factory.template.packer.missing_files import missing_files
from factory.template.packer.model import PackerConfig
from factory.template.packer.to_template import NotMadeHere, Translation, UnsupportedMachine, to_template
from factory.template.packer_files import DataReader, Purpose


def check_builds(
    path: Path,
    *,
    variables: Mapping[str, str],
    var_files: Sequence[Path],
    environ: Mapping[str, str],
    only: Sequence[str] = (),
    except_: Sequence[str] = (),
    purpose: Purpose = Purpose.CHECK,
    data_reader: DataReader | None = None,
) -> tuple[tuple[Loaded, ...], tuple[Problem, ...]]:
    """Every qemu build of the template at *path*, and what is to be said about it: errors, and warnings.

    A build that is right and can't be made here is a warning when templates are checked; when builds are *made*, an
    error, except for a machine of another architecture.

    Builds of other builders are passed over with a warning; an error when nothing is left.
    """
    try:
        config = load(path, variables, var_files, environ, only, except_, data_reader=data_reader)
        missing = missing_files(config)
        translations, unsupported = _translated(config, purpose)
    except TemplateError as error:
        return (), error.problems
    problems = [*config.warnings, *missing, *_passed_over(config, path), *unsupported, *_noted(config, translations)]
    if not translations and not unsupported:
        problems.append(_nothing_left(config, path, only, except_))
    if any(p.severity == "error" for p in problems):
        return (), tuple(problems)
    builds = _named_apart(translations)
    if not builds:
        return (), tuple(problems)
    # Who builds sees them once, not with each build.
    return (replace(builds[0], warnings=tuple(problems)), *(replace(b, warnings=()) for b in builds[1:])), tuple(
        problems
    )


def _translated(config: PackerConfig, purpose: Purpose) -> tuple[list[Translation], list[Problem]]:
    """The builds, and a warning for each that is right and can't be made here. Raises: TemplateError."""
    found: list[Translation] = []
    unsupported: list[Problem] = []
    wrong: list[Problem] = []
    for build in config.qemu_builds:
        try:
            found.append(to_template(config, build))
        except NotMadeHere as error:
            if purpose is Purpose.MAKE and not isinstance(error, UnsupportedMachine):
                wrong += error.problems
                continue
            unsupported += [replace(p, severity="warning") for p in error.problems]
        except TemplateError as error:
            wrong += error.problems
    if wrong:
        raise TemplateError(list(dict.fromkeys(wrong)))
    return found, unsupported


def _passed_over(config: PackerConfig, path: Path) -> list[Problem]:
    kinds = ", ".join(sorted({b.source_type for b in config.other_builds}))
    if not kinds:
        return []
    message = f"builds of other builders are passed over: {kinds}"
    return [Problem(message, Place(str(path)), severity="warning")]


def _nothing_left(config: PackerConfig, path: Path, only: Sequence[str], except_: Sequence[str]) -> Problem:
    if only or except_:
        chosen = " ".join([*(f"-only={p}" for p in only), *(f"-except={p}" for p in except_)])
        message, hint = f"no build of the qemu builder is left by {chosen}", "see the names with `factory inspect`"
    elif config.other_builds:
        message, hint = "no build of this template is for the qemu builder", "factory builds with QEMU alone"
    else:
        message, hint = "this template has no build", "is this the whole template, or one file of a folder?"
    return Problem(message, Place(str(path)), hint)


def _noted(config: PackerConfig, translations: Sequence[Translation]) -> list[Problem]:
    """What the builds can't do as Packer does it, once for all builds that share it."""
    found: dict[str, list[str]] = {}
    places: dict[str, Place] = {}
    for translation in translations:
        for note in translation.notes:
            if note.matters:
                message = f"{note.option} {note.message}"
                found.setdefault(message, []).append(translation.loaded.template.name)
                places.setdefault(message, translation.places.get(note.option, Place(str(config.path))))
    many = len(translations) > 1
    return [
        Problem(f"{', '.join(names)}: {message}" if many else message, places[message], severity="warning")
        for message, names in found.items()
    ]


def _named_apart(translations: Sequence[Translation]) -> tuple[Loaded, ...]:
    """Names of builds are those of layers and runs: two of one name (``a.b`` and ``a-b``) get numbers."""
    taken: dict[str, int] = {}
    result: list[Loaded] = []
    for loaded in (t.loaded for t in translations):
        name = loaded.template.name
        taken[name] = taken.get(name, 0) + 1
        if taken[name] > 1:
            template = loaded.template.model_copy(update={"name": f"{name}-{taken[name]}"})
            loaded = replace(loaded, template=template)
        result.append(loaded)
    return tuple(result)
