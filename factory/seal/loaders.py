"""Which machines a guest starts on: a PC, or anything else, as a board with a loader before the first partition."""

from __future__ import annotations

from factory.disk.gaps import Loaders
from factory.seal.files import read_regular
from factory.seal.model import Family, Subject

_PROGRAMS = (
    "/{usr/,}lib/systemd/systemd",
    "/{usr/,}bin/{bash,busybox,dash,sh,env}",
    "/{usr/,}sbin/init",
)
_OF_PCS = frozenset({3, 62})
"""``EM_386`` and ``EM_X86_64`` in the header of an ELF file."""


async def loaders_of(subject: Subject) -> Loaders:
    """Told by what a program of the guest was compiled for; a guest of which that can't be told may be any."""
    if subject.guest.family is Family.WINDOWS:
        return Loaders.OF_PCS
    for path in await subject.files.find(_PROGRAMS):
        head = (await read_regular(subject.files, path) or b"")[:20]
        if head[:4] == b"\x7fELF" and len(head) == 20:
            machine = int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")
            return Loaders.OF_PCS if machine in _OF_PCS else Loaders.ANY
    return Loaders.ANY
