"""How the machine is started: what is typed, what it finds over HTTP, on CDs and on floppies, and when it is done."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from factory.boot_command.parse import Dialect, parse
from factory.errors import TemplateError
from factory.quantity import Duration
from factory.template.model import Install, Medium, Profile, ProfileSeed, SeedDelivery, SeedFile, TypedBoot
from factory.template.model.profile import Finished
from factory.template.packer.hcl.source import NOWHERE
from factory.template.packer.model import PackerConfig
from factory.template.packer.qemu_builder import QemuSource
from factory.template.packer.to_template.placing import OptionError
from factory.template.packer.to_template.qemu_arguments import Arguments
from factory.template.packer.to_template.steps import StepTexts
from factory.template.packer.to_template.texts import BOOT

PROFILE = "packer"


def install_of(s: QemuSource, found: Arguments, config: PackerConfig, texts: StepTexts) -> Install:
    """Raises: TemplateError for a file for a CD or floppy that is not there."""
    steps = [step[0] for step in s.boot_steps] or list(s.boot_command)
    _check_keys("".join(steps), "boot_steps" if s.boot_steps else "boot_command")
    serves = bool(s.http_directory or s.http_content)
    return Install(
        profile=PROFILE,
        boot_wait=s.boot_wait,
        boot_command=tuple(texts.late(t, {**BOOT, "Name": repr(s.vm_name)}, "boot_command") for t in steps),
        seed=SeedDelivery.HTTP if serves else SeedDelivery.NONE,
        seed_files=tuple(SeedFile(name=_served(path), content=text) for path, text in s.http_content.items()),
        seed_ports=(max(s.http_port_min, 1), max(s.http_port_max, 1)) if serves else None,
        media=(*_media(s, config), *found.media),
    )


def _check_keys(command: str, option: str) -> None:
    """Before anything is filled in, as Packer does. Raises: TemplateError for a wait that is not above zero."""
    try:
        parse(command, Dialect.PACKER)
    except TemplateError as error:
        raise OptionError(option, error.problems[0].message, hint=error.problems[0].hint) from None


def _served(path: str) -> str:
    return re.sub(r"/+", "/", path).strip("/")


def profile_of(s: QemuSource) -> Profile:
    """The profile that stands for Packer's own way of installing: one machine, until a communicator gets in."""
    unattended = s.communicator == "none"
    return Profile(
        format=1,
        name=PROFILE,
        typed=TypedBoot(wait=s.boot_wait),
        seed=ProfileSeed(directory=PROFILE, verbatim=True),
        finished=Finished.POWER_OFF if unattended else Finished.CONNECTED,
        deadline=s.shutdown_timeout if unattended else _patience(s),
        guest="windows" if s.communicator == "winrm" else "linux",
    )


def _patience(s: QemuSource) -> Duration:
    """Packer has one budget for installing and connecting: the communicator's timeout."""
    timeout = s.winrm_timeout if s.communicator == "winrm" else s.ssh_timeout
    return timeout if timeout else Duration(24 * 3600)


def seed_directory(s: QemuSource, config: PackerConfig) -> Path | None:
    if not s.http_directory:
        return None
    wanted = Path(s.http_directory).expanduser()
    folders = (config.working / wanted, config.folder / wanted)
    return next((f.absolute() for f in folders if f.is_dir()), None)  # Packer serves what is not there, too: nothing


def _refuse_missing(s: QemuSource, config: PackerConfig) -> None:
    """Raises: TemplateError for every file that is to go on a CD or floppy and is not there."""
    problems = [
        s.places.get(option, NOWHERE).problem(f"{option}: there is no file or folder “{path}” to put on a CD or floppy")
        for option in ("cd_files", "floppy_files", "floppy_dirs")
        for path in getattr(s, option)
        if not _is_pattern(path) and not _place(path, config.working).exists()
    ]
    if problems:
        raise TemplateError(problems)


def _is_pattern(path: str) -> bool:
    return any(c in path for c in "*?[")


def _place(path: str, working: Path) -> Path:
    return (working / Path(path).expanduser()).absolute()


def _media(s: QemuSource, config: PackerConfig) -> Iterator[Medium]:
    _refuse_missing(s, config)
    if files := _files(s.cd_files, s.cd_content, config):
        yield Medium(kind="cd", label=s.cd_label or PROFILE, files=files)
    # Packer puts files of floppy_files side by side, and keeps the folders of floppy_dirs.
    if files := _files((*s.floppy_files, *s.floppy_dirs), s.floppy_content, config):
        yield Medium(kind="floppy", label=s.floppy_label or PROFILE, files=files)


def _files(paths: Sequence[str], content: Mapping[str, str], config: PackerConfig) -> tuple[SeedFile, ...]:
    found: dict[str, SeedFile] = {}
    for path in paths:
        for name, place in _expanded(path, config.working):
            found[name] = SeedFile(name=name, path=str(place))
    # What is given as text comes last, and wins.
    found.update({_served(n): SeedFile(name=_served(n), content=text) for n, text in content.items()})
    return tuple(found.values())


def _expanded(path: str, working: Path) -> Iterator[tuple[str, Path]]:
    """Name on the medium and place of each file: a pattern's matches, a folder, or (with ``/``) what is in it."""
    if _is_pattern(path):
        matches = sorted(working.glob(path)) if not Path(path).is_absolute() else sorted(Path("/").glob(path[1:]))
        for match in matches:
            yield match.name, match.absolute()
        return
    place = _place(path, working)
    if place.is_dir() and path.endswith("/"):
        for inside in sorted(place.iterdir()):
            yield inside.name, inside
    else:
        yield place.name, place
