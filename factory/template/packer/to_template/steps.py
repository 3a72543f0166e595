"""Provisioners: from Packer's to ``provision`` of a template."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from factory.errors import TemplateError
from factory.quantity import Duration
from factory.secret import Secret
from factory.template.model import RUN_ID_MARK, Ansible, File, LateText, Plugin, Provision, Reboot, Shell, Text
from factory.template.packer.gotemplate import Context, Surroundings, is_template, packer_functions, render_known
from factory.template.packer.hcl.source import NOWHERE
from factory.template.packer.language.scope import World
from factory.template.packer.model import COMPATIBLE_VERSION, PackerBuild, PackerConfig
from factory.template.packer.options import Options
from factory.template.packer.options.declare import declared
from factory.template.packer.post_processors import OtherPostProcessor, PostProcessor
from factory.template.packer.provisioners import OtherProvisioner, Provisioner, simple
from factory.template.packer.provisioners import ansible as packer_ansible
from factory.template.packer.provisioners import shell as packer_shell
from factory.template.packer.qemu_builder import QemuSource
from factory.template.packer.run_id import run_id
from factory.template.packer.to_template.notes import Notes
from factory.template.packer.to_template.texts import (
    BUILD_VALUES,
    COMMAND,
    HTTP_ADDRESS,
    HTTP_HOST,
    HTTP_PORT,
    late_text,
)

Part = TypeVar("Part", Provisioner, PostProcessor)
RUN_ID = "PackerRunUUID"
PLACEHOLDER = "\ue000{}\ue001"
"""Stands in a plug-in's texts for what it fills in itself (the path of a script, its variables)."""
_SCRIPT_NAMES = ("Path", "Vars", "Script", "Command", "EnvVarFile")
_OWN_NAMES: Mapping[str, str] = MappingProxyType({n: repr(PLACEHOLDER.format(n)) for n in _SCRIPT_NAMES})
_DISCONNECTS = packer_shell.DEFAULT_COMMAND


