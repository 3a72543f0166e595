"""Which accelerator wins, and that measuring is real."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from factory.host import accelerator
from factory.host.accelerator import GUEST, Measurement, closed_device, identity, is_good, measure, measure_all, winner
from factory.quantity import Duration

QEMU = Path("/usr/bin/qemu-system-x86_64")
TCG = Measurement("tcg", 0.2)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("kvm", "expected"),
    [
        (Measurement("kvm", 0.1), "kvm"),
        (Measurement("kvm", 0.25), "kvm"),  # on so small a task a good hypervisor may even be a little slower
        (Measurement("kvm", 5.2), "tcg"),  # opens, runs SeaBIOS, emulates every instruction
        (Measurement("kvm", 0.0, "failed to set MSR 0x10a"), "tcg"),
    ],
)
def test_the_fastest_that_finishes_wins(kvm: Measurement, expected: str) -> None:
    assert winner([TCG, kvm]) == expected
    assert winner([kvm, TCG]) == expected


@pytest.mark.unit
def test_what_is_there_alone_wins_and_nothing_wins_nothing() -> None:
    assert winner([Measurement("kvm", 9.0)]) == "kvm"
    assert winner([TCG]) == "tcg"
    assert winner([Measurement("tcg", 30, "not done")]) == ""
    assert winner([]) == ""
    assert is_good(Measurement("kvm", 9.0), None)
    assert not is_good(Measurement("kvm", 0.1, "no"), None)


@pytest.mark.unit
def test_guest_is_a_boot_sector() -> None:
    assert len(GUEST) == 512
    assert GUEST[510:] == b"\x55\xaa"
    # The two addresses that the code names: where long mode begins, and where the descriptor table's pointer is.
    assert GUEST[0x75:0x79] == b"\xb0L\xe6\xe9"
    assert GUEST[0xC0:0xC6] == b"\x17\x00\xa8\x7c\x00\x00"


@pytest.mark.unit
def test_a_device_that_cannot_be_opened_is_not_tried(tmp_path: Path) -> None:
    device = tmp_path / "kvm"
    assert closed_device("kvm", device) == f"there is no {device}"
    device.touch(mode=0o666)
    assert closed_device("kvm", device) == ""
    assert closed_device("tcg", tmp_path / "none") == ""


@pytest.mark.unit
def test_a_verdict_is_bound_to_boot_and_binary(tmp_path: Path) -> None:
    qemu = tmp_path / "qemu"
    qemu.write_text("1")
    first = identity(qemu, "boot 1")
    assert identity(qemu, "boot 1") == first
    assert identity(qemu, "boot 2") != first
    qemu.write_text("22")
    assert identity(qemu, "boot 1") != first


@pytest.mark.unit
@pytest.mark.parametrize(("later", "tries"), [((9.0,), 2), ((0.2,), 2)])
def test_a_slow_hypervisor_gets_a_second_try(
    monkeypatch: pytest.MonkeyPatch, later: tuple[float, ...], tries: int
) -> None:
    seconds = {"tcg": [0.2], "kvm": [8.0, *later]}
    asked: list[str] = []

    async def fake(qemu: Path, name: str, limit: Duration) -> Measurement:
        asked.append(name)
        return Measurement(name, seconds[name].pop(0))

    monkeypatch.setattr(accelerator, "measure", fake)
    monkeypatch.setattr(accelerator, "closed_device", lambda name: "")
    measured = asyncio.run(measure_all(QEMU, ["tcg", "kvm", "qtest"]))
    assert asked == ["tcg", *["kvm"] * tries]
    assert measured[1].seconds == min(8.0, *later)


@pytest.mark.unit
def test_the_limit_for_hypervisors_follows_what_tcg_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: dict[str, float] = {}

    async def fake(qemu: Path, name: str, limit: Duration) -> Measurement:
        limits[name] = limit
        return Measurement(name, 3.0)

    monkeypatch.setattr(accelerator, "measure", fake)
    monkeypatch.setattr(accelerator, "closed_device", lambda name: "")
    asyncio.run(measure_all(QEMU, ["tcg", "kvm"]))
    assert limits == {"tcg": 30.0, "kvm": 12.0}
    limits.clear()
    asyncio.run(measure_all(QEMU, ["kvm"]))
    assert limits == {"kvm": 30.0}


@pytest.mark.machine
def test_tcg_reaches_long_mode_and_ends() -> None:
    measured = asyncio.run(measure(QEMU, "tcg", Duration(60)))
    assert measured.finished, measured.problem
    assert measured.seconds > 0


@pytest.mark.machine
def test_an_accelerator_that_fails_says_why() -> None:
    measured = asyncio.run(measure(QEMU, "no-such-accelerator", Duration(60)))
    assert not measured.finished
    assert "no-such-accelerator" in measured.problem


@pytest.mark.machine
def test_a_guest_that_hangs_is_ended_and_its_progress_told(monkeypatch: pytest.MonkeyPatch) -> None:
    # `loop` becomes a jump to itself: long mode is reached and never left.
    monkeypatch.setattr(accelerator, "GUEST", GUEST.replace(b"\xe2\xfe", b"\xeb\xfe"))
    measured = asyncio.run(measure(QEMU, "tcg", Duration(5)))
    assert not measured.finished
    assert "it reached long mode" in measured.problem
    # A guest that ends early, by a triple fault or the like, has not finished either.
    monkeypatch.setattr(accelerator, "GUEST", b"\xb0\x10\xe6\xf4".ljust(510, b"\0") + b"\x55\xaa")
    early = asyncio.run(measure(QEMU, "tcg", Duration(60)))
    assert not early.finished
