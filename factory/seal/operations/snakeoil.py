"""Debian's ``ssl-cert`` snake-oil pair: per machine by intent, so it must not be in an image."""

from __future__ import annotations

from factory.seal.model import Subject
from factory.seal.operations import first_boot
from factory.seal.operations.first_boot import FirstBootTask

_KEY = "/etc/ssl/private/ssl-cert-snakeoil.key"
_CERTIFICATE = "/etc/ssl/certs/ssl-cert-snakeoil.pem"
_MAKER = "/usr/sbin/make-ssl-cert"
_TASK = FirstBootTask(
    "factory-snakeoil-certificate",
    "Make this machine's own self-signed certificate",
    f"{_MAKER} generate-default-snakeoil",
    (f"ConditionPathExists=!{_KEY}", f"ConditionPathExists={_MAKER}"),
    ("apache2.service", "nginx.service", "postfix.service", "postgresql.service", "exim4.service"),
    f"[ -e {_KEY} ] || {_MAKER} generate-default-snakeoil",
)


async def renew_snakeoil(subject: Subject) -> None:
    if await subject.files.exists(_KEY) and await subject.files.exists(_MAKER):
        await subject.files.remove(await subject.files.find([_KEY, _CERTIFICATE]))
        await first_boot.install(subject, _TASK)


async def check_snakeoil(subject: Subject) -> list[str]:
    files = subject.files
    if await files.exists(_KEY) and await files.exists(_MAKER):
        return [f"{_KEY} is still there"]
    if (
        await files.exists(_MAKER)
        and not await files.exists(_KEY)
        and not await first_boot.is_installed(subject, _TASK)
    ):
        # No key and no unit: fine only if there was none to begin with, which is what a package without setup leaves.
        return [] if not await files.exists(_CERTIFICATE) else [f"nothing makes a new {_KEY} on the first boot"]
    return []
