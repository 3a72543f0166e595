"""The JSON Schema accepts what load() accepts and refuses what it refuses; the reference is what the models say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from factory.template.check import check, check_profile
from factory.template.describe import describe
from factory.template.reference import reference
from factory.template.schema import fragment_schema, profile_schema, template_schema
from factory.template.yaml_source import parse_yaml, read_yaml
from tests.template.conftest import TEMPLATE, Project

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = {"template": template_schema(), "fragment": fragment_schema(), "profile": profile_schema()}


def errors(kind: str, value: Any) -> list[str]:
    validator = jsonschema.Draft202012Validator(SCHEMAS[kind])
    return [f"{'.'.join(map(str, e.absolute_path))}: {e.message}" for e in validator.iter_errors(value)]


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_schemas_are_schemas(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[kind])


def shipped(*patterns: str) -> list[Path]:
    return [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]


@pytest.mark.parametrize("path", shipped("images/*.yml"), ids=lambda p: p.stem)
def test_every_shipped_template_is_valid(path: Path) -> None:
    assert errors("template", read_yaml(path).plain()) == []
    loaded, problems = check(path, host={"mirror": "mirror.example", "timezone": "Etc/UTC"})
    assert [str(p) for p in problems] == []
    assert loaded is not None
    assert describe(loaded).name == loaded.template.name


@pytest.mark.parametrize("path", shipped("images/_base/*.yml"), ids=lambda p: p.stem)
def test_every_shipped_fragment_is_valid(path: Path) -> None:
    assert errors("fragment", read_yaml(path).plain()) == []


@pytest.mark.parametrize("path", shipped("boot_configs/*.yml"), ids=lambda p: p.stem)
def test_every_shipped_profile_is_valid(path: Path) -> None:
    assert errors("profile", read_yaml(path).plain()) == []
    assert check_profile(path)[1] == ()


@pytest.mark.parametrize(
    "more",
    [
        "seal: false",
        "seal: '{{ vars.on }}'",
        "verify: true",
        "machine: {tpm: true, cpus: '{{ vars.n }}', memory: 536870912, disks: [{size: '{{ vars.n }} GiB'}]}",
        "outputs: [qcow2, {raw: {}}, {ova: }, {kind: vmdk}, {raw: {bmap: '{{ vars.on }}'}}]",
        "provision: [{shell: {inline: one}}, {shell: {inline: [one, two]}}, {reboot: {}}]",
        "provision+: [{reboot: {}}]",
        "outputs+: [raw]",
        "machine: {disks+: [{id: more}]}",
        "extends: _base/one",
        "variables: {n: {default: 3, type: number}, on: {default: true}}",
    ],
)
def test_short_forms_are_valid(project: Project, more: str) -> None:
    project.write("images/_base/one.yml", "description: x\n")
    declared = "" if "variables:" in more else "variables: {n: {default: 3}, on: {default: true}}\n"
    loaded, problems = project.check(f"{declared}{more}\n")
    assert [str(p) for p in problems] == []
    assert loaded is not None
    assert errors("template", parse_yaml(f"{TEMPLATE}{declared}{more}\n", Path("t.yml")).plain()) == []


def test_an_image_by_its_name_is_valid() -> None:
    assert errors("template", {"format": 1, "name": "x", "source": {"image": "other"}}) == []


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ("nmae: x", "Additional properties are not allowed ('nmae' was unexpected)"),
        ("machine: {memroy: 1}", "machine: Additional properties"),
        ("machine: {cpus: many}", "machine.cpus: 'many' is not valid"),
        ("machine: {firmware: efi}", "machine.firmware: 'efi' is not valid"),
        ("outputs: [qcow3]", "outputs.0: 'qcow3' is not valid"),
        ("outputs: [{raw: {compres: 1}}]", "outputs.0:"),
        ("provision: [{shel: {}}]", "provision.0: Additional properties"),
        ("layers: sometimes", "layers: 'sometimes' is not valid"),
        ("seal: 3", "seal: 3 is not valid"),
    ],
)
def test_mistakes_are_invalid(project: Project, more: str, where: str) -> None:
    assert project.check(f"{more}\n")[0] is None
    found = errors("template", parse_yaml(f"{TEMPLATE}{more}\n", Path("t.yml")).plain())
    assert len(found) == 1
    assert where in found[0]


def test_what_a_template_needs() -> None:
    assert errors("template", {"format": 1, "name": "x", "extends": ["a"]}) == []
    assert errors("fragment", {}) == []
    assert len(errors("template", {})) == 3
    assert errors("template", {"format": 2, "name": "x", "source": {}}) == ["format: 1 was expected"]
    assert len(errors("profile", {"format": 1})) == 1


def test_every_field_is_described() -> None:
    missing = []
    for kind, schema in SCHEMAS.items():
        for name, mapping in {"": schema, **schema["$defs"]}.items():
            fields = mapping.get("properties", {})
            missing += [
                f"{kind}.{name}.{f}" for f, s in fields.items() if "description" not in s and "kind" not in fields
            ]
    assert missing == []


def test_the_reference_is_what_the_models_say() -> None:
    page = (ROOT / "docs/reference/template.md").read_text("utf-8")
    message = "run: python -c 'from factory.template.reference import reference; print(reference(), end=\"\")'"
    assert page == reference(), message
    for name in ("`provision[].shell`", "### `qcow2`", "`source.iso`", "### `install.expect[]`"):
        assert name in page


def test_a_description(project: Project) -> None:
    loaded = project.load(
        "description: words\n"
        "variables:\n"
        "  a: {help: about a, choices: [x, y], default: x}\n"
        "  b: {sensitive: true, default: hunter2}\n"
        "  c: {generate: password}\n"
        "  d: {}\n"
        "  e: {type: size, default: 2 GiB}\n"
        "  f: {default: true}\n"
        "provision:\n"
        "  - shell: {inline: [one, two]}\n"
        "  - shell: {script: ../scripts/hello}\n"
        "  - file: {content: x, destination: /etc/motd}\n"
        "  - {reboot: {}, name: again}\n"
        "  - reboot: {}\n"
        "machine: {extra_args: [-device, 'a b']}\n"
        "outputs: [qcow2, ova]\n",
        variables={"f": "false"},
    )
    text = describe(loaded).to_json()
    assert text.pop("variables") == (
        {"name": "a", "help": "about a", "type": "string", "value": "x", "origin": "default", "allowed": "x, y"},
        {"name": "b", "help": "", "type": "string", "value": "********", "origin": "default", "allowed": ""},
        {"name": "c", "help": "", "type": "string", "value": "", "origin": "generated", "allowed": ""},
        {"name": "d", "help": "", "type": "string", "value": "", "origin": "not set", "allowed": ""},
        {"name": "e", "help": "", "type": "size", "value": "2 GiB", "origin": "default", "allowed": ""},
        {"name": "f", "help": "", "type": "bool", "value": "false", "origin": "-var f", "allowed": ""},
    )
    assert text == {
        "name": "small",
        "description": "words",
        "files": ("images/small.yml",),
        "source": "isos/small.iso",
        "profile": "small",
        "seed": "http_seed/small",
        "machine": "2 CPUs, 2 GiB, bios, 8 GiB on virtio; QEMU also gets: -device 'a b'",
        "access": "ssh as root",
        "provisioners": ("shell: one (+1)", "shell: scripts/hello", "file: /etc/motd", "reboot: again", "reboot"),
        "outputs": ("qcow2", "ova"),
    }
