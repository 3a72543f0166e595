"""What is said at the end of a build that made something besides files."""

from __future__ import annotations

import pytest

from factory.cli.report.artifacts import defined_domains
from factory.events import ArtifactReady

pytestmark = pytest.mark.unit


def test_a_domain_is_told_with_the_command_that_starts_it(capsys: pytest.CaptureFixture[str]) -> None:
    defined_domains(
        [
            ArtifactReady("/out/box/box.qcow2", "qcow2", 2**20, "virt-install …"),
            ArtifactReady("qemu:///system box", "libvirt", 3 * 2**20, "virsh -c qemu:///system start box"),
        ]
    )
    assert capsys.readouterr().out == (
        "  qemu:///system box  libvirt  3 MiB\n      virsh -c qemu:///system start box\n"
    )
