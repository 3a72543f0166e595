"""A translated build as a template of our own, and the boot profile that goes with it, as YAML that people read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from factory.quantity import Duration, Size
from factory.secret import Secret
from factory.template.model import LateText, Loaded, SeedDelivery, Template
from factory.template.packer.to_template import Translation
from factory.template.packer.to_template.left_open import LeftOpen
from factory.template.packer.to_template.texts import HTTP_HOST, HTTP_PORT

_OPENING = re.compile(r"\{[{%#]")
_OWN_OUTPUTS = ("vagrant",)
_PLACES = ("path", "image", "script", "playbook", "roles_path", "collections_path", "requirements", "private_key",
           "seed_dir")  # fmt: skip


def template_yaml(translation: Translation, name: str, folder: Path, origin: str, left_open: LeftOpen) -> str:
    """The template called *name*, to lie in *folder*; what has no equal is said in comments at its head.

    The values of *left_open* are not in it: it declares variables for them, without a default.
    """
    loaded = translation.loaded
    content = _template(loaded, name, folder, left_open)
    install = loaded.template.install
    if install and install.seed is SeedDelivery.HTTP:
        content = _short(content)
    lines = [f"# Converted from {origin}, build {name}. Variables have been filled in with the values of that moment."]
    lines += [f"# {line}" for line in _comments(translation)]
    text = _dumped(content)
    asked = left_open.declared_for(_dumped(content, width=10**9))
    if asked:
        lines.append("# Sensitive values are not written down: give them with -var NAME=VALUE or FACTORY_VAR_NAME.")
        declared = {one: {"sensitive": True, "required": True} for one in asked}
        first: dict[str, Any] = {key: content.pop(key) for key in ("format", "name", "description") if key in content}
        text = _dumped({**first, "variables": declared, **content})
    return "\n".join(lines) + "\n" + text


def _short(value: Any) -> Any:
    """*value* with the seed's address by its plain names: something is served, so they are known."""
    if isinstance(value, str):
        return value.replace(HTTP_HOST, "seed.host").replace(HTTP_PORT, "seed.port")
    if isinstance(value, dict):
        return {k: _short(v) for k, v in value.items()}
    return [_short(v) for v in value] if isinstance(value, list) else value


def profile_yaml(loaded: Loaded, name: str) -> str:
    """The boot profile called *name*: started by the template's own boot command.

    A folder that Packer served is served as it is; the template names it by ``seed_dir``.
    """
    profile = loaded.profile
    assert profile is not None
    content = _Plain(Path(), Path(), LeftOpen({})).of(profile)
    assert isinstance(content, dict)
    content |= {"format": 1, "name": name, "description": f"As {name} was installed by Packer."}
    content.pop("seed", None)
    content["typed"] = {"wait": "0s"}
    content["finished"] = profile.finished.value
    if loaded.seed_directory:
        content["seed"] = {"directory": name, "verbatim": True}
    order = ("format", "name", "description", "typed", "seed", "finished", "deadline", "guest")
    return _dumped({key: content[key] for key in order if key in content})


def _comments(translation: Translation) -> Iterator[str]:
    for note in translation.notes:
        if note.matters:
            yield f"{note.option}: {note.message}"
        elif note.option == "skip_resize_disk":
            yield f"{note.option}: {note.message}; no size below it makes the disk smaller."
    delivery = translation.loaded.delivery
    assert delivery is not None
    yield f"Packer delivered {delivery.file_name} in {delivery.folder_name}/; here it is output/NAME/."
    for chain in delivery.chains:
        kinds = " → ".join(link.kind for link in chain)
        if [link.kind for link in chain] != ["vagrant"]:
            yield f"post-processors {kinds}: no equal in a template; run them on what lies in output/NAME/."
    if translation.loaded.error_cleanup:
        yield "error-cleanup-provisioner: has no equal in a template."


def _template(loaded: Loaded, name: str, folder: Path, left_open: LeftOpen) -> dict[str, Any]:
    template, delivery = loaded.template, loaded.delivery
    assert delivery is not None
    content = _Plain(folder, delivery.working, left_open).of(template)
    assert isinstance(content, dict)
    content |= {"format": 1, "name": name, "seal": False, "verify": False, "outputs": list(_outputs(loaded))}
    install = content.get("install", {})
    install["profile"] = name
    if loaded.seed_directory:
        install["seed_dir"] = _relative(loaded.seed_directory, folder)
    order = [key for key in Template.model_fields if key in content]
    return {key: content[key] for key in order}


def _outputs(loaded: Loaded) -> Iterator[Any]:
    delivery = loaded.delivery
    assert delivery is not None
    if delivery.format == "raw":
        yield "raw"
    else:
        yield {"qcow2": {"compress": "zlib" if delivery.compress else "none"}}
    for chain in delivery.chains:
        if chain and chain[0].kind in _OWN_OUTPUTS:
            yield {"vagrant": {"box_format": "v2"}} if len(loaded.template.machine.disks) > 1 else "vagrant"


@dataclass(frozen=True, slots=True)
class _Plain:
    """Makes plain data with every field that is not at its default; names of files are relative to *folder*.

    Those that are relative in a value start from *working*.
    """

    folder: Path
    working: Path
    left_open: LeftOpen

    def of(self, value: Any, field: str = "") -> Any:
        if isinstance(value, BaseModel):
            found: dict[str, Any] = {}
            for name, info in type(value).model_fields.items():
                item = getattr(value, name)
                if item != info.get_default(call_default_factory=True):
                    found[info.alias or name] = self.of(item, name)
            return found
        if isinstance(value, LateText):
            return self.left_open.source(value.source)
        if isinstance(value, Secret):
            return self.left_open.secret(value, _escaped)
        if isinstance(value, Enum):
            return value.value
        if isinstance(value, Size):
            return _exact(value)
        if isinstance(value, Duration):
            return str(value)
        if isinstance(value, str):
            names_a_file = field in _PLACES and value and not value.startswith("~")
            text = _relative(self.working / value, self.folder) if names_a_file else value
            return self.left_open.text(text, _escaped)
        if isinstance(value, Mapping):
            return {str(k): self.of(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.of(v, "path" if field in ("files", "scripts") else "") for v in value]
        return value


def _escaped(text: str) -> str:
    """What is plain in Packer must stay plain here: an opening brace of ours is written as a text of ours."""
    return _OPENING.sub(lambda m: "{{ '" + m[0] + "' }}", text)


def _exact(size: Size) -> str:
    """In the largest unit that it is a whole number of: what is shown to people is rounded."""
    for unit, name in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{int(size)} B"


def _relative(path: Path, folder: Path) -> str:
    """As seen from *folder* where it lies below, else whole."""
    path = Path(os.path.normpath(path))
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks: a script stays readable."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text.rstrip("\n") and not text.startswith((" ", "\n")) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _dumped(content: Mapping[str, Any], width: int = 110) -> str:
    return yaml.dump(dict(content), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=width)
