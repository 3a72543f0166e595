"""corpus DIR [--units TSV]: validates every Packer template of a folder of checked-out repositories.

DIR holds one folder for each repository, named OWNER__NAME. Without --units, every folder or file that contains a qemu
source or builder is a unit. Prints "ok" or the first thing that can't be done for each unit, and the rate at the end.
Required variables are filled by their type. Nothing is executed, nothing is fetched.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from factory.errors import TemplateError
from factory.template.packer import load
from factory.template.packer.language.types import (
    ANY,
    BOOL,
    NUMBER,
    STRING,
    ListType,
    MapType,
    ObjectType,
    SetType,
    TupleType,
    Type,
)
from factory.template.packer.required import required_variables

QEMU_SOURCE = re.compile(r'^\s*source\s+"?qemu"?\s', re.MULTILINE)


def units_of(table: Path, folder: Path) -> Iterator[tuple[str, Path, Path]]:
    """Name, repository and template of each unit that TABLE lists."""
    with table.open() as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            repository = folder / row["repo"].replace("/", "__")
            yield f"{row['repo']}:{row['path']}", repository, repository / row["path"]


def units_found(folder: Path) -> Iterator[tuple[str, Path, Path]]:
    for repository in sorted(p for p in folder.iterdir() if p.is_dir()):
        name = repository.name.replace("__", "/", 1)
        with_qemu = [p for p in repository.rglob("*.pkr.hcl") if p.is_file() and QEMU_SOURCE.search(text_of(p))]
        for found in sorted({p.parent for p in with_qemu}):
            if is_one_template(found):
                yield f"{name}:{found.relative_to(repository)}/", repository, found
                continue
            for file in sorted(p for p in with_qemu if p.parent == found):
                yield f"{name}:{file.relative_to(repository)}", repository, file
        for file in sorted(repository.rglob("*.json")):
            if file.is_file() and '"qemu"' in text_of(file) and is_json_template(file):
                yield f"{name}:{file.relative_to(repository)}", repository, file


def is_one_template(folder: Path) -> bool:
    """Files that declare the same variable or source are templates of their own."""
    names: list[str] = []
    for file in folder.glob("*.pkr.hcl"):
        text = text_of(file)
        names += re.findall(r'^\s*(?:variable|source)(?:\s+"?[\w-]+"?)+\s*\{', text, re.MULTILINE)
        for body in re.findall(r"^variables\s*\{(.*?)^\}", text, re.MULTILINE | re.DOTALL):
            names += [f'variable "{n}" {{' for n in re.findall(r"^\s*([\w-]+)\s*=", body, re.MULTILINE)]
    return len({" ".join(n.split()) for n in names}) == len(names)


def text_of(path: Path) -> str:
    return path.read_text(errors="replace")


def is_json_template(path: Path) -> bool:
    try:
        data = json.loads(text_of(path))
    except ValueError:
        return False
    builders = data.get("builders") if isinstance(data, dict) else None
    return isinstance(builders, list) and any(isinstance(b, dict) and b.get("type") == "qemu" for b in builders)


def filling(name: str, kind: Type, key_file: Path) -> str:
    """A value of the right type, as ``-var`` takes it; the name tells more where the type is text."""
    if kind == NUMBER:
        return "1"
    if kind == BOOL:
        return "true"
    if kind in (STRING, ANY):
        return filling_text(name, key_file)
    return filling_expression(name, kind, key_file)


def filling_expression(name: str, kind: Type, key_file: Path) -> str:
    if isinstance(kind, ObjectType):
        inner = [f"{n} = {filling_expression(n, t, key_file)}" for n, t in kind.attributes.items()]
        return "{" + ", ".join(inner) + "}"
    if isinstance(kind, MapType):
        return "{ filled = " + filling_expression(name, kind.element, key_file) + " }"
    if isinstance(kind, (ListType, SetType)):
        return "[" + filling_expression(name, kind.element, key_file) + "]"
    if isinstance(kind, TupleType):
        return "[" + ", ".join(filling_expression(name, t, key_file) for t in kind.elements) + "]"
    value = filling(name, kind, key_file)
    return value if kind in (NUMBER, BOOL) else json.dumps(value)


KNOWN_WORDS = {
    "checksum_type": "sha256", "checksum": "0" * 64, "sha256": "0" * 64, "sha512": "0" * 128, "md5": "0" * 32,
    "interface": "virtio", "accelerator": "tcg", "net_device": "virtio-net",
    "size": "10240", "memory": "1024", "cpu": "1", "arch": "x86_64", "wait": "10s", "timeout": "10m",
    "version": "12.4.1", "url": "http://example.com/x.iso", "iso": "http://example.com/x.iso", "port": "22",
}  # fmt: skip


def filling_text(name: str, key_file: Path) -> str:
    if re.search(r"key(_?file|_?path)?$|_key_", name):
        return str(key_file)
    return next((value for word, value in KNOWN_WORDS.items() if word in name.lower()), FILLED)


def attempts(template: Path, repository: Path, key_file: Path) -> Iterator[tuple[str, dict[str, str], list[Path]]]:
    """What to try: the required variables filled, the empty ones too, each file of variables nearby."""
    least = fill(required_variables(template), key_file)
    yield "", least, []
    both = fill(required_variables(template, also_empty=True), key_file)
    yield "empty variables filled", both, []
    yield "for amd64", {n: "amd64" if v == KNOWN_WORDS["arch"] else v for n, v in both.items()}, []
    if label := first_source(template):
        yield "named as the source", {n: label if v == FILLED else v for n, v in both.items()}, []
    allowed = words_allowed(template)
    if allowed:
        for filled in (least, both):
            words = {n: word for n, (word, wrong) in allowed.items() if n in filled or wrong}
            yield "with values that validations name", {**filled, **words}, []
    folder = template if template.is_dir() else template.parent
    suffixes = (".pkrvars.hcl", ".pkrvars.json", ".json") if template.suffix == ".json" else (".pkrvars.hcl",)
    near = [p for p in sorted(folder.rglob("*")) if p.name.endswith(suffixes) and p != template]
    far = [p for p in sorted(repository.rglob("*")) if p.name.endswith(".pkrvars.hcl") and p not in near]
    for file in [*near, *far][:MOST_FILES]:
        given = set(declared_in(file))
        for values in (least, both):
            missing = {n: v for n, v in values.items() if n not in given}
            yield str(file.relative_to(repository)), missing, [file]


MOST_FILES = 60
FILLED = "filled"


def first_source(template: Path) -> str:
    """The name of the first qemu source: templates choose one by a variable."""
    files = sorted(template.glob("*.pkr.hcl")) if template.is_dir() else [template]
    labels = (re.search(r'^source\s+"?qemu"?\s+"?([\w-]+)', text_of(file), re.MULTILINE) for file in files)
    return next((found[1] for found in labels if found), "")


VARIABLE = re.compile(r'^variable\s+"?([\w-]+)"?\s*\{(.*?)^\}', re.MULTILINE | re.DOTALL)
LIST_OF_WORDS = re.compile(r"\^?\(?\^?[\w.-]+\$?(?:\|\^?[\w.-]*\$?)*\)?\$?")
CHOSEN_FIRST = ("qemu", "x86_64", "amd64", "tcg", "qcow2")


def words_allowed(template: Path) -> dict[str, tuple[str, bool]]:
    """For variables whose validation lists words: one of them, and whether the default is none of them."""
    files = sorted(template.glob("*.pkr.hcl")) if template.is_dir() else [template]
    found: dict[str, tuple[str, bool]] = {}
    for name, body in (pair for file in files for pair in VARIABLE.findall(text_of(file))):
        conditions = " ".join(re.findall(r"condition\s*=\s*(.*)", body))
        quoted = re.findall(r'"([^"]*)"', conditions)
        lists = [text for text in quoted if LIST_OF_WORDS.fullmatch(text)]
        words = [w.strip("^$") for text in lists for w in re.split(r"[()|]", text)]
        words = [w for w in words if re.fullmatch(r"[\w.-]+", w)]
        default = re.search(r'default\s*=\s*"([^"]*)"', body)
        if words:
            word = next((w for w in CHOSEN_FIRST if w in words), words[0])
            found[name] = (word, default is not None and default[1] not in words)
    return found


def declared_in(file: Path) -> list[str]:
    return re.findall(r'^\s*"?([\w-]+)"?\s*[=:]', text_of(file), re.MULTILINE)


def fill(needed: Mapping[str, Type], key_file: Path) -> dict[str, str]:
    return {name: filling(name, kind, key_file) for name, kind in needed.items()}


def check(template: Path, repository: Path, key_file: Path) -> tuple[bool, str]:
    """Whether the template is fine, with how it had to be filled, or the first thing that isn't."""
    first = ""
    try:
        for how, values, files in attempts(template, repository, key_file):
            problem = first_problem(template, repository, values, files)
            if not problem:
                return True, f"ok ({how})" if how else "ok"
            first = first or problem
    except TemplateError as error:
        first = first or shown(error, repository)
    return False, first


