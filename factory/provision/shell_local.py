"""Scripts on this host, in the middle of a build or on its artifact: Packer's ``shell-local``."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory.deadline import Deadline
from factory.drivers.protocols import OnLine, Programs
from factory.errors import CommandFailed, StepError
from factory.events import Emit
from factory.provision.context import ProvisionContext, print_line, reveal
from factory.provision.placeholders import filled
from factory.secret import Secret

DEFAULT_COMMAND = ("/bin/sh", "-c", "\ue000Vars\ue001 \ue000Script\ue001")
Environment = Mapping[str, str | Secret[str]]


@dataclass(frozen=True, slots=True)
class LocalScripts:
    """What runs: ``inline`` lines as one script, or files. ``command`` is an argv with places for script and variables.

    ``env`` is added to this process' own environment, as in Packer: a script on the host needs the user's credentials.
    """

    inline: tuple[str, ...] = ()
    scripts: tuple[Path, ...] = ()
    env: Environment = field(default_factory=dict)
    command: tuple[str, ...] = DEFAULT_COMMAND
    shebang: str = "/bin/sh -e"
    valid_exit_codes: tuple[int, ...] = (0,)
    only_on: tuple[str, ...] = ()
    suffix: str = ""
    working: Path = Path()

    async def run_on_host(
        self, programs: Programs, scratch: Path, *, deadline: Deadline, emit: Emit, on_line: OnLine
    ) -> None:
        """Raises: CommandFailed with the script's last words; StepError when a script is not there."""
        if self.only_on and platform.system().lower() not in self.only_on:
            return
        with tempfile.TemporaryDirectory(prefix="local-", dir=scratch) as folder:
            for script in self._files(Path(folder)):
                await self._run(programs, script, deadline, emit, on_line)

    def _files(self, folder: Path) -> Iterator[Path]:
        if self.inline:
            path = folder / f"script{self.suffix}"
            head = "" if self.inline[0].startswith("#!") else f"#!{self.shebang}\n"
            path.write_text(head + "\n".join(self.inline) + "\n")
            path.chmod(0o700)
            yield path
        for script in self.scripts:
            if not script.is_file():
                raise StepError(f"there is no script {script}")
            yield script

    async def _run(self, programs: Programs, script: Path, deadline: Deadline, emit: Emit, on_line: OnLine) -> None:
        plain = {name: reveal(value) for name, value in self.env.items()}
        # Secrets go through the environment alone: a command line is seen by every process of this host.
        public = {name: value for name, value in self.env.items() if isinstance(value, str)}
        words = "".join("{}='{}' ".format(n, v.replace("'", "'\"'\"'")) for n, v in sorted(public.items()))
        argv = [filled(part, {"Vars": words, "Script": str(script), "Command": str(script)}) for part in self.command]
        try:
            await programs.run(
                argv, deadline=deadline, emit=emit, cwd=self.working, env={**os.environ, **plain}, on_line=on_line
            )
        except CommandFailed as error:
            if error.evidence.exit_status not in self.valid_exit_codes:
                raise
            return
        if 0 not in self.valid_exit_codes:
            raise StepError(f"{script.name} ended with status 0, and only {self.valid_exit_codes} are allowed")


@dataclass(frozen=True, slots=True)
class ShellLocalProvisioner:
    scripts: LocalScripts

    async def run(self, context: ProvisionContext, deadline: Deadline) -> None:
        """Raises: CommandFailed, StepError, DeadlineExpired."""
        await self.scripts.run_on_host(
            context.programs, context.workdir, deadline=deadline, emit=context.emit,
            on_line=lambda stream, line: print_line(context, stream, line),
        )  # fmt: skip


def local_scripts(options: Mapping[str, Any]) -> LocalScripts:
    """From Packer's option names. ``environment`` (a mapping) is the whole of what the script is given."""
    inline = _texts(options.get("inline")) or _texts(options.get("command"))
    scripts = [*_texts(options.get("script")), *_texts(options.get("scripts"))]
    return LocalScripts(
        inline=tuple(inline),
        scripts=tuple(Path(s) for s in scripts),
        env=dict(options.get("environment", {})),
        command=tuple(_texts(options.get("execute_command"))) or DEFAULT_COMMAND,
        shebang=str(options.get("inline_shebang") or "/bin/sh -e"),
        valid_exit_codes=tuple(options.get("valid_exit_codes") or (0,)),
        only_on=tuple(_texts(options.get("only_on"))),
        suffix=_suffix(str(options.get("tempfile_extension") or "")),
        working=Path(options.get("working") or "."),
    )


def _suffix(extension: str) -> str:
    return f".{extension.lstrip('.')}" if extension else ""


def _texts(value: Any) -> Sequence[str]:
    if not value:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(v) for v in value)


def make(options: Mapping[str, Any]) -> ShellLocalProvisioner:
    """For ``provision.catalog``."""
    return ShellLocalProvisioner(local_scripts(options))
