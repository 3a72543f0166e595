"""The words of sealing: what a guest is, what an operation declares, what a seal may be told."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from factory.disk.driver_readiness import Need
from factory.quantity import Duration
from factory.secret import Secret

if TYPE_CHECKING:
    from factory.seal.files import GuestFiles


class Family(enum.StrEnum):
    """Families of systems that keep the same things in the same places."""

    DEBIAN = "debian"
    REDHAT = "redhat"
    SUSE = "suse"
    ALPINE = "alpine"
    ARCH = "arch"
    LINUX = "linux"  # any other Linux
    BSD = "bsd"
    WINDOWS = "windows"
    UNKNOWN = "unknown"


LINUX = frozenset({Family.DEBIAN, Family.REDHAT, Family.SUSE, Family.ALPINE, Family.ARCH, Family.LINUX})
UNIX = LINUX | {Family.BSD}
WINDOWS = frozenset({Family.WINDOWS})


class Init(enum.StrEnum):
    """What starts a guest's services."""

    SYSTEMD = "systemd"
    OPENRC = "openrc"
    SYSV = "sysv"
    BUSYBOX = "busybox"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class GuestInfo:
    """What system is on the disks."""

    family: Family = Family.UNKNOWN
    id: str = ""  # as in os-release: "debian"
    version: str = ""
    name: str = ""  # for people: "Debian GNU/Linux 12 (bookworm)"
    init: Init = Init.OTHER

    def __str__(self) -> str:
        return self.name or " ".join(filter(None, (self.id, self.version))) or "an unknown system"


@dataclass(frozen=True, slots=True)
class SealOptions:
    """What one seal is told.

    ``secrets`` (by name) are looked for in many encodings; ``build_keys`` are public keys (each a line of
    authorized_keys) that must not stay; ``allow`` names findings of the secret scan that are meant to be there.
    """

    only: tuple[str, ...] = ()
    except_: tuple[str, ...] = ()
    trim: bool = True
    shrink: bool = False
    scan: bool = True
    allow: tuple[str, ...] = ()
    secrets: Mapping[str, Secret[str]] = field(default_factory=dict)
    build_keys: tuple[str, ...] = ()
    remove_users: tuple[str, ...] = ()
    homes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What goes as the homes of ``remove_users``: found out by the seal, before passwd and links are gone."""
    needs: tuple[Need, ...] = ()
    """Drivers that the guest must have where it is going: see ``outputs.driver_needs``."""
    hostname: str = "localhost"
    """What the operation ``hostname`` writes, when it is asked for."""
    deadline: Duration = Duration(30 * 60)


@dataclass(frozen=True, slots=True)
class Subject:
    """What an operation's own code is handed."""

    files: GuestFiles
    guest: GuestInfo
    options: SealOptions


Act: TypeAlias = Callable[[Subject], Awaitable[None]]
Check: TypeAlias = Callable[[Subject], Awaitable[list[str]]]
"""Gives what is wrong, one sentence each; nothing when the operation's promise holds."""


@dataclass(frozen=True, slots=True)
class Strip:
    """Lines that go from the files that match: those in which the regular expression is found."""

    globs: tuple[str, ...]
    line: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that sealing does, declared.

    Globs: ``*`` stays inside one name (and matches dot files), ``**`` crosses folders, ``{a,b}`` is either. What is
    declared is also what is proven: after ``remove`` nothing matches, after ``empty`` no file that matches has
    content, after ``strip`` no line matches. ``act`` does what can't be declared, and then ``check`` proves it.
    """

    name: str
    what: str
    why: str
    families: frozenset[Family] = LINUX
    default: bool = True
    remove: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    """Exceptions to ``remove`` and ``empty``; only whole matches of those globs are spared."""
    empty: tuple[str, ...] = ()
    strip: tuple[Strip, ...] = ()
    act: Act | None = None
    check: Check | None = None
    inits: frozenset[Init] = field(default_factory=lambda: frozenset(Init))

    def fits(self, guest: GuestInfo) -> bool:
        return guest.family in self.families and guest.init in self.inits