def first_problem(template: Path, repository: Path, values: dict[str, str], files: list[Path]) -> str:
    try:
        config = load(template, values, files, {"HOME": "/root", "USER": "root"}, working=repository)
    except TemplateError as error:
        return shown(error, repository)
    return "" if config.qemu_builds else "no qemu build"


def shown(error: TemplateError, repository: Path) -> str:
    problem = next(p for p in error.problems if p.severity == "error")
    return str(problem).replace(str(repository) + "/", "").replace("\n", " ")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--units", type=Path)
    parser.add_argument("--least", type=float, default=0.0, help="the rate in percent that is good enough")
    options = parser.parse_args()
    units = units_of(options.units, options.folder) if options.units else units_found(options.folder)
    good = count = 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        key_file = Path(scratch, "key")
        key_file.write_text("key")
        Path(scratch, "key.pub").write_text("ssh-ed25519 AAAA filled")
        for name, repository, template in units:
            count += 1
            fine, verdict = False, "not there"
            if template.exists():
                try:
                    fine, verdict = check(template, repository, key_file)
                except Exception as error:  # a bug of ours is a miss, and no reason to stop
                    verdict = f"BUG {type(error).__name__}: {error}"
            good += fine
            sys.stdout.write(f"{name}\t{verdict}\n")
            sys.stdout.flush()
    rate = 100 * good / count if count else 0.0
    sys.stdout.write(f"{good} of {count} units: {rate:.1f} % in {time.monotonic() - started:.0f} s\n")
    return 0 if rate >= options.least else 1


if __name__ == "__main__":
    sys.exit(main())
