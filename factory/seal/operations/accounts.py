"""Removes users: from the user database, with their homes and all that system services keep for them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from factory.errors import TemplateError
from factory.seal.files import GuestFiles, read_regular
from factory.seal.links import Links
from factory.seal.model import Subject

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?")
_PASSWD = "/etc/passwd"
_GROUPS = frozenset({"/etc/group", "/etc/gshadow"})
_DATABASES = (_PASSWD, "/etc/shadow", "/etc/master.passwd", "/etc/subuid", "/etc/subgid", "/etc/group", "/etc/gshadow")
_SUDOERS = ("/etc/sudoers", "/etc/sudoers.d/*", "/usr/local/etc/sudoers.d/*")
_OF_A_USER = (
    "/var/mail/{}",
    "/var/spool/mail/{}",
    "/var/spool/cron/crontabs/{}",
    "/var/spool/cron/tabs/{}",
    "/var/spool/cron/{}",
    "/var/cron/tabs/{}",
    "/etc/crontabs/{}",
    "/var/lib/AccountsService/users/{}",
    "/var/lib/AccountsService/icons/{}",
    "/var/lib/systemd/linger/{}",
    "/var/lib/sudo/lectured/{}",
    "/var/db/sudo/lectured/{}",
    "/etc/ssh/authorized_keys/{}",
    "/etc/userdb/{}.user",
)
_OF_SERVICES = frozenset({posixpath.dirname(place) for place in _OF_A_USER})
"""Folders that a user may share a name with: "crontabs" is one in /var/spool/cron."""
_SYSTEM = re.compile(
    r"/[^/]*|/(?:bin|boot|dev|etc|lib\w*|proc|root|run|sbin|sys|tmp)(?:/.*)?|/usr(?!/home/[^/])(?:/.*)?"
    r"|/var/(?:backups|cache|db|empty|home|lib|local|log|mail|opt|run|spool|spool/[^/]*|srv|tmp|www)"
)
"""Folders that are the system's, whoever calls them home."""
_FOLDERS = tuple(
    f"/{name}"
    for name in (
        *("bin", "boot", "dev", "etc", "home", "lib", "lib64", "mnt", "opt", "root", "run", "sbin", "srv", "tmp"),
        *("usr", "usr/home", "usr/local", "var", "var/cache", "var/db", "var/home", "var/lib", "var/local", "var/log"),
        *("var/mail", "var/opt", "var/run", "var/spool", "var/tmp", "var/www"),
    )
)
"""Those of them that may be links to where they really lie."""


@dataclass(frozen=True, slots=True)
class _User:
    name: str
    group: str
    home: str


def check_users(names: Sequence[str]) -> None:
    """Raises: TemplateError for what is no user's name (it is no glob, and no path), and for root."""
    for name in names:
        if name == "root":
            raise TemplateError("the user 'root' can't be removed", hint="lock it in a provisioner: passwd -l root")
        if not _NAME.fullmatch(name):
            raise TemplateError(f"{name!r} is no user's name", hint="name each user that is to be removed")


async def homes_of(files: GuestFiles, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What may be removed as the home of each user: a folder, and the links that lead to it; nothing where it stays.

    A home is judged by where it really lies: /home is a link to /var/home on image-based systems, to /usr/home on BSD.
    """
    links, users = Links(files), await _users(files)
    moved = {real: folder for folder in _FOLDERS if (real := (await links.trail(folder))[-1]) != folder}
    kept = set(moved)
    for user in users:
        if user.name not in names:
            kept.update([user.home, *await links.trail(user.home)])
    found = {name: f"/home/{name}" for name in names} | {u.name: u.home for u in users if u.name in names}
    homes = {name: await links.trail(home) for name, home in found.items() if not _SYSTEM.fullmatch(home)}
    return {name: tuple(p for p in homes.get(name, ()) if _is_own(p, kept, moved)) for name in names}


def _is_own(path: str, kept: Collection[str], moved: Mapping[str, str]) -> bool:
    """Whether what is at *path*, in which no folder is a link, holds nothing of the system's and none of *kept*.

    *moved*: where folders of the system really lie, behind links → what the system calls them.
    """
    names = [path, *(name + path[len(real) :] for real, name in moved.items() if f"{path}/".startswith(f"{real}/"))]
    return not any(map(_SYSTEM.fullmatch, names)) and not any(f"{k}/".startswith(f"{path}/") for k in kept)


async def remove_users(subject: Subject) -> None:
    files, names = subject.files, subject.options.remove_users
    check_users(names)
    await files.remove(await _left(subject))
    groups = await _groups_in_use(subject)
    for path in await files.find([*_DATABASES, *_SUDOERS]):
        content = await read_regular(files, path)
        rest = content
        for name in names:
            rest = _without_user(path, rest or b"", name.encode(), groups)
        if content is not None and rest is not None and rest != content:
            await files.write(path, rest)


async def check_removed(subject: Subject) -> list[str]:
    there = {user.name for user in await _users(subject.files)}
    messages = [f"the user {name!r} is still there" for name in subject.options.remove_users if name in there]
    messages += [f"{path} of a removed user is still there" for path in await _left(subject)]
    groups = await _groups_in_use(subject)
    for path in await subject.files.find([*_DATABASES, *_SUDOERS]):
        content = await read_regular(subject.files, path) or b""
        for name in subject.options.remove_users:
            if path != _PASSWD and _without_user(path, content, name.encode(), groups) != content:
                messages.append(f"{path} still names the user {name!r}")
    return messages


async def _left(subject: Subject) -> list[str]:
    """Files and folders of the users that are there."""
    files, names = subject.files, subject.options.remove_users
    homes = subject.options.homes or await homes_of(files, names)
    paths = [path for name in names for path in homes.get(name, ())]
    links = Links(files)
    of_users = [await links.in_its_folder(place.format(name)) for name in names for place in _OF_A_USER]
    paths += [path for path in of_users if path not in _OF_SERVICES]
    return [path for path in dict.fromkeys(paths) if await files.exists(path)]


async def _groups_in_use(subject: Subject) -> set[bytes]:
    """Names of the groups that are the first of a user who stays."""
    users = await _users(subject.files)
    numbers = {u.group.encode() for u in users if u.name not in subject.options.remove_users}
    lines = (await read_regular(subject.files, "/etc/group") or b"").splitlines()
    return {f[0] for f in (line.split(b":") for line in lines) if len(f) == 4 and f[2] in numbers}


async def _users(files: GuestFiles) -> list[_User]:
    content = await read_regular(files, _PASSWD) or b""
    lines = (line.decode("utf-8", "surrogateescape").split(":") for line in content.splitlines())
    return [_User(f[0], f[3], posixpath.normpath("/" + f[5].lstrip("/"))) for f in lines if len(f) >= 6]


def _without_user(path: str, content: bytes, name: bytes, groups: set[bytes]) -> bytes:
    """Takes a user out of one file, and the group of the same name unless it is one of *groups*."""
    kept = []
    for line in content.splitlines(keepends=True):
        text = line.rstrip(b"\r\n")
        fields = text.split(b":")
        if path.startswith(("/etc/sudoers", "/usr/local/etc/sudoers")):
            if line.split()[:1] == [name]:
                continue
        elif path in _GROUPS and len(fields) == 4:
            if fields[0] == name and name not in groups:
                continue
            members = fields[3].split(b",")
            if name in members:
                text = b":".join([*fields[:3], b",".join(m for m in members if m != name)])
                line = text + line[len(line.rstrip(b"\r\n")) :]
        elif fields[0] == name:
            continue
        kept.append(line)
    return b"".join(kept)
