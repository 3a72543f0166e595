"""Ansible playbooks: the program of this host, on a connection of its own to the guest's forwarded port.

What it needs is written into a private folder: an inventory with this guest alone, the variables of the play. The
user's own ``ansible.cfg`` beside the playbook counts; SSH's known_hosts and agent do not.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory.deadline import Deadline
from factory.errors import CommandFailed, Evidence, GuestCommandFailed, GuestUnreachable, HostError
from factory.events import Note
from factory.opening import read_content
from factory.provision.context import ProvisionContext, print_line, reveal
from factory.quantity import Duration
from factory.secret import Secret

HOST = "default"
"""The guest's name in the inventory, as with Packer."""
_PYTHON = "command -v python3 || command -v python || ls /usr/libexec/platform-python"
_CHECK = Duration(60)
_BACK = Duration(10 * 60)
_LAST_LINES = 15
_NOBODY_KNOWS = "-o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=no"


@dataclass(frozen=True, slots=True)
class AnsibleProvisioner:
    """Runs *playbook*. ``extra_vars`` and ``env`` may hold secrets: they travel in files and in the environment."""

    playbook: Path
    extra_vars: Mapping[str, Any] = field(default_factory=dict)
    extra_args: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    roles_path: Path | None = None
    requirements: Path | None = None
    user: str = ""
    become: bool = False
    collections_path: Path | None = None
    host: str = HOST
    env: Mapping[str, str | Secret[str]] = field(default_factory=dict)

    async def run(self, context: ProvisionContext, deadline: Deadline) -> None:
        """Raises: GuestCommandFailed that names the task, HostError when Ansible is missing, DeadlineExpired."""
        await self._look_for_python(context)
        with (
            tempfile.TemporaryDirectory(prefix="ansible-", dir=context.workdir) as private,
            tempfile.TemporaryDirectory(prefix="fa-") as sockets,  # a socket's path may not exceed 104 characters
        ):
            run = _Playbook(self, context, deadline, Path(private).absolute(), Path(sockets))
            if self.requirements is not None:
                await run.install_requirements(self.requirements)
            try:
                await run.play()
            finally:
                await run.end_connections()
        await self._after(context, deadline)

    async def _look_for_python(self, context: ProvisionContext) -> None:
        found = await context.connection.run(_PYTHON, deadline=Deadline.after(_CHECK, "a look for Python"))
        if found.exit_status != 0:
            context.emit(Note(f"{context.name}: the guest has no Python, which nearly every module needs", "warning"))

    async def _after(self, context: ProvisionContext, deadline: Deadline) -> None:
        """A playbook may have rebooted the guest: then our own connection is dead."""
        try:
            await context.connection.run("true", deadline=Deadline.after(_CHECK, "the guest to answer"))
        except GuestUnreachable:
            await context.reconnect(deadline.within(_BACK, "the guest to answer again"))


