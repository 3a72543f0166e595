"""What a build has brought out of its guest may be gone since: only the phase that brought it can do so again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from factory.plan.model import Phase, Plan
from factory.provision.file import result_of_download
from factory.steps.run_provisioner import RunProvisioner
from factory.template.model import File


def downloads(plan: Plan) -> Iterator[tuple[int, Path]]:
    """The number of each phase that downloads, and the file or folder of this host that it leaves."""
    for index, phase in enumerate(plan.phases):
        for path in _of(phase):
            yield index, path


def first_missing(plan: Plan) -> tuple[int, str]:
    """The number of the first phase whose download is not there, and what is missing; behind all phases when none is.

    One that may fail (`continue_on_error`) is not missed: it may never have been there.
    """
    for index, path in downloads(plan):
        if not path.exists():
            return index, _shown(path)
    return len(plan.phases), ""


def _of(phase: Phase) -> Iterator[Path]:
    for step in phase.steps:
        if not isinstance(step, RunProvisioner) or step.provision.continue_on_error:
            continue
        options = step.provision.options
        if isinstance(options, File) and options.direction == "download" and options.source:
            yield result_of_download(options.source, options.destination)


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
