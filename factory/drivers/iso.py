"""ISO images, by pycdlib: seed CDs are written; kernels and what tells a family of installers are read out."""

from __future__ import annotations

import asyncio
import fnmatch
import io
import os
import posixpath
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from factory.drivers.iso_view import BOOT_MENUS, MARKS, IsoView
from factory.drivers.wim import read_xml
from factory.errors import StepError
from factory.opening import open_content, require_content
from factory.quantity import Size

PADDING = 150 * 2048
"""Zeros after the last file, as many as mkisofs' ``-pad`` adds: drives read ahead, and what looks for a label probes
further than a small disc reaches (busybox' findfs finds none on a disc of 64 KiB)."""
LABEL_LENGTH = 16
"""Joliet: a volume identifier has at most 16 characters (ISO 9660 itself takes 32)."""
SECTOR = 2048
LARGEST_TEXT = Size(2**20)
LARGEST_CATALOGUE = 200_000
"""Files of an ISO; the largest DVDs of distributions have some ten thousand."""
_MOST_MENUS = 64
_MOST_LINKS = 8
_CHUNK = 2**20
_TREES = {"rr_path": "Rock Ridge", "udf_path": "UDF", "joliet_path": "Joliet", "iso_path": "ISO 9660"}
_DAMAGE = (ValueError, LookupError, struct.error)
"""What pycdlib raises, besides its own, for fields that are out of range and text that is none."""
_EFI = 0xEF
"""El Torito: the platform id of an entry for UEFI ("UEFI specification", 13.3.2.1); 0 is the PC's BIOS."""


async def make_cd(path: Path, label: str, files: Mapping[str, bytes | Path]) -> None:
    """Writes a CD with Rock Ridge and Joliet names, which every installer reads. Whole or not at all.

    Args:
        label: volume identifier, as ``cidata`` or ``OEMDRV``.
        files: content (or the path of it) by name; ``/`` in a name makes folders.

    Raises: StepError when a name or the label can't be on a CD.
    """
    await asyncio.to_thread(_write, path, label, files)


async def view(path: Path) -> IsoView:
    """The table of contents of the ISO at *path*, and what tells its family.

    Raises: StepError when it is no ISO, or not a whole one.
    """
    return await asyncio.to_thread(read_view, path)


async def extract(path: Path, files: Mapping[str, Path]) -> None:
    """Copies files out of the ISO at *path*: destinations by their names in it. Each is whole or not there.

    Raises: StepError.
    """
    await asyncio.to_thread(_extract, path, files)


def read_view(path: Path) -> IsoView:
    """As ``view``, blocking."""
    with open_iso(path) as reader:
        return IsoView(reader.volume_id, reader.names, reader.texts(), reader.boots, reader.names_by)


