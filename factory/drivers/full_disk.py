"""What a driver raises when a disk of this computer is full, whoever has noticed: a program, QEMU, or a call."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from factory.errors import Evidence, StoreError
from factory.quantity import Size

_SAID = re.compile(r"No space left on device|Disk quota exceeded")
"""What the C library calls ENOSPC and EDQUOT; programs run without translations (``drivers/process``)."""


def tells_full_disk(output: str) -> bool:
    """Whether a program that wrote on this computer says in *output* that its disk is full."""
    return _SAID.search(output) is not None


def no_space_left(place: Path, why: str, evidence: Evidence | None = None) -> StoreError:
    """The error that names the file system *place* is on. *why* completes "no space left in …:"."""
    # A layer in the making moves while its machine runs.
    folder = next((f for f in (place, *place.parents) if f.is_dir()), place)
    return StoreError(
        f"no space left in {folder} ({Size(shutil.disk_usage(folder).free)} free): {why}",
        hint="free space there, run `factory cache gc`, or set FACTORY_CACHE or --output to a larger disk",
        evidence=evidence,
    )
