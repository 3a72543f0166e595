"""The way into the guest: from the communicator's options to ``access`` of a template."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from factory.errors import Problem, TemplateError
from factory.quantity import Duration
from factory.template.model import Access, Bastion, Ssh, WinRm
from factory.template.packer.hcl.source import NOWHERE
from factory.template.packer.qemu_builder import QemuSource
from factory.template.packer.to_template.notes import Notes
from factory.template.packer.to_template.qemu_arguments import Arguments, reached_host

_TUNNEL = "factory opens no ports from or into a guest's network"
_UNREACHABLE = {
    "ssh_proxy_host": (
        "factory speaks to a guest through a port of this host or at its own address, never through a SOCKS proxy",
        "leave it out; a host in between can be an ssh_bastion_host",
    ),
    "ssh_bastion_interactive": (
        "nobody is there to be asked for the bastion's password",
        "set ssh_bastion_password, ssh_bastion_private_key_file or ssh_bastion_agent_auth",
    ),
    "ssh_local_tunnels": (_TUNNEL, "leave it out; a shell-local provisioner can run `ssh -L`"),
    "ssh_remote_tunnels": (_TUNNEL, "leave it out; a guest on QEMU's user network sees this host as 10.0.2.2"),
}
"""What would end in a wait for nothing, or in a build without what it counts on; each with the way out."""


def refuse_unreachable(s: QemuSource, found: Arguments) -> None:
    """Raises: TemplateError for every option that asks for a way into the guest that there is not."""
    wrong = list(_unreachable(s, found))
    if wrong:
        raise TemplateError(wrong)


def _unreachable(s: QemuSource, found: Arguments) -> Iterator[Problem]:
    if s.communicator == "ssh":
        for option, (why, hint) in _UNREACHABLE.items():
            if option in s.given and getattr(s, option):
                yield s.places.get(option, NOWHERE).problem(f"“{option}”: {why}", hint=hint)
    if not (s.net_bridge or found.bridge):
        return
    place = s.places.get("net_bridge") or s.places.get("qemuargs", NOWHERE)
    if s.communicator != "none" and not reached_host(s):
        message = "nothing says at which address the guest is reached on this bridge"
        hint = f"set {s.communicator}_host to the address that it gives itself or gets; factory does not look for it"
        yield place.problem(message, hint=hint)
    if s.http_directory or s.http_content:
        message = "the HTTP server listens on this host's loopback device, which a guest on a bridge does not see"
        yield place.problem(message, hint="put the files on a CD: cd_files, cd_content")


def access_of(s: QemuSource, found: Arguments, notes: Notes) -> Access:
    """On a bridge a guest is reached at its own address; else by a port of this host, whatever the address is called.

    Without a bridge, Packer's ``ssh_host`` can only be another name of this computer: QEMU forwards a port of it.
    """
    if s.communicator == "none":
        return Access(none=True)
    host = reached_host(s) if s.net_bridge or found.bridge else ""
    if not host and reached_host(s):
        notes.add(f"{s.communicator}_host", "is this computer, whose loopback device leads to the guest", matters=False)
    if s.communicator == "winrm":
        return Access(
            winrm=WinRm(
                user=s.winrm_username,
                password=s.winrm_password.reveal(),
                port=found.guest_port or s.winrm_port,
                host=host,
                tls=s.winrm_use_ssl,
                deadline=s.winrm_timeout,
                settle=s.pause_before_connecting,
            )
        )
    for option in ("skip_nat_mapping", "ssh_clear_authorized_keys"):
        if option in s.given and getattr(s, option):
            notes.add(option, "has no equal", matters=option != "skip_nat_mapping")
    return Access(
        ssh=Ssh(
            user=s.ssh_username,
            password=s.ssh_password.reveal() or None,
            private_key=_key_file(s.ssh_private_key_file),
            port=found.guest_port or s.ssh_port,
            host=host,
            deadline=s.ssh_timeout if s.ssh_timeout else Duration(24 * 3600),
            certificate=_key_file(s.ssh_certificate_file),
            agent=s.ssh_agent_auth,
            terminal=s.ssh_pty,
            settle=s.pause_before_connecting,
            bastion=_bastion(s),
        )
    )


def _key_file(name: str) -> str | None:
    return str(Path(name).expanduser()) if name else None


def _bastion(s: QemuSource) -> Bastion | None:
    """The guest's own key is the bastion's where it has none, as in Packer."""
    if not s.ssh_bastion_host:
        return None
    own = s.ssh_bastion_private_key_file or ("" if s.ssh_bastion_agent_auth else s.ssh_private_key_file)
    return Bastion(
        host=s.ssh_bastion_host,
        port=s.ssh_bastion_port,
        user=s.ssh_bastion_username or s.ssh_username,
        password=s.ssh_bastion_password.reveal() or None,
        private_key=_key_file(own),
        certificate=_key_file(s.ssh_bastion_certificate_file),
        agent=s.ssh_bastion_agent_auth,
    )
