"""Files that a script builds: on a disk that is full, and from inputs that change meanwhile."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import Any

import pytest

from factory.engine.media import Library
from factory.errors import CommandFailed, Evidence, FactoryError, StoreError
from factory.template.model import BuiltFile

pytestmark = pytest.mark.unit


class Script:
    """Programs of which the only one leaves a part beside its file, says something and fails."""

    def __init__(self, stderr: str = "", logged: str = "", error: OSError | None = None) -> None:
        self.stderr, self.logged, self.error = stderr, logged, error

    async def run(self, argv: list[str], *, log: Path, **options: Any) -> None:
        draft = Path(argv[1])
        draft.with_name(f"{draft.name}.part.123").write_text("half")
        draft.with_name(f"{draft.name}.work").mkdir()
        log.write_text(self.logged)
        if self.error:
            raise self.error
        evidence = Evidence(argv=tuple(argv), exit_status=1, stderr=self.stderr)
        raise CommandFailed("make-iso ended with status 1", evidence=evidence)


def fails(tmp_path: Path, script: Script) -> FactoryError:
    (tmp_path / "make-iso").write_text("#!/bin/sh\n")
    unused: Any = None
    programs: Any = script
    library = Library(tmp_path / "store", tmp_path, tmp_path, programs, unused)
    with pytest.raises(FactoryError) as caught:
        asyncio.run(library.build(BuiltFile(script="make-iso"), emit=lambda event: None))
    left = [path.name for path in (tmp_path / "store" / "built").iterdir() if path.suffix != ".lock"]
    assert left == [], "what the script left fills the disk"
    return caught.value


SAID = "cp: error writing '/store/x.part.123': No space left on device"


@pytest.mark.parametrize("script", [Script(stderr=f"begin\n{SAID}\n"), Script(stderr="failed", logged=f"{SAID}\n")])
def test_a_script_that_finds_the_disk_full_is_no_failure_of_the_script(tmp_path: Path, script: Script) -> None:
    error = fails(tmp_path, script)
    assert isinstance(error, StoreError)
    assert error.message == f"make-iso has no space left for its file: {SAID}"
    assert "FACTORY_CACHE" in error.hint
    assert error.evidence.exit_status == 1
    assert isinstance(error.__cause__, CommandFailed)


def test_a_disk_that_is_full_for_us_is_told(tmp_path: Path) -> None:
    error = fails(tmp_path, Script(error=OSError(errno.ENOSPC, "No space left on device")))
    assert isinstance(error, StoreError)
    assert "no space left in" in error.message


def test_any_other_failure_stays_what_it_is(tmp_path: Path) -> None:
    assert isinstance(fails(tmp_path, Script(stderr="no such option")), CommandFailed)


class Edited(Script):
    """A script that somebody saves while it runs."""

    async def run(self, argv: list[str], **options: Any) -> None:
        Path(argv[1]).write_text("made by the old one")
        Path(argv[0]).write_text("#!/bin/sh\necho edited\n")


def test_what_an_edited_script_made_is_not_stored_under_its_old_content(tmp_path: Path) -> None:
    error = fails(tmp_path, Edited())
    assert error.message == "make-iso, or what it reads, changed while it made its file"
