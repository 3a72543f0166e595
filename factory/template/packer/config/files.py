"""Which files a template consists of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from factory.errors import Problem, TemplateError
from factory.opening import open_text
from factory.template.packer.hcl import Source

LARGEST = 32 * 2**20
"""Bytes of one file: a device never ends."""
HCL, JSON = ".pkr.hcl", ".pkr.json"
VARIABLES = (".pkrvars.hcl", ".pkrvars.json")
AUTO = (".auto.pkrvars.hcl", ".auto.pkrvars.json")


@dataclass(frozen=True, slots=True)
class FileSet:
    folder: Path
    templates: tuple[Path, ...]
    auto_variables: tuple[Path, ...]


def find_files(path: Path) -> FileSet:
    """The files of a template: *path* itself, or all templates of the folder *path* with its auto variable files.

    Raises: TemplateError when there is nothing.
    """
    if path.is_dir():
        entries = sorted(p for p in path.iterdir() if p.is_file())
        templates = [p for p in entries if p.name.endswith(HCL)] + [p for p in entries if p.name.endswith(JSON)]
        if not templates:
            others = [p.name for p in entries if p.name.endswith((".json", ".hcl"))]
            hint = f"name one of them: {', '.join(others)}" if others else ""
            raise TemplateError(f"there is no file *{HCL} or *{JSON} in the folder {path}", hint=hint)
        auto = [p for p in entries if p.name.endswith(AUTO[0])] + [p for p in entries if p.name.endswith(AUTO[1])]
        return FileSet(path, tuple(templates), tuple(auto))
    if not path.exists():
        raise TemplateError(f"there is no file or folder {path}")
    return FileSet(path.parent, (path,), ())


def read_template(path: Path) -> Source:
    """One file of a template. Raises: as ``read_source``, and for a pipe through which nothing comes."""
    source = read_source(path)
    if not source.text and path.is_fifo():
        raise TemplateError(f"{path} is a named pipe that nobody writes to", hint="name the template's file or folder")
    return source


def read_source(path: Path, shown: str = "") -> Source:
    """Raises: TemplateError when the file can't be read or is no text in UTF-8."""
    name = shown or str(path)
    try:
        with open_text(path) as stream:
            raw = stream.read(LARGEST + 1)
    except OSError as error:
        raise TemplateError(f"{name} can't be read: {error.strerror or error}") from None
    if len(raw) > LARGEST:
        raise TemplateError(f"{name} is larger than {LARGEST // 2**20} MiB: is it a template?")
    try:
        return Source.of(name, raw.decode())
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        source = Source.of(name, raw.decode(errors="replace"))
        place = source.place(len(raw[: error.start].decode(errors="replace")))
        raise TemplateError(
            [Problem(f"line {line} is not a text in UTF-8", place, hint="save the file as UTF-8")]
        ) from None
