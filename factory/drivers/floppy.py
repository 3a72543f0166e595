"""1.44 MB floppy images, by mtools: no root, no mount."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from factory.deadline import Deadline
from factory.drivers import process
from factory.errors import CommandFailed, StepError
from factory.events import Emit, ignore
from factory.opening import read_content
from factory.quantity import Duration

CAPACITY_SECTORS = 2880
SECTOR = 512
_PATIENCE = Duration(60)


async def make_floppy(path: Path, label: str, files: Mapping[str, bytes | Path], *, emit: Emit = ignore) -> None:
    """Writes a FAT12 image with *files*, whole or not at all.

    Raises: StepError when they don't fit; HostError when mtools is not installed.
    """
    size = sum(c.stat().st_size if isinstance(c, Path) else len(c) for c in files.values())
    if size > (CAPACITY_SECTORS - 33) * SECTOR:
        raise StepError(
            f"the seed has {size} bytes and a floppy holds {(CAPACITY_SECTORS - 33) * SECTOR}",
            hint="deliver it on a CD (`seed: cd`) or over HTTP",
        )
    deadline = Deadline.after(_PATIENCE, "the floppy to be made")
    draft = path.with_name(f".{path.name}.part")
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        folder = Path(scratch)
        for name, content in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(read_content(content) if isinstance(content, Path) else content)
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_CREAT | os.O_WRONLY, 0o600))
        try:
            os.truncate(draft, CAPACITY_SECTORS * SECTOR)
            await process.run(
                ["mformat", "-i", str(draft), "-f", "1440", "-v", label[:11].upper(), "::"],
                deadline=deadline,
                emit=emit,
            )
            tops = sorted(str(p) for p in folder.iterdir())
            if tops:
                await process.run(
                    ["mcopy", "-s", "-Q", "-i", str(draft), *tops, "::"], deadline=deadline, emit=emit,
                )  # fmt: skip
            draft.rename(path)
        except CommandFailed as error:
            raise StepError(f"the floppy can't be made: {error.message}", evidence=error.evidence) from error
        finally:
            draft.unlink(missing_ok=True)
