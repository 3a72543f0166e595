"""The real Debian installer, without answers: its screens are read, and its first question is the cause."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.drivers.machine_spec import KernelSpec
from factory.quantity import Duration
from factory.steps.await_installer import AwaitPowerOff
from factory.steps.start_machine import Role, StartMachine
from factory.template.model import Finished
from tests.dossier.broken_build import Bench

pytestmark = [pytest.mark.machine, pytest.mark.timeout(300)]

INSTALLER = Path("/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64")


def test_the_debian_installer_asks_for_a_language(bench: Bench) -> None:
    """On a framebuffer, in colours and frames, in a font of its own (GNU Unifont): read by no serial line's help."""
    kernel = KernelSpec(INSTALLER / "linux", INSTALLER / "initrd.gz", "vga=788 no_timer_check --- quiet")
    spec = bench.spec(memory="1 GiB", kernel=kernel)
    ends = AwaitPowerOff(Finished.RESET, Duration(240), Duration(20))
    found = bench.fails(StartMachine(spec, Role.INSTALL), ends)
    assert found.verdict.rule == "installer-asks"
    assert found.verdict.sentence.startswith(
        "The installer is asking a question that its seed does not answer: “Select a language: "
    )
    assert "English" in found.record.screen
    # Names in scripts that no font here has stay unread: that is said of each sign, and none is guessed.
    assert "Basque                 -  Euskara" in found.record.screen
