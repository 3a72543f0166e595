"""ISO images, by pycdlib: seed CDs are written, kernels and marks of a family are read out of installers."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from factory.errors import StepError

LABEL_LENGTH = 32
"""ISO 9660: a volume identifier has at most 32 characters."""


async def make_cd(path: Path, label: str, files: Mapping[str, bytes | Path]) -> None:
    """Writes a CD with Rock Ridge and Joliet names, which every installer reads. Whole or not at all.

    Args:
        label: volume identifier, as ``cidata`` or ``OEMDRV``.
        files: content (or the path of it) by name; ``/`` in a name makes folders.

    Raises: StepError when a name or the label can't be on a CD.
    """
    await asyncio.to_thread(_write, path, label, files)


async def extract(iso: Path, candidates: Sequence[str], destination: Path) -> str:
    """Copies the first of *candidates* that *iso* holds to *destination* and returns its name.

    Raises: StepError that says what is there instead.
    """
    return await asyncio.to_thread(_extract, iso, candidates, destination)


class IsoReader:
    """An open ISO. Names are those that a person sees (Rock Ridge, else Joliet, UDF, plain ISO 9660)."""

    def __init__(self, image: Any) -> None:
        self._image = image
        if image.has_udf():
            self._kind = "udf_path"
        elif image.has_rock_ridge():
            self._kind = "rr_path"
        else:
            self._kind = "joliet_path" if image.has_joliet() else "iso_path"

    @property
    def volume_id(self) -> str:
        """The label, without the blanks behind it."""
        return str(self._image.pvd.volume_identifier.decode("ascii", "replace")).strip(" \0")

    def names(self) -> Iterator[str]:
        """Every file, relative to the root."""
        for folder, _, files in self._image.walk(**{self._kind: "/"}):
            for name in files:
                yield f"{folder.rstrip('/')}/{_plain(name)}".lstrip("/")

    def find(self, name: str) -> str | None:
        """The name of a file as it is on the ISO, looked up without regard to case."""
        wanted = name.strip("/").lower()
        return next((n for n in self.names() if n.lower() == wanted), None)

    def read(self, name: str) -> bytes | None:
        """The content of a (small) file, None when there is none of that name."""
        found = self.find(name)
        if found is None:
            return None
        stream = io.BytesIO()
        self._image.get_file_from_iso_fp(stream, **{self._kind: self._stored(found)})
        return stream.getvalue()

    def copy(self, name: str, destination: Path) -> None:
        """Writes the file *name* (as ``names`` gives it) to *destination*."""
        with destination.open("wb") as stream:
            self._image.get_file_from_iso_fp(stream, **{self._kind: self._stored(name)})

    def _stored(self, name: str) -> str:
        if self._kind != "iso_path":
            return f"/{name}"
        folder, _, last = name.rpartition("/")
        children = self._image.list_children(iso_path=f"/{folder}" if folder else "/")
        for child in children:
            stored: str = child.file_identifier().decode("ascii", "replace")
            if _plain(stored) == last:
                return f"/{folder}/{stored}".replace("//", "/")
        return f"/{name}"


@contextmanager
def open_iso(path: Path) -> Iterator[IsoReader]:
    """Opens *path* for reading. Raises: StepError when it is no ISO."""
    import pycdlib
    from pycdlib.pycdlibexception import PyCdlibException

    image = pycdlib.PyCdlib()
    try:
        image.open(str(path))
    except (PyCdlibException, OSError) as error:
        raise StepError(f"{path} can't be read as an ISO: {error}", hint="is the download whole?") from error
    try:
        yield IsoReader(image)
    finally:
        image.close()


def _plain(name: str) -> str:
    """Without the version (``;1``) and the lone dot that plain ISO 9660 adds."""
    return name.partition(";")[0].rstrip(".")


def _extract(iso: Path, candidates: Sequence[str], destination: Path) -> str:
    with open_iso(iso) as reader:
        names = list(reader.names())
        lower = {n.lower(): n for n in names}
        for candidate in candidates:
            pattern = re.compile(re.escape(candidate.strip("/").lower()).replace(r"\*", "[^/]*") + r"\Z")
            found = next((lower[n] for n in sorted(lower) if pattern.match(n)), None)
            if found:
                reader.copy(found, destination)
                return found
        near = [
            n for n in names if Path(n).name.lower().startswith(("vmlinuz", "linux", "initrd", "initrfs", "kernel"))
        ]
    there = (
        f"there are {', '.join(sorted(near)[:6])}" if near else f"it has {len(names)} files, none that looks like it"
    )
    raise StepError(
        f"{iso.name} has none of {', '.join(candidates)}; {there}",
        hint="name the right files under `direct:` in the boot profile, or write `boot: typed`",
    )


def _write(path: Path, label: str, files: Mapping[str, bytes | Path]) -> None:
    import pycdlib
    from pycdlib.pycdlibexception import PyCdlibException

    if not label or len(label) > LABEL_LENGTH:
        raise StepError(f"{label!r} can't be a CD's label", hint=f"use 1 to {LABEL_LENGTH} characters")
    image = pycdlib.PyCdlib()
    draft = path.with_name(f".{path.name}.part")
    streams: list[Any] = []
    try:
        image.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=label)
        names = _IsoNames()
        for folder in sorted({p.as_posix() for name in files for p in Path(name).parents if p.as_posix() != "."}):
            image.add_directory(names.folder(folder), rr_name=Path(folder).name, joliet_path=f"/{folder}")
        for name, content in sorted(files.items()):
            stream = content.open("rb") if isinstance(content, Path) else io.BytesIO(content)
            streams.append(stream)
            length = content.stat().st_size if isinstance(content, Path) else len(content)
            image.add_fp(stream, length, names.file(name), rr_name=Path(name).name, joliet_path=f"/{name}")
        image.write(str(draft))
        draft.chmod(0o600)  # answer files hold passwords
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
