"""A source image is taken as it is: never with a file that its key does not count."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from factory.drivers.protocols import DiskImages, ImageInfo
from factory.engine.scope import StepScope
from factory.errors import StepError
from factory.plan.resources import MachineState, Media
from factory.quantity import Size
from factory.steps.create_disks import ImportImage
from factory.template.model import Disk
from tests.disk.test_references import FLAT, SECRET, qcow2

pytestmark = pytest.mark.unit


class Images:
    def __init__(self) -> None:
        self.formats: list[str] = []

    async def info(self, path: Path, *, format: str = "") -> ImageInfo:
        self.formats.append(format)
        return ImageInfo(format, Size(2**30), Size(1))

    async def convert(self, *_: Any, source_format: str, **__: Any) -> None:
        self.formats.append(source_format)


def imported(content: bytes, folder: Path, format: str = "") -> list[str]:
    images, image = Images(), folder / "source.img"
    image.write_bytes(content)

    async def body() -> None:
        scope = StepScope(lambda event: None, "boot", folder, folder, folder)
        scope.put_as(cast(Any, DiskImages), images)
        scope.put(MachineState(folder))
        scope.put(Media(image, ""))
        async with ImportImage((Disk(id="main", size=Size(2**30)),), None, format).enter(scope):
            pass

    try:
        asyncio.run(body())
    except StepError:
        assert images.formats == [], "it was opened"
        raise
    return images.formats


@pytest.mark.parametrize("content", [qcow2(SECRET, "raw"), qcow2(data_file=SECRET), FLAT.encode()])
def test_a_source_image_that_refers_to_another_file_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"source\.img refers to another file"):
        imported(content, tmp_path)


def test_a_whole_one_is_opened_as_what_it_is(tmp_path: Path) -> None:
    assert imported(qcow2(), tmp_path) == ["qcow2", "qcow2"]
    assert imported(bytes(2**16), tmp_path) == ["raw", "raw"]


def test_the_format_that_the_template_names_is_the_one_that_counts(tmp_path: Path) -> None:
    assert imported(qcow2(SECRET), tmp_path, "raw") == ["raw", "raw"], "taken as it is, nothing is followed"
    with pytest.raises(StepError, match="does not begin as a vhdx does"):
        imported(qcow2(), tmp_path, "vhdx")
