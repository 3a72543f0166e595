"""CDs and floppies besides the installer and the seed, as they are really made."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from factory.cli.adapters import DiscMaker
from factory.drivers.iso_view import IsoView
from factory.drivers.protocols import MediaMaker
from factory.engine.scope import StepScope
from factory.events import ignore
from factory.plan.resources import BuildSecrets, FurtherMedia
from factory.steps.media import MakeMedia
from factory.template.model import Medium, SeedFile
from tests.steps.test_packer_contents import loaded, packer_folder

pytestmark = pytest.mark.machine
__all__ = ["packer_folder"]


def test_media_are_made_and_taken(folder: Path) -> None:
    files = (SeedFile(name="user-data", content="#cloud"), SeedFile(name="http", path="http"))
    media = (
        Medium(kind="cd", label="cidata", files=files), Medium(kind="cd", image="v.iso"),
        Medium(kind="floppy", files=files[:1]),
    )  # fmt: skip

    async def body() -> tuple[FurtherMedia, IsoView]:
        scope = StepScope(ignore, "install", folder, folder, folder)
        scope.put(BuildSecrets(folder / "key", "ssh-ed25519 A", {}))
        scope.put_as(MediaMaker, DiscMaker())
        async with MakeMedia(loaded(), media).enter(scope):
            made = scope.get(FurtherMedia)
            return made, await DiscMaker().view(made.cds[0])

    made, view = asyncio.run(body())
    assert view.volume_id == "cidata"
    assert {"user-data", "http/seed"} <= set(view.names)
    assert made.cds[1] == folder / "v.iso"
    assert made.floppies[0].stat().st_size == 1474560
