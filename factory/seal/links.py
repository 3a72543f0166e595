"""Where a guest's paths really lead: links are followed inside of the guest, one name at a time, as a kernel does."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field

from factory.disk.path_walk import MOST_LINKS, walk
from factory.seal.files import GuestFiles


@dataclass(frozen=True, slots=True)
class Links:
    """Follows links, and asks for each path once."""

    files: GuestFiles
    _targets: dict[str, str | None] = field(default_factory=dict)

    async def trail(self, path: str) -> list[str]:
        """The names of one file without links among their folders: *path*, and what each link in its place leads to.

        The last is no link, unless they lead in a circle.
        """
        trail = [await self.in_its_folder(path)]
        while len(trail) < MOST_LINKS and (target := await self._target(trail[-1])) is not None:
            following = await self.in_its_folder(posixpath.join(posixpath.dirname(trail[-1]), target))
            if following in trail:
                break
            trail.append(following)
        return trail

    async def in_its_folder(self, path: str) -> str:
        """*path* in the folder that really holds it; what it names may be a link itself."""
        way = walk(path)
        try:
            name = next(way)
            while True:
                name = way.send(None if name.last else await self._target(name.path))
        except StopIteration as arrived:
            return str(arrived.value)

    async def _target(self, path: str) -> str | None:
        if path not in self._targets:
            self._targets[path] = await self.files.target(path)
        return self._targets[path]
