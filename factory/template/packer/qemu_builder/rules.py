"""The rules between options: what Packer refuses before it starts anything."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from factory.errors import Problem
from factory.template.packer.gotemplate import is_template
from factory.template.packer.options import Settings
from factory.template.packer.qemu_builder.defaults import checksum_kind

if TYPE_CHECKING:
    from factory.template.packer.qemu_builder.source import QemuSource

_SIZE = re.compile(r"\d+[bkmgt]?\Z", re.IGNORECASE)
_IMAGE_SIZE = re.compile(r"\d+(?:\.\d+)?[bkmgtpe]?\Z", re.IGNORECASE)
"""What qemu-img takes, which alone sees the sizes of further disks."""
_HEX = re.compile(r"[0-9a-fA-F]+\Z")
_DIGEST_LENGTHS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
_TUNNEL = re.compile(r"\d+:[^:]+:\d+\Z")
LONGEST_VNC_PASSWORD = 8

Report = Callable[..., None]

MOST_MEMORY = 2**24
"""MiB: 16 TiB."""


def check(source: QemuSource, settings: Settings) -> list[Problem]:
    """Every rule that *source* breaks, at the place of the option that breaks it."""
    problems: list[Problem] = []

    def report(name: str, message: str, *, hint: str = "", severity: str = "error") -> None:
        given = settings.options.get(name)
        span = given.span if given else settings.span
        problems.append(span.problem(message, hint=hint, severity=severity))

    for rule in (_media, _checksum, _disks, _boot, _ports, _seeds, _ssh, _winrm, _display):
        rule(source, report)
    return problems


def _media(s: QemuSource, report: Report) -> None:
    if s.iso_url and s.iso_urls:
        report("iso_urls", "“iso_url” and “iso_urls” exclude each other", hint="keep iso_urls for several mirrors")
    if not s.iso_url and not s.iso_urls and not s.unknown & {"iso_url", "iso_urls"}:
        report("iso_url", "qemu: “iso_url” or “iso_urls” must be set")
    if s.use_backing_file and not (s.disk_image and s.format == "qcow2"):
        report("use_backing_file", "“use_backing_file” needs disk_image = true and the format qcow2")
    if s.skip_resize_disk and not s.disk_image:
        report("skip_resize_disk", "“skip_resize_disk” needs disk_image = true")


def _checksum(s: QemuSource, report: Report) -> None:
    text = s.iso_checksum
    if is_template(text) or "iso_checksum" in s.unknown:
        return
    if not text:
        report(
            "iso_checksum",
            "qemu: “iso_checksum” must be set",
            hint='write "sha256:…", "file:https://…/SHA256SUMS", or "none" to go without',
        )
        return
    if text == "none":
        report("iso_checksum", "the checksum “none” means that nobody checks the medium", severity="warning")
        return
    kind, separator, digest = text.partition(":")
    if kind.lower() == "file":
        return
    if not separator:
        kind, digest = checksum_kind(text), text
    elif kind.lower() not in _DIGEST_LENGTHS:
        report(
            "iso_checksum", f"“{kind}” is not a type of checksum", hint="known are md5, sha1, sha256, sha512 and file"
        )
        return
    if not _HEX.match(digest) or (separator and len(digest) != _DIGEST_LENGTHS[kind.lower()]) or not kind:
        report(
            "iso_checksum",
            f"“{text}” is not a checksum",
            hint="a digest has 32 (md5), 40 (sha1), 64 (sha256) or 128 (sha512) hexadecimal digits",
        )


def _disks(s: QemuSource, report: Report) -> None:
    hint = 'write a number and b, k, m, g or t, such as "10G"; without a letter it counts MiB'
    if not _SIZE.match(s.disk_size) and not is_template(s.disk_size):
        report("disk_size", f"“{s.disk_size}” is not a size of a disk", hint=hint)
    for size in s.disk_additional_size:
        if not _IMAGE_SIZE.match(size) and not is_template(size):
            report("disk_additional_size", f"“{size}” is not a size of a disk", hint=hint)
    if s.memory > MOST_MEMORY:
        report("memory", f"“memory” counts MiB: no machine has more than {MOST_MEMORY}")
    for name in ("cpus", "sockets", "cores", "threads"):
        if getattr(s, name) < 0:
            report(name, f"“{name}” must not be negative")


def _boot(s: QemuSource, report: Report) -> None:
    if s.boot_command and s.boot_steps:
        report("boot_steps", "“boot_command” and “boot_steps” exclude each other")
    if s.boot_command and s.disable_vnc:
        report("disable_vnc", "nothing can be typed with disable_vnc = true, so “boot_command” has no use")
    for step in s.boot_steps:
        if not 1 <= len(step) <= 2:
            report("boot_steps", "a step is a command, or a command and its description")


def _ports(s: QemuSource, report: Report) -> None:
    for kind in ("host", "http", "vnc"):
        least, most = getattr(s, f"{kind}_port_min"), getattr(s, f"{kind}_port_max")
        if least > most:
            report(f"{kind}_port_min", f"“{kind}_port_min” ({least}) is above “{kind}_port_max” ({most})")
        if not 0 <= least <= 65535 or not 0 <= most <= 65535:
            report(f"{kind}_port_max", f"“{kind}_port_min” and “{kind}_port_max” must lie between 0 and 65535")
    if s.vnc_port_min < 5900:
        report("vnc_port_min", "“vnc_port_min” must not be below 5900")


def _seeds(s: QemuSource, report: Report) -> None:
    if s.http_directory and s.http_content:
        report("http_content", "“http_directory” and “http_content” exclude each other")
    for path in s.http_content:
        if not path.startswith("/"):
            report("http_content", f"the path “{path}” must begin with “/”")


def _ssh(s: QemuSource, report: Report) -> None:
    if s.communicator != "ssh":
        return
    if not s.ssh_username and "ssh_username" not in s.unknown:
        report("ssh_username", "qemu: “ssh_username” must be set", hint='or communicator = "none"')
    if s.ssh_certificate_file and not s.ssh_private_key_file:
        report("ssh_certificate_file", "“ssh_certificate_file” needs “ssh_private_key_file”")
    if s.ssh_bastion_host and s.ssh_proxy_host:
        report("ssh_proxy_host", "“ssh_bastion_host” and “ssh_proxy_host” exclude each other")
    if s.ssh_bastion_host and not s.ssh_bastion_agent_auth:
        answers = (s.ssh_bastion_password.reveal(), s.ssh_bastion_private_key_file, s.ssh_private_key_file)
        if not s.ssh_bastion_username:
            report("ssh_bastion_host", "“ssh_bastion_username” must be set for a bastion")
        if not any(answers) and not s.ssh_bastion_interactive:
            report("ssh_bastion_host", "a bastion needs a password, a key or ssh_bastion_agent_auth = true")
    for name in ("ssh_local_tunnels", "ssh_remote_tunnels"):
        for tunnel in getattr(s, name):
            if not _TUNNEL.match(tunnel):
                report(name, f"“{tunnel}” is not a tunnel", hint='write "PORT:HOST:PORT"')


def _winrm(s: QemuSource, report: Report) -> None:
    if s.communicator == "winrm" and not s.winrm_username and "winrm_username" not in s.unknown:
        report("winrm_username", "qemu: “winrm_username” must be set")


def _display(s: QemuSource, report: Report) -> None:
    if len(s.vnc_password.reveal()) > LONGEST_VNC_PASSWORD:
        report("vnc_password", f"a VNC password has at most {LONGEST_VNC_PASSWORD} characters")
