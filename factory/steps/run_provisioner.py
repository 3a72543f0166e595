"""Runs one of the template's provisioners in the guest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from factory.deadline import Deadline
from factory.drivers.protocols import ActivityProbe, GuestConnection, Machine, Programs
from factory.errors import FactoryError, GuestUnreachable, MachineStalled, StepError
from factory.events import Emit, Note
from factory.plan.resources import BuildName
from factory.plan.step import Scope, Step
from factory.provision.ansible import AnsibleProvisioner
from factory.provision.catalog import load_provisioner
from factory.provision.context import UNLIMITED, Policy, Provisioner, run_provisioner
from factory.provision.file import Direction, FileProvisioner
from factory.provision.reboot import RebootProvisioner
from factory.provision.shell import Script, ShellProvisioner
from factory.quantity import Duration
from factory.secret import Redactor, Secret
from factory.steps.connect_guest import GuestLink
from factory.steps.late import late_values
from factory.steps.watch import by_connection, watching
from factory.template.late import render_late, render_late_value
from factory.template.model import DEFAULT_STALL, Ansible, File, Loaded, Plugin, Provision, Reboot, Shell, Text


@dataclass(frozen=True, slots=True)
class RunProvisioner(Step):
    provision: Provision
    number: int
    loaded: Loaded
    stall: Duration = DEFAULT_STALL

    needs: ClassVar[tuple[type, ...]] = (GuestLink, Programs, Redactor, BuildName)
    wants: ClassVar[tuple[type, ...]] = (Machine, ActivityProbe)

    @property
    def title(self) -> str:
        return f"{self.provision.type}: {self.label}"

    @property
    def label(self) -> str:
        """What its output is marked with."""
        return self.provision.name or f"{self.provision.type} {self.number}"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        options = self.provision
        provisioner = await asyncio.to_thread(_Maker(self.loaded, scope).make, options)
        policy = Policy(options.pause_before, options.pause_after, options.timeout, options.retries)
        surroundings = Surroundings(self.label, scope, self.stall)
        try:
            async with surroundings.at_work():
                await run_provisioner(provisioner, surroundings, policy)
        except StepError as error:
            if not options.continue_on_error or isinstance(error, (GuestUnreachable, MachineStalled)):
                await self._clean_up(scope)
                raise
            scope.emit(Note(f"{self.label} has failed and the build goes on: {error.message}", "warning"))
        yield

    async def _clean_up(self, scope: Scope) -> None:
        """Runs what the template has for a failure; its own failure is a note, never the error that a person sees."""
        cleanup = self.loaded.error_cleanup
        if cleanup is None:
            return
        scope.emit(Note(f"{self.label} has failed: running the error-cleanup-provisioner", "warning"))
        try:
            provisioner = await asyncio.to_thread(_Maker(self.loaded, scope).make, cleanup)
            policy = Policy(cleanup.pause_before, cleanup.pause_after, cleanup.timeout, cleanup.retries)
            await run_provisioner(provisioner, Surroundings("error-cleanup", scope, self.stall), policy)
        except FactoryError as error:
            scope.emit(Note(f"the error-cleanup-provisioner has failed: {error.message}", "warning"))


class RunOnHost(RunProvisioner):
    """Runs one of the template's provisioners that needs no guest, while the guest that nobody reaches is at work."""

    __slots__ = ()
    needs: ClassVar[tuple[type, ...]] = (Programs, Redactor, BuildName)
    wants: ClassVar[tuple[type, ...]] = ()