class _Playbook:
    def __init__(
        self, options: AnsibleProvisioner, context: ProvisionContext, deadline: Deadline, folder: Path, sockets: Path
    ) -> None:
        self._options, self._context, self._deadline = options, context, deadline
        self._folder, self._sockets = folder, sockets
        self._lines: list[str] = []
        self._task = ""
        self._failures: list[str] = []

    async def install_requirements(self, requirements: Path) -> None:
        """Roles and collections into the private folder, so that nothing of this host changes."""
        content = read_content(requirements).decode()
        kinds = [kind for kind in ("role", "collection") if f"{kind}s:" in content] or ["role"]
        for kind in kinds:
            await self._program(
                [
                    "ansible-galaxy",
                    kind,
                    "install",
                    "-r",
                    str(requirements.absolute()),
                    "-p",
                    str(self._folder / f"{kind}s"),
                ],
                hint="is there a network? without one, put them into `roles_path` and leave `requirements` out",
            )

    async def play(self) -> None:
        options = self._options
        inventory = _private_json(self._folder / "inventory.json", inventory_of(options, self._context, self._key()))
        argv = ["ansible-playbook", "--inventory", str(inventory)]
        if options.extra_vars:
            variables = _private_json(self._folder / "variables.json", _plain(dict(options.extra_vars)))
            argv += ["--extra-vars", f"@{variables}"]
        await self._program([*argv, *options.extra_args, str(options.playbook.absolute())], hint="")

    def _key(self) -> Path | None:
        """A copy of the private key, because ssh ignores one that others may read, wherever the user keeps it."""
        original = self._context.connection.credentials.private_key
        if original is None:
            return None
        return _private(self._folder / "key", read_content(original))

    async def end_connections(self) -> None:
        """Ends the SSH connections that Ansible keeps open for the next task."""
        for socket in sorted(self._sockets.iterdir()):
            argv = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", HOST]
            try:
                await self._context.programs.run(
                    argv, deadline=Deadline.after(_CHECK, "ssh to end"), emit=self._context.emit
                )
            except (CommandFailed, HostError):
                continue  # it has ended by itself

    async def _program(self, argv: list[str], *, hint: str) -> None:
        try:
            await self._context.programs.run(
                argv,
                deadline=self._deadline,
                emit=self._context.emit,
                cwd=self._options.playbook.parent,
                env=self._environment(),
                on_line=self._line,
            )
        except CommandFailed as error:
            raise self._failed(error, hint) from error
        except HostError as error:
            raise HostError(
                f"{argv[0]} is not installed on this host", hint="install the package `ansible` or `ansible-core`"
            ) from error

    def _environment(self) -> dict[str, str]:
        roles = [str(path.absolute()) for path in (self._options.roles_path, self._folder / "roles") if path]
        environment = {
            "ANSIBLE_ROLES_PATH": os.pathsep.join(roles),
            "ANSIBLE_LOCAL_TEMP": str(self._folder),
            "ANSIBLE_RETRY_FILES_ENABLED": "False",
            "ANSIBLE_NOCOLOR": "True",
            "ANSIBLE_PIPELINING": "True",
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s",
            "ANSIBLE_SSH_CONTROL_PATH": str(self._sockets / "%%C"),
            "PYTHONUNBUFFERED": "1",
        }
        collections = [self._options.collections_path] if self._options.collections_path else []
        if self._options.requirements is not None:
            collections.append(self._folder / "collections")
        if collections:
            environment["ANSIBLE_COLLECTIONS_PATH"] = os.pathsep.join(str(c.absolute()) for c in collections)
        return environment | {name: reveal(value) for name, value in self._options.env.items()}

    def _line(self, stream: str, line: str) -> None:
        self._lines = [*self._lines[1 - _LAST_LINES :], line]
        if match := re.match(r"(?:TASK|RUNNING HANDLER) \[(.*)\]", line):
            self._task = match[1]
        elif line.startswith(("fatal:", "failed:", "ERROR!", "[ERROR]:")):
            self._failures.append(f"task {self._task!r}: {line}" if self._task else line)
        print_line(self._context, stream, line)

    def _failed(self, error: CommandFailed, hint: str) -> GuestCommandFailed:
        what = self._failures[-1] if self._failures else error.message
        status = error.evidence.exit_status
        return GuestCommandFailed(
            f"{self._options.playbook.name}: {what}",
            exit_status=status,
            hint=hint or "run it with `extra_args: [-vvv]` to see more",
            evidence=Evidence(
                argv=error.evidence.argv,
                exit_status=status,
                stderr=error.evidence.stderr,
                notes=tuple(self._lines),
            ),
        )


def inventory_of(options: AnsibleProvisioner, context: ProvisionContext, key: Path | None) -> dict[str, Any]:
    """An inventory (JSON is YAML) with the guest alone, under the name ``default``, in all of its groups."""
    address, credentials = context.connection.address, context.connection.credentials
    host: dict[str, Any] = {
        "ansible_host": address.host,
        "ansible_port": address.port,
        "ansible_user": options.user or credentials.user,
        "ansible_ssh_common_args": f"{_NOBODY_KNOWS} -o IdentitiesOnly=yes -o IdentityAgent=none -o LogLevel=ERROR",
        "ansible_python_interpreter": "auto_silent",
    }
    if key is not None:
        host["ansible_ssh_private_key_file"] = str(key)
    if credentials.password is not None:
        host["ansible_password"] = credentials.password.reveal()
    if options.become:
        host["ansible_become"] = True
    children: dict[str, Any] = {group: {"hosts": {options.host: {}}} for group in options.groups}
    return {"all": {"hosts": {options.host: host}, "children": children}}


def _private(path: Path, data: bytes) -> Path:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(data)
    return path


def _private_json(path: Path, data: Any) -> Path:
    return _private(path, json.dumps(data, indent=1).encode())


def _plain(value: Any) -> Any:
    """The value with its secrets revealed: for a file that only we can read."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
