"""libvirt through its own binding: uploads volumes into a pool and defines a domain on them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from factory.drivers.protocols import LibvirtPlace, LibvirtVolume
from factory.errors import HostError, StepError
from factory.events import Emit, Progress

_CHUNK = 256 * 1024
_VOLUME = """\
<volume>
  <name>{name}</name>
  <capacity unit="bytes">{capacity}</capacity>
  <allocation unit="bytes">0</allocation>
  <target><format type="{format}"/></target>
</volume>
"""


class Libvirt:
    """``protocols.LibvirtDriver``."""

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
        loop = asyncio.get_running_loop()

        def tell(event: Progress) -> None:
            loop.call_soon_threadsafe(emit, event)

        await asyncio.to_thread(_define, place, name, volumes, describe, ours, files, tell)


def _define(
    place: LibvirtPlace,
    name: str,
    volumes: Sequence[LibvirtVolume],
    describe: Callable[[Mapping[str, str], str], str],
    ours: Callable[[str], bool],
    files: Callable[[str], set[str]],
    tell: Callable[[Progress], None],
) -> None:
    with _connection(place.uri) as (libvirt, connection), _in_words(libvirt, f"define {name}"):
        pool = _look_up(libvirt, connection.storagePoolLookupByName, place.pool, "storage pool")
        if place.network:
            _look_up(libvirt, connection.networkLookupByName, place.network, "network")
        old = _domain(libvirt, connection, name)
        before = old.XMLDesc() if old is not None else ""
        if old is not None:
            _refuse_foreign(name, old, ours(before))
        kept = _kept(libvirt, connection, files(before) if before else set())
        made: dict[str, Any] = {}
        try:
            for volume in volumes:
                if volume.name not in kept:
                    made[volume.name] = _upload(libvirt, connection, pool, volume, tell)
            there = {**kept, **{key: str(volume.path()) for key, volume in made.items()}}
            paths = {volume.name: there[volume.name] for volume in volumes}
            connection.defineXML(describe(paths, old.UUIDString() if old is not None else ""))
        except BaseException:
            for volume in made.values():
                with suppress(libvirt.libvirtError):
                    volume.delete()
            raise
        for path in files(before) - set(paths.values()) if before else ():
            with suppress(libvirt.libvirtError):  # somebody has moved or removed it
                connection.storageVolLookupByPath(path).delete()


def _kept(libvirt: Any, connection: Any, paths: set[str]) -> dict[str, str]:
    """Volumes of the old definition by name: one of the same name has the same content."""
    found = {}
    for path in paths:
        with suppress(libvirt.libvirtError):
            found[str(connection.storageVolLookupByPath(path).name())] = path
    return found


def _refuse_foreign(name: str, domain: Any, is_ours: bool) -> None:
    if not is_ours:
        raise StepError(
            f"libvirt has a domain {name} that was not made by this program",
            hint=f"rename or undefine it (`virsh undefine {name}`), or name the image differently",
        )
    if domain.isActive():
        raise StepError(
            f"the domain {name} runs, so its disks can't be replaced", hint=f"`virsh shutdown {name}`, then build again"
        )


@contextmanager
def _connection(uri: str) -> Iterator[tuple[Any, Any]]:
    try:
        import libvirt
    except ImportError as error:
        raise HostError("libvirt's binding can't be loaded", hint="install libvirt0, then libvirt-python") from error
    libvirt.registerErrorHandler(lambda *_: None, None)  # it prints on standard error otherwise
    try:
        connection = libvirt.open(uri)
    except libvirt.libvirtError as error:
        raise HostError(
            f"libvirt at {uri} can't be reached: {error}",
            hint="start it (`systemctl start libvirtd`), join its group, or take your own, which has no networks:"
            " `{libvirt: {uri: 'qemu:///session', network: user}}`",
        ) from error
    try:
        yield libvirt, connection
    finally:
        connection.close()


@contextmanager
def _in_words(libvirt: Any, what: str) -> Iterator[None]:
    try:
        yield
    except libvirt.libvirtError as error:
        raise StepError(f"libvirt could not {what}: {error}", hint="`journalctl -u libvirtd` may say more") from error


def _look_up(libvirt: Any, find: Callable[[str], Any], name: str, kind: str) -> Any:
    try:
        found = find(name)
    except libvirt.libvirtError as error:
        raise StepError(
            f"libvirt has no {kind} {name!r}", hint=f"`virsh {kind.split()[-1]}-list --all` shows what there is"
        ) from error
    if not found.isActive():
        raise StepError(f"libvirt's {kind} {name!r} is not started", hint=f"`virsh {kind.split()[-1]}-start {name}`")
    return found


def _domain(libvirt: Any, connection: Any, name: str) -> Any:
    try:
        return connection.lookupByName(name)
    except libvirt.libvirtError:
        return None


def _upload(
    libvirt: Any, connection: Any, pool: Any, volume: LibvirtVolume, tell: Callable[[Progress], None]
) -> Any:  # fmt: skip
    with suppress(libvirt.libvirtError):  # of a try that was killed
        pool.storageVolLookupByName(volume.name).delete()
    made = pool.createXML(_VOLUME.format(name=volume.name, capacity=volume.capacity, format=volume.format))
    size, sent = volume.file.stat().st_size, 0
    stream = connection.newStream()
    try:
        made.upload(stream, 0, size)

        def give(_: Any, count: int, source: BinaryIO) -> bytes:
            nonlocal sent
            data = source.read(min(count, _CHUNK))
            sent += len(data)
            tell(Progress(f"libvirt: {volume.name}", sent, size))
            return data

        with Path(volume.file).open("rb") as source:
            stream.sendAll(give, source)
        stream.finish()
    except BaseException:
        with suppress(libvirt.libvirtError):
            stream.abort()
        with suppress(libvirt.libvirtError):
            made.delete()
        raise
    return made
