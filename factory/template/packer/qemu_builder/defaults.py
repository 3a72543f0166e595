"""Fills in what Packer derives, and carries deprecated options over to their successors."""

from __future__ import annotations

import dataclasses
import posixpath
from typing import TYPE_CHECKING, Any, TypeVar

from factory.quantity import Duration
from factory.template.packer.qemu_builder.hardware import DEFAULT_MEMORY, LEAST_MEMORY

if TYPE_CHECKING:
    from factory.template.packer.qemu_builder.source import QemuSource

S = TypeVar("S", bound="QemuSource")
SSH_TIMEOUT, SSH_ATTEMPTS = Duration(300), 10
WINRM_PORT, WINRM_SSL_PORT = 5985, 5986
_HASH_LENGTHS = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
OVMF_CODE, OVMF_VARS = "/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"


def filled(source: S) -> S:
    """*source* with every derived value, in the order in which Packer derives them."""
    changes: dict[str, Any] = {}
    changes.update(_successors(source))
    source = dataclasses.replace(source, **changes)
    changes = {
        "vm_name": source.vm_name or f"packer-{source.build_name}",
        "output_directory": source.output_directory or f"output-{source.build_name}",
        "memory": source.memory if source.memory >= LEAST_MEMORY else DEFAULT_MEMORY,
        "disk_size": with_unit(source.disk_size),
        "disk_additional_size": tuple(with_unit(s) for s in source.disk_additional_size),
        "boot_wait": max(source.boot_wait, Duration(0)),
        "ssh_keep_alive_interval": max(source.ssh_keep_alive_interval, Duration(0)),
        "boot_key_interval": max(source.boot_key_interval, Duration(0)),
    }
    if source.iso_skip_cache:
        changes["iso_checksum"] = "none"
    if source.efi_firmware_code or source.efi_firmware_vars:
        changes["efi_boot"] = True
    if source.format != "qcow2":
        changes |= {"skip_compaction": True, "disk_compression": False}
    if source.use_backing_file:
        changes["skip_compaction"] = True
    if not source.ssh_timeout and not source.ssh_handshake_attempts:
        changes |= {"ssh_timeout": SSH_TIMEOUT, "ssh_handshake_attempts": SSH_ATTEMPTS}
    if not source.winrm_port:
        changes["winrm_port"] = WINRM_SSL_PORT if source.winrm_use_ssl else WINRM_PORT
    if source.net_bridge or source.vnc_use_password:
        changes["qmp_enable"] = True
    source = dataclasses.replace(source, **changes)
    if source.qmp_enable and not source.qmp_socket_path:
        path = posixpath.join(source.output_directory, f"{source.vm_name}.monitor")
        source = dataclasses.replace(source, qmp_socket_path=path)
    return source


def with_unit(size: str) -> str:
    """``5000`` means MiB."""
    return size + "M" if size.isdigit() else size


def _successors(source: QemuSource) -> dict[str, Any]:
    changes: dict[str, Any] = {"iso_checksum": _checksum(source)}
    for old, new in (
        ("ssh_wait_timeout", "ssh_timeout"),
        ("ssh_key_path", "ssh_private_key_file"),
        ("ssh_disable_agent", "ssh_disable_agent_forwarding"),
        ("ssh_host_port_min", "host_port_min"),
        ("ssh_host_port_max", "host_port_max"),
        ("ssh_skip_nat_mapping", "skip_nat_mapping"),
    ):
        if old in source.given and getattr(source, old):
            changes[new] = getattr(source, old)
    return changes


def _checksum(source: QemuSource) -> str:
    """``iso_checksum_type`` and its relatives, as ``packer fix`` merges them."""
    if source.iso_md5 and not source.iso_checksum:
        return f"md5:{source.iso_md5}"
    kind, value = source.iso_checksum_type.lower(), source.iso_checksum
    if kind == "none":
        return "none"
    if source.iso_checksum_url and not value:
        return f"file:{source.iso_checksum_url}"
    if kind and value and ":" not in value and value != "none":
        return f"{kind}:{value}"
    return value


def checksum_kind(checksum: str) -> str:
    """The type of a digest without a prefix, by its length; empty when it has none."""
    return _HASH_LENGTHS.get(len(checksum), "")
