"""Provisioners that run scripts in the guest or on this computer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from factory.quantity import Duration
from factory.secret import Secret
from factory.template.packer.options import NO_SECRET, Options, option

COMMAND_NAMES = ("Path", "Vars", "EnvVarFile")
DEFAULT_COMMAND = "chmod +x {{.Path}}; {{.Vars}} {{.Path}}"
DEFAULT_COMMAND_WITH_FILE = "chmod +x {{.Path}}; . {{.EnvVarFile}} && {{.Path}}"


@dataclass(frozen=True, kw_only=True)
class ScriptOptions(Options):
    """Exactly one of ``inline``, ``script`` and ``scripts``."""

    inline: tuple[str, ...] = ()
    script: str = option("", file=True)
    scripts: tuple[str, ...] = option((), file=True)
    environment_vars: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    """Wins over ``environment_vars``."""
    env_var_format: str = ""
    valid_exit_codes: tuple[int, ...] = (0,)
    binary: bool = False


@dataclass(frozen=True, kw_only=True)
class Shell(ScriptOptions):
    inline_shebang: str = "/bin/sh -e"
    execute_command: str = option(DEFAULT_COMMAND, late=COMMAND_NAMES)
    use_env_var_file: bool = False
    remote_folder: str = "/tmp"
    remote_file: str = ""
    remote_path: str = ""
    expect_disconnect: bool = False
    start_retry_timeout: Duration = Duration(300)
    skip_clean: bool = False
    pause_after: Duration = Duration(0)


@dataclass(frozen=True, kw_only=True)
class ShellLocal(ScriptOptions):
    command: str = option("", replaced_by="inline")
    inline_shebang: str = "/bin/sh -e"
    execute_command: tuple[str, ...] = option(
        ("/bin/sh", "-c", "{{.Vars}} {{.Script}}"), late=("Vars", "Script", "Command")
    )
    only_on: tuple[str, ...] = ()
    """Operating systems, as Go names them; elsewhere the provisioner does nothing."""
    tempfile_extension: str = ""
    use_linux_pathing: bool = False
    skip_clean: bool = False


@dataclass(frozen=True, kw_only=True)
class Powershell(ScriptOptions):
    execute_command: str = option("", late=(*COMMAND_NAMES, "WinRMPassword"))
    elevated_execute_command: str = option("", late=(*COMMAND_NAMES, "WinRMPassword"))
    elevated_env_var_format: str = ""
    elevated_user: str = option("", late=("WinRMPassword",))
    elevated_password: Secret[str] = option(NO_SECRET, late=("WinRMPassword",))  # noqa: RUF009
    execution_policy: str = option(
        "bypass",
        choices=("bypass", "allsigned", "default", "remotesigned", "restricted", "undefined", "unrestricted", "none"),
    )
    remote_path: str = ""
    remote_env_var_path: str = ""
    debug_mode: int = 0
    use_pwsh: bool = False
    start_retry_timeout: Duration = Duration(300)
    skip_clean: bool = False
    pause_after: Duration = Duration(0)


@dataclass(frozen=True, kw_only=True)
class WindowsShell(ScriptOptions):
    execute_command: str = option('{{.Vars}}"{{.Path}}"', late=COMMAND_NAMES)
    remote_path: str = "c:/Windows/Temp/script.bat"
    start_retry_timeout: Duration = Duration(300)


_SERVICING = r"HKLM:SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing"
RESTART_KEYS = (rf"{_SERVICING}\RebootPending", rf"{_SERVICING}\PackagesPending", rf"{_SERVICING}\RebootInProgress")
"""What is in the registry while Windows has a restart to do, or is at it."""


@dataclass(frozen=True, kw_only=True)
class WindowsRestart(Options):
    restart_command: str = 'shutdown /r /f /t 0 /c "packer restart"'
    restart_check_command: str = ""
    restart_timeout: Duration = Duration(300)
    check_registry: bool = False
    registry_keys: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WindowsUpdate(Options):
    """``rgl/windows-update``."""

    search_criteria: str = ""
    filters: tuple[str, ...] = option((), late=None)
    update_limit: int = 0
    update_max_retries: int = 0
    restart_timeout: Duration = Duration(14400)
    username: str = ""
    password: Secret[str] = NO_SECRET
