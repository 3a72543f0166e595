"""libguestfs is looked for when a step needs it, and not before: Packer's templates build without it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from factory.cli.compose import base_scope
from factory.cli.given import media_library
from factory.cli.places import Places
from factory.deadline import Deadline
from factory.drivers import protocols
from factory.drivers.guestfs import environment
from factory.drivers.protocols import DiskAccess
from factory.drivers.screen.recorder import EVIDENCE
from factory.engine.run_control import RunControl
from factory.engine.run_directory import open_run
from factory.errors import HostError
from factory.quantity import Duration
from factory.secret import Redactor
from factory.template.load import load_all
from tests.host.test_preflight import kvm

pytestmark = pytest.mark.unit
TEMPLATE = """source "qemu" "vm" {
  iso_url      = "http://example.com/a.iso"
  iso_checksum = "none"
  ssh_username = "root"
}
build {
  sources = ["source.qemu.vm"]
}
"""


def test_a_computer_without_libguestfs_is_told_so_by_the_first_launch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.pkr.hcl").write_text(TEMPLATE)
    (loaded,) = load_all(tmp_path / "t.pkr.hcl")
    monkeypatch.setattr(environment, "interpreters", tuple)
    with open_run(tmp_path, "tiny") as run:
        scope = base_scope(
            name="tiny", run=run, facts=kvm(), cache=tmp_path,
            library=media_library(Places(tmp_path, tmp_path), tmp_path, tmp_path),
            redactor=Redactor(), emit=lambda event: None,
            loaded=loaded, fonts=tmp_path, control=RunControl(run.path), limits=EVIDENCE,
        )  # fmt: skip
        driver = scope.get(protocols.ApplianceDriver)  # type: ignore[type-abstract]

        async def launched() -> None:
            deadline = Deadline.after(Duration(5), "the appliance")
            async with driver.launch(
                [], access=DiskAccess.READ_ONLY, runtime_dir=tmp_path, deadline=deadline, emit=lambda event: None
            ):
                pass

        with pytest.raises(HostError, match="no Python on this computer can import guestfs"):
            asyncio.run(launched())
