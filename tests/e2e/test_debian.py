"""The real Debian installer, up to the moment in which it has its answers; the whole is `make demo-debian`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command import Place, reaches

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

INSTALLER = Path("/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/initrd.gz")


@pytest.mark.skipif(not INSTALLER.exists(), reason="needs the package debian-installer-12-netboot-amd64")
def test_the_debian_installer_fetches_its_preseed_after_a_typed_boot_command(place: Place) -> None:
    outcome = place.build("images/debian-netboot.yml", until=reaches("step_finished", step="await-seed-fetch"))
    assert outcome.code == -9, outcome.stderr or outcome.events[-1]
    typed = outcome.named("typed")
    assert typed
    assert typed[0]["characters"] > 100
    assert ("/preseed.cfg", 200) in [(r["path"], r["status"]) for r in outcome.named("seed_requested")]
    assert place.left_over() == []