@dataclass(frozen=True, slots=True)
class StepTexts:
    """What the texts of one build may name, and where it is noted what they can't."""

    build_name: str
    working: Path
    known: Mapping[str, str]
    """``build.*`` as far as it is known before anything runs."""
    serves: bool
    notes: Notes
    variables: Mapping[str, str] = field(default_factory=dict)
    """User variables of a JSON template: a plug-in's options still name them."""
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    """Packer's functions, for this build."""

    @classmethod
    def of(cls, source: QemuSource, build: PackerBuild, notes: Notes, config: PackerConfig) -> StepTexts:
        winrm = source.communicator == "winrm"
        password = source.winrm_password if winrm else source.ssh_password
        known = {
            "ID": "ERR_ID_NOT_IMPLEMENTED_BY_BUILDER",
            "User": source.winrm_username if winrm else source.ssh_username,
            "Password": password.reveal(),
            "WinRMPassword": source.winrm_password.reveal(),
            "ConnType": source.communicator,
            "Host": "127.0.0.1",
            "SSHPrivateKeyFile": source.ssh_private_key_file,
            "SourceImageName": "",
        }
        serves = bool(source.http_directory or source.http_content)
        values = {n: v.value.text() for n, v in config.variables.items()} if config.scope is None else {}
        name = source.build_name or build.source_name
        world = World(config.folder, config.working)
        around = Surroundings(world, COMPATIBLE_VERSION, values, build_name=name, build_type="qemu")
        functions = packer_functions(around)
        return cls(name, config.working.absolute(), known, serves, notes, values, functions)

    def resolved(self, part: Part) -> Part:
        """*part* with the values of ``build.*`` that are known before anything runs.

        The id of the command is not: it stays open where it is only put into a text. Who computes with it (a piece of
        it, say) gets it now, and with it a step that is another in every command.
        """
        known = {**self.known, RUN_ID: run_id()} if RUN_ID in part.needs and _computes(part.options) else self.known
        return part.resolve(known) if part.needs and part.needs <= set(known) else part

    def late(self, text: str, names: Mapping[str, str], option: str) -> Text:
        """*text* with what only the running build knows as Jinja2."""
        return late_text(self._with_the_build(text), {**self._build_names(), **names}, option, self.notes)

    def _with_the_build(self, text: str) -> str:
        """*text* with what the name of the build decides, as in ``{{ split build_name "-" 1 }}``."""
        if "{{" not in text:
            return text
        try:
            return render_known(text, Context({}, self.functions, late=None), NOWHERE)
        except TemplateError:
            return text

    def _build_names(self) -> dict[str, str]:
        known = {f"build.{name}": repr(value) for name, value in self.known.items()}
        late = {f"build.{name}": value for name, value in BUILD_VALUES.items()}
        return {**known, **late, "WinRMPassword": repr(self.known["WinRMPassword"])}

    def rendered(self, text: str, names: Mapping[str, str]) -> str:
        """*text* with all that is known before anything runs; a name that only a post-processor knows stays."""
        functions: dict[str, Callable[..., Any]] = {
            "user": lambda name: self.variables.get(name, ""),
            "build": lambda name: {**self.known, RUN_ID: RUN_ID_MARK}.get(name, ""),
        }
        functions = {**self.functions, **functions}
        return render_known(text, Context(names, functions, late=None), NOWHERE)

    def with_variables(self, text: str) -> str:
        """*text* with the user variables of a JSON template in it, and everything else as it is."""
        if not self.variables or "user" not in text:
            return text
        functions: dict[str, Callable[..., Any]] = {"user": lambda name: self.variables.get(name, "")}
        try:
            return render_known(text, Context({}, functions, late=None), NOWHERE)
        except TemplateError:
            return text

    def environment(self) -> dict[str, Text]:
        """What Packer sets for every script."""
        found: dict[str, Text] = {
            "PACKER_BUILD_NAME": self.build_name,
            "PACKER_BUILDER_TYPE": "qemu",
        }
        if self.serves:
            found["PACKER_HTTP_IP"] = LateText("{{ " + HTTP_HOST + " }}")
            found["PACKER_HTTP_PORT"] = LateText("{{ " + HTTP_PORT + " }}")
            found["PACKER_HTTP_ADDR"] = LateText("{{ " + HTTP_ADDRESS + " }}")
        return found

    def place(self, name: str) -> str:
        """A file of this host, named whole: relative names start where the command runs."""
        slash = "/" if name.endswith("/") and name != "/" else ""
        return str(self.working / Path(name).expanduser()) + slash if name else name


def _computes(options: Options) -> bool:
    """Whether something in *options* has no value before the running build gives one."""
    if isinstance(options, (OtherProvisioner, OtherPostProcessor)):
        return None in options.options.values()
    return bool(options.unknown)


def provision_of(provisioner: Provisioner, texts: StepTexts) -> Iterator[Provision]:
    """One provisioner of Packer may be several here (a ``file`` with several sources)."""
    provisioner = texts.resolved(provisioner)
    meta = provisioner.meta
    general: dict[str, Any] = {
        "name": meta.name,
        "timeout": meta.timeout or None,
        "retries": meta.max_retries,
        "pause_before": meta.pause_before,
        "pause_after": getattr(provisioner.options, "pause_after", Duration(0)),
        "continue_on_error": meta.continue_on_error,
    }
    if provisioner.options.unknown:
        names = ", ".join(sorted(provisioner.options.unknown))
        texts.notes.add(f"{provisioner.type}.{names}", "is known to the running build alone")
    for kind in _kinds(provisioner, texts):
        yield Provision(**kind, **general)


