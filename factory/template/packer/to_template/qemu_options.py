"""What ``qemuargs`` say of the builder's own card and disks: options that become fields, and those that can't."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from factory.template.packer.to_template.notes import Notes
from factory.template.packer.to_template.placing import OptionError

_MAC = re.compile(r"[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5}")
_OPTION = re.compile(r"[a-z][a-z0-9_.-]*")
DRIVE_AS_HERE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "cache": ("writeback", "unsafe"),
        "discard": ("unmap", "on"),
        "detect-zeroes": ("unmap",),
        "aio": ("threads",),
        "readonly": ("off",),
        "snapshot": ("off",),
    }
)
"""How factory opens the disks that a guest writes to: whoever asks for that gets it."""
OF_DRIVES = frozenset({"", "file", "if", "id", "format", "media", "index", "bus", "unit", "serial", "driver"})
"""What says which drive it is, and not how it is opened."""
PLACES = frozenset({"", "driver", "id", "bus", "bootindex", "drive", "scsi-id", "lun", "channel", "unit"})
"""Where a device stands, and what boots: factory sees to that, and nothing else depends on it."""
OF_NETWORKS = frozenset({"", "type", "id", "vlan", "name", "model", "mac", "macaddr"})
_OF_CARDS = PLACES | {"netdev", "mac"}


@dataclass(slots=True)
class DiskWishes:
    """What is asked for one disk."""

    serial: str = ""
    block_size: int = 512
    device: list[str] = field(default_factory=list)


def option_list(value: str) -> list[tuple[str, str]]:
    """``a,b=c`` as ``[("", "a"), ("b", "c")]``; a doubled comma is one of the value, a name without a value is on."""
    found: list[tuple[str, str]] = []
    for number, part in enumerate(re.split(r"(?<!,),(?!,)", value)):
        name, equals, content = part.replace(",,", ",").partition("=")
        if equals:
            found.append((name.strip(), content))
        elif name or number == 0:
            found.append(("", name) if number == 0 else (name.strip(), "on"))
    return found


def properties(value: str) -> dict[str, str]:
    """As ``option_list``, for options that are there once."""
    return dict(option_list(value))


def card_options(value: str) -> tuple[list[str], list[str]]:
    """Options of the builder's own card that are handed on, and those that can't be."""
    return _divided(value, _OF_CARDS)


def disk_options(value: str, wishes: DiskWishes) -> list[str]:
    """Fills in *wishes* by the options of a disk's device; returns those that can't be handed on."""
    known = properties(value)
    wishes.serial = known.pop("serial", wishes.serial)
    wishes.block_size = 4096 if known.get("logical_block_size") == "4096" else wishes.block_size
    handed_on, left = _divided(value, PLACES | {"serial", "logical_block_size"})
    wishes.device += handed_on
    if known.get("logical_block_size", "512") not in ("512", "4096"):
        left.append(f"logical_block_size={known['logical_block_size']}")
    return left


def mac_of(value: str) -> str:
    """A card's *value* of ``mac=``. Raises: OptionError for what is none."""
    if value and not _MAC.fullmatch(value):
        hint = "six pairs of hexadecimal digits: 52:54:00:12:34:56"
        raise OptionError("qemuargs", f"“{value}” is no address of a network card", hint=hint)
    return value.replace("-", ":")


def drive_options(value: str) -> Iterator[str]:
    """Options of ``-drive`` for the builder's own disk that ask for another way of opening it than factory's."""
    for name, content in option_list(value):
        if name not in OF_DRIVES and content not in DRIVE_AS_HERE.get(name, ()):
            yield f"{name}={content}"


def others(value: str, known: Iterable[str]) -> list[str]:
    """The options of *value* that are not among the *known* ones, as they are written."""
    passed_over = frozenset(known)
    return [f"{name}={content}" for name, content in option_list(value) if name not in passed_over]


def left_out_options(notes: Notes, switch: str, options: Iterable[str], why: str) -> None:
    """Says which options of something that factory attaches itself are not taken over."""
    for option in options:
        notes.add("qemuargs", f"“{option}” of “-{switch}” is left out: {why}")


def _divided(value: str, ours: frozenset[str]) -> tuple[list[str], list[str]]:
    handed_on: list[str] = []
    left: list[str] = []
    for option in others(value, ours):
        name, _, content = option.partition("=")
        can_be = _OPTION.fullmatch(name) and name != "addr" and "{{" not in content
        (handed_on if can_be else left).append(option)
    return handed_on, left
