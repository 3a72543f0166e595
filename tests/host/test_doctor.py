"""Every check and its way out; each of them fails for its own reason alone."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from factory.host import doctor
from factory.host.accelerator import Measurement
from factory.host.appliance import ApplianceFacts
from factory.host.doctor import Check, State, able, diagnose, install
from factory.host.facts import HostFacts, Space
from factory.host.firmware import Firmware
from factory.quantity import Size
from tests.host.test_facts import make

pytestmark = pytest.mark.unit

FIRMWARE = Firmware(
    Path("/f/60.json"), "plain", Path("/f/code"), "raw", Path("/f/vars"), "raw", ("x86_64",), ("pc-q35-*",), frozenset()
)
SECURE = dataclasses.replace(
    FIRMWARE, features=frozenset({"secure-boot", "enrolled-keys", "requires-smm"}), descriptor=Path("/f/40.json")
)
APPLIANCE = ApplianceFacts(Path("/usr/bin/python3"), "1.48.6", Path("/usr/bin/supermin"), Path("/boot/vmlinuz"))


def healthy(**changes: Any) -> HostFacts:
    fields = {
        "firmware": (SECURE, FIRMWARE),
        "appliance": APPLIANCE,
        "swtpm_version": "TPM emulator version 0.7.1, Copyright",
        "libvirt_version": "9.0.0",
    }
    return make(**{**fields, **changes})


def without(*tools: str) -> dict[str, Path]:
    return {name: path for name, path in healthy().tools.items() if name not in tools}


def space(free: str = "50 GiB", *, writable: bool = True, **where: Any) -> dict[str, Space]:
    spaces = dict(healthy().spaces)
    name = where["name"]
    return {**spaces, name: Space(Path(f"/{name}"), Size.parse(free), writable)}


def accelerators(*measured: Measurement) -> HostFacts:
    qemu = healthy().qemu
    assert qemu is not None
    return healthy(qemu=dataclasses.replace(qemu, accelerators=measured))


def test_a_computer_that_has_everything_is_able() -> None:
    checks = diagnose(healthy())
    assert able(checks)
    assert {check.state for check in checks} == {State.OK}
    assert all(check.detail and check.needed_for for check in checks)
    assert len({check.name for check in checks}) == len(checks)


TCG_STUCK = Measurement("tcg", 30.0, "not done after 30s; it reached real mode")
NO_KERNEL = dataclasses.replace(APPLIANCE, kernel=None)


@pytest.mark.parametrize(
    ("facts", "name", "state", "remedy"),
    [
        (healthy(qemu=None), "qemu", State.MISSING, "qemu-system-x86"),
        (healthy(qemu=None, qemu_problem="libfoo"), "qemu", State.BROKEN, "qemu-system-x86"),
        (healthy(tools=without("qemu-img")), "qemu-img", State.MISSING, "qemu-utils"),
        (accelerators(TCG_STUCK), "accelerator", State.BROKEN, "reinstall"),
        (healthy(appliance=dataclasses.replace(APPLIANCE, interpreter=None)), "libguestfs", State.MISSING, "python3-g"),
        (healthy(appliance=dataclasses.replace(APPLIANCE, supermin=None)), "supermin", State.MISSING, "supermin"),
        (healthy(appliance=NO_KERNEL), "appliance kernel", State.MISSING, "linux-image-cloud-amd64"),
        (
            healthy(appliance=dataclasses.replace(NO_KERNEL, unreadable_kernels=(Path("/boot/vmlinuz-6"),))),
            "appliance kernel",
            State.BROKEN,
            "chmod 0644 /boot/vmlinuz-6",
        ),
        (healthy(spaces=space("2 GiB", name="cache")), "space: cache", State.BROKEN, "FACTORY_CACHE"),
        (healthy(spaces=space(writable=False, name="output")), "space: output", State.BROKEN, "--output"),
        (healthy(spaces=space("100 MiB", name="tmp")), "space: tmp", State.BROKEN, "TMPDIR"),
        (healthy(memory_available=Size.parse("1 GiB")), "memory", State.BROKEN, "memory"),
        (healthy(loopback_problem="Operation not permitted"), "ports", State.BROKEN, "127.0.0.1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_main_job_needs(facts: HostFacts, name: str, state: State, remedy: str) -> None:
    checks = diagnose(facts)
    blocking = [check for check in checks if check.blocks]
    assert [(check.name, check.state) for check in blocking] == [(name, state)]
    assert remedy in blocking[0].remedy
    assert not able(checks)


@pytest.mark.parametrize(
    ("facts", "name", "remedy"),
    [
        (healthy(firmware=(SECURE,)), "uefi", "ovmf"),
        (healthy(firmware=(FIRMWARE,)), "uefi with secure boot", "ovmf"),
        (healthy(tools=without("swtpm")), "swtpm", "swtpm"),
        (healthy(libvirt_version="", libvirt_problem="Failed to connect"), "libvirt", "libvirt-daemon-system"),
        (healthy(tools=without("xorriso")), "xorriso", "xorriso"),
        (healthy(tools=without("ansible-playbook")), "ansible-playbook", "ansible-core"),
        (healthy(tools=without("bmaptool")), "bmaptool", "bmap-tools"),
        (healthy(tools=without("mmdebstrap")), "mmdebstrap", "mmdebstrap"),
        (healthy(tools=without("virt-v2v")), "virt-v2v", "virt-v2v"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_only_some_jobs_need_blocks_nothing(facts: HostFacts, name: str, remedy: str) -> None:
    checks = diagnose(facts)
    optional = [check for check in checks if check.state is not State.OK]
    assert [(check.name, check.state) for check in optional] == [(name, State.OPTIONAL)]
    assert remedy in optional[0].remedy
    assert able(checks)


def test_a_qemu_without_a_machine_type() -> None:
    qemu = healthy().qemu
    assert qemu is not None
    checks = diagnose(healthy(qemu=dataclasses.replace(qemu, machine_types=("pc-q35-rhel9.6.0",))))
    missing = [check for check in checks if check.state is not State.OK]
    assert [(check.name, check.detail) for check in missing] == [("machine types", "this QEMU has no pc")]


def accelerator_check(facts: HostFacts) -> Check:
    return next(check for check in diagnose(facts) if check.name == "accelerator")


def test_accelerators_are_told_with_their_measurements() -> None:
    slow = accelerator_check(accelerators(Measurement("tcg", 0.2), Measurement("kvm", 5.2)))
    assert slow.detail == "tcg (measured: tcg 200ms, kvm 5.2s)"
    assert slow.remedy == ""
    closed = Measurement("kvm", 0.0, "/dev/kvm may not be opened by this user")
    assert "usermod -aG kvm" in accelerator_check(accelerators(Measurement("tcg", 0.2), closed)).remedy
    absent = Measurement("kvm", 0.0, "there is no /dev/kvm")
    assert "virtualisation" in accelerator_check(accelerators(Measurement("tcg", 0.2), absent)).remedy
    good = accelerator_check(accelerators(Measurement("tcg", 0.2), Measurement("kvm", 0.1)))
    assert good.detail.startswith("kvm ")


def test_little_space_is_enough_for_small_images_and_says_so() -> None:
    check = next(c for c in diagnose(healthy(spaces=space("5 GiB", name="cache"))) if c.name == "space: cache")
    assert check.state is State.OK
    assert "10 GiB are better" in check.detail


def test_remedies_name_the_packages_of_the_system() -> None:
    assert install("debian", "guestfs", "supermin") == (
        "apt-get install --no-install-recommends python3-guestfs libguestfs-tools supermin"
    )
    assert install("fedora", "qemu", "ovmf") == "dnf install qemu-system-x86 edk2-ovmf"
    assert install("suse", "mmdebstrap") == "not packaged for this system"
    assert install("", "ovmf") == "install the package (on debian: ovmf; on fedora: edk2-ovmf)"


def test_every_package_has_a_name_on_every_family() -> None:
    assert all(names.keys() == doctor._INSTALL.keys() for names in doctor._PACKAGES.values())


def test_checks_are_plain_data() -> None:
    data = json.loads(json.dumps([check.to_json() for check in diagnose(healthy(qemu=None))]))
    assert data[0] == {
        "name": "qemu",
        "state": "missing",
        "detail": "not found",
        "needed_for": "every build",
        "remedy": "apt-get install --no-install-recommends qemu-system-x86",
    }
