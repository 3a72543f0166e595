"""Provisioners: from Packer's to ``provision`` of a template."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from factory.secret import Secret
from factory.template.model import Ansible, File, Plugin, Provision, Reboot, Shell, Text
from factory.template.packer.options import Options
from factory.template.packer.provisioners import OtherProvisioner, Provisioner, simple
from factory.template.packer.provisioners import ansible as packer_ansible
from factory.template.packer.provisioners import shell as packer_shell
from factory.template.packer.to_template.notes import Notes
from factory.template.packer.to_template.texts import COMMAND, late_text


def provision_of(provisioner: Provisioner, notes: Notes) -> Iterator[Provision]:
    """One provisioner of Packer may be several here (a ``file`` with several sources)."""
    meta = provisioner.meta
    general: dict[str, Any] = {
        "name": meta.name,
        "timeout": meta.timeout or None,
        "retries": meta.max_retries,
        "pause_before": meta.pause_before,
    }
    if meta.continue_on_error:
        notes.add(f"{provisioner.type}.continue_on_error", "has no equal: an error ends the build")
    if provisioner.options.unknown:
        names = ", ".join(sorted(provisioner.options.unknown))
        notes.add(f"{provisioner.type}.{names}", "is known to the running build alone")
    for kind in _kinds(provisioner, notes):
        yield Provision(**kind, **general)


def _kinds(provisioner: Provisioner, notes: Notes) -> Iterator[dict[str, Any]]:
    options = provisioner.options
    if isinstance(options, packer_shell.Shell):
        yield {"shell": _shell(options, notes)}
    elif isinstance(options, simple.File):
        yield from ({"file": f} for f in _files(options, notes))
    elif isinstance(options, packer_shell.WindowsRestart):
        yield {"reboot": Reboot(deadline=options.restart_timeout)}
    elif isinstance(options, packer_ansible.Ansible):
        yield {"ansible": _ansible(options, notes)}
    else:
        yield {"plugin": Plugin(name=provisioner.type, options=dict(plain_options(options)))}


def _shell(o: packer_shell.Shell, notes: Notes) -> Shell:
    env: dict[str, Text] = {}
    for pair in o.environment_vars:
        name, _, value = pair.partition("=")
        env[name] = late_text(value, {}, "shell.environment_vars", notes)
    env.update({k: late_text(v, {}, "shell.env", notes) for k, v in o.env.items()})
    command = None
    if o.execute_command != packer_shell.DEFAULT_COMMAND:
        command = late_text(o.execute_command, COMMAND, "shell.execute_command", notes)
    for option in ("env_var_format", "use_env_var_file", "remote_file", "remote_path", "skip_clean", "binary",
                   "start_retry_timeout", "pause_after"):  # fmt: skip
        if option in o.given:
            notes.add(f"shell.{option}", "has no equal", matters=option in ("pause_after", "skip_clean"))
    return Shell(
        inline=tuple(late_text(line, {}, "shell.inline", notes) for line in o.inline) or None,
        script=o.script or None,
        scripts=o.scripts,
        env=env,
        execute_command=command,
        shebang=o.inline_shebang,
        valid_exit_codes=o.valid_exit_codes,
        expect_disconnect=o.expect_disconnect,
        remote_folder=o.remote_folder,
    )


def _files(o: simple.File, notes: Notes) -> Iterator[File]:
    if not o.source and not o.sources:
        content = late_text(o.content, {}, "file.content", notes)
        yield File(content=content, destination=o.destination)
        return
    for source in (o.source, *o.sources):
        if source:
            direction: Any = o.direction
            yield File(source=source, destination=o.destination, direction=direction)


def _ansible(o: packer_ansible.Ansible, notes: Notes) -> Ansible:
    for option in sorted(o.given - {"playbook_file", "extra_arguments", "groups", "roles_path", "galaxy_file", "user",
                                    "use_proxy", "keep_inventory_file", "skip_version_check"}):  # fmt: skip
        notes.add(f"ansible.{option}", "has no equal")
    return Ansible(
        playbook=o.playbook_file,
        extra_args=tuple(late_text(a, {}, "ansible.extra_arguments", notes) for a in o.extra_arguments),
        groups=o.groups,
        roles_path=o.roles_path or None,
        requirements=o.galaxy_file or None,
        user=o.user or None,
    )


def plain_options(options: Options) -> Mapping[str, Any]:
    """The options that the template sets, as plain data; secrets are revealed, as the plug-in needs them."""
    if isinstance(options, OtherProvisioner):
        return options.options
    result: dict[str, Any] = {}
    for item in dataclasses.fields(options):
        if item.name.rstrip("_") in options.given:
            value = getattr(options, item.name)
            result[item.name] = value.reveal() if isinstance(value, Secret) else value
    return result
