"""The small file API that operations see, and the index that finds their files without asking the guest each time."""

from __future__ import annotations

import bisect
import enum
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FileStatus:
    """What ``lstat`` says. ``size`` in bytes; ``mode`` with the type bits, as in ``stat`` module.

    ``identity`` is the same for all names of one file; empty where it is not known.
    """

    mode: int
    size: int
    identity: str = ""


class GuestFiles(Protocol):
    """The files of a guest, by absolute path. Links are never followed."""

    async def find(self, globs: Sequence[str], keep: Sequence[str] = ()) -> list[str]:
        """Paths that match one of *globs* and none of *keep*, sorted. See ``Operation`` for the notation."""

    async def exists(self, path: str) -> bool: ...

    async def status(self, paths: Sequence[str]) -> Mapping[str, FileStatus]:
        """Of those that exist."""

    async def read(self, path: str) -> bytes:
        """A file's content. Raises: StepError when it is no readable file."""

    async def target(self, path: str) -> str | None:
        """Where a symbolic link leads, as it is written in it; None for what is no link."""

    async def write(self, path: str, content: bytes, *, mode: int | None = None) -> None:
        """Replaces a file's content, keeping owner, mode and labels; a new one is root's, 0644 unless *mode* says.

        A link is replaced by a file.
        """

    async def remove(self, paths: Sequence[str]) -> None:
        """Removes files, links, and folders with all that is in them."""

    async def empty(self, paths: Sequence[str]) -> None:
        """Truncates files to nothing."""

    async def link(self, target: str, path: str) -> None:
        """Makes a symbolic link, in place of what is there."""

    async def make_folder(self, path: str) -> None:
        """With its parents; 0755, root's."""


async def read_regular(files: GuestFiles, path: str) -> bytes | None:
    """A file's content; None for what is no regular file: a link (they are not followed), a folder, nothing."""
    status = (await files.status([path])).get(path)
    return await files.read(path) if status is not None and stat.S_ISREG(status.mode) else None


class TouchedFiles:
    """``GuestFiles`` that remembers which paths were changed through it."""

    def __init__(self, files: GuestFiles) -> None:
        self._files = files
        self.touched: set[str] = set()

    async def find(self, globs: Sequence[str], keep: Sequence[str] = ()) -> list[str]:
        return await self._files.find(globs, keep)

    async def exists(self, path: str) -> bool:
        return await self._files.exists(path)

    async def status(self, paths: Sequence[str]) -> Mapping[str, FileStatus]:
        return await self._files.status(paths)

    async def read(self, path: str) -> bytes:
        return await self._files.read(path)

    async def target(self, path: str) -> str | None:
        return await self._files.target(path)

    async def write(self, path: str, content: bytes, *, mode: int | None = None) -> None:
        """Leaves a file alone that holds *content* already."""
        if mode is None and await read_regular(self._files, path) == content:
            return
        await self._files.write(path, content, mode=mode)
        self.touched.add(path)

    async def remove(self, paths: Sequence[str]) -> None:
        await self._files.remove(paths)
        self.touched.update(paths)

    async def empty(self, paths: Sequence[str]) -> None:
        await self._files.empty(paths)
        self.touched.update(paths)

    async def link(self, target: str, path: str) -> None:
        await self._files.link(target, path)
        self.touched.add(path)

    async def make_folder(self, path: str) -> None:
        await self._files.make_folder(path)


class ImaginedFiles:
    """``GuestFiles`` that changes nothing, and shows what is there as if every change had been made."""

    def __init__(self, files: GuestFiles) -> None:
        self._files = files
        self._written: dict[str, bytes] = {}
        self._removed: set[str] = set()

    async def find(self, globs: Sequence[str], keep: Sequence[str] = ()) -> list[str]:
        return [p for p in await self._files.find(globs, keep) if p not in self._removed]

    async def exists(self, path: str) -> bool:
        return path in self._written or (path not in self._removed and await self._files.exists(path))

    async def status(self, paths: Sequence[str]) -> Mapping[str, FileStatus]:
        found = dict(await self._files.status([p for p in paths if p not in self._removed]))
        for path in (p for p in paths if p in self._written):
            mode = found[path].mode if path in found and stat.S_ISREG(found[path].mode) else stat.S_IFREG | 0o644
            found[path] = FileStatus(mode, len(self._written[path]))
        return found

    async def read(self, path: str) -> bytes:
        return self._written[path] if path in self._written else await self._files.read(path)

    async def target(self, path: str) -> str | None:
        return None if path in self._written or path in self._removed else await self._files.target(path)

    async def write(self, path: str, content: bytes, *, mode: int | None = None) -> None:
        self._written[path] = content

    async def remove(self, paths: Sequence[str]) -> None:
        self._removed.update(paths)

    async def empty(self, paths: Sequence[str]) -> None:
        self._written.update((path, b"") for path in paths)

    async def link(self, target: str, path: str) -> None:
        self._written[path] = b""

    async def make_folder(self, path: str) -> None:
        return None


