"""Brings the answer files to the installer: over HTTP, on a CD or floppy, or inside its initrd."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from factory.drivers.protocols import MediaMaker, SeedEndpoint, SeedServer, SeedSource
from factory.errors import SeedError, StepError
from factory.events import Event, SeedRequested
from factory.plan.resources import BuildSecrets, KernelFiles, Media, SeedLog, SeedPlace
from factory.plan.step import Scope, Step
from factory.steps.cpio import append_files
from factory.steps.fetch_media import MediaLibrary
from factory.steps.late import late_values
from factory.steps.machine_plan import host_seen_by_guest
from factory.template.boot_files import find_boot_files, kernel_version
from factory.template.model import DirectBoot, Loaded, SeedDelivery
from factory.template.seed import SeedFolder, extra_files, seed_names
from factory.template.verbatim_seed import VerbatimFolder, is_verbatim


class BuildSeed:
    """The answer files of a build, rendered at each read with what is known by then. Implements ``SeedSource``."""

    def __init__(
        self, loaded: Loaded, directory: Path | None, built: Mapping[str, Path], late: Callable[[], dict[str, Any]]
    ) -> None:
        self._loaded, self._directory, self._built, self._late = loaded, directory, built, late

    def names(self) -> Sequence[str]:
        return self._folder().names()

    def read(self, name: str) -> bytes | Path | None:
        return self._folder().read(name)

    def all(self) -> dict[str, bytes | Path]:
        """Every file, rendered. Raises: SeedError."""
        folder = self._folder()
        found = {name: folder.read(name) for name in folder.names()}
        return {name: content for name, content in found.items() if content is not None}

    def _folder(self) -> SeedSource:
        late = self._late()
        extra = extra_files(self._loaded, late, self._built)
        if is_verbatim(self._loaded):
            return VerbatimFolder(self._directory, extra)
        return SeedFolder(self._directory, seed_names(self._loaded, late), extra=extra)


def seed_ports(loaded: Loaded) -> range | None:
    ports = loaded.template.install.seed_ports if loaded.template.install else None
    return range(ports[0], ports[1] + 1) if ports else None


async def build_seed(scope: Scope, loaded: Loaded, directory: Path | None) -> BuildSeed:
    """Makes the seed files that scripts make, and the source over all of them."""
    built = {}
    for file in loaded.template.install.seed_files if loaded.template.install else ():
        if file.build:
            built[file.name] = (await scope.get(MediaLibrary).build(file.build, emit=scope.emit)).path
    return BuildSeed(loaded, directory, built, lambda: late_values(scope))


@dataclass(frozen=True, slots=True)
class ServeSeed(Step):
    """Serves the seed until the phase ends."""

    loaded: Loaded
    directory: Path | None

    needs: ClassVar[tuple[type, ...]] = (SeedServer, BuildSecrets, MediaLibrary)
    provides: ClassVar[tuple[type, ...]] = (SeedEndpoint, SeedPlace, SeedLog)

    @property
    def title(self) -> str:
        return "serve the seed over HTTP"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        source = await build_seed(scope, self.loaded, self.directory)
        log = SeedLog()

        def emit(event: Event) -> None:
            if isinstance(event, SeedRequested):
                log.lines.append(f"{event.method} {event.path} → {event.status} {event.message}".rstrip())
            scope.emit(event)

        async with scope.get(SeedServer).serve(source, emit=emit, ports=seed_ports(self.loaded)) as endpoint:
            scope.put_as(SeedEndpoint, endpoint)
            host = host_seen_by_guest(self.loaded.template.machine)
            scope.put(SeedPlace(f"http://{host}:{endpoint.port}/{endpoint.token}".rstrip("/")))
            scope.put(log)
            # An answer file with an error in it must not cost a boot: render them all once, now.
            await asyncio.to_thread(source.all)
            scope.detail(f"{len(source.names())} files on port {endpoint.port}")
            yield


@dataclass(frozen=True, slots=True)
class MakeSeedMedia(Step):
    """Puts the seed on a CD or floppy, which the machine is started with."""

    loaded: Loaded
    directory: Path | None
    delivery: SeedDelivery
    label: str

    needs: ClassVar[tuple[type, ...]] = (MediaMaker, BuildSecrets, MediaLibrary)
    provides: ClassVar[tuple[type, ...]] = (SeedPlace,)

    @property
    def title(self) -> str:
        return f"put the seed on a {'CD' if self.delivery is SeedDelivery.CD else 'floppy'} labelled {self.label}"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        source = await build_seed(scope, self.loaded, self.directory)
        files = await asyncio.to_thread(source.all)
        maker = scope.get(MediaMaker)
        # Answer files hold passwords: the media lie with the sockets (0700) and go with them.
        if self.delivery is SeedDelivery.CD:
            path = scope.runtime_dir / "seed.iso"
            await maker.make_cd(path, self.label, files)
            scope.put(SeedPlace(cd=path))
        else:
            path = scope.runtime_dir / "seed.img"
            await maker.make_floppy(path, self.label, files)
            scope.put(SeedPlace(floppy=path))
        yield


@dataclass(frozen=True, slots=True)
class ExtractKernel(Step):
    """Takes kernel and initrd out of the ISO, so that nothing has to be typed."""

    direct: DirectBoot

    needs: ClassVar[tuple[type, ...]] = (Media, MediaMaker)
    provides: ClassVar[tuple[type, ...]] = (KernelFiles,)

    @property
    def title(self) -> str:
        return "take kernel and initrd out of the ISO"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        media, maker = scope.get(Media), scope.get(MediaMaker)
        found = find_boot_files(self.direct, await maker.view(media.path))
        folder = scope.runtime_dir / "direct"
        folder.mkdir(mode=0o700, exist_ok=True)
        try:
            wanted = {found.kernel: folder / "kernel"}
            if found.initrd:
                wanted[found.initrd] = folder / "initrd"
            await maker.extract(media.path, wanted)
            version = _kernel_version(folder / "kernel", found.kernel)
            scope.put(KernelFiles(folder / "kernel", folder / "initrd" if found.initrd else None))
            scope.detail(f"{', '.join(wanted)}: Linux {version}, by {found.sign}")
            yield
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _kernel_version(path: Path, name: str) -> str:
    """Raises: StepError when QEMU could not boot it."""
    with path.open("rb") as stream:
        version = kernel_version(stream.read(64 * 1024))
    if version is None:
        hint = "name the right file under `direct:` in the boot profile, or write `boot: typed`"
        raise StepError(f"{name} in the ISO is no Linux kernel for a PC", hint=hint)
    return version


@dataclass(frozen=True, slots=True)
class InjectSeed(Step):
    """Appends the seed to the installer's initrd as one more cpio archive."""

    loaded: Loaded
    directory: Path | None

    needs: ClassVar[tuple[type, ...]] = (KernelFiles, BuildSecrets, MediaLibrary)
    provides: ClassVar[tuple[type, ...]] = (SeedPlace,)

    @property
    def title(self) -> str:
        return "put the seed into the initrd"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        initrd = scope.get(KernelFiles).initrd
        if initrd is None:
            raise SeedError("the installer has no initrd to put the seed into", hint="deliver the seed by http or cd")
        source = await build_seed(scope, self.loaded, self.directory)
        files = await asyncio.to_thread(source.all)
        injected = scope.runtime_dir / "direct" / "initrd-with-seed"
        await asyncio.to_thread(append_files, initrd, files, injected)
        scope.put(SeedPlace(initrd=injected))
        yield
