"""Scripts in the guest: carried over as files, run, and removed.

A script's environment travels in a small script around it that only the guest's user can read, never on a command
line, where every process of the guest could see it.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from factory.deadline import Deadline
from factory.drivers.protocols import CommandResult
from factory.errors import DeadlineExpired, Evidence, GuestCommandFailed, GuestUnreachable, StepError
from factory.events import Note
from factory.opening import read_content
from factory.provision.context import ProvisionContext, print_line, reveal
from factory.provision.process_tree import end_command
from factory.quantity import Duration
from factory.secret import Secret

ExecuteCommand = Callable[[str, str], str]
"""``(path, variables)`` → the command line. *variables* is ``NAME='value' …``, with a trailing space, and without
secrets: these are set by the script at *path* itself."""

Variables = Mapping[str, str | Secret[str]]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LAST_LINES = 12
_TIDY = Duration(60)
_END = Duration(20)
"""For what has run out of time to be ended: a guest that can't be reached must not make that minutes."""
_BACK = Duration(10 * 60)


@dataclass(frozen=True, slots=True)
class Script:
    """One script: its bytes, and what a person calls it."""

    content: bytes
    title: str
    suffix: str = ".sh"

    @classmethod
    def inline(cls, lines: tuple[str, ...], shebang: str = "/bin/sh -e") -> Script:
        """*lines* as one script; *shebang* is left out when the first line brings its own."""
        head = () if lines and lines[0].startswith("#!") else (f"#!{shebang}",)
        title = lines[0] if len(lines) == 1 else f"{len(lines)} inline commands"
        return cls(("\n".join((*head, *lines)) + "\n").encode(), title)

    @classmethod
    def file(cls, path: Path) -> Script:
        """Line ends of Windows become Unix', except in binaries. Raises: OSError."""
        content = read_content(path)
        if b"\0" not in content:
            content = content.replace(b"\r\n", b"\n")
        return cls(content, path.name, path.suffix or ".sh")


@dataclass(frozen=True, slots=True)
class ShellProvisioner:
    """Runs *scripts* in order. ``execute`` replaces the plain call of each, for instance by one through sudo."""

    scripts: tuple[Script, ...]
    env: Variables = field(default_factory=dict)
    execute: ExecuteCommand | None = None
    valid_exit_codes: tuple[int, ...] = (0,)
    expect_disconnect: bool = False
    remote_folder: str = "/tmp"
    skip_clean: bool = False

    async def run(self, context: ProvisionContext, deadline: Deadline) -> None:
        variables = {**context.environment, **self.env}
        for name in variables:
            if not _NAME.fullmatch(name):
                raise StepError(f"{name!r} can't be the name of an environment variable")
        for script in self.scripts:
            await _Run(self, context, deadline, script, variables).run()


