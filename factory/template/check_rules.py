"""Rules that no single field can break: what does not go together, and what is named but not there."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator

from factory.drivers.machine_spec import Bus
from factory.errors import Problem
from factory.opening import open_content
from factory.quantity import Size
from factory.template import project
from factory.template.assemble import Draft
from factory.template.check_finish import FINISH_RULES
from factory.template.check_install import INSTALL_RULES, delivery, without_network
from factory.template.check_parts import Parts
from factory.template.model import (
    NEEDS_INSTALL,
    NO_WAY_TO_PROVISION,
    Access,
    Firmware,
    Machine,
    SeedDelivery,
    Source,
    Ssh,
)
from factory.template.suggest import did_you_mean

SECTOR = 512
IDE_DRIVES = 4
LEAST_MEMORY = Size(2**20)
"""Less was meant in another unit: a number alone counts bytes."""
LONGEST_ID = 24
"""Characters: QEMU's names of block nodes end at 31, and ours add "-format" to a disk's id."""
_DIGEST_LENGTHS = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}
_WEAK = ("md5", "sha1")
_SCHEMES = ("http", "https", "file")
_NO_USER = re.compile(r"[/:\x00-\x1f\x7f-\x9f]")
_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
"""What a shell can set; ``provision.shell`` takes no other, for Windows neither."""


def rule_problems(draft: Draft) -> list[Problem]:
    parts = Parts(draft)
    return [problem for rule in RULES for problem in rule(parts)]


def _contradictions(parts: Parts) -> Iterator[Problem]:
    """What the template itself refuses, too, but only once each of its fields is right."""
    draft = parts.draft
    if draft.template is not None:
        return
    missing = parts.tree.get("install") is None
    source, access = parts.get("source"), parts.get("access")
    if missing and source is not None and source.iso is not None:
        yield from _new(parts, "source", NEEDS_INSTALL)
    if access is not None and access.none and not all(p.on_host for p in parts.get("provision") or ()):
        yield from _new(parts, "access", NO_WAY_TO_PROVISION)


def _new(parts: Parts, section: str, message: str) -> Iterator[Problem]:
    if all(message not in problem.message for problem in parts.draft.problems):
        yield parts.problem(section, message=message)


# --- source --------------------------------------------------------------------------------------------------------


def _source(parts: Parts) -> Iterator[Problem]:
    source: Source | None = parts.get("source")
    origin = source and (source.iso or source.image)
    if not source or not origin:
        return
    kind = "iso" if source.iso else "image"
    if isinstance(origin.checksum, str):
        message, hint = checksum_problem(origin.checksum)
        if message:
            yield parts.problem("source", kind, "checksum", message=message, hint=hint)
        elif origin.checksum.partition(":")[0].lower() in _WEAK:
            message = f"{origin.checksum.partition(':')[0]} does not protect against a forged file"
            yield parts.problem("source", kind, "checksum", message=message, hint="use sha256", severity="warning")
    for loc, url in [(("url",), origin.url), *((("urls", i), u) for i, u in enumerate(origin.urls))]:
        scheme = url.partition("://")[0] if isinstance(url, str) and "://" in url else ""
        if isinstance(url, str) and scheme not in _SCHEMES:
            hint = "a file of this host goes under `path`" if not scheme else f"known: {', '.join(_SCHEMES)}"
            yield parts.problem("source", kind, *loc, message=f"'{url}' is no URL that can be fetched", hint=hint)
        elif isinstance(url, str) and "{{" not in url and (why := _unreadable(url)):
            yield parts.problem("source", kind, *loc, message=f"'{url}' is no URL that can be fetched: {why}")
    if source.image and source.image.template and source.image.template == parts.draft.scope.early.get("name"):
        message = f"'{source.image.template}' can't be built from itself"
        yield parts.problem("source", "image", message=message)


def _unreadable(url: str) -> str:
    """Why *url* can't be taken apart; empty when it can."""
    try:
        split = urllib.parse.urlsplit(url)
        _ = split.port  # read only when it is asked for
    except ValueError as error:
        return str(error)
    return "" if split.hostname or split.scheme == "file" else "it names no host"


def checksum_problem(checksum: str) -> tuple[str, str]:
    """``(message, hint)`` for a checksum that can't be right; empty when it can."""
    if checksum == "none" or checksum.startswith("file:"):
        return "", ""
    kind, _, digest = checksum.rpartition(":")
    if kind and kind.lower() not in _DIGEST_LENGTHS:
        return f"unknown kind of checksum '{kind}'", did_you_mean(kind, [*_DIGEST_LENGTHS, "file", "none"])
    if not re.fullmatch(r"[0-9a-fA-F]+", digest):
        return "a checksum is made of the digits 0-9 and a-f", "or write file:URL, or none"
    lengths = [_DIGEST_LENGTHS[kind.lower()]] if kind else list(_DIGEST_LENGTHS.values())
    if len(digest) not in lengths:
        wanted = f"{kind} has {lengths[0]}" if kind else "sha256 has 64"
        return f"a checksum of {len(digest)} digits", f"{wanted}: was it copied whole?"
    return "", ""