class Surroundings:
    """``provision.context.ProvisionContext`` in a running build."""

    def __init__(self, name: str, scope: Scope, stall: Duration = DEFAULT_STALL) -> None:
        self._name, self._scope, self._stall = name, scope, stall
        self._found = scope.find(GuestLink)

    @property
    def _link(self) -> GuestLink:
        if self._found is None:
            raise GuestUnreachable("the template has no way into the guest", hint="give it `access`, or a communicator")
        return self._found

    @property
    def name(self) -> str:
        return self._name

    @property
    def connection(self) -> GuestConnection:
        return self._link.connection

    async def reconnect(self, deadline: Deadline) -> GuestConnection:
        return await self._link.connect(deadline)

    def watching(self, deadline: Deadline) -> AbstractAsyncContextManager[Deadline]:
        return watching(self._scope, deadline, self._stall)

    def at_work(self) -> AbstractAsyncContextManager[Deadline]:
        """Watches the machine while a provisioner runs: it may wait for this host or a person as long as it likes, if
        the guest only answers."""

        async def answers() -> bool:
            return await by_connection(self.connection)()

        if self._found is None:
            return nullcontext(Deadline.after(UNLIMITED, f"provisioner {self._name!r}"))
        deadline = Deadline.after(UNLIMITED, f"provisioner {self._name!r}")
        return watching(self._scope, deadline, self._stall, grace=1, answers=answers)

    @property
    def emit(self) -> Emit:
        return self._scope.emit

    @property
    def workdir(self) -> Path:
        return self._scope.runtime_dir

    @property
    def programs(self) -> Programs:
        return self._scope.get(Programs)

    @property
    def environment(self) -> Mapping[str, str | Secret[str]]:
        return {"FACTORY_BUILD_NAME": self._scope.get(BuildName).name}


class _Maker:
    """From the template's options to a provisioner, with everything late filled in."""

    def __init__(self, loaded: Loaded, scope: Scope) -> None:
        self._loaded, self._scope, self._late = loaded, scope, late_values(scope)

    def make(self, provision: Provision) -> Provisioner:
        """Raises: PluginError, TemplateError, OSError for a script that has vanished."""
        match provision.options:
            case Shell() as shell:
                return self._shell(shell)
            case File() as file:
                return self._file(file)
            case Reboot() as reboot:
                command = "" if reboot.command is None else self._text(reboot.command)
                return RebootProvisioner(command, reboot.deadline)
            case Ansible() as ansible:
                return self._ansible(ansible)
            case Plugin() as plugin:
                return load_provisioner(plugin.name, render_late_value(plugin.options, self._late))

    def _shell(self, shell: Shell) -> ShellProvisioner:
        names = [shell.script] if shell.script else list(shell.scripts)
        scripts = [Script.file(self._loaded.resolve(name)) for name in names]
        if shell.inline:
            scripts.append(Script.inline(tuple(self._text(line) for line in shell.inline), shell.shebang))
        command = shell.execute_command
        return ShellProvisioner(
            tuple(scripts),
            env={name: self._maybe_secret(value) for name, value in shell.env.items()},
            execute=None if command is None else lambda path, words: self._execute(command, path, words),
            valid_exit_codes=shell.valid_exit_codes,
            expect_disconnect=shell.expect_disconnect,
            remote_folder=shell.remote_folder,
            skip_clean=shell.skip_clean,
        )

    def _execute(self, command: Text, path: str, words: str) -> str:
        return render_late(command, {**self._late, "path": path, "vars": words})

    def _file(self, file: File) -> FileProvisioner:
        down = file.direction == "download"
        source = file.source or ""
        if source and not down:
            # A path loses its trailing slash, which says "the content, not the folder".
            source = str(self._loaded.resolve(source)) + ("/" if source.endswith("/") else "")
        return FileProvisioner(
            file.destination,
            source=source,
            content=None if file.content is None else self._text(file.content).encode(),
            direction=Direction.DOWN if down else Direction.UP,
            mode=int(file.mode, 8) if file.mode else None,
            owner=file.owner or "",
        )

    def _ansible(self, ansible: Ansible) -> AnsibleProvisioner:
        resolve = self._loaded.resolve
        return AnsibleProvisioner(
            resolve(ansible.playbook),
            extra_vars=render_late_value(ansible.extra_vars, self._late),
            extra_args=tuple(self._text(a) for a in ansible.extra_args),
            groups=ansible.groups,
            roles_path=resolve(ansible.roles_path) if ansible.roles_path else None,
            requirements=resolve(ansible.requirements) if ansible.requirements else None,
            user=ansible.user or "",
            become=ansible.become,
            collections_path=resolve(ansible.collections_path) if ansible.collections_path else None,
            host=ansible.host,
            env={name: self._maybe_secret(value) for name, value in ansible.env.items()},
        )

    def _text(self, text: Text) -> str:
        return render_late(text, self._late)

    def _maybe_secret(self, text: Text) -> str | Secret[str]:
        """What the redactor would mask travels as a secret: never on a command line in the guest."""
        value = self._text(text)
        return Secret(value) if self._scope.get(Redactor)(value) != value else value
