"""Gets the installer ISO (or source image): downloaded, local, or built by a script, and always checked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar, Protocol

from factory.events import Emit
from factory.plan.resources import Media
from factory.plan.step import Scope, Step
from factory.template.model import BuiltFile, IsoSource


class MediaLibrary(Protocol):
    """Where media come from. Implemented by ``factory.media``."""

    async def fetch(self, source: IsoSource, *, emit: Emit) -> Media:
        """Raises: StepError, CommandFailed; never returns a file whose checksum is wrong."""

    async def build(self, built: BuiltFile, *, emit: Emit) -> Media:
        """Runs a script of the project, or finds what it made before. Raises: StepError, CommandFailed."""


@dataclass(frozen=True, slots=True)
class FetchMedia(Step):
    source: IsoSource
    what: str = "installer ISO"

    provides: ClassVar[tuple[type, ...]] = (Media,)
    needs: ClassVar[tuple[type, ...]] = (MediaLibrary,)

    @property
    def title(self) -> str:
        if self.source.build:
            return f"build the {self.what} with {self.source.build.script}"
        return f"fetch the {self.what}"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        library = scope.get(MediaLibrary)
        media = await library.fetch(self.source, emit=scope.emit)
        scope.detail(f"{media.path.name}, sha256 {media.digest[:12]}…")
        scope.put(media)
        yield
