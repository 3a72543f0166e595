"""What a template is, in a few tables: for ``factory inspect``."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import Any

from factory.secret import MASK, Redactor, Secret
from factory.template.model import ImageSource, IsoSource, LateText, Loaded, Provision, Shell, Text, Variable
from factory.template.yaml_source import shown_name

NO_VALUE = ""


@dataclass(frozen=True, slots=True)
class VariableRow:
    """One variable. ``value`` is masked when it is sensitive, empty when there is none (yet)."""

    name: str
    help: str
    type: str
    value: str
    origin: str
    allowed: str


@dataclass(frozen=True, slots=True)
class Description:
    """Texts only, so that it can be printed as it is and written as JSON."""

    name: str
    description: str
    files: tuple[str, ...]
    source: str
    profile: str
    seed: str
    machine: str
    access: str
    provisioners: tuple[str, ...]
    outputs: tuple[str, ...]
    variables: tuple[VariableRow, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def describe(loaded: Loaded) -> Description:
    template = loaded.template
    access = template.access
    machine = template.machine
    disks = " + ".join(f"{d.size} on {d.bus}" for d in machine.disks)
    added = [Redactor(loaded.secrets)(_shown(a)) for a in machine.extra_args]
    way = "none" if access.none else "winrm" if access.winrm else "ssh"
    user = access.winrm.user if access.winrm else access.ssh.user if access.ssh else "root"
    return Description(
        name=template.name,
        description=template.description,
        files=tuple(shown_name(p) for p in loaded.files),
        source=_source(template.source.iso or template.source.image),
        profile=loaded.profile.name if loaded.profile else "",
        seed=shown_name(loaded.seed_directory) if loaded.seed_directory else "",
        machine=f"{machine.cpus} CPUs, {machine.memory}, {machine.firmware}, {disks}"
        + (f"; QEMU also gets: {shlex.join(added)}" if added else ""),
        access=way if access.none else f"{way} as {user}",
        provisioners=tuple(_provisioner(p) for p in template.provision),
        outputs=tuple(o.kind for o in template.outputs),
        variables=tuple(_row(n, v, loaded) for n, v in template.variables.items()),
    )


def _source(source: IsoSource | ImageSource | None) -> str:
    assert source is not None
    if isinstance(source, ImageSource) and source.template:
        return f"the image of {source.template}"
    if source.build:
        return f"built by {source.build.script}"
    return _shown(source.path or source.url or source.urls[0])


def _shown(text: Text) -> str:
    return text.source if isinstance(text, LateText) else text


def _provisioner(provision: Provision) -> str:
    options = provision.options
    what = provision.name
    if not what and isinstance(options, Shell):
        lines = options.inline or ()
        what = options.script or ", ".join(options.scripts) or _shown(lines[0]).split("\n")[0]
        what += f" (+{len(lines) - 1})" if len(lines) > 1 else ""
    elif not what:
        what = getattr(options, "destination", "") or getattr(options, "playbook", "") or getattr(options, "name", "")
    return f"{provision.kind}: {what}" if what else provision.kind


def _row(name: str, variable: Variable, loaded: Loaded) -> VariableRow:
    value = loaded.variables.get(name)
    allowed = ", ".join(map(str, variable.choices)) or variable.pattern
    shown = MASK if isinstance(value, Secret) else NO_VALUE if value is None else _value(value)
    kind = variable.type.value if variable.type else _kind_of(value)
    return VariableRow(name, variable.help, kind, shown, loaded.origins.get(name, "not set"), allowed)


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _kind_of(value: object) -> str:
    """Without a declared type, the type of the default: as ``variables.resolve`` reads it."""
    return {bool: "bool", int: "number", float: "number", list: "list", dict: "map"}.get(type(value), "string")
