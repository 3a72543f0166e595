"""What is known of this computer: the parts by themselves, and all of it for real."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest

from factory.errors import HostError
from factory.host import accelerator, apt_sources, facts, qemu_facts
from factory.host.accelerator import Measurement
from factory.host.appliance import kernels
from factory.host.facts import HostFacts, collect, collect_all
from factory.host.qemu_facts import QemuFacts, pinned_types, try_qemu
from factory.quantity import Size

HELP = """\
Supported machines are:
microvm              microvm (i386)
pc                   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-9.10)
pc-i440fx-9.10       Standard PC (i440FX + PIIX, 1996) (default)
pc-i440fx-9.2        Standard PC (i440FX + PIIX, 1996)
pc-q35-4.0.1         Standard PC (Q35 + ICH9, 2009)
q35                  Standard PC (Q35 + ICH9, 2009) (alias of pc-q35-9.2)
pc-q35-9.2           Standard PC (Q35 + ICH9, 2009)
pc-q35-2.4           Standard PC (Q35 + ICH9, 2009) (deprecated)
pc-q35-noble         Ubuntu 24.04 PC (Q35 + ICH9, 2009)
isapc                ISA-only PC
"""


def make(**changes: Any) -> HostFacts:
    """A computer that can do everything."""
    qemu = QemuFacts(
        Path("/usr/bin/qemu-system-x86_64"),
        "7.2.22 (x)",
        ("pc-q35-7.2", "pc-i440fx-7.2"),
        (Measurement("tcg", 0.2), Measurement("kvm", 0.0, "there is no /dev/kvm")),
    )
    fields: dict[str, Any] = {
        "system": "Debian GNU/Linux 12 (bookworm)",
        "family": "debian",
        "kernel": "6.1",
        "python": "3.11.2",
        "cpus": 2,
        "cpu_name": "A CPU",
        "memory": Size.parse("8 GiB"),
        "memory_available": Size.parse("6 GiB"),
        "qemu": qemu,
        "qemu_problem": "",
        "firmware": (),
        "tools": {name: Path("/usr/bin") / name for name in facts.TOOLS},
        "spaces": {
            name: facts.Space(Path(f"/{name}"), Size.parse("50 GiB"), True) for name in ("cache", "output", "tmp")
        },
        "debian_mirror": "http://mirror/debian",
        "timezone": "Europe/Berlin",
    }
    return HostFacts(**{**fields, **changes})


@pytest.mark.unit
def test_machine_types_are_pinned_and_the_newest_is_first() -> None:
    types = pinned_types(HELP)
    assert types == ("pc-i440fx-9.10", "pc-q35-9.2", "pc-i440fx-9.2", "pc-q35-4.0.1")
    el9 = "pc-q35-rhel9.6.0 RHEL-9.6.0 PC (Q35 + ICH9, 2009)\npc-q35-rhel9.10.0 RHEL\npc-q35-9.2 upstream's\n"
    assert pinned_types(el9) == ("pc-q35-9.2", "pc-q35-rhel9.10.0", "pc-q35-rhel9.6.0")


@pytest.mark.unit
def test_what_qemu_offers_is_read_from_its_lists() -> None:
    devices = """Network devices:
name "e1000", bus PCI, alias "e1000-82540em", desc "Intel Gigabit Ethernet, alias \"no-alias\""
name "virtio-net-pci", bus PCI, alias "virtio-net"

