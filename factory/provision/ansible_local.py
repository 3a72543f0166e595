"""Ansible inside the guest: playbooks are carried over, and the guest's own ansible-playbook runs them."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory.deadline import Deadline
from factory.drivers.protocols import GuestConnection
from factory.errors import Evidence, GuestCommandFailed, StepError
from factory.opening import read_content
from factory.provision.context import ProvisionContext, print_line
from factory.quantity import Duration

_TIDY = Duration(60)


@dataclass(frozen=True, slots=True)
class AnsibleLocal:
    """Places on this host, as Packer names them; ``folders`` maps a folder in the staging folder to its content."""

    playbooks: tuple[Path, ...]
    folders: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    playbook_dir: Path | None = None
    inventory: Path | None = None
    groups: tuple[str, ...] = ()
    requirements: Path | None = None
    galaxy: str = "ansible-galaxy"
    command: str = "ANSIBLE_FORCE_COLOR=0 PYTHONUNBUFFERED=1 ansible-playbook"
    arguments: tuple[str, ...] = ()
    staging: str = ""
    cleans: bool = False

    async def run(self, context: ProvisionContext, deadline: Deadline) -> None:
        """Raises: GuestCommandFailed, GuestUnreachable, StepError, DeadlineExpired."""
        staging = self.staging or f"/tmp/factory-ansible-{secrets.token_hex(6)}"
        await self._check(context, deadline)
        await _command(context, deadline, f"mkdir -p {shlex.quote(staging)}")
        async with deadline.limit():
            inventory = await self._carry_over(context.connection, staging)
        if self.requirements:
            roles = f"{self.galaxy} install -r {shlex.quote(f'{staging}/{self.requirements.name}')} -p roles"
            await _command(context, deadline, f"cd {shlex.quote(staging)} && {roles}")
        extra = " ".join(self.arguments)
        for playbook in self.playbooks:
            name = shlex.quote(f"{staging}/{self._name(playbook)}")
            call = f"{self.command} {name} {extra} -c local -i {shlex.quote(inventory)}"
            await _command(context, deadline, f"cd {shlex.quote(staging)} && {call}")
        if self.cleans:
            await _command(context, Deadline.after(_TIDY, "the guest to tidy up"), f"rm -rf {shlex.quote(staging)}")

    async def _check(self, context: ProvisionContext, deadline: Deadline) -> None:
        program = self.command.split()[-1]
        found = await context.connection.run(f"command -v {shlex.quote(program)}", deadline=deadline)
        if found.exit_status != 0:
            raise GuestCommandFailed(
                f"the guest has no {program}",
                exit_status=found.exit_status,
                hint="install Ansible in the guest first, or use the provisioner `ansible`, which runs on this host",
            )

    def _name(self, playbook: Path) -> str:
        if self.playbook_dir and playbook.is_relative_to(self.playbook_dir):
            return playbook.relative_to(self.playbook_dir).as_posix()
        return playbook.name

    async def _carry_over(self, connection: GuestConnection, staging: str) -> str:
        """Everything into the staging folder. Returns where the inventory lies in the guest."""
        if self.playbook_dir:
            await connection.upload_tree(self.playbook_dir, staging)
        for playbook in self.playbooks:
            if not (self.playbook_dir and playbook.is_relative_to(self.playbook_dir)):
                await connection.upload(playbook, f"{staging}/{playbook.name}")
        for folder, places in self.folders.items():
            for place in places:
                parts = [staging, folder, place.name if folder in _NAMED else ""]
                target = "/".join(part for part in parts if part)
                await connection.upload_tree(place, target)
        if self.requirements:
            await connection.upload(self.requirements, f"{staging}/{self.requirements.name}")
        inventory = read_content(self.inventory) if self.inventory else self._inventory()
        where = f"{staging}/{self.inventory.name if self.inventory else 'inventory'}"
        await connection.upload(inventory, where)
        return where

    def _inventory(self) -> bytes:
        groups = "".join(f"[{group}]\n127.0.0.1\n" for group in self.groups)
        return f"127.0.0.1\n{groups}".encode()


_NAMED = frozenset({"roles", "collections", ""})
"""Folders whose contents keep the names of the folders that they came in."""


async def _command(context: ProvisionContext, deadline: Deadline, command: str) -> None:
    lines: list[str] = []

    def line(stream: str, text: str) -> None:
        lines.append(text)
        print_line(context, stream, text)

    result = await context.connection.run_given(command, deadline=deadline, on_line=line)
    if result.exit_status != 0:
        said = next((text for text in reversed(lines) if text.startswith(("fatal:", "ERROR!", "failed:"))), "")
        raise GuestCommandFailed(
            f"{command.partition(' && ')[2] or command} ended with status {result.exit_status}"
            + (f": {said}" if said else ""),
            exit_status=result.exit_status,
            hint="the lines above are Ansible's own output",
            evidence=Evidence(exit_status=result.exit_status, stderr=result.stderr, notes=tuple(lines[-15:])),
        )


def make(options: Mapping[str, Any]) -> AnsibleLocal:
    """For ``provision.catalog``: Packer's option names. Raises: StepError for a file that is not there."""
    playbooks = _paths(options, "playbook_file", "playbook_files")
    build = f"packer_build_name={options.get('build_name', '')} packer_builder_type=qemu"
    arguments = ["--extra-vars", shlex.quote(build), *_texts(options.get("extra_arguments"))]
    folders = {
        "roles": _paths(options, "role_paths"),
        "collections": _paths(options, "collection_paths"),
        "": _paths(options, "playbook_paths"),
        "group_vars": _paths(options, "group_vars"),
        "host_vars": _paths(options, "host_vars"),
    }
    folder, inventory = _paths(options, "playbook_dir"), _paths(options, "inventory_file")
    requirements = _paths(options, "galaxy_file")
    return AnsibleLocal(
        playbooks=playbooks,
        folders={name: places for name, places in folders.items() if places},
        playbook_dir=folder[0] if folder else None,
        inventory=inventory[0] if inventory else None,
        groups=tuple(_texts(options.get("inventory_groups"))),
        requirements=requirements[0] if requirements else None,
        galaxy=str(options.get("galaxy_command") or "ansible-galaxy"),
        command=str(options.get("command") or AnsibleLocal.__dataclass_fields__["command"].default),
        arguments=tuple(arguments),
        staging=str(options.get("staging_directory") or ""),
        cleans=bool(options.get("clean_staging_directory")),
    )


def _paths(options: Mapping[str, Any], *names: str) -> tuple[Path, ...]:
    return tuple(_there(text) for name in names for text in _texts(options.get(name)))


def _there(text: str) -> Path:
    path = Path(text).absolute()
    if not path.exists():
        raise StepError(f"there is no file or folder {text} for ansible-local")
    return path


def _texts(value: Any) -> Iterator[str] | Sequence[str]:
    if not value:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(v) for v in value)
