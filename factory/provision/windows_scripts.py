"""Scripts in Windows guests: Packer's ``powershell`` and ``windows-shell``, over WinRM or Windows' own OpenSSH.

A PowerShell script's environment is a file of its own, which is removed with the script. What must run as another
user, or with an administrator's full token, runs as a scheduled task: a remote session has neither.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory.deadline import Deadline
from factory.drivers.protocols import CommandResult
from factory.errors import DeadlineExpired, Evidence, GuestCommandFailed, GuestUnreachable, StepError
from factory.opening import read_content
from factory.provision.context import ProvisionContext, print_line, reveal
from factory.provision.placeholders import filled
from factory.quantity import Duration
from factory.secret import Secret

FOLDER = "c:/Windows/Temp"
_TIDY = Duration(60)
_BACK = Duration(10 * 60)
_QUIET = "$ProgressPreference = 'SilentlyContinue'\n"  # its progress bars come back as XML on standard error
_TASK = """{quiet}
$password = {password}
$action = New-ScheduledTaskAction -Execute 'cmd.exe' -Argument {argument}
$settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries `
  -ExecutionTimeLimit (New-TimeSpan -Seconds 0)
$who = @{{ User = {user}; RunLevel = 'Highest' }}
if ($password) {{ $who.Password = $password }}
Register-ScheduledTask -TaskName {name} -Action $action -Settings $settings @who -Force | Out-Null
Start-ScheduledTask -TaskName {name}
do {{ Start-Sleep -Milliseconds 500 }} while ((Get-ScheduledTask -TaskName {name}).State -in 'Running', 'Queued')
$result = (Get-ScheduledTaskInfo -TaskName {name}).LastTaskResult
Unregister-ScheduledTask -TaskName {name} -Confirm:$false
if (Test-Path {log}) {{ Get-Content {log}; Remove-Item {log} }}
exit $result
"""


@dataclass(frozen=True, slots=True)
class Elevation:
    """Who a script runs as; ``SYSTEM`` and other service accounts have no password."""

    user: str
    password: Secret[str]


@dataclass(frozen=True, slots=True)
class WindowsScripts:
    """``scripts`` are (title, content). ``command`` may have places for ``Path`` and ``Vars``; empty: our own call."""

    scripts: tuple[tuple[str, bytes], ...]
    suffix: str
    env: Mapping[str, str | Secret[str]] = field(default_factory=dict)
    command: str = ""
    elevation: Elevation | None = None
    policy: str = "bypass"
    program: str = "powershell"
    remote_path: str = ""
    valid_exit_codes: tuple[int, ...] = (0,)
    keeps: bool = False

    async def run(self, context: ProvisionContext, deadline: Deadline) -> None:
        """Raises: GuestCommandFailed, GuestUnreachable, DeadlineExpired."""
        for title, content in self.scripts:
            await _Run(self, context, deadline, title, content).run()


async def script_result(
    options: WindowsScripts, context: ProvisionContext, deadline: Deadline, title: str, content: bytes
) -> CommandResult:
    """Runs one script as *options* say, whatever its exit status. Raises: GuestUnreachable, DeadlineExpired."""
    return await _Run(options, context, deadline, title, content).result()


class _Run:
    """One script on its way through the guest."""

    def __init__(
        self, options: WindowsScripts, context: ProvisionContext, deadline: Deadline, title: str, content: bytes
    ) -> None:
        self._options, self._context, self._deadline = options, context, deadline
        self._title, self._content = title, content
        mark = secrets.token_hex(6)
        self._script = options.remote_path or f"{FOLDER}/factory-{mark}{options.suffix}"
        self._variables, self._task = f"{FOLDER}/factory-{mark}-env.ps1", f"{FOLDER}/factory-{mark}-task.ps1"
        self._log, self._name = f"{FOLDER}/factory-{mark}.log", f"factory-{mark}"
        self._uploaded: list[str] = []
        self._last = ""

    async def result(self) -> CommandResult:
        try:
            return await self._execute()
        finally:
            await self._clean()

    async def run(self) -> None:
        result = await self.result()
        if result.exit_status not in self._options.valid_exit_codes:
            allowed = ", ".join(map(str, self._options.valid_exit_codes))
            said = f"; it said last: {self._last}" if self._last else ""
            raise GuestCommandFailed(
                f"{self._title!r} ended with status {result.exit_status} (allowed: {allowed}){said}",
                exit_status=result.exit_status,
                hint="the lines above are the script's own output",
                evidence=Evidence(exit_status=result.exit_status, stderr=result.stderr),
            )

    async def _execute(self) -> CommandResult:
        await self._put(self._script, self._content)
        if self._options.suffix == ".bat":
            return await self._call(self._batch())
        variables = "".join(f"$env:{n} = {quoted(reveal(v))}\r\n" for n, v in sorted(self._variables_of().items()))
        await self._put(self._variables, (_QUIET + variables).encode("utf-8-sig"))
        call = self._powershell()
        if self._options.elevation:
            await self._put(self._task, self._scheduled(call, self._options.elevation).encode("utf-8-sig"))
            call = f"powershell -NoProfile -ExecutionPolicy bypass -File {_windows(self._task)}"
        return await self._call(call)

    def _variables_of(self) -> dict[str, str | Secret[str]]:
        return {**self._context.environment, **self._options.env}

    def _batch(self) -> str:
        plain = {n: v for n, v in self._variables_of().items() if isinstance(v, str)}
        words = "".join(f'set "{n}={v}" && ' for n, v in sorted(plain.items()))
        command = self._options.command or '\ue000Vars\ue001"\ue000Path\ue001"'
        return filled(command, {"Vars": words, "Path": self._script})

    def _powershell(self) -> str:
        if self._options.command:
            return filled(self._options.command, {"Path": self._script, "Vars": self._variables})
        policy = "" if self._options.policy == "none" else f"-ExecutionPolicy {self._options.policy} "
        inner = f". {self._variables}; & '{self._script}'; exit $LastExitCode"
        return f'{self._options.program} -NoProfile {policy}-Command "{inner}"'

    def _scheduled(self, call: str, elevation: Elevation) -> str:
        argument = f'/c "{call} > {_windows(self._log)} 2>&1"'
        password = elevation.password.reveal()
        return _TASK.format(
            quiet=_QUIET,
            password=quoted(password) if password else "$null",
            argument=quoted(argument),
            user=quoted(elevation.user),
            name=quoted(self._name),
            log=quoted(_windows(self._log)),
        )

    async def _call(self, command: str) -> CommandResult:
        return await self._context.connection.run_given(command, deadline=self._deadline, on_line=self._line)

    def _line(self, stream: str, line: str) -> None:
        self._last = line.strip() or self._last
        print_line(self._context, stream, line)

    async def _put(self, path: str, content: bytes) -> None:
        async with self._deadline.limit():
            await self._context.connection.upload(content, path)
        self._uploaded.append(path)

    async def _clean(self) -> None:
        """What holds the environment always goes; the script unless it is to be kept."""
        doomed = [p for p in self._uploaded if not (self._options.keeps and p == self._script)]
        if not doomed:
            return
        command = "del /f /q " + " ".join(f'"{_windows(p)}"' for p in doomed)
        try:
            deadline = Deadline.after(_TIDY, "the guest to tidy up")
            await self._context.connection.run(f"cmd /c {command}", deadline=deadline)
        except (GuestUnreachable, DeadlineExpired):
            # A script that restarts the guest takes the connection with it: the next one needs a new one.
            await self._context.reconnect(self._deadline.within(_BACK, "the guest to answer again"))


def quoted(text: str) -> str:
    """*text* as a literal of PowerShell.

    >>> quoted("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def _windows(path: str) -> str:
    return path.replace("/", "\\")


def _scripts(options: Mapping[str, Any], suffix: str) -> tuple[tuple[str, bytes], ...]:
    """Inline lines as one script, or the files, with the line ends of Windows. Raises: StepError."""
    found: list[tuple[str, bytes]] = []
    inline = _texts(options.get("inline"))
    if inline:
        title = inline[0] if len(inline) == 1 else f"{len(inline)} inline commands"
        found.append((title, ("\r\n".join(inline) + "\r\n").encode()))
    for name in (*_texts(options.get("script")), *_texts(options.get("scripts"))):
        try:
            content = read_content(Path(name))
        except OSError as error:
            raise StepError(f"can't read the script {name}: {error.strerror}") from error
        if not options.get("binary") and suffix == ".bat":
            content = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        found.append((Path(name).name, content))
    return tuple(found)


def _texts(value: Any) -> Sequence[str]:
    if not value:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(v) for v in value)


def make_powershell(options: Mapping[str, Any]) -> WindowsScripts:
    """For ``provision.catalog``: Packer's option names."""
    user = str(options.get("elevated_user") or "")
    return WindowsScripts(
        scripts=_scripts(options, ".ps1"),
        suffix=".ps1",
        env=dict(options.get("environment", {})),
        command=str(options.get("execute_command") or ""),
        elevation=Elevation(user, Secret(str(options.get("elevated_password") or ""))) if user else None,
        policy=str(options.get("execution_policy") or "bypass"),
        program="pwsh" if options.get("use_pwsh") else "powershell",
        remote_path=str(options.get("remote_path") or ""),
        valid_exit_codes=tuple(options.get("valid_exit_codes") or (0,)),
        keeps=bool(options.get("skip_clean")),
    )


def make_windows_shell(options: Mapping[str, Any]) -> WindowsScripts:
    """For ``provision.catalog``: Packer's option names."""
    return WindowsScripts(
        scripts=_scripts(options, ".bat"),
        suffix=".bat",
        env=dict(options.get("environment", {})),
        command=str(options.get("execute_command") or ""),
        remote_path=str(options.get("remote_path") or ""),
        valid_exit_codes=tuple(options.get("valid_exit_codes") or (0,)),
    )
