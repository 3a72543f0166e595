"""qemu-img: makes, measures, converts and compares disk images. Implements ``protocols.DiskImages``."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from factory.deadline import Deadline
from factory.drivers.full_disk import no_space_left, tells_full_disk
from factory.drivers.process import ProcessResult, run
from factory.drivers.protocols import ImageInfo
from factory.errors import CommandFailed, Evidence
from factory.events import Emit, ignore
from factory.quantity import Duration, Size

QUICK = Duration(120)
"""For what touches metadata only. The host may be loaded."""
LONG = Duration(4 * 3600)
"""For what reads or writes a whole disk."""
_JSON = Size(256 * 2**20)  # the map of a badly fragmented disk is long
_PROGRESS = re.compile(r"\((\d+(?:\.\d+)?)/100%\)")
_STEPS = 10_000  # qemu-img tells hundredths of a percent
_COMPARE_DIFFERENT = 1  # qemu-img(1), COMPARE
_LEAKED = 3  # qemu-img(1), CHECK: leaked clusters, but no corruption
_UNCHECKABLE = 63

OnProgress = Callable[[int, int], None]


class QemuImg:
    """Drives the ``qemu-img`` program. *emit* gets an event for each call."""

    def __init__(self, emit: Emit = ignore, *, program: str = "qemu-img") -> None:
        self._emit = emit
        self._program = program

    async def create(
        self,
        path: Path,
        *,
        size: Size | None,
        format: str = "qcow2",
        backing: str = "",
        backing_format: str = "qcow2",
        options: Mapping[str, str] | None = None,
    ) -> None:
        argv = ["create", "-q", "-f", format]
        if backing:
            # Naming the format of the base spares a guess that a guest could influence (a raw disk whose content looks
            # like qcow2).
            argv += ["-b", backing, "-F", backing_format]
            if size is not None:
                argv.append("-u")  # the base need not be there yet: a live layer gets its name when it is committed
        argv += [word for name, value in (options or {}).items() for word in ("-o", f"{name}={value}")]
        argv += [_name(path), *([str(int(size))] if size is not None else [])]
        await self._call(argv, QUICK, f"qemu-img to create {path.name}", writes=path)

    async def info(self, path: Path, *, format: str = "") -> ImageInfo:
        found = await self._json(["info", "-U", "--output=json", *_format("-f", format), _name(path)], path)
        return ImageInfo(
            format=str(found["format"]),
            virtual_size=Size(found["virtual-size"]),
            actual_size=Size(found.get("actual-size", 0)),
            backing_file=str(found.get("backing-filename", "")),
        )

    async def convert(
        self,
        source: Path,
        destination: Path,
        *,
        source_format: str,
        format: str,
        options: Sequence[str] = (),
        compress: bool = False,
        progress: OnProgress | None = None,
    ) -> None:
        """Writes *destination* under a temporary name and renames it: it is there whole, or not at all.

        *options* are words of the target's format (``subformat=streamOptimized``); *progress* gets (done, total).
        """
        part = destination.with_name(f".{destination.name}.part")
        # -W: out of order, and -m 16: in parallel, twice as fast where the CPU compresses. The result differs in the
        # order of its clusters only.
        speed = ["-W", "-m", "16"] if compress and format == "qcow2" else []
        argv = ["convert", "-f", source_format, "-O", format, *(["-c"] if compress else []), *speed]
        argv += ["-p"] if progress is not None else []
        argv += [word for value in options for word in ("-o", value)]
        told = _teller(progress) if progress is not None else None
        try:
            await self._call(
                [*argv, _name(source), _name(part)],
                LONG,
                f"qemu-img to write {destination.name}",
                on_line=told,
                writes=destination,
            )
            os.replace(part, destination)
        finally:
            part.unlink(missing_ok=True)
        if progress is not None:
            progress(_STEPS, _STEPS)

    async def check(self, path: Path, *, format: str) -> None:
        argv = ["check", "-q", "-f", format, _name(path)]
        await self._call(
            argv,
            LONG,
            f"qemu-img to check {path.name}",
            ok=(0, _LEAKED, _UNCHECKABLE),  # leaks waste space but lose nothing; raw has nothing to check
            hint=f"{path.name} is damaged: delete it and build again",
        )

    async def compare(self, first: Path, first_format: str, second: Path, second_format: str) -> bool:
        argv = ["compare", "-f", first_format, "-F", second_format, _name(first), _name(second)]
        result = await self._call(argv, LONG, f"qemu-img to compare {first.name} and {second.name}", ok=(0, 1))
        return result.exit_status != _COMPARE_DIFFERENT

    async def resize(self, path: Path, size: Size, *, format: str = "qcow2") -> None:
        """Grows, or shrinks (what is beyond the new end is lost)."""
        before = (await self.info(path, format=format)).virtual_size
        shrink = ["--shrink"] if size < before else []
        argv = ["resize", "-q", "-f", format, *shrink, _name(path), str(int(size))]
        await self._call(argv, QUICK, f"qemu-img to resize {path.name}", writes=path)

    async def rebase(self, path: Path, backing: str, backing_format: str = "qcow2") -> None:
        base = ["-b", backing, *(["-F", backing_format] if backing else [])]
        argv = ["rebase", "-q", "-u", "-f", "qcow2", *base, _name(path)]
        await self._call(argv, QUICK, f"qemu-img to rebase {path.name}", writes=path)

    async def map_extents(self, path: Path, *, format: str) -> Sequence[tuple[int, int]]:
        found = await self._json(["map", "--output=json", "-f", format, _name(path)], path, patience=LONG)
        extents: list[tuple[int, int]] = []
        for piece in found:
            if not piece["data"] or piece["zero"]:
                continue
            start, length = int(piece["start"]), int(piece["length"])
            if extents and sum(extents[-1]) == start:  # neighbours that only lie apart in the file
                extents[-1] = (extents[-1][0], extents[-1][1] + length)
            else:
                extents.append((start, length))
        return extents

    async def _json(self, argv: Sequence[str], path: Path, *, patience: Duration = QUICK) -> Any:
        result = await self._call(argv, patience, f"qemu-img to read {path.name}", keep=_JSON)
        try:
            return json.loads(result.stdout)
        except ValueError as error:
            raise CommandFailed(
                f"qemu-img {argv[0]} gave no JSON: {error}", evidence=Evidence(argv=result.argv, stderr=result.stderr)
            ) from error

    async def _call(
        self,
        argv: Sequence[str],
        patience: Duration,
        what: str,
        *,
        ok: Sequence[int] = (0,),
        keep: Size = Size(64 * 1024),
        on_line: Callable[[str], None] | None = None,
        hint: str = "",
        writes: Path | None = None,
    ) -> ProcessResult:
        """Raises: StoreError when *writes* grows on a disk that is full; else as ``process.run``."""
        try:
            return await run(
                [self._program, *argv],
                deadline=Deadline.after(patience, what),
                emit=self._emit,
                ok=ok,
                keep=keep,
                on_stdout_line=on_line,
                hint=hint,
            )
        except CommandFailed as error:
            if writes is None or not tells_full_disk(error.evidence.stderr):
                raise
            raise no_space_left(writes.parent, f"{writes.name} can't grow", error.evidence) from error


def _name(path: Path) -> str:
    """A file's name that qemu-img does not take for an option or a protocol (``nbd:…``): absolute."""
    return str(path.absolute())


def _format(switch: str, format: str) -> list[str]:
    return [switch, format] if format else []


def _teller(progress: OnProgress) -> Callable[[str], None]:
    def tell(line: str) -> None:
        match = _PROGRESS.search(line)
        if match:
            progress(round(float(match[1]) * 100), _STEPS)

    return tell