# --- machine -------------------------------------------------------------------------------------------------------


def _machine(parts: Parts) -> Iterator[Problem]:
    machine: Machine | None = parts.get("machine")
    if machine is None:
        return
    if machine.firmware is Firmware.UEFI_SECURE and machine.type != "q35":
        yield parts.problem("machine", "firmware", message="secure boot needs the machine type q35", hint="`type: q35`")
    if machine.tpm and machine.tpm.version == "1.2" and machine.tpm.model == "tpm-crb":
        yield parts.problem("machine", "tpm", message="tpm-crb is a TPM 2.0", hint="use `model: tpm-tis`")
    if machine.memory < LEAST_MEMORY:
        message = f"a machine with {machine.memory} of memory can't start"
        yield parts.problem("machine", "memory", message=message, hint="a number alone counts bytes: write `2 GiB`")
    for index, disk in enumerate(machine.disks):
        if disk.size == 0 or disk.size % SECTOR:
            message = f"a disk's size is a multiple of {SECTOR} bytes, above 0"
            yield parts.problem("machine", "disks", index, "size", message=message)
    drives = [index for index, disk in enumerate(machine.disks) if disk.bus is Bus.IDE]
    if machine.type == "pc" and len(drives) > IDE_DRIVES:
        message = f"a machine of type pc takes {IDE_DRIVES} IDE drives, with its CDs"
        yield parts.problem("machine", "disks", drives[IDE_DRIVES], message=message, hint="use `bus: sata`")
    yield from _ids(parts, machine)


def _ids(parts: Parts, machine: Machine) -> Iterator[Problem]:
    """Disks and cards share QEMU's names for devices."""
    taken: dict[str, str] = {}
    disks = [("disk", index, disk.id) for index, disk in enumerate(machine.disks)]
    for kind, index, name in [*disks, *(("nic", index, nic.id) for index, nic in enumerate(machine.nics))]:
        if name in taken:
            message = f"two {kind}s have the id '{name}'" if taken[name] == kind else f"a disk has the id '{name}' too"
            hint = f"give each its own, such as `id: {kind}{index}`"
            yield parts.problem("machine", f"{kind}s", index, "id", message=message, hint=hint)
        elif len(name) > LONGEST_ID:
            message, hint = f"the id '{name}' is too long for QEMU", f"it takes {LONGEST_ID} characters"
            yield parts.problem("machine", f"{kind}s", index, "id", message=message, hint=hint)
        taken[name] = kind


def _way_in(parts: Parts) -> Iterator[Problem]:
    machine: Machine | None = parts.get("machine")
    access = parts.get("access")
    if machine is None:
        return
    for number, disk in enumerate(machine.disks):
        if disk.block_size != 512 and (parts.get("seal") or parts.get("verify")):
            hint = "write `seal: false` and `verify: false`"
            message = f"disks with blocks of {disk.block_size} bytes can be neither sealed nor verified"
            yield parts.problem("machine", "disks", number, "block_size", message=message, hint=hint)
    if machine.nics:
        yield from _way_over_a_bridge(parts, machine)
        return
    if access is not None and not access.none:
        hint = "leave `nics` out for one card, or write `access: {none: true}`"
        yield parts.problem("machine", "nics", message="without a network card nobody can log in", hint=hint)
    if delivery(parts) is SeedDelivery.HTTP:
        hint = f"leave `nics` out for one card{without_network(parts)}"
        yield parts.problem("machine", "nics", message="without a network card no seed can be fetched", hint=hint)


def _way_over_a_bridge(parts: Parts, machine: Machine) -> Iterator[Problem]:
    access: Access | None = parts.get("access")
    if machine.nics[0].bridge and not (access and (access.none or access.host)):
        message = "nothing says at which address the guest is reached on this bridge"
        hint = "write it as `host` in `access`, or let the first card be one without a bridge"
        yield parts.problem("machine", "nics", 0, "bridge", message=message, hint=hint)
    if all(n.bridge for n in machine.nics) and delivery(parts) is SeedDelivery.HTTP:
        message = "the seed is served on this host's loopback device, which a guest on a bridge does not see"
        hint = f"add a card without a bridge{without_network(parts)}"
        yield parts.problem("machine", "nics", 0, "bridge", message=message, hint=hint)
    if access and access.host and not machine.nics[0].bridge:
        message = "the guest's first network card is on no bridge, so it has no address of its own"
        way = "winrm" if access.winrm else "ssh"
        hint = "leave `host` out, or name a `bridge`"
        yield parts.problem("access", way, "host", message=message, hint=hint)