Misc devices:
name "sga", bus ISA
"""
    assert qemu_facts.device_names(devices) == {"e1000", "e1000-82540em", "virtio-net-pci", "virtio-net", "sga"}
    for lead in ("x86 ", "  "):
        models = f"Available CPUs:\n{lead}486-v1\n{lead}max      Enables all\n\nRecognized CPUID flags:\n  aes avx\n"
        assert qemu_facts.cpu_names(models) == {"486-v1", "max"}


@pytest.mark.unit
def test_platform_is_what_plans_are_made_from() -> None:
    platform = make().platform
    assert platform.machine_types == {"q35": "pc-q35-7.2", "pc": "pc-i440fx-7.2"}
    assert (platform.accelerator, platform.cpu_model, platform.uefi) == ("tcg", "max", {})


@pytest.mark.unit
def test_a_computer_without_a_working_qemu_has_no_platform() -> None:
    with pytest.raises(HostError, match="QEMU is not installed"):
        _ = make(qemu=None).platform
    with pytest.raises(HostError, match="does not start: boom"):
        _ = make(qemu=None, qemu_problem="boom").platform
    qemu = make().qemu
    assert qemu is not None
    stuck = dataclasses.replace(qemu, accelerators=(Measurement("tcg", 30.0, "not done after 30s"),))
    with pytest.raises(HostError, match="runs no guest on this computer: tcg: not done"):
        _ = make(qemu=stuck).platform


@pytest.mark.unit
def test_templates_may_ask_for_what_this_host_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_timezone", lambda: "Europe/Berlin")
    monkeypatch.setattr(facts, "_debian_mirror", lambda release: "http://mirror/debian")
    names = make().template_names
    assert (names["mirror"], names["timezone"]) == ("http://mirror/debian", "Europe/Berlin")
    assert names["cpus"] >= 1
    monkeypatch.setattr(facts, "_debian_mirror", lambda release: "")
    assert "mirror" not in make().template_names  # so that `auto` says what to do, instead of giving nothing


@pytest.mark.unit
@pytest.mark.parametrize(
    ("release", "family"),
    [
        ({"ID": "debian"}, "debian"),
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, "debian"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "fedora"),
        ({"ID": "opensuse-leap", "ID_LIKE": "suse opensuse"}, "suse"),
        ({"ID": "arch"}, "arch"),
        ({"ID": "alpine"}, ""),
        ({}, ""),
    ],
)
def test_family_of_systems(release: dict[str, str], family: str) -> None:
    assert facts._family(release) == family


@pytest.mark.unit
def test_only_a_debian_host_says_where_debian_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt_sources, "main_archive", lambda codename: f"http://near/{codename}")
    assert facts._debian_mirror({"ID": "debian", "VERSION_CODENAME": "trixie"}) == "http://near/trixie"
    assert facts._debian_mirror({"ID": "ubuntu", "VERSION_CODENAME": "noble"}) == ""


@pytest.mark.unit
def test_space_is_that_of_the_nearest_folder(tmp_path: Path) -> None:
    space = facts._space(tmp_path / "not" / "yet")
    assert space.folder == tmp_path
    assert space.free > 0
    assert space.writable
    (tmp_path / "file").touch()
    assert not facts._space(tmp_path / "file" / "below").writable


@pytest.mark.unit
def test_what_keeps_a_folder_from_being_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "gone").symlink_to("/missing-disk/x")
    (tmp_path / "good").symlink_to(tmp_path)
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    gone = f"{tmp_path}/gone is a link to /missing-disk/x, which is not there"
    for name, words in (
        ("gone", gone),
        ("gone/below", gone),
        ("file", f"{tmp_path}/file is a file"),
        ("file/below/that", f"{tmp_path}/file is a file"),
        ("circle", f"{tmp_path}/circle is a link to {tmp_path}/circle, which is not there"),
        ("good/new", ""),
        ("new/below", ""),
    ):
        space = facts._space(tmp_path / name)
        assert space.in_the_way == words
        assert space.folder.is_dir()
        assert space.writable != bool(words)


@pytest.mark.unit
def test_kernels_need_their_modules_and_a_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boot, modules = tmp_path / "boot", tmp_path / "modules"
    for version in ("6.1", "6.2", "6.3"):
        (modules / version).mkdir(parents=True)
    boot.mkdir()
    for name in ("vmlinuz-6.1", "vmlinuz-6.3", "vmlinuz-6.9"):  # 6.9 has no modules
        (boot / name).touch()
    (modules / "6.2" / "vmlinuz").touch()  # as Fedora does
    monkeypatch.setattr(os, "access", lambda path, mode: "6.3" not in str(path))  # root may read everything
    readable, closed = kernels(boot, modules)
    assert readable == (modules / "6.2" / "vmlinuz", boot / "vmlinuz-6.1")
    assert closed == (boot / "vmlinuz-6.3",)


@pytest.mark.unit
def test_facts_are_plain_data() -> None:
    data = json.loads(json.dumps(make().to_json()))
    assert data["accelerator"] == "tcg"
    assert data["qemu"]["binary"] == "/usr/bin/qemu-system-x86_64"


@pytest.mark.machine
def test_this_computer(tmp_path: Path) -> None:
    found = asyncio.run(collect_all(tmp_path / "cache", output=tmp_path / "out"))
    assert found.accelerator
    assert found.loopback_problem == ""
    assert found.qemu is not None
    assert {"VGA", "e1000", "virtio-net-pci"} <= found.qemu.devices
    assert {"max", "host", "qemu64", "Skylake-Client"} <= found.qemu.cpu_models
    assert found.platform.machine_types.keys() == {"q35", "pc"}
    assert {"uefi", "uefi-secure"} <= found.platform.uefi.keys()
    assert found.platform.uefi["uefi-secure"].secure_boot
    assert found.debian_mirror.startswith("http") or "debian" not in found.system.lower()
    assert found.appliance is not None
    assert found.appliance.usable
    assert "TPM" in found.swtpm_version
    assert bool(found.libvirt_version) != bool(found.libvirt_problem)


@pytest.mark.machine
def test_the_verdict_is_remembered_until_something_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def measured(qemu: Path, compiled_in: Any) -> tuple[Measurement, ...]:
        asked.append("measured")
        return (Measurement("tcg", 0.2),)

    monkeypatch.setattr(accelerator, "measure_all", measured)
    first, second = (asyncio.run(collect(tmp_path)) for _ in range(2))
    assert asked == ["measured"]
    assert first.qemu == second.qemu
    monkeypatch.setattr(qemu_facts, "boot_id", lambda: "another boot")
    asyncio.run(collect(tmp_path))
    assert len(asked) == 2
    (tmp_path / "host" / "qemu.json").write_text("{")  # torn by somebody
    asyncio.run(collect(tmp_path))
    assert len(asked) == 3


@pytest.mark.machine
def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def measured(qemu: Path, compiled_in: Any) -> tuple[Measurement, ...]:
        return (Measurement("tcg", 0.2),)

    monkeypatch.setattr(accelerator, "measure_all", measured)
    (tmp_path / "host").write_text("a file where the folder should be")
    assert asyncio.run(collect(tmp_path)).accelerator == "tcg"


@pytest.mark.machine
def test_a_qemu_that_does_not_start_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "qemu-system-x86_64"
    broken.write_text("#!/bin/sh\necho 'libfoo.so: cannot open' >&2\nexit 127\n")
    broken.chmod(0o755)
    found, problem = asyncio.run(try_qemu(broken, tmp_path / "cache.json"))
    assert found is None
    assert "libfoo.so" in problem
    assert asyncio.run(try_qemu(None, tmp_path / "cache.json")) == (None, "")


@pytest.mark.machine
def test_loopback_works_here() -> None:
    assert facts.try_loopback() == ""
