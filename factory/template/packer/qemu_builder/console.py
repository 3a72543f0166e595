"""What is typed, and where the screen goes."""

from __future__ import annotations

from dataclasses import dataclass

from factory.quantity import Duration
from factory.secret import Secret
from factory.template.packer.options import NO_SECRET, Options, option

BOOT_NAMES = ("HTTPIP", "HTTPPort", "Name", "SSHPublicKey")
"""What ``{{ }}`` in a boot command may ask for."""
DEFAULT_BOOT_WAIT = Duration(10)


@dataclass(frozen=True, kw_only=True)
class BootOptions(Options):
    boot_command: tuple[str, ...] = option((), late=BOOT_NAMES)
    """Pieces of one text, joined without anything between."""
    boot_steps: tuple[tuple[str, ...], ...] = option((), late=BOOT_NAMES)
    """Pairs of a command and its description."""
    boot_wait: Duration = DEFAULT_BOOT_WAIT
    """How long to wait before typing. Negative in the template means not at all, and is zero here."""
    boot_key_interval: Duration = Duration(0)
    boot_keygroup_interval: Duration = Duration(0)


@dataclass(frozen=True, kw_only=True)
class DisplayOptions(Options):
    headless: bool = False
    display: str = ""
    use_default_display: bool = False
    disable_vnc: bool = False
    vnc_bind_address: str = "127.0.0.1"
    vnc_port_min: int = 5900
    vnc_port_max: int = 6000
    vnc_use_password: bool = False
    vnc_password: Secret[str] = NO_SECRET
    qmp_enable: bool = False
    qmp_socket_path: str = ""
