"""Loads templates in HCL and in its JSON form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from factory.errors import Problem, TemplateError
from factory.secret import Secret
from factory.template.packer.config.builds import Builds
from factory.template.packer.config.computed import Computed
from factory.template.packer.config.files import HCL, JSON, FileSet, find_files, read_template
from factory.template.packer.config.plugins import read_packer_block
from factory.template.packer.config.variables import Variables
from factory.template.packer.hcl import parse_body
from factory.template.packer.hcl.json_form import BlockSchema, parse_json_body
from factory.template.packer.hcl.json_parser import parse_json
from factory.template.packer.hcl.syntax import Block, Body
from factory.template.packer.language.functions import FUNCTIONS
from factory.template.packer.language.scope import Scope, World, did_you_mean
from factory.template.packer.language.values import (
    Value,
    object_value,
    secrets_within,
    string,
)
from factory.template.packer.model import COMPATIBLE_VERSION, PackerConfig, PackerVariable
from factory.template.packer.reporting import raise_errors, warnings_of
from factory.template.packer.selection import Selection, nothing_selected
from factory.template.packer_files import DataReader, Purpose

_CONTENT = BlockSchema(blocks={"content": BlockSchema()})
_STEPS: Mapping[str, BlockSchema] = {
    "provisioner": BlockSchema(1),
    "error-cleanup-provisioner": BlockSchema(1),
    "post-processor": BlockSchema(1),
    "post-processors": BlockSchema(blocks={"post-processor": BlockSchema(1)}),
    "source": BlockSchema(1),
    "hcp_packer_registry": BlockSchema(),
    "dynamic": BlockSchema(1, _CONTENT.blocks),
}
TOP_LEVEL: Mapping[str, BlockSchema] = {
    "packer": BlockSchema(blocks={"required_plugins": BlockSchema()}),
    "source": BlockSchema(2, {"qemu_img_args": BlockSchema(), "dynamic": BlockSchema(1, _CONTENT.blocks)}),
    "variables": BlockSchema(),
    "variable": BlockSchema(1, {"validation": BlockSchema()}),
    "locals": BlockSchema(),
    "local": BlockSchema(1),
    "data": BlockSchema(2),
    "build": BlockSchema(blocks=_STEPS),
    "hcp_packer_registry": BlockSchema(),
    "communicator": BlockSchema(2),
}
_ENV_REASON = 'read it in a variable: variable "x" { default = env("X") }, and then write var.x'
_FORBIDDEN = {"env": _ENV_REASON}


def load_hcl(
    path: Path,
    world: World,
    *,
    variables: Mapping[str, str],
    var_files: Sequence[Path],
    selection: Selection,
    data_reader: DataReader | None,
    purpose: Purpose,
) -> PackerConfig:
    """Raises: TemplateError with everything that is wrong."""
    files = find_files(path)
    problems: list[Problem] = []
    bodies = [b for file in files.templates for b in _read(file, problems)]
    raise_errors(problems)  # what else is missing may well be declared behind the mistake
    blocks = [b for body in bodies for b in body.blocks]
    for body in bodies:
        for item in body.attributes.values():
            hint = f'write locals {{ {item.name} = … }}, or variable "{item.name}" {{ default = … }}'
            problems.append(item.name_span.problem(f"there can't be an argument “{item.name}” here", hint=hint))
    _check_kinds(blocks, problems)
    base = Scope(_context(files, world), FUNCTIONS, world, None, _FORBIDDEN)
    inputs = _inputs(blocks, base, problems, files, variables, var_files, purpose)
    raise_errors(problems)
    scope = base.child({"var": object_value({k: v.value for k, v in inputs.items()})})
    computed = Computed(scope, problems, data_reader)
    for block in blocks:
        if block.kind == "locals":
            computed.declare_locals(block)
        elif block.kind == "local":
            computed.declare_local(block)
        elif block.kind == "data":
            computed.declare_data(block)
    computed.compute()
    computed.report_of_builds(blocks)
    raise_errors(problems)
    scope = scope.child(computed.names())
    builds = Builds(scope, problems, selection)
    version, plugins = "", dict[str, Mapping[str, str]]()
    for block in blocks:
        if block.kind == "source":
            builds.declare_source(block)
        elif block.kind == "build":
            builds.declare_build(block)
        elif block.kind == "packer":
            version, found = read_packer_block(block, scope, problems)
            plugins.update(found)
    made = builds.result()
    if builds.names and not made:
        problems.append(nothing_selected(builds.names))
    raise_errors(problems)
    local_values = computed.local_values()
    return PackerConfig(
        path=path,
        folder=files.folder,
        working=world.working,
        builds=made,
        blocks=tuple(builds.written),
        warnings=warnings_of(problems),
        variables=inputs,
        locals=local_values,
        secrets=_secrets(inputs, local_values, builds.secrets),
        parts=world.parts,
        description=next((b.description for b in made if b.description), ""),
        required_plugins=plugins,
        required_version=version,
        scope=scope,
    )


def _read(file: Path, problems: list[Problem]) -> list[Body]:
    source = read_template(file)
    try:
        if file.name.endswith(".json"):
            return [parse_json_body(source, TOP_LEVEL)]
        return [parse_body(source)]
    except TemplateError as error:
        problems.extend(error.problems)
        return []


def _check_kinds(blocks: list[Block], problems: list[Problem]) -> None:
    for block in blocks:
        if block.kind in TOP_LEVEL:
            continue
        if block.kind in _STEPS:
            hint = f"put it inside a build: build {{ … {block.kind} … }}"
        else:
            hint = did_you_mean(block.kind, TOP_LEVEL)
        problems.append(block.kind_span.problem(f"there is no block “{block.kind}” at this level", hint=hint))


def _context(files: FileSet, world: World) -> Mapping[str, Value]:
    return {
        "path": object_value(
            {"root": string(files.folder.as_posix()), "cwd": string(world.working.absolute().as_posix())}
        ),
        "packer": object_value(
            {
                "version": string(COMPATIBLE_VERSION),
                "versionFingerprint": string(""),
                "iterationID": string(""),
            }
        ),
    }


def _inputs(
    blocks: list[Block],
    base: Scope,
    problems: list[Problem],
    files: FileSet,
    options: Mapping[str, str],
    var_files: Sequence[Path],
    purpose: Purpose,
) -> Mapping[str, PackerVariable]:
    inputs = Variables(Scope(base.names, base.functions, base.world), problems)
    for block in blocks:
        if block.kind == "variable":
            inputs.declare(block)
        elif block.kind == "variables":
            inputs.declare_legacy(block)
    inputs.from_environment(base.world.environment)
    unread: list[Problem] = []
    given = [(base.world.working / file, str(file)) for file in var_files]
    for path, shown in [*((file, "") for file in files.auto_variables), *given]:
        try:
            inputs.from_file(path, shown=shown)
        except TemplateError as error:
            unread.extend(error.problems)
    raise_errors(unread)
    inputs.from_options(options)
    return inputs.finish(purpose)


def _secrets(
    inputs: Mapping[str, PackerVariable], local_values: Mapping[str, Value], more: set[str]
) -> tuple[Secret[str], ...]:
    values = [v.value for v in inputs.values()] + list(local_values.values())
    found = {text for value in values for text in secrets_within(value)} | more
    return tuple(Secret(text) for text in sorted(found) if text)


def syntax_errors(path: Path) -> tuple[Problem, ...]:
    """What keeps the files of the template at *path* from being read; values are not looked at."""
    problems: list[Problem] = []
    try:
        files = find_files(path)
        for file in files.templates:
            if file.name.endswith(HCL) or file.name.endswith(JSON) or file.suffix == ".hcl":
                _read(file, problems)
            else:
                parse_json(read_template(file))
    except TemplateError as error:
        problems.extend(error.problems)
    return tuple(problems)
