"""What moves into the next layer's folder while the guest stands still."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.engine.machine_state import move_on
from factory.plan.resources import MachineState, TpmAt

pytestmark = pytest.mark.unit


def test_a_running_tpm_goes_on_in_the_next_folder(tmp_path: Path) -> None:
    (tmp_path / "done" / "tpm").mkdir(parents=True)
    (tmp_path / "done" / "tpm" / "state").write_text("one")
    (tmp_path / "done" / "uefi-variables.fd").write_text("variables")
    (tmp_path / "next").mkdir()
    link = tmp_path / "tpm-state"
    link.symlink_to(tmp_path / "done" / "tpm")
    move_on(tmp_path / "done", MachineState(tmp_path / "next"), TpmAt(tmp_path / "tpm.sock", link))
    (link / "state").write_text("two")
    assert (tmp_path / "done" / "tpm" / "state").read_text() == "one"
    assert (tmp_path / "next" / "tpm" / "state").read_text() == "two"
    assert (tmp_path / "next" / "uefi-variables.fd").read_text() == "variables"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["done", "next", "tpm-state"]
