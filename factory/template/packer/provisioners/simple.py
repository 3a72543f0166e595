"""Provisioners that copy, wait or test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from factory.quantity import Duration
from factory.secret import Secret
from factory.template.packer.options import NO_SECRET, Options, option


@dataclass(frozen=True, kw_only=True)
class File(Options):
    """One of ``source``, ``sources`` and ``content``. A source that ends in ``/`` means what is inside the folder."""

    source: str = option("", file=True)
    sources: tuple[str, ...] = option((), file=True)
    content: str = ""
    destination: str = option("", required=True)
    direction: str = option("upload", choices=("upload", "download"))
    generated: bool = False
    """The source does not exist before the build."""


@dataclass(frozen=True, kw_only=True)
class Breakpoint(Options):
    note: str = ""
    disable: bool = False


@dataclass(frozen=True, kw_only=True)
class Sleep(Options):
    duration: Duration = Duration(0)


@dataclass(frozen=True, kw_only=True)
class Goss(Options):
    """``YaleUniversity/goss``: tests inside the guest."""

    version: str = ""
    arch: str = ""
    url: str = ""
    download_path: str = ""
    username: str = ""
    password: Secret[str] = NO_SECRET
    skip_install: bool = False
    skip_download: bool = False
    skip_ssl: bool = False
    remote_folder: str = ""
    remote_path: str = ""
    target_os: str = "Linux"
    tests: tuple[str, ...] = ()
    goss_file: str = ""
    inspect: bool = False
    use_sudo: bool = False
    sleep: str = ""
    retry_timeout: str = ""
    format: str = ""
    format_options: str = ""
    vars_file: str = ""
    vars_inline: Mapping[str, str] = field(default_factory=dict)
    vars_env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class HcpSbom(Options):
    source: str = ""
    destination: str = ""
    sbom_name: str = ""
    auto_generate: bool = False
    scan_path: str = "/"
    scanner_args: tuple[str, ...] = ()
    scanner_url: str = ""
    scanner_checksum: str = ""
    execute_command: str = option("", any_late=True)
    elevated_user: str = ""
    elevated_password: Secret[str] = NO_SECRET
