"""SSH host keys: who makes new ones on the first boot, and a unit where nobody would."""

from __future__ import annotations

import re

from factory.seal.model import Family, Init, Subject
from factory.seal.operations import first_boot
from factory.seal.operations.first_boot import FirstBootTask

_BEFORE = ("ssh.service", "ssh.socket", "sshd.service", "sshd.socket")
OPENSSH = FirstBootTask(
    "factory-ssh-host-keys",
    "Make this machine's own SSH host keys",
    "/usr/bin/ssh-keygen -A",
    ("ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key", "ConditionPathExists=/usr/bin/ssh-keygen"),
    _BEFORE,
    "ls /etc/ssh/ssh_host_*_key >/dev/null 2>&1 || ssh-keygen -A",
)
_DROPBEAR_SCRIPT = (
    "for t in rsa ecdsa ed25519; do f=/etc/dropbear/dropbear_${t}_host_key; "
    "[ -s $f ] || dropbearkey -t $t -f $f >/dev/null 2>&1; done"
)
DROPBEAR = FirstBootTask(
    "factory-dropbear-host-keys",
    "Make this machine's own dropbear host keys",
    f"/bin/sh -c '{_DROPBEAR_SCRIPT}'".replace("$", "$$"),  # systemd expands $ itself
    ("ConditionPathExistsGlob=!/etc/dropbear/dropbear_*_host_key",),
    ("dropbear.service", "dropbear.socket"),
    _DROPBEAR_SCRIPT,
)
_SSHD = ("/usr/sbin/sshd", "/sbin/sshd", "/usr/local/sbin/sshd")
_DROPBEAR = ("/usr/sbin/dropbear", "/sbin/dropbear", "/bin/dropbear", "/usr/bin/dropbear")
_STARTERS = (
    "/etc/inittab",
    "/init",
    "/sbin/init",
    "/etc/init.d/*",
    "/etc/rc.local",
    "/etc/rc.d/*",
    "/etc/default/dropbear",
    "/etc/systemd/system/dropbear*.service",
    "/{usr/,}lib/systemd/system/dropbear*.service",
)
_MAKES_KEYS = re.compile(rb"dropbear(key\b|\b[^\n]*\s-\w*R)|DROPBEAR_[A-Z_]*ARGS=.*-R")
_LONGEST_SCRIPT = 256 * 1024


async def install_regeneration(subject: Subject) -> None:
    """Adds what makes new host keys, for each SSH server that has nobody to do so."""
    for task in await _tasks(subject):
        await first_boot.install(subject, task)


async def check_regeneration(subject: Subject) -> list[str]:
    return [
        f"nothing makes new SSH host keys on the first boot: {task.name} is not there"
        for task in await _tasks(subject)
        if not await first_boot.is_installed(subject, task)
    ]


async def _tasks(subject: Subject) -> list[FirstBootTask]:
    tasks = []
    if await _any(subject, _SSHD) and not await _sshd_makes_keys(subject):
        tasks.append(OPENSSH)
    if await _any(subject, _DROPBEAR) and not await _dropbear_makes_keys(subject):
        tasks.append(DROPBEAR)
    return tasks


async def _any(subject: Subject, paths: tuple[str, ...]) -> bool:
    return bool(await subject.files.find(paths))


async def _sshd_makes_keys(subject: Subject) -> bool:
    """Red Hat's and SUSE's units, OpenRC's and BSD's scripts make missing keys; Debian's do not."""
    guest = subject.guest
    if guest.init is Init.OPENRC or guest.family is Family.BSD:
        return True
    return bool(
        await subject.files.find(
            (
                "/{usr/,}lib/systemd/system/sshd-keygen*",  # Red Hat, openSUSE
                "/{usr/,}lib/systemd/system/sshdgenkeys.service",  # Arch
                "/usr/sbin/sshd-gen-keys-start",  # SUSE
            )
        )
    )


async def _dropbear_makes_keys(subject: Subject) -> bool:
    scripts = await subject.files.find(_STARTERS)
    statuses = await subject.files.status(scripts)
    for path in scripts:
        status = statuses.get(path)
        if status is None or status.mode & 0o170000 != 0o100000 or status.size > _LONGEST_SCRIPT:
            continue
        content = await subject.files.read(path)
        if b"\0" not in content[:512] and _MAKES_KEYS.search(_without_comments(content)):
            return True
    return False


def _without_comments(script: bytes) -> bytes:
    return b"\n".join(line for line in script.splitlines() if not line.lstrip().startswith(b"#"))