def _kinds(provisioner: Provisioner, texts: StepTexts) -> Iterator[dict[str, Any]]:
    options = provisioner.options
    if isinstance(options, packer_shell.Shell):
        yield {"shell": _shell(options, texts)}
    elif isinstance(options, simple.File):
        yield from ({"file": f} for f in _files(options, texts))
    elif isinstance(options, packer_shell.WindowsRestart):
        yield from _restart(options, texts)
    elif isinstance(options, packer_ansible.Ansible):
        yield {"ansible": _ansible(options, texts)}
    else:
        yield {"plugin": _plugin(provisioner, texts)}


def _shell(o: packer_shell.Shell, texts: StepTexts) -> Shell:
    command = None
    if o.execute_command not in (packer_shell.DEFAULT_COMMAND, packer_shell.DEFAULT_COMMAND_WITH_FILE):
        command = texts.late(o.execute_command, {**COMMAND, "EnvVarFile": "path"}, "shell.execute_command")
    for option in ("env_var_format", "remote_file", "remote_path"):
        if option in o.given:
            texts.notes.add(f"shell.{option}", "has no equal", matters=option == "env_var_format")
    for option in ("use_env_var_file", "binary", "start_retry_timeout"):
        if option in o.given:
            texts.notes.add(f"shell.{option}", "factory sees to it", matters=False)
    return Shell(
        inline=tuple(texts.late(line, {}, "shell.inline") for line in o.inline) or None,
        script=texts.place(o.script) or None,
        scripts=tuple(texts.place(s) for s in o.scripts),
        env=_environment(o, texts),
        execute_command=command,
        shebang=o.inline_shebang,
        valid_exit_codes=o.valid_exit_codes,
        expect_disconnect=o.expect_disconnect,
        remote_folder=o.remote_folder,
        skip_clean=o.skip_clean,
    )


def _environment(o: packer_shell.ScriptOptions, texts: StepTexts) -> dict[str, Text]:
    """The build's variables, then ``environment_vars``, then ``env``: later ones win."""
    found = texts.environment()
    for pair in o.environment_vars:
        name, _, value = pair.partition("=")
        found[name] = texts.late(value, {}, "environment_vars")
    found.update({name: texts.late(value, {}, "env") for name, value in o.env.items()})
    return found


def _files(o: simple.File, texts: StepTexts) -> Iterator[File]:
    if not o.source and not o.sources:
        yield File(content=texts.late(o.content, {}, "file.content"), destination=o.destination)
        return
    for source in (o.source, *o.sources):
        if not source:
            continue
        if o.direction == "download":
            yield File(source=source, destination=texts.place(o.destination), direction="download")
        else:
            made_later = o.generated and not Path(texts.place(source)).exists()
            yield File(source=texts.place(source), destination=o.destination, generated=made_later)


def _restart(o: packer_shell.WindowsRestart, texts: StepTexts) -> Iterator[dict[str, Any]]:
    yield {"reboot": Reboot(command=o.restart_command, deadline=o.restart_timeout)}
    if o.check_registry:
        options = {"command": _no_restart_waits(o.registry_keys), "patience": float(o.restart_timeout)}
        yield {"plugin": Plugin(name="await-command", options=options)}
    if o.restart_check_command:
        options = {"command": o.restart_check_command, "patience": float(o.restart_timeout)}
        yield {"plugin": Plugin(name="await-command", options=options)}


def _no_restart_waits(keys: Sequence[str]) -> str:
    """Ends with 1 while one of the registry's *keys* is there: Windows has not finished restarting."""
    names = ", ".join("'" + key.replace("'", "''") + "'" for key in keys or packer_shell.RESTART_KEYS)
    return f'powershell -NoProfile -Command "if (Test-Path {names} | Where-Object {{ $_ }}) {{ exit 1 }}"'


