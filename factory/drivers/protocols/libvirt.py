"""libvirt: volumes in a pool, and a domain on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from factory.events import Emit


@dataclass(frozen=True, slots=True)
class LibvirtPlace:
    """Where a domain goes: a connection, a storage pool, a network; an empty network is QEMU's own user network."""

    uri: str
    pool: str
    network: str


@dataclass(frozen=True, slots=True)
class LibvirtVolume:
    """A file that becomes a volume. ``format`` is "qcow2" or "raw", ``capacity`` what a guest sees, in bytes."""

    name: str
    file: Path
    format: str
    capacity: int


class LibvirtDriver(Protocol):
    async def define(
        self,
        place: LibvirtPlace,
        name: str,
        volumes: Sequence[LibvirtVolume],
        describe: Callable[[Mapping[str, str], str], str],
        *,
        ours: Callable[[str], bool],
        files: Callable[[str], set[str]],
        emit: Emit,
    ) -> None:
        """Uploads *volumes* and defines the domain *name* on them, in place of an older one that is *ours*.

        *describe* gives the definition from the volumes' paths by name and the UUID to keep (empty for a new domain);
        *ours* tells from a definition whether we made it, *files* which volumes it names. Nothing is left of a try
        that fails. Raises: HostError when libvirt can't be reached; StepError for a pool or network that is not
        there, a domain of somebody else's, one that runs, and whatever libvirt refuses.
        """
