"""Lets a user of a guest log in by a key: the image itself lets nobody in."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from factory.drivers.protocols import Appliance, ApplianceCall
from factory.errors import StepError

_DATABASES = ("/etc/passwd", "/usr/lib/passwd")  # the second one is of image-based systems (nss-altfiles)
_LABEL = "system_u:object_r:ssh_home_t:s0"
_NO_SHELLS = frozenset({"nologin", "false", "true", "sync", "halt", "shutdown"})


class NoSuchUser(StepError):
    """The guest has no user of that name, or none that may log in: to wait for a login would be in vain."""


@dataclass(frozen=True, slots=True)
class Account:
    """A line of passwd(5)."""

    uid: int
    gid: int
    home: str
    shell: str


_ROOT = Account(0, 0, "/root", "")
"""Where no user database tells."""


def account_of(passwd: bytes, user: str) -> Account | None:
    """The first line for *user*, as getpwnam(3) takes it; None when there is none that can be used."""
    for line in passwd.splitlines():
        fields = line.decode("utf-8", "surrogateescape").split(":")
        if fields[0] == user and len(fields) == 7 and fields[2].isdecimal() and fields[3].isdecimal():
            home = posixpath.normpath("/" + fields[5].strip().lstrip("/"))
            return Account(int(fields[2]), int(fields[3]), home, fields[6].strip())
    return None


async def write_key(appliance: Appliance, user: str, public_key: str) -> None:
    """Lets *user* in by *public_key*. The guest's file systems are mounted.

    Raises: NoSuchUser; ApplianceCallFailed where nothing can be written.
    """
    account = await _account(appliance, user)
    folder = posixpath.join(account.home, ".ssh")
    keys = posixpath.join(folder, "authorized_keys")
    owner = (account.uid, account.gid)
    calls: list[ApplianceCall] = []
    if not await appliance.call("is_dir", account.home, followsymlinks=True):  # some are made at the first login
        calls += [("mkdir_p", account.home), ("chmod", 0o700, account.home), ("chown", *owner, account.home)]
    calls += [
        ("mkdir_p", folder),
        ("chmod", 0o700, folder),
        ("write_append", keys, f"{public_key}\n"),
        ("chmod", 0o600, keys),
        ("chown", *owner, folder),
        ("chown", *owner, keys),
    ]
    await appliance.batch(calls)
    if await appliance.call("is_file", "/etc/selinux/config"):
        # A file without a label is one that sshd may not read; a guest that does not enforce does not mind.
        await appliance.attempt(
            [("setxattr", "security.selinux", _LABEL, len(_LABEL), name) for name in (folder, keys)]
        )


async def _account(appliance: Appliance, user: str) -> Account:
    """Raises: NoSuchUser."""
    found = None
    for path in _DATABASES:
        if found is None and await appliance.call("is_file", path, followsymlinks=True):
            found = account_of(await appliance.call("read_file", path), user)
    if found is None and user == "root":
        return _ROOT
    if found is None:
        raise NoSuchUser(
            f"the image has no user {user!r}",
            hint="`access.ssh.user` names who logs in: one that is there once the image is sealed",
        )
    if posixpath.basename(found.shell) in _NO_SHELLS:
        raise NoSuchUser(
            f"the image's user {user!r} may not log in: its shell is {found.shell}",
            hint="`access.ssh.user` names who logs in; chsh(1) gives a user another shell",
        )
    return found