def _ansible(o: packer_ansible.Ansible, texts: StepTexts) -> Ansible:
    seen_to = {"playbook_file", "extra_arguments", "groups", "empty_groups", "roles_path", "galaxy_file", "user",
               "use_proxy", "keep_inventory_file", "skip_version_check", "ansible_env_vars", "ansible_ssh_extra_args",
               "local_port", "ssh_host_key_file", "ssh_authorized_key_file", "ansible_proxy_key_type", "sftp_command",
               "use_sftp", "galaxy_force_install", "host_alias", "collections_path"}  # fmt: skip
    for option in sorted(o.given - seen_to):
        texts.notes.add(f"ansible.{option}", "has no equal")
    env: dict[str, Text] = {}
    for pair in o.ansible_env_vars:
        name, _, value = pair.partition("=")
        env[name] = texts.late(value, {}, "ansible_env_vars")
    own = ["-e", f"packer_build_name={texts.build_name}", "-e", "packer_builder_type=qemu"]
    return Ansible(
        playbook=texts.place(o.playbook_file),
        extra_args=(*own, *(texts.late(a, {}, "ansible.extra_arguments") for a in o.extra_arguments)),
        groups=o.groups,
        roles_path=texts.place(o.roles_path) or None,
        collections_path=texts.place(o.collections_path) or None,
        requirements=texts.place(o.galaxy_file) or None,
        user=o.user or None,
        host=o.host_alias or "default",
        env=env,
    )


def _plugin(provisioner: Provisioner, texts: StepTexts) -> Plugin:
    """A kind that has no section of its own in a template: by its name, with its options as plain data."""
    options = {k: _plain(v, texts, f"{provisioner.type}.{k}") for k, v in given_options(provisioner.options).items()}
    files: list[str] = []
    if not isinstance(provisioner.options, OtherProvisioner):
        for name in _file_options(provisioner.options):
            if options.get(name):
                value = options[name]
                options[name] = [texts.place(v) for v in value] if isinstance(value, list) else texts.place(value)
                files += options[name] if isinstance(options[name], list) else [options[name]]
    if isinstance(provisioner.options, packer_shell.ScriptOptions):
        options["environment"] = _environment(provisioner.options, texts)
        options.pop("env", None)
        options.pop("environment_vars", None)
    if isinstance(provisioner.options, packer_shell.ShellLocal):
        # Packer puts it into its own environment, which a script on this host gets whole.
        options["environment"] = {"PACKER_RUN_UUID": LateText("{{ build.run_id }}"), **options["environment"]}
        options["working"] = str(texts.working)
    if isinstance(provisioner.options, packer_ansible.AnsibleLocal):
        options["build_name"] = texts.build_name
    return Plugin(name=provisioner.type, options=options, files=tuple(f for f in files if Path(f).exists()))


def _file_options(options: Options) -> Iterator[str]:
    for name, item in declared(type(options)).items():
        if item.rule.file or (isinstance(options, packer_ansible.AnsibleLocal | simple.Goss) and name in _OWN_FILES):
            yield name


_OWN_FILES = frozenset({"playbook_file", "playbook_files", "playbook_dir", "playbook_paths", "role_paths", "group_vars",
                        "collection_paths", "host_vars", "inventory_file", "galaxy_file", "tests",
                        "vars_file"})  # fmt: skip


def _plain(value: Any, texts: StepTexts, option: str) -> Any:
    if isinstance(value, Secret):
        value = value.reveal()
    if isinstance(value, str):
        return texts.late(texts.with_variables(value), _OWN_NAMES, option) if is_template(value) else value
    if isinstance(value, Duration):
        return float(value)
    if isinstance(value, Mapping):
        return {k: _plain(v, texts, option) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v, texts, option) for v in value]
    return value


def given_options(options: Options) -> Mapping[str, Any]:
    """The options that the template sets; secrets stay secrets."""
    if isinstance(options, OtherProvisioner):
        return options.options
    return {
        item.name: getattr(options, item.name)
        for item in dataclasses.fields(options)
        if item.name.rstrip("_") in options.given
    }
