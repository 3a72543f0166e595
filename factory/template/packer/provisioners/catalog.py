"""Which provisioners are known, and how each is read and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from factory.template.packer.hcl.source import Span
from factory.template.packer.language.values import to_python, wholly_known
from factory.template.packer.options import Decoder, Options, Settings
from factory.template.packer.provisioners.ansible import Ansible, AnsibleLocal
from factory.template.packer.provisioners.meta import META_NAMES, MetaOptions, OtherProvisioner
from factory.template.packer.provisioners.shell import (
    Powershell,
    ScriptOptions,
    Shell,
    ShellLocal,
    WindowsRestart,
    WindowsShell,
    WindowsUpdate,
)
from factory.template.packer.provisioners.simple import Breakpoint, File, Goss, HcpSbom, Sleep

PROVISIONERS: Mapping[str, type[Options]] = {
    "shell": Shell,
    "file": File,
    "shell-local": ShellLocal,
    "breakpoint": Breakpoint,
    "sleep": Sleep,
    "powershell": Powershell,
    "windows-shell": WindowsShell,
    "windows-restart": WindowsRestart,
    "windows-update": WindowsUpdate,
    "ansible": Ansible,
    "ansible-local": AnsibleLocal,
    "goss": Goss,
    "hcp-sbom": HcpSbom,
}
KNOWN_ELSEWHERE = frozenset(
    {"chef-client", "chef-solo", "puppet-masterless", "puppet-server", "salt-masterless", "converge", "inspec",
     "cnspec", "tunnel", "comment", "windows-update", "host-command", "trivy", "scripting"}
)  # fmt: skip
"""Provisioners of other people's plug-ins, known by name."""

Report = Callable[[str, str], None]


def read_provisioner(decoder: Decoder, kind: str, settings: Settings) -> tuple[Options, MetaOptions]:
    """Reads the options of one provisioner, its own and the general ones."""
    meta = decoder.decode(MetaOptions, _only(settings, META_NAMES), kind)
    own = settings.without(*META_NAMES)
    if kind not in PROVISIONERS:
        return OtherProvisioner(options=_plain(own)), meta
    before = len(decoder.problems)
    options = decoder.decode(PROVISIONERS[kind], own, kind)
    if not any(p.severity == "error" for p in decoder.problems[before:]):
        _check(decoder, kind, options, own)
    if meta.only and meta.except_:
        decoder.problems.append(settings.span.problem(f"{kind}: “only” and “except” exclude each other"))
    return options, meta


def _only(settings: Settings, names: tuple[str, ...]) -> Settings:
    return Settings({k: v for k, v in settings.options.items() if k in names}, settings.span)


def _plain(settings: Settings) -> Mapping[str, Any]:
    result: dict[str, Any] = {}
    for name, given in settings.options.items():
        if given.value is not None:
            result[name] = to_python(given.value) if wholly_known(given.value) else None
        else:
            result[name] = [dict(_plain(b)) for b in given.blocks]
    return result


def _check(decoder: Decoder, kind: str, options: Options, settings: Settings) -> None:
    def report(message: str, span: Span = settings.span) -> None:
        decoder.problems.append(span.problem(f"{kind}: {message}"))

    if options.unknown:
        return
    if isinstance(options, ShellLocal) and options.command:
        return
    if isinstance(options, ScriptOptions):
        count = bool(options.inline) + bool(options.script) + bool(options.scripts)
        if count == 0 and not options.given & {"inline", "script", "scripts"}:
            report("one of “inline”, “script” and “scripts” must be set")
        elif count > 1:
            report("“inline”, “script” and “scripts” exclude one another")
        for pair in options.environment_vars:
            if "=" not in pair or pair.startswith("="):
                given = settings.options["environment_vars"]
                report(f"“{pair}” is not of the form NAME=value", given.span)
    if isinstance(options, File):
        if not (options.source or options.sources or options.given & {"content", "source", "sources"}):
            report("one of “source”, “sources” and “content” must be set")
        if options.content and (options.source or options.sources):
            report("“content” and “source” exclude each other")
    if isinstance(options, AnsibleLocal) and not (options.playbook_file or options.playbook_files):
        report("“playbook_file” or “playbook_files” must be set")
