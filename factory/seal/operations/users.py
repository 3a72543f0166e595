"""Users of the build: its key, and what is private in home folders."""

from __future__ import annotations

from factory.seal.model import UNIX, Operation, Subject
from factory.seal.operations import accounts

_KEY_FILES = (
    "/root/.ssh/authorized_keys*",
    "/home/*/.ssh/authorized_keys*",
    "/var/**/.ssh/authorized_keys*",
    "/usr/home/*/.ssh/authorized_keys*",
    "/etc/ssh/authorized_keys*/**",
    "/etc/dropbear/authorized_keys",
    "/etc/dropbear{-initramfs,/initramfs}/authorized_keys",
    "/{srv,opt,export}/**/.ssh/authorized_keys*",
    "/home/*/*/.ssh/authorized_keys*",
)
_REGULAR = 0o100000
_TYPE = 0o170000


def key_body(line: str) -> str:
    """The base64 part of a public key: what stays when options and comments change. Empty when there is none."""
    return next((word for word in line.split() if word.startswith("AAAA")), "")


def _without(content: bytes, bodies: list[bytes]) -> bytes:
    return b"".join(line for line in content.splitlines(keepends=True) if not any(b in line for b in bodies))


async def _key_files(subject: Subject) -> dict[str, bytes]:
    paths = await subject.files.find(_KEY_FILES)
    statuses = await subject.files.status(paths)
    return {p: await subject.files.read(p) for p in paths if p in statuses and statuses[p].mode & _TYPE == _REGULAR}


def _bodies(subject: Subject) -> list[bytes]:
    return [body.encode() for body in map(key_body, subject.options.build_keys) if body]


async def _remove_build_key(subject: Subject) -> None:
    bodies = _bodies(subject)
    for path, content in (await _key_files(subject)).items() if bodies else ():
        rest = _without(content, bodies)
        if rest != content and rest.strip():
            await subject.files.write(path, rest)
        elif rest != content:
            await subject.files.remove([path])


async def _check_build_key(subject: Subject) -> list[str]:
    bodies = _bodies(subject)
    files = await _key_files(subject) if bodies else {}
    return [
        f"{path} still lets the build's key in"
        for path, content in files.items()
        if _without(content, bodies) != content
    ]


OPERATIONS = (
    Operation(
        "build-key",
        "takes the key that the build logged in with out of every authorized_keys file",
        "whoever has the build's private key could log in on every clone",
        families=UNIX,
        act=_remove_build_key,
        check=_check_build_key,
    ),
    Operation(
        "ssh-known-hosts",
        "removes what users' SSH clients remember of other hosts",
        "it tells where the build has been",
        families=UNIX,
        remove=("/{root,home/*,usr/home/*}/.ssh/{known_hosts,known_hosts.old,known_hosts2,agent.*,controlmasters/*}",),
    ),
    Operation(
        "ssh-userdir",
        "removes users' whole .ssh folders",
        "off: keys that a template installs are meant to stay; private keys are found by the secret scan",
        families=UNIX,
        default=False,
        remove=("/{root,home/*,usr/home/*}/.ssh",),
    ),
    Operation(
        "user-account",
        "removes the users that `remove_users` names, with their homes, mail, crontabs and rights",
        "acts only on what is named: an installer's temporary user, say",
        families=UNIX,
        act=accounts.remove_users,
        check=accounts.check_removed,
    ),
)
