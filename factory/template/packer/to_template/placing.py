"""Where a problem of one option stands: in the line of the template that gives the option."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from pydantic import ValidationError

from factory.errors import Problem, TemplateError
from factory.template.packer.hcl.source import Span
from factory.template.packer.options import Options

_OPTION_OF_FIELD: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "memory": ("memory", "qemuargs"),
        "cpus": ("cpus", "cores", "qemuargs"),
        "disks": ("disk_size", "disk_additional_size"),
        "size": ("disk_size", "disk_additional_size"),
        "serial": ("qemuargs",),
        "mac": ("qemuargs",),
        "model": ("net_device", "qemuargs"),
        "bridge": ("net_bridge", "qemuargs"),
        "forward": ("qemuargs",),
        "address": ("qemuargs",),
        "guest_address": ("qemuargs",),
        "network": ("qemuargs",),
        "device": ("qemuargs",),
        "nics": ("net_device", "qemuargs"),
        "checksum": ("iso_checksum",),
        "path": ("iso_url", "iso_urls"),
        "urls": ("iso_urls", "iso_url"),
        "port": ("ssh_port", "winrm_port"),
        "user": ("ssh_username", "winrm_username"),
        "seed_files": ("http_content",),
        "media": ("cd_content", "cd_files", "floppy_content", "floppy_files"),
        "boot_command": ("boot_command", "boot_steps"),
        "env": ("env", "environment_vars"),
        "destination": ("destination",),
    }
)
"""Which options a field of our own template comes from."""
_OPTION_OF_MODEL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"Disk": ("qemuargs", "disk_size"), "Forward": ("qemuargs",), "Nic": ("qemuargs", "net_device")}
)
"""The same for what concerns several fields."""


class NotMadeHere(TemplateError):
    """A build that is right, and that factory can't make: it is valid all the same."""


class OptionError(TemplateError):
    """Something is wrong with *option* (perhaps "plug-in.option"); ``placed`` knows where it stands."""

    def __init__(self, option: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"{option}: {message}", hint=hint)
        self.option = option.rpartition(".")[2]


@contextmanager
def placed(options: Options, span: Span) -> Iterator[None]:
    """Problems that have no place get that of the option, or else *span*. Raises: TemplateError."""
    try:
        yield
    except ValidationError as error:
        raise TemplateError(
            [_validated(options, span, e["msg"], (*e["loc"], error.title)) for e in error.errors()]
        ) from None
    except TemplateError as error:
        option = error.option if isinstance(error, OptionError) else ""
        where = options.places.get(option, span)
        kind = TemplateError if isinstance(error, OptionError) else type(error)
        raise kind([p if p.place else where.problem(p.message, hint=p.hint) for p in error.problems]) from None


def _validated(options: Options, span: Span, message: str, location: tuple[int | str, ...]) -> Problem:
    known = {**_OPTION_OF_FIELD, **_OPTION_OF_MODEL}
    names = [name for part in location for name in known.get(str(part), ())]
    given = next((name for name in names if name in options.places), "")
    where = options.places.get(given, span)
    message = message.removeprefix("Value error, ")  # pydantic's word for what our own checks raise
    return where.problem(f"“{given}”: {message}" if given else message)