class IsoReader:
    """An open ISO. Names are those that a person sees: Rock Ridge's, else UDF's, Joliet's, plain ISO 9660's.

    Windows' ISOs keep nothing but a note in their ISO 9660 tree, and everything in UDF.
    """

    def __init__(self, image: Any) -> None:
        self._image = image
        if image.has_rock_ridge():
            self._kind = "rr_path"
        elif image.has_udf():
            self._kind = "udf_path"
        else:
            self._kind = "joliet_path" if image.has_joliet() else "iso_path"
        self.names_by = _TREES[self._kind]
        self._stored = dict(self._walk())
        self._lower = {name.lower(): name for name in self._stored}

    @property
    def volume_id(self) -> str:
        """The label, without the blanks behind it."""
        label = str(self._image.pvd.volume_identifier.decode("ascii", "replace")).strip(" \0")
        return "".join(c if c.isprintable() else "\ufffd" for c in label)  # it is shown on terminals

    @property
    def size(self) -> Size:
        """What the ISO says of its own size; a file may be larger, and must not be smaller."""
        return Size(self._image.pvd.space_size * SECTOR)

    @property
    def names(self) -> tuple[str, ...]:
        """Every file, relative to the root, sorted."""
        return tuple(sorted(self._stored))

    @property
    def boots(self) -> tuple[str, ...]:
        """What the boot catalogue has entries for: ``bios``, ``uefi``."""
        catalogue = self._image.eltorito_boot_catalog
        if catalogue is None:
            return ()
        platforms = [catalogue.validation_entry.platform_id, *(s.platform_id for s in catalogue.sections)]
        return tuple(dict.fromkeys("uefi" if p == _EFI else "bios" for p in platforms if p in (0, _EFI)))

    def find(self, name: str) -> str | None:
        """The name of a file as it is on the ISO, looked up without regard to case."""
        return self._lower.get(name.strip("/").lower())

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """The file *name* (as in ``names``) as a stream; links are followed. Raises: StepError."""
        from pycdlib.pycdlibexception import PyCdlibException

        try:
            place = {self._kind: self._stored[self._followed(name)]}
            if self._image.get_record(**place).get_data_length() == 0:
                yield io.BytesIO()  # pycdlib has nothing to open for a file without content
                return
            with self._image.open_file_from_iso(**place) as stream:
                yield cast(BinaryIO, stream)
        except (PyCdlibException, KeyError, OSError, struct.error) as error:
            raise StepError(f"{name} can't be read from the ISO: {error}", hint="is the download whole?") from error

    def read(self, name: str, limit: Size = LARGEST_TEXT) -> bytes | None:
        """The first *limit* bytes of a file, None when there is none of that name."""
        found = self.find(name)
        if found is None:
            return None
        with self.open(found) as stream:
            return stream.read(limit)

    def copy(self, name: str, destination: Path) -> None:
        """Writes the file *name* (as in ``names``) to *destination*, piece by piece. Raises: StepError."""
        draft = destination.with_name(f".{destination.name}.part")
        try:
            with self.open(name) as source, draft.open("wb") as target:
                left = source.seek(0, os.SEEK_END)
                source.seek(0)
                while left:
                    piece = source.read(min(left, _CHUNK))
                    if not piece:
                        raise StepError(f"{name} ends {left} bytes too early", hint="is the download whole?")
                    target.write(piece)
                    left -= len(piece)
            draft.rename(destination)
        finally:
            draft.unlink(missing_ok=True)

    def texts(self) -> dict[str, str]:
        """What is written in ``MARKS`` and ``BOOT_MENUS``, by name in lower case."""
        found: dict[str, str] = {}
        for mark in MARKS:
            name = self.find(mark)
            if name is None:
                continue
            if mark.endswith((".wim", ".swm", ".esd")):
                with self.open(name) as stream:
                    found[mark] = read_xml(stream)
            else:
                found[mark] = (self.read(name) or b"").decode("utf-8", "replace")
        menus = [n for n in sorted(self._lower) if any(_is_one(n, pattern) for pattern in BOOT_MENUS)]
        for menu in menus[:_MOST_MENUS]:
            found[menu] = (self.read(menu) or b"").decode("utf-8", "replace")
        return found

    def _walk(self) -> Iterator[tuple[str, str]]:
        """``(name, path as pycdlib wants it)`` of every file."""
        count = 0
        # Rock Ridge and ISO 9660 have bytes for names, UTF-8 today: old ones, which are not, must not end the walk.
        raw = {"encoding": "latin-1"} if self._kind in ("rr_path", "iso_path") else {}
        for folder, _, files in self._image.walk(**{self._kind: "/"}, **raw):
            for file in files:
                count += 1
                if count > LARGEST_CATALOGUE:
                    raise StepError(f"the ISO has more than {LARGEST_CATALOGUE} files")
                stored = f"{folder.rstrip('/')}/{file}"
                if raw:
                    stored = stored.encode("latin-1").decode("utf-8", "replace")
                name = stored.lstrip("/")
                yield _plain(name) if self._kind == "iso_path" else name, stored

    def _record(self, name: str) -> Any:
        return self._image.get_record(**{self._kind: self._stored[name]})

    def _followed(self, name: str) -> str:
        """Where the link *name* leads; *name* itself when it is none. Raises: StepError."""
        for _ in range(_MOST_LINKS):
            if self._kind != "rr_path" or not self._record(name).is_symlink():
                return name
            target = self._record(name).rock_ridge.symlink_path().decode("utf-8", "replace")
            name = posixpath.normpath(posixpath.join("/", posixpath.dirname(name), target)).lstrip("/")
            if name not in self._stored:
                break
        raise StepError(f"the ISO has a link to {name}, which it does not hold")