class _Run:
    """One script on its way through the guest."""

    def __init__(
        self, options: ShellProvisioner, context: ProvisionContext, deadline: Deadline, script: Script, env: Variables
    ) -> None:
        self._options, self._context, self._deadline, self._script, self._env = options, context, deadline, script, env
        folder = options.remote_folder.rstrip("/") or "/"
        self._base = f"{folder.rstrip('/')}/factory-{secrets.token_hex(6)}"
        self._posix = ":" not in folder and "\\" not in folder
        self._lines: list[str] = []

    async def run(self) -> None:
        try:
            async with self._deadline.limit():  # a guest that has lost its network takes no file, and does not say so
                await self._upload()
            result = await self._execute()
        except GuestUnreachable as error:
            await self._disconnected(error)
            return
        except DeadlineExpired:
            await self._end_in_guest()
            raise
        await self._clean()
        if result.exit_status not in self._options.valid_exit_codes:
            raise self._failed(result)

    # --- what is carried over ------------------------------------------------------------------------------------

    def _wraps(self) -> bool:
        """True when a small script around the real one sets the environment, because a command line must not."""
        has_secrets = any(isinstance(value, Secret) for value in self._env.values())
        return self._posix and bool(self._env) and (has_secrets or self._options.execute is None)

    async def _upload(self) -> None:
        if not self._posix and any(isinstance(value, Secret) for value in self._env.values()):
            raise StepError(
                "a script's secret variables can't be handed to a guest whose shell is not POSIX",
                hint="put them into a file with a `file` step, and remove it at the script's end",
            )
        connection = self._context.connection
        script, wrapper = self._paths()
        # A script without secrets may be run as any user, through `sudo -u`.
        await connection.upload(self._script.content, script, mode=0o755)
        if self._wraps():
            exports = "".join(f"export {name}={shlex.quote(reveal(value))}\n" for name, value in self._sorted())
            text = f'#!/bin/sh\n{exports}exec {shlex.quote(script)} "$@"\n'
            await connection.upload(text.encode(), wrapper, mode=0o700)

    def _paths(self) -> tuple[str, str]:
        return f"{self._base}{self._script.suffix}", f"{self._base}.run"

    def _sorted(self) -> list[tuple[str, str | Secret[str]]]:
        return sorted(self._env.items())

    def _command(self) -> str:
        script, wrapper = self._paths()
        path = wrapper if self._wraps() else script
        if self._options.execute is None:
            return shlex.quote(path) if self._posix else path
        plain = {name: value for name, value in self._sorted() if isinstance(value, str)}
        # Packer's form: single quotes always, because people put more text right behind.
        words = "".join("{}='{}' ".format(name, value.replace("'", "'\"'\"'")) for name, value in plain.items())
        return self._options.execute(path, words)

    # --- running -------------------------------------------------------------------------------------------------

    async def _execute(self) -> CommandResult:
        command = self._command()
        if self._posix:
            # From this shell on everything is ended that is still there when the time is up (``process_tree``). It
            # outlives the TERM that our hanging up sends, which dropbear hands to it alone: its children would be lost.
            command = f"trap : TERM; echo $$ > {shlex.quote(self._base + '.pid')}; {command}"
        return await self._context.connection.run_given(command, deadline=self._deadline, on_line=self._line)

    def _line(self, stream: str, line: str) -> None:
        self._lines = [*self._lines[1 - _LAST_LINES :], line]
        print_line(self._context, stream, line)

    async def _disconnected(self, error: GuestUnreachable) -> None:
        if not self._options.expect_disconnect:
            raise GuestUnreachable(
                f"the connection broke while {self._script.title!r} was running",
                layer=error.layer,
                hint="if it reboots the guest, let a `reboot` step do that; if it may restart sshd or the network, set "
                "`expect_disconnect: true`",
                evidence=Evidence(notes=tuple(self._lines)),
            ) from error
        deadline = self._deadline.within(_BACK, "the guest to answer again")
        await self._context.reconnect(deadline)
        await self._clean()

    async def _end_in_guest(self) -> None:
        """What was started must not go on beside the next try. Best effort, as the guest may be stuck."""
        if not self._posix:
            return
        running = f"{self._script.title!r} may still be running in the guest"
        try:
            async with Deadline.after(_END, "the guest to end it").limit():
                ended = await self._try(end_command(self._base + ".pid"))
                if ended.exit_status != 0:
                    self._context.emit(Note(f"{running}: {ended.stdout.strip() or ended.stderr.strip()}", "warning"))
                await self._clean()
        except (DeadlineExpired, GuestUnreachable):
            self._context.emit(Note(running, "warning"))

    async def _clean(self) -> None:
        """Removes what was carried over: the environment always, the script unless it is to be kept."""
        script, wrapper = self._paths()
        doomed = [wrapper, f"{self._base}.pid"] if self._posix else []
        if not self._options.skip_clean:
            doomed.append(script)
        if not doomed:
            return
        try:
            await self._remove(doomed)
        except (DeadlineExpired, GuestUnreachable):
            if not self._options.expect_disconnect:
                raise
            await self._context.reconnect(self._deadline.within(_BACK, "the guest to answer again"))
            await self._remove(doomed)

    async def _remove(self, paths: Sequence[str]) -> None:
        if self._posix:
            await self._context.connection.remove(paths, deadline=Deadline.after(_TIDY, "the guest to tidy up"))
        else:
            words = " ".join('"{}"'.format(path.replace("/", "\\")) for path in paths)
            await self._try(f"del /f /q {words}")

    async def _try(self, command: str) -> CommandResult:
        return await self._context.connection.run(command, deadline=Deadline.after(_TIDY, "the guest to tidy up"))

    def _failed(self, result: CommandResult) -> GuestCommandFailed:
        allowed = ", ".join(map(str, self._options.valid_exit_codes))
        message = f"{self._script.title!r} ended with status {result.exit_status} (allowed: {allowed})"
        last = next((line for line in reversed(self._lines) if line.strip()), "")
        if last:
            message += f"; it said last: {last.strip()}"
        return GuestCommandFailed(
            message,
            exit_status=result.exit_status,
            hint=_hint(result.exit_status, self._options.remote_folder),
            evidence=Evidence(exit_status=result.exit_status, stderr=result.stderr, notes=tuple(self._lines)),
        )


def _hint(status: int, folder: str) -> str:
    if status == 126:
        return f"the guest won't run it: is {folder} mounted noexec (set `remote_folder`), and is the first line right?"
    if status == 127:
        return "a command or the script's interpreter (its first line) does not exist in the guest"
    return "the lines above are the script's own output"