# --- access, provisioning, proof -----------------------------------------------------------------------------------


def _access(parts: Parts) -> Iterator[Problem]:
    access, verify = parts.get("access"), parts.get("verify")
    if access is not None and access.none and verify and verify.run:
        message = "commands can't be run for the proof: `access: {none: true}` leaves no way in"
        yield parts.problem("verify", "run", message=message)
    for way in ("ssh", "winrm") if access is not None else ():
        given = getattr(access, way)
        if given is not None and not given.user.strip():
            yield parts.problem("access", way, "user", message="nobody can log in without a name")
        if isinstance(given, Ssh) and (odd := _NO_USER.search(given.user)):
            message, hint = f"no user has {odd[0]!r} in its name", "a name in passwd(5) has none"
            yield parts.problem("access", way, "user", message=message, hint=hint)
        if isinstance(given, Ssh) and given.bastion is not None and not given.bastion.user.strip():
            yield parts.problem("access", way, "bastion", "user", message="nobody can log in without a name")


def _provision(parts: Parts) -> Iterator[Problem]:
    for index, item in enumerate(parts.get("provision") or ()):
        if item.timeout is not None and item.timeout <= 0:
            hint = "leave it out for no limit"
            yield parts.problem("provision", index, "timeout", message="in no time nothing can be done", hint=hint)
        if item.file is not None and not item.file.destination.strip():
            yield parts.problem("provision", index, "file", "destination", message="it says not where the file goes")
        if item.shell is not None:
            lines = item.shell.inline
            if lines and all(isinstance(line, str) and not line.strip() for line in lines):
                yield parts.problem("provision", index, "shell", "inline", message="there is nothing to run")
            for name in (n for n in item.shell.env if not _SHELL_NAME.match(n)):
                message = f"'{name}' is no name of a variable for a shell"
                hint = "it takes letters, digits and _, and begins with no digit"
                yield parts.problem("provision", index, "shell", "env", name, message=message, hint=hint)
        if item.ansible is not None:
            yield from _environment(parts, "provision", index, "ansible", names=item.ansible.env)


def _built_file(parts: Parts) -> Iterator[Problem]:
    source: Source | None = parts.get("source")
    origin = source and (source.iso or source.image)
    if not source or not origin or not origin.build:
        return
    loc = ("source", "iso" if source.iso else "image", "build")
    if origin.build.timeout <= 0:
        hint = "leave it out for the usual time"
        yield parts.problem(*loc, "timeout", message="in no time nothing can be done", hint=hint)
    yield from _environment(parts, *loc, names=origin.build.env)


def _environment(parts: Parts, *loc: str | int, names: Iterable[str]) -> Iterator[Problem]:
    """Names that no program takes from its environment."""
    for name in names:
        if not name or re.search(r"[=\s\0]", name):
            hint = "it has no `=` and no spaces"
            yield parts.problem(*loc, "env", name, message=f"'{name}' is no name of an environment variable", hint=hint)


def _scripts(parts: Parts) -> Iterator[Problem]:
    """A script from Windows does not run: `#!/bin/sh\\r` is no program."""
    for loc, node in project.file_fields(parts.tree):
        if loc[-1] != "script" and loc[-2:-1] != ("scripts",):
            continue
        path = parts.draft.root / str(node.value)
        if not path.is_file():
            if path.is_dir():  # /dev/null is a script that does nothing
                yield node.problem(f"'{node.value}' is a folder, not a script")
            continue
        with open_content(path) as stream:
            first = stream.readline(4096)
        if first.endswith(b"\r\n"):
            message = f"'{node.value}' has line ends of Windows (CR LF)"
            yield node.problem(message, "sed -i 's/\\r$//' takes them away", severity="warning")


def _variables(parts: Parts) -> Iterator[Problem]:
    for name, variable in (parts.get("variables") or {}).items():
        if variable.generate and variable.default is not None:
            message = f"variable '{name}' has a default, so it is never generated"
            yield parts.problem("variables", name, message=message, hint="keep `generate` or `default`")
        if variable.required and (variable.default is not None or variable.generate):
            message = f"variable '{name}' is required, but it has a value of its own"
            yield parts.problem("variables", name, "required", message=message, severity="warning")
        if variable.pattern and _bad_pattern(variable.pattern):
            message = f"the pattern of '{name}' is no regular expression: {_bad_pattern(variable.pattern)}"
            yield parts.problem("variables", name, "pattern", message=message)


def _bad_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        return str(error)
    return ""


RULES: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    _contradictions,
    _source,
    _machine,
    _way_in,
    *INSTALL_RULES,
    _access,
    _provision,
    _built_file,
    _scripts,
    _variables,
    *FINISH_RULES,
)