@contextmanager
def open_iso(path: Path) -> Iterator[IsoReader]:
    """Opens *path* for reading. Raises: StepError when it is no ISO, or not a whole one."""
    import pycdlib
    from pycdlib.pycdlibexception import PyCdlibException

    image = pycdlib.PyCdlib()
    try:
        require_content(path)
        image.open(str(path))
    except OSError as error:
        raise StepError(f"{path} can't be read: {error.strerror or error}") from error
    except (*_DAMAGE, PyCdlibException) as error:
        raise StepError(f"{path} can't be read as an ISO: {error}", hint=_what_else(path)) from error
    try:
        try:
            reader = IsoReader(image)
        except (*_DAMAGE, PyCdlibException) as error:
            raise StepError(f"{path} is damaged: {error}", hint="compare its checksum") from error
        length = Size(path.stat().st_size)
        if reader.names_by != "UDF" and length < reader.size:  # beside UDF, ISO 9660's size is often untrue
            message = f"{path} has {length} of {reader.size}: it isn't whole"
            raise StepError(message, hint="download it again, and compare its checksum")
        yield reader
    finally:
        image.close()


def _what_else(path: Path) -> str:
    """A hint for a file that is no ISO, by how it begins."""
    with path.open("rb") as stream:
        start = stream.read(40 * 1024)
    kinds = {b"QFI\xfb": "a qcow2 image", b"KDMV": "a VMDK", b"PK\x03\x04": "a zip archive", b"\x1f\x8b": "gzip",
             b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"<!": "a web page", b"<html": "a web page"}  # fmt: skip
    for magic, kind in kinds.items():
        if start.lower().startswith(magic.lower()):
            return f"it looks like {kind}"
    if b"NSR0" in start[16 * SECTOR :] and b"CD001" not in start[16 * SECTOR :]:
        return "it has a UDF file system alone; write it again with ISO 9660 beside it (`genisoimage -udf`)"
    return "is the download whole?"


def _plain(name: str) -> str:
    """Without the version (``;1``) and the lone dot that plain ISO 9660 adds to each part."""
    return "/".join(part.partition(";")[0].rstrip(".") for part in name.split("/"))


def _is_one(name: str, pattern: str) -> bool:
    return name.count("/") == pattern.count("/") and fnmatch.fnmatchcase(name, pattern)


def _extract(path: Path, files: Mapping[str, Path]) -> None:
    with open_iso(path) as reader:
        for name, destination in files.items():
            found = reader.find(name)
            if found is None:
                raise StepError(f"{path.name} holds no {name}")
            reader.copy(found, destination)


def _write(path: Path, label: str, files: Mapping[str, bytes | Path]) -> None:
    import pycdlib
    from pycdlib.pycdlibexception import PyCdlibException

    if not 1 <= len(label) <= LABEL_LENGTH or not label.isascii():
        raise StepError(f"{label!r} can't be a CD's label", hint=f"use 1 to {LABEL_LENGTH} plain characters")
    image = pycdlib.PyCdlib()
    draft = path.with_name(f".{path.name}.part")
    streams: list[BinaryIO] = []
    image.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=label)
    try:
        names = _IsoNames()
        for folder in sorted({p.as_posix() for name in files for p in Path(name).parents if p.as_posix() != "."}):
            image.add_directory(names.folder(folder), rr_name=Path(folder).name, joliet_path=f"/{folder}")
        for name, content in sorted(files.items()):
            stream: BinaryIO = open_content(content) if isinstance(content, Path) else io.BytesIO(content)
            streams.append(stream)
            length = content.stat().st_size if isinstance(content, Path) else len(content)
            image.add_fp(stream, length, names.file(name), rr_name=Path(name).name, joliet_path=f"/{name}")
        # Answer files hold passwords: nobody else reads the CD, not even while it grows.
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b") as target:
            image.write_fp(target)
            target.truncate(target.seek(0, os.SEEK_END) + PADDING)
        draft.rename(path)
    except PyCdlibException as error:
        raise StepError(
            f"the seed does not fit a CD: {error}", hint="names of files must be plain and short"
        ) from error
    finally:
        image.close()
        for stream in streams:
            stream.close()
        draft.unlink(missing_ok=True)


class _IsoNames:
    """Plain ISO 9660 names, which nobody reads, but which must be there and differ: numbered."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}
        self._count = 0

    def folder(self, name: str) -> str:
        parent = self._folders.get(Path(name).parent.as_posix(), "")
        self._folders[name] = f"{parent}/D{self._next():07d}"
        return self._folders[name]

    def file(self, name: str) -> str:
        parent = self._folders.get(Path(name).parent.as_posix(), "")
        return f"{parent}/F{self._next():07d}.;1"

    def _next(self) -> int:
        self._count += 1
        return self._count
