"""What would end a build later is told before it begins, all at once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from factory.errors import HostError
from factory.host.accelerator import Measurement
from factory.host.facts import HostFacts, Space
from factory.host.preflight import Needs, preflight, refuse
from factory.quantity import Size
from tests.host.test_doctor import APPLIANCE, accelerators, healthy, without

pytestmark = pytest.mark.unit

KVM = accelerators(Measurement("tcg", 0.2), Measurement("kvm", 0.1))
SMALL = Needs(memory=Size.parse("2 GiB"))


def offers() -> HostFacts:
    """A QEMU that says what it has."""
    assert KVM.qemu is not None
    devices, models = frozenset({"VGA", "e1000", "virtio-net-pci"}), frozenset({"max", "qemu64", "Skylake-Client-v1"})
    return dataclasses.replace(KVM, qemu=dataclasses.replace(KVM.qemu, devices=devices, cpu_models=models))


OFFERS = offers()


@pytest.fixture(autouse=True)
def firmware_has_a_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factory.host.facts.file_digest", lambda path: "digest")


def kvm(**changes: object) -> HostFacts:
    return dataclasses.replace(KVM, **changes)  # type: ignore[arg-type]


def test_a_computer_that_has_everything_gives_no_problem(tmp_path: Path) -> None:
    code = tmp_path / "code.fd"
    code.touch()
    needs = dataclasses.replace(
        SMALL, firmware="uefi-secure", tpm=True, seal=True, programs=("xorriso",), files=(code,), cache=Size(2**30)
    )
    assert preflight(needs, KVM) == ()


@pytest.mark.parametrize(
    ("needs", "facts", "message", "hint"),
    [
        (SMALL, kvm(qemu=None), "QEMU is not installed", "qemu-system-x86"),
        (dataclasses.replace(SMALL, machine_type="microvm"), KVM, "no machine type microvm", "qemu-system-x86"),
        (dataclasses.replace(SMALL, firmware="uefi"), kvm(firmware=()), "no uefi firmware", "ovmf"),
        (dataclasses.replace(SMALL, devices=("e10000",)), OFFERS, "no device 'e10000'", "did you mean 'e1000'?"),
        (dataclasses.replace(SMALL, devices=("vgaa",)), OFFERS, "no device 'vgaa'", "did you mean 'VGA'?"),
        (dataclasses.replace(SMALL, devices=("x",)), OFFERS, "no device 'x'", "-device help"),
        (dataclasses.replace(SMALL, cpu_model="nosuch"), OFFERS, "no CPU model 'nosuch'", "-cpu help"),
        (SMALL, kvm(tools=without("qemu-img")), "qemu-img is not installed", "qemu-utils"),
        (dataclasses.replace(SMALL, tpm=True), kvm(tools=without("swtpm")), "swtpm is not installed", "swtpm"),
        (
            dataclasses.replace(SMALL, seal=True),
            kvm(appliance=dataclasses.replace(APPLIANCE, kernel=None)),
            "can't be sealed",
            "supermin",
        ),
        (
            dataclasses.replace(SMALL, programs=("ansible-playbook",)),
            kvm(tools=without("ansible-playbook")),
            "ansible-playbook is not installed",
            "ansible-core",
        ),
        (dataclasses.replace(SMALL, bridges=("no-such-br",)), KVM, "no network bridge 'no-such-br'", "ip link"),
        (dataclasses.replace(SMALL, files=(Path("/no/such.fd"),)), KVM, "/no/such.fd is not there", "template"),
        (Needs(memory=Size.parse("16 GiB")), KVM, "need 16.2 GiB of memory, and this computer has 8 GiB", "less"),
        (
            SMALL,
            kvm(spaces={**healthy().spaces, "cache": Space(Path("/cache"), Size(2**40), False)}),
            "/cache is not writable",
            "FACTORY_CACHE",
        ),
        (
            Needs(memory=Size(0)),
            kvm(spaces={**healthy().spaces, "output": Space(Path("/"), Size(2**40), False, "/out is a file")}),
            "/out is a file: no folder can be made there",
            "--output",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_missing_is_an_error_with_a_way_out(needs: Needs, facts: HostFacts, message: str, hint: str) -> None:
    errors = [problem for problem in preflight(needs, facts) if problem.severity == "error"]
    assert len(errors) == 1
    assert message in errors[0].message
    assert hint in errors[0].hint
    with pytest.raises(HostError) as caught:
        refuse(errors)
    assert caught.value.message == errors[0].message


@pytest.mark.parametrize(
    ("needs", "facts", "message"),
    [
        (SMALL, healthy(), "no hardware acceleration"),
        (SMALL, kvm(memory_available=Size.parse("1 GiB")), "1 GiB are free"),
        (dataclasses.replace(SMALL, output=Size.parse("1 TiB")), KVM, "up to 1 TiB may be needed"),
    ],
)
def test_what_may_go_well_is_a_warning(needs: Needs, facts: HostFacts, message: str) -> None:
    (problem,) = preflight(needs, facts)
    assert problem.severity == "warning"
    assert message in problem.message
    refuse([problem])


def test_what_qemu_takes_or_may_take_is_no_problem() -> None:
    known = dataclasses.replace(SMALL, devices=("VGA", "e1000"), cpu_model="Skylake-Client-v1-x86_64-cpu")
    assert preflight(known, OFFERS) == ()
    unsaid = dataclasses.replace(SMALL, devices=("e10000",), cpu_model="nosuch")
    assert preflight(unsaid, KVM) == ()  # a QEMU that did not say what it has


def test_all_problems_come_at_once() -> None:
    needs = dataclasses.replace(SMALL, tpm=True, programs=("xorriso",))
    problems = preflight(needs, kvm(qemu=None, tools={}))
    assert len(problems) == 4
    with pytest.raises(HostError, match=r"QEMU is not installed; qemu-img .*; .*swtpm .*; xorriso") as caught:
        refuse(problems)
    assert "apt-get" in caught.value.hint


def test_a_port_that_somebody_has_is_told_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factory.host.preflight.is_taken", lambda protocol, address, port: port == 28222)
    wanted = (("tcp", "127.0.0.1", 28222), ("udp", "127.0.0.1", 53))
    (problem,) = preflight(dataclasses.replace(SMALL, forwards=wanted), KVM)
    assert problem.severity == "warning"
    assert problem.message == "port 28222 of 127.0.0.1 (tcp) is taken, and the machine is to have it"
