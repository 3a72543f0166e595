"""Tests of the guest by goss (https://goss.rocks), as Packer's goss plug-in runs them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory.deadline import Deadline
from factory.errors import GuestCommandFailed, StepError
from factory.provision.context import ProvisionContext, print_line

RELEASES = "https://github.com/goss-org/goss/releases/download"
DEFAULT_VERSION = "0.4.9"


@dataclass(frozen=True, slots=True)
class Goss:
    """``tests`` are files and folders of this host. ``program`` is where goss lies, or is put, in the guest."""

    tests: tuple[Path, ...]
    goss_file: str = ""
    url: str = ""
    program: str = "/tmp/goss"
    installs: bool = True
    insecure: bool = False
    folder: str = "/tmp/goss-tests"
    sudo: bool = False
    arguments: tuple[str, ...] = ()
    vars_file: Path | None = None
    vars_inline: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    inspects: bool = False

    async def run(self, context: ProvisionContext, deadline: Deadline) -> None:
        """Raises: GuestCommandFailed when a test fails, unless it only inspects; StepError, GuestUnreachable."""
        if self.installs:
            insecure = "-k " if self.insecure else ""
            where, url = shlex.quote(self.program), shlex.quote(self.url)
            fetch = f"curl -fsSL {insecure}-o {where} {url} || wget -q -O {where} {url}"
            await self._command(context, deadline, f"({fetch}) && chmod 555 {where}", "goss could not be fetched")
        folder = shlex.quote(self.folder)
        await self._command(context, deadline, f"mkdir -p {folder}", "no folder for the tests could be made")
        async with deadline.limit():
            for test in self.tests:
                await self._carry_over(context, test)
            if self.vars_file:
                await context.connection.upload(self.vars_file, f"{self.folder}/{self.vars_file.name}")
        await self._command(context, deadline, self._validate(), "the guest does not pass its tests")

    async def _carry_over(self, context: ProvisionContext, test: Path) -> None:
        if test.is_dir():
            await context.connection.upload_tree(test, f"{self.folder}/{test.name}")
        else:
            await context.connection.upload(test, f"{self.folder}/{test.name}")

    def _validate(self) -> str:
        first = self.tests[0]
        name = self.goss_file or ("goss.yaml" if first.is_dir() else first.name)
        inside = f"{first.name}/{name}" if first.is_dir() and not self.goss_file.startswith(first.name) else name
        options = ["-g", shlex.quote(f"{self.folder}/{inside}")]
        if self.vars_file:
            options += ["--vars", shlex.quote(f"{self.folder}/{self.vars_file.name}")]
        if self.vars_inline:
            options += ["--vars-inline", shlex.quote(self.vars_inline)]
        env = "".join(f"{name}={shlex.quote(value)} " for name, value in sorted(self.env.items()))
        sudo = "sudo -E " if self.sudo else ""
        words = " ".join([*options, "validate", *map(shlex.quote, self.arguments)])
        return f"cd {shlex.quote(self.folder)} && {env}{sudo}{shlex.quote(self.program)} {words}"

    async def _command(self, context: ProvisionContext, deadline: Deadline, command: str, wrong: str) -> None:
        result = await context.connection.run_given(
            command, deadline=deadline, on_line=lambda stream, line: print_line(context, stream, line)
        )
        if result.exit_status != 0 and not (self.inspects and " validate" in command):
            raise GuestCommandFailed(
                f"goss: {wrong} (status {result.exit_status})",
                exit_status=result.exit_status,
                hint="the lines above are goss' own output; an air-gapped guest needs `skip_install` and goss in place",
            )


def make(options: Mapping[str, Any]) -> Goss:
    """For ``provision.catalog``: Packer's option names. Raises: StepError."""
    tests = tuple(Path(t).absolute() for t in options.get("tests") or ())
    if not tests:
        raise StepError("goss: `tests` names no test")
    for test in tests:
        if not test.exists():
            raise StepError(f"goss: there is no test {test}")
    version, arch = str(options.get("version") or DEFAULT_VERSION), str(options.get("arch") or "amd64")
    format_options = str(options.get("format_options") or "")
    pairs = (("--retry-timeout", "retry_timeout"), ("--sleep", "sleep"), ("--format", "format"))
    arguments = [word for flag, name in pairs if options.get(name) for word in (flag, str(options[name]))]
    inline = options.get("vars_inline")
    return Goss(
        tests=tests,
        goss_file=str(options.get("goss_file") or ""),
        url=str(options.get("url") or f"{RELEASES}/v{version}/goss-linux-{arch}"),
        program=str(options.get("download_path") or f"/tmp/goss-{version}-linux-{arch}"),
        installs=not (options.get("skip_install") or options.get("skip_download")),
        insecure=bool(options.get("skip_ssl")),
        folder=str(options.get("remote_folder") or options.get("remote_path") or "/tmp/goss"),
        sudo=bool(options.get("use_sudo")),
        arguments=(*arguments, *(("--format-options", format_options) if format_options else ())),
        vars_file=Path(options["vars_file"]) if options.get("vars_file") else None,
        vars_inline=json.dumps(dict(inline)) if inline else "",
        env=dict(options.get("vars_env") or {}),
        inspects=bool(options.get("inspect")),
    )
