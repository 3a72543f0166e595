"""How the guest is reached: SSH, WinRM or not at all."""

from __future__ import annotations

from dataclasses import dataclass

from factory.quantity import Duration
from factory.secret import Secret
from factory.template.packer.options import NO_SECRET, Options, option

KEY_TYPES = ("rsa", "dsa", "ecdsa", "ed25519")


@dataclass(frozen=True, kw_only=True)
class CommunicatorOptions(Options):
    communicator: str = option("ssh", choices=("ssh", "winrm", "none"))
    pause_before_connecting: Duration = Duration(0)


@dataclass(frozen=True, kw_only=True)
class SshOptions(Options):
    ssh_host: str = ""
    ssh_port: int = 22
    ssh_username: str = ""
    ssh_password: Secret[str] = NO_SECRET
    ssh_private_key_file: str = option("", file=True)
    ssh_certificate_file: str = option("", file=True)
    ssh_keypair_name: str = ""
    temporary_key_pair_name: str = ""
    temporary_key_pair_type: str = option("rsa", choices=KEY_TYPES)
    temporary_key_pair_bits: int = 0
    ssh_clear_authorized_keys: bool = False
    ssh_public_key: tuple[int, ...] = ()
    ssh_private_key: tuple[int, ...] = ()
    ssh_agent_auth: bool = False
    ssh_disable_agent_forwarding: bool = False
    ssh_pty: bool = False
    ssh_timeout: Duration = Duration(0)
    """Zero is without an end. Five minutes if neither this nor ``ssh_handshake_attempts`` is set."""
    ssh_handshake_attempts: int = 0
    """Zero is without an end. Ten if neither this nor ``ssh_timeout`` is set."""
    ssh_keep_alive_interval: Duration = Duration(5)
    ssh_read_write_timeout: Duration = Duration(0)
    ssh_ciphers: tuple[str, ...] = ()
    ssh_key_exchange_algorithms: tuple[str, ...] = ()
    ssh_file_transfer_method: str = option("scp", choices=("scp", "sftp"))
    ssh_bastion_host: str = ""
    ssh_bastion_port: int = 22
    ssh_bastion_username: str = ""
    ssh_bastion_password: Secret[str] = NO_SECRET
    ssh_bastion_agent_auth: bool = False
    ssh_bastion_interactive: bool = False
    ssh_bastion_private_key_file: str = option("", file=True)
    ssh_bastion_certificate_file: str = option("", file=True)
    ssh_proxy_host: str = ""
    ssh_proxy_port: int = 1080
    ssh_proxy_username: str = ""
    ssh_proxy_password: Secret[str] = NO_SECRET
    ssh_local_tunnels: tuple[str, ...] = ()
    ssh_remote_tunnels: tuple[str, ...] = ()
    ssh_wait_timeout: Duration = option(Duration(0), replaced_by="ssh_timeout")
    ssh_key_path: str = option("", replaced_by="ssh_private_key_file")
    ssh_disable_agent: bool = option(False, replaced_by="ssh_disable_agent_forwarding")


@dataclass(frozen=True, kw_only=True)
class WinrmOptions(Options):
    winrm_host: str = ""
    winrm_port: int = 0
    """5985, or 5986 with SSL."""
    winrm_username: str = ""
    winrm_password: Secret[str] = NO_SECRET
    winrm_timeout: Duration = Duration(1800)
    winrm_use_ssl: bool = False
    winrm_insecure: bool = False
    winrm_use_ntlm: bool = False
    winrm_no_proxy: bool = False


@dataclass(frozen=True, kw_only=True)
class PortOptions(Options):
    """The host's side of the port that is forwarded to the guest."""

    host_port_min: int = 2222
    host_port_max: int = 4444
    skip_nat_mapping: bool = False
    ssh_host_port_min: int = option(0, replaced_by="host_port_min")
    ssh_host_port_max: int = option(0, replaced_by="host_port_max")
    ssh_skip_nat_mapping: bool = option(False, replaced_by="skip_nat_mapping")
