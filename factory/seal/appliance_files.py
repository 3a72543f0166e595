"""``GuestFiles`` on a libguestfs appliance."""

from __future__ import annotations

import asyncio
import posixpath
import stat
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from factory.drivers.protocols import Appliance, ApplianceCall, ApplianceCallFailed
from factory.errors import StepError
from factory.seal.files import Case, FileStatus, PathIndex, topmost

_LARGEST_MESSAGE = 2 * 2**20  # libguestfs's protocol ends at 4 MiB
_SELINUX = "security.selinux"


class ApplianceFiles:
    """The files of the guest that is mounted in *appliance*. Made by ``index``."""

    def __init__(self, appliance: Appliance, index: PathIndex) -> None:
        self._appliance, self._index = appliance, index

    @classmethod
    async def index(cls, appliance: Appliance, case: Case = Case.MATTERS) -> ApplianceFiles:
        """Lists the whole mounted guest once (about a second per 100 000 names)."""
        names = await appliance.paths("/")
        return cls(appliance, PathIndex(("/" + name.decode("utf-8", "surrogateescape") for name in names), case))

    @classmethod
    def known(cls, appliance: Appliance, paths: Iterable[str]) -> ApplianceFiles:
        """For a guest whose names somebody has listed already."""
        return cls(appliance, PathIndex(paths))

    def __len__(self) -> int:
        return len(self._index)

    async def find(self, globs: Sequence[str], keep: Sequence[str] = ()) -> list[str]:
        return self._index.find(globs, keep)

    async def exists(self, path: str) -> bool:
        return path in self._index

    async def status(self, paths: Sequence[str]) -> Mapping[str, FileStatus]:
        folders: dict[str, list[str]] = {}
        for path in paths:
            if _speakable(path):
                folders.setdefault(posixpath.dirname(path), []).append(posixpath.basename(path))
        values = await self._appliance.attempt([("lstatnslist", folder, names) for folder, names in folders.items()])
        found: dict[str, FileStatus] = {}
        for (folder, names), value in zip(folders.items(), values, strict=True):
            if isinstance(value, ApplianceCallFailed):
                continue  # the folder is gone
            for name, status in zip(names, value, strict=True):
                if status["st_ino"] != -1:  # libguestfs's sign for a name that is not there
                    found[posixpath.join(folder, name)] = FileStatus(
                        status["st_mode"], status["st_size"], f"{status['st_dev']}:{status['st_ino']}"
                    )
        return found

    async def read(self, path: str) -> bytes:
        status = (await self.status([path])).get(path)
        if status is not None and not stat.S_ISREG(status.mode):
            raise StepError(f"{path} can't be read: it is no regular file")
        if status is None or status.size <= _LARGEST_MESSAGE:
            content: bytes = await self._appliance.call("read_file", path)
            return content
        target = self._appliance.scratch / "content"
        await self._appliance.call("download", path, target)
        try:
            return await asyncio.to_thread(target.read_bytes)
        finally:
            await asyncio.to_thread(target.unlink)

    async def target(self, path: str) -> str | None:
        status = (await self.status([path])).get(path)
        if status is None or not stat.S_ISLNK(status.mode):
            return None
        target: str = await self._appliance.call("readlink", path)
        return target

    async def write(self, path: str, content: bytes, *, mode: int | None = None) -> None:
        status = (await self.status([path])).get(path)
        if status is not None and stat.S_ISLNK(status.mode):
            await self.remove([path])
        is_new = path not in self._index
        if is_new:
            await self.make_folder(posixpath.dirname(path))
        calls: list[ApplianceCall] = [("write", path, content)]
        if is_new or mode is not None:
            calls.append(("chmod", 0o644 if mode is None else mode, path))
        await self._appliance.batch(calls)
        self._index.add(path)
        if is_new:
            await self._label(path)

    async def remove(self, paths: Sequence[str]) -> None:
        tops = topmost(paths)
        plain = [p for p in tops if _speakable(p)]
        # unlink(2) is done by the appliance's daemon itself; rm_rf starts a program each time, some 0.2 s under TCG.
        outcomes = await self._appliance.attempt([("rm_f", p) for p in plain])
        folders = [p for p, outcome in zip(plain, outcomes, strict=True) if isinstance(outcome, ApplianceCallFailed)]
        await self._each([("rm_rf", p) for p in folders])
        # The binding takes UTF-8 only; other names are spelled in octal for the appliance's own shell.
        await self._each([("debug", "sh", [f"rm -rf -- {_octal('/sysroot' + p)}"]) for p in tops if not _speakable(p)])
        self._index.drop(tops)

    async def empty(self, paths: Sequence[str]) -> None:
        await self._each([("truncate", p) for p in paths if _speakable(p)])

    async def link(self, target: str, path: str) -> None:
        await self.make_folder(posixpath.dirname(path))
        await self._appliance.call("ln_sf", target, path)
        self._index.add(path)
        await self._label(path)

    async def make_folder(self, path: str) -> None:
        missing = []
        while path not in {"/", ""} and path not in self._index:
            missing.append(path)
            path = posixpath.dirname(path)
        for folder in reversed(missing):
            await self._appliance.batch([("mkdir", folder), ("chmod", 0o755, folder)])
            self._index.add(folder)
            await self._label(folder)

    async def _each(self, calls: Sequence[ApplianceCall]) -> None:
        for outcome in await self._appliance.attempt(calls):
            if isinstance(outcome, ApplianceCallFailed) and not outcome.is_missing:
                raise outcome

    async def _label(self, path: str) -> None:
        """Gives a new file the SELinux label of a neighbour or of its folder: nothing relabels it before its use."""
        folder = posixpath.dirname(path)
        suffix = posixpath.splitext(path)[1]
        candidates = [p for p in self._index.find([f"{folder}/*{suffix}"]) if p != path and _speakable(p)][:1]
        for neighbour in [*candidates, folder]:
            outcome: Any = (await self._appliance.attempt([("lgetxattr", neighbour, _SELINUX)]))[0]
            if isinstance(outcome, bytes):
                label = outcome.rstrip(b"\0").decode("ascii", "replace")
                await self._appliance.call("lsetxattr", _SELINUX, label, len(label), path)
                return


def _speakable(path: str) -> bool:
    return not any("\udc80" <= c <= "\udcff" for c in path)


def _octal(path: str) -> str:
    text = "".join(f"\\{b:03o}" for b in path.encode("utf-8", "surrogateescape"))
    return f"\"$(printf '{text}')\""