class Case(enum.Enum):
    """Whether ``/Windows`` and ``/windows`` are two names."""

    MATTERS = enum.auto()
    IGNORED = enum.auto()


class PathIndex:
    """All paths of a tree, sorted, for globs. Paths are absolute; undecodable bytes are surrogates."""

    def __init__(self, paths: Iterable[str], case: Case = Case.MATTERS) -> None:
        self._paths = sorted(set(paths))
        self._flags = re.DOTALL | (re.IGNORECASE if case is Case.IGNORED else 0)

    def __len__(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __contains__(self, path: str) -> bool:
        at = bisect.bisect_left(self._paths, path)
        return at < len(self._paths) and self._paths[at] == path

    def find(self, globs: Sequence[str], keep: Sequence[str] = ()) -> list[str]:
        spared = [_pattern(k, self._flags) for glob in keep for k in expand_braces(glob)]
        found: set[str] = set()
        for glob in (g for given in globs for g in expand_braces(given)):
            if self._flags & re.IGNORECASE:
                candidates: Sequence[str] = self._paths  # the order is by case: no part of it can be picked out
            else:
                literal = re.split(r"[*?\[]", glob, maxsplit=1)[0]
                candidates = self._below(literal) if literal != glob else [glob] if glob in self else []
            pattern = _pattern(glob, self._flags)
            found.update(p for p in candidates if pattern.fullmatch(p))
        return sorted(p for p in found if not any(s.fullmatch(p) for s in spared))

    def _below(self, prefix: str) -> Sequence[str]:
        first = bisect.bisect_left(self._paths, prefix)
        last = bisect.bisect_left(self._paths, prefix[:-1] + chr(ord(prefix[-1]) + 1)) if prefix else len(self._paths)
        return self._paths[first:last]

    def drop(self, paths: Iterable[str]) -> None:
        """Forgets *paths* and all below them."""
        for path in paths:
            at = bisect.bisect_left(self._paths, path)
            if at < len(self._paths) and self._paths[at] == path:
                del self._paths[at]
            first = bisect.bisect_left(self._paths, f"{path}/")
            last = bisect.bisect_left(self._paths, f"{path}0")  # "0" follows "/"
            del self._paths[first:last]

    def add(self, path: str) -> None:
        if path not in self:
            bisect.insort(self._paths, path)


def topmost(paths: Iterable[str]) -> list[str]:
    """Without those that lie below another one."""
    kept: list[str] = []
    for path in sorted(paths, key=lambda p: p.split("/")):
        if not kept or not path.startswith(f"{kept[-1]}/"):
            kept.append(path)
    return kept


def expand_braces(glob: str) -> list[str]:
    """``/a/{b,c}`` → ``/a/b``, ``/a/c``; nested braces too."""
    match = re.search(r"\{([^{}]*)\}", glob)
    if not match:
        return [glob]
    texts = (
        text
        for choice in match[1].split(",")
        for text in expand_braces(glob[: match.start()] + choice + glob[match.end() :])
    )
    return list(dict.fromkeys(texts))  # nested braces are expanded from the inside, once for each outer choice


@lru_cache(maxsize=4096)
def _pattern(glob: str, flags: int) -> re.Pattern[str]:
    text, at = "", 0
    while at < len(glob):
        if glob.startswith("**/", at):
            text, at = text + "(?:[^/]+/)*", at + 3
        elif glob.startswith("**", at):
            text, at = text + ".*", at + 2
        elif glob[at] == "*":
            text, at = text + "[^/]*", at + 1
        elif glob[at] == "?":
            text, at = text + "[^/]", at + 1
        elif glob[at] == "[" and (end := glob.find("]", at + 2)) > 0:
            body = glob[at + 1 : end].replace("\\", r"\\")
            text, at = text + "[" + ("^" + body[1:] if body[0] in "!^" else body) + "]", end + 1
        else:
            text, at = text + re.escape(glob[at]), at + 1
    return re.compile(text, flags)
