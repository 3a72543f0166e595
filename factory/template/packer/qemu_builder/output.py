"""Where the result goes, how the machine is shut down, and what is handed to QEMU as it is."""

from __future__ import annotations

from dataclasses import dataclass

from factory.quantity import Duration
from factory.secret import Secret
from factory.template.packer.options import NO_SECRET, Options, option

ARGUMENT_NAMES = ("HTTPIP", "HTTPPort", "HTTPDir", "HTTPContent", "OutputDir", "Name", "SSHHostPort")
"""What ``{{ }}`` in ``qemuargs`` may ask for."""


@dataclass(frozen=True, kw_only=True)
class OutputOptions(Options):
    vm_name: str = ""
    """File name of the main disk; nothing is added to it. Default: ``packer-`` and the name of the build."""
    output_directory: str = ""
    """Default: ``output-`` and the name of the build."""
    shutdown_command: Secret[str] = NO_SECRET
    """Secret, as it often holds the password for sudo. Empty: the machine is switched off."""
    shutdown_timeout: Duration = Duration(300)
    qemuargs: tuple[tuple[str, ...], ...] = option((), late=ARGUMENT_NAMES)
    """A switch and its parts, which are put together; a switch named here replaces every default use of it."""
    run_once: bool = False
