"""CDs and floppies besides the installer and the seed: taken as they are, or made of files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from factory.drivers.protocols import MediaMaker
from factory.errors import TemplateError
from factory.opening import other_kind
from factory.plan.resources import BuildSecrets, FurtherMedia
from factory.plan.step import Scope, Step
from factory.steps.late import late_values
from factory.steps.recipes import Contents
from factory.template.late import render_late
from factory.template.model import Loaded, Medium


@dataclass(frozen=True, slots=True)
class MakeMedia(Step):
    """Makes what is made of files, and puts all of them where the machine is started."""

    loaded: Loaded
    media: tuple[Medium, ...]

    needs: ClassVar[tuple[type, ...]] = (MediaMaker, BuildSecrets)
    provides: ClassVar[tuple[type, ...]] = (FurtherMedia,)

    @property
    def title(self) -> str:
        return "prepare " + ", ".join(_words(m) for m in self.media)

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        maker, late = scope.get(MediaMaker), late_values(scope)
        paths: dict[str, list[Path]] = {"cd": [], "floppy": []}
        for number, medium in enumerate(self.media, 1):
            if medium.image:
                paths[medium.kind].append(self.loaded.resolve(medium.image))
                continue
            # They may hold answers with passwords: they lie with the sockets (0700) and go with them.
            path = scope.runtime_dir / f"medium-{number}.{'iso' if medium.kind == 'cd' else 'img'}"
            make = maker.make_cd if medium.kind == "cd" else maker.make_floppy
            await make(path, medium.label, medium_files(self.loaded, medium, late))
            paths[medium.kind].append(path)
        scope.put(FurtherMedia(tuple(paths["cd"]), tuple(paths["floppy"])))
        yield


def _words(medium: Medium) -> str:
    kind = "CD" if medium.kind == "cd" else "floppy"
    return f"the {kind} {Path(medium.image).name}" if medium.image else f"a {kind} labelled {medium.label}"


def medium_files(loaded: Loaded, medium: Medium, late: dict[str, Any]) -> dict[str, bytes | Path]:
    """Content by name. Raises: TemplateError for a file that is not there."""
    found: dict[str, bytes | Path] = {}
    for file in medium.files:
        if file.content is not None:
            found[file.name] = render_late(file.content, late).encode()
        elif file.path:
            found.update(_below(loaded.resolve(file.path), file.name))
    return found


def _below(path: Path, name: str) -> Iterator[tuple[str, bytes | Path]]:
    if path.is_file():
        yield name, path
    elif path.is_dir():
        for inside in sorted(p for p in path.rglob("*") if p.is_file()):
            yield f"{name}/{inside.relative_to(path).as_posix()}".lstrip("/"), inside
    else:
        kind = other_kind(path)
        what = f"{path} is {kind}, which can't be put" if kind else f"there is no file or folder {path} to put"
        raise TemplateError(f"{what} on a medium")


def media_recipe(media: tuple[Medium, ...], contents: Contents) -> list[dict[str, Any]]:
    """What of them counts for a key."""
    found: list[dict[str, Any]] = []
    for medium in media:
        if medium.image:
            found.append({"kind": medium.kind, "image": contents.of(medium.image)})
            continue
        files = {f.name: contents.of(f.path) if f.path else f.content for f in medium.files}
        found.append({"kind": medium.kind, "label": medium.label, "files": files})
    return found
