"""Files that the installer gets to see: over HTTP, on a CD, on a floppy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from factory.template.packer.options import Options, option


@dataclass(frozen=True, kw_only=True)
class HttpOptions(Options):
    http_directory: str = option("", file=True)
    http_content: Mapping[str, str] = field(default_factory=dict)
    """Path, beginning with ``/``, to content."""
    http_port_min: int = 8000
    http_port_max: int = 9000
    http_bind_address: str = "0.0.0.0"  # Packer's default; factory itself serves on loopback
    http_interface: str = ""
    http_network_protocol: str = option("tcp", choices=("tcp", "tcp4", "tcp6", "unix", "unixpacket"))


@dataclass(frozen=True, kw_only=True)
class CdOptions(Options):
    cd_files: tuple[str, ...] = ()
    cd_content: Mapping[str, str] = field(default_factory=dict)
    cd_label: str = "packer"


@dataclass(frozen=True, kw_only=True)
class FloppyOptions(Options):
    floppy_files: tuple[str, ...] = ()
    floppy_dirs: tuple[str, ...] = ()
    floppy_content: Mapping[str, str] = field(default_factory=dict)
    floppy_label: str = ""
