"""Which machines an artifact is booted as, and on which hardware."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.disk.driver_readiness import Drivers
from factory.drivers.machine_spec import Bus
from factory.errors import VerificationFailed
from factory.outputs.export import parse_request
from factory.outputs.hardware_for_verify import BUS_FALLBACKS, Firmware, choices, drives_nic, target_machine
from factory.outputs.model import Exported, Part
from factory.quantity import Duration, Size
from factory.steps.rebuild_initramfs import early_modules
from factory.template.output_options import OWN_KINDS
from factory.verify.boot_plan import at_once, companions, plan_boots
from factory.verify.model import NO_LOGIN, Boot, Request, Seen, Verdict
from factory.verify.prove import in_brief

pytestmark = pytest.mark.unit

ALL = frozenset({"virtio_blk", "mptsas", "ahci", "ata_piix", "e1000", "vmxnet3", "virtio_net", "vmw_pvscsi"})
RICH = Drivers("6.1", ALL, ALL)
CLOUD = frozenset({"virtio_blk", "virtio_scsi", "vmw_pvscsi", "ata_piix", "virtio_net", "vmxnet3"})
POOR = Drivers("6.1-cloud", CLOUD, CLOUD)


def exported(kind: str, name: str = "", disk: str = "main", **options: object) -> Exported:
    path = Path(name or f"x.{kind}")
    target = target_machine(parse_request(kind, options))
    return Exported(path, kind, Size(1), "0" * 64, parts=(Part(disk, path.name, "raw"),), target=target)


def machines(files: list[Exported], request: Request, drivers: Drivers = RICH) -> list[tuple[str, str]]:
    boots = plan_boots(files, request, drivers, Firmware.BIOS)
    return [(b.key, str(b.choices[0])) for b in boots]


def test_every_format_boots_on_its_target_s_hardware_and_the_first_twice() -> None:
    files = [exported("qcow2"), exported("ova"), exported("vhd"), exported("vhdx"), exported("gce")]
    files.insert(1, Exported(Path("x.bmap"), "bmap", Size(1), "0" * 64, sidecar=True))
    assert machines(files, Request(clones=2)) == [
        ("x.qcow2", "q35, virtio, virtio-net-pci"),
        ("x.qcow2-clone-2", "q35, virtio, virtio-net-pci"),
        ("x.ova", "q35, lsilogic, e1000"),
        ("x.vhd", "pc, ide, e1000"),
        ("x.vhdx", "q35, sata, e1000"),
        ("x.gce", "q35, virtio, virtio-net-pci"),  # this guest has no virtio_scsi
    ]


def test_formats_can_be_chosen() -> None:
    files = [exported("qcow2"), exported("ova"), exported("vhd")]
    assert [k for k, _ in machines(files, Request(formats="first", clones=1))] == ["x.qcow2"]
    assert [k for k, _ in machines(files, Request(formats=("vhd", "ova"), clones=2))] == [
        "x.ova", "x.ova-clone-2", "x.vhd",
    ]  # fmt: skip
    assert machines(files, Request(formats=())) == []
    with pytest.raises(VerificationFailed, match="no vmdk to boot") as caught:
        machines(files, Request(formats=("vmdk",)))
    assert "ova, qcow2, vhd" in caught.value.hint


def test_who_can_not_be_asked_is_not_cloned() -> None:
    assert len(machines([exported("qcow2")], Request(clones=4, login=NO_LOGIN))) == 1


def test_a_controller_s_driver_is_not_enough_without_the_one_that_makes_disks() -> None:
    """Seen: an initramfs made on virtio, to which vmw_pvscsi had been added, gave up waiting for its root."""
    every = CLOUD | {"sd_mod", "virtio_pci"}
    narrow = Drivers("6.1", every - {"sd_mod"}, every)
    (choice,) = plan_boots([exported("ova", controller="pvscsi")], Request(clones=1), narrow, Firmware.BIOS)[0].choices
    assert choice.bus is Bus.VIRTIO
    (choice,) = plan_boots([exported("ova", controller="pvscsi")], Request(clones=1), POOR, Firmware.BIOS)[0].choices
    assert choice.bus is Bus.PVSCSI, "what an older manifest does not name is no reason"


def test_what_is_put_into_an_initramfs_finds_disks_and_not_only_their_controllers() -> None:
    pvscsi, qcow2 = parse_request("vmdk", {"adapter": "pvscsi"}), parse_request("qcow2")
    assert early_modules([pvscsi]) == ("sd_mod", "vmw_pvscsi")
    assert early_modules([qcow2]) == ("virtio_blk", "virtio_pci", "virtio_scsi")


def test_a_guest_without_the_driver_boots_on_the_next_hardware_and_the_reason_is_kept() -> None:
    (choice,) = plan_boots([exported("ova")], Request(clones=1), POOR, Firmware.BIOS)[0].choices
    assert (choice.type, choice.bus, choice.nic) == ("q35", Bus.PVSCSI, "vmxnet3")
    assert choice.instead == "the guest's kernel 6.1-cloud has no driver for lsilogic and e1000"
    (choice,) = plan_boots([exported("vhd")], Request(clones=1), POOR, Firmware.BIOS)[0].choices
    assert (choice.type, choice.bus, choice.nic) == ("pc", Bus.IDE, "vmxnet3")
    assert choice.instead.endswith("no driver for e1000")


def test_an_unknown_guest_tries_its_target_first_and_then_virtio() -> None:
    tried = plan_boots([exported("ova")], Request(clones=1), Drivers(unknown="btrfs"), Firmware.BIOS)[0].choices
    assert [(c.bus, c.nic, bool(c.instead)) for c in tried] == [
        (Bus.LSILOGIC, "e1000", False), (Bus.VIRTIO, "virtio-net-pci", True),
    ]  # fmt: skip
    only = plan_boots([exported("qcow2")], Request(clones=1), Drivers(unknown="btrfs"), Firmware.BIOS)[0].choices
    assert len(only) == 1


def test_a_guest_that_drives_nothing_is_tried_on_its_target_all_the_same() -> None:
    target = target_machine(parse_request("ova"))
    assert target is not None
    (choice,) = choices(target, Drivers("5.0", frozenset(), frozenset()), Firmware.BIOS)
    assert (choice.bus, choice.nic) == (Bus.LSILOGIC, "e1000")
    assert not drives_nic(choice, Drivers("5.0", frozenset(), frozenset()))
    assert drives_nic(choice, Drivers(unknown="x"))


def test_secure_boot_has_no_ide() -> None:
    target = target_machine(parse_request("vhd"))
    assert target is not None
    (choice,) = choices(target, RICH, Firmware.SECURE_BOOT)
    assert (choice.type, choice.bus) == ("q35", Bus.SATA)
    assert "secure boot" in choice.instead


@pytest.mark.parametrize("kind", ["vmdk", "ova"])
def test_uefi_boots_from_no_controller_of_vmware_s(kind: str) -> None:
    (choice,) = plan_boots([exported(kind)], Request(clones=1), RICH, Firmware.UEFI)[0].choices
    assert choice.bus is Bus.SATA
    assert choice.instead == "the UEFI firmware of this host has no driver for lsilogic"
    (choice,) = plan_boots([exported(kind)], Request(clones=1), POOR, Firmware.UEFI)[0].choices
    assert choice.bus is Bus.IDE
    assert choice.instead.startswith("the UEFI firmware of this host has no driver for lsilogic; the guest's kernel ")
    tried = plan_boots([exported(kind)], Request(clones=1), Drivers(unknown="btrfs"), Firmware.UEFI)[0].choices
    assert [c.bus for c in tried] == [Bus.SATA, Bus.VIRTIO]


def test_every_output_has_a_target_and_every_bus_a_way_out() -> None:
    for kind in set(OWN_KINDS) - {"libvirt"}:
        assert target_machine(parse_request(kind)) is not None, kind
    assert set(BUS_FALLBACKS) == set(Bus)


def test_further_disks_belong_to_the_machine_of_their_own_output() -> None:
    files = [
        exported("raw", "a.b.raw"), exported("raw", "a.b-data.raw", "data"), exported("raw", "a.b.raw.zst"),
        exported("raw", "a.b-data.raw.zst", "data"), exported("qcow2", "a.b-data.qcow2", "data"),
    ]  # fmt: skip
    assert [f.path.name for f in companions(files[0], files, "a.b")] == ["a.b.raw", "a.b-data.raw"]
    assert [f.path.name for f in companions(files[2], files, "a.b")] == ["a.b.raw.zst", "a.b-data.raw.zst"]
    assert [k for k, _ in machines(files, Request(clones=1))] == ["a.b.raw", "a.b.raw.zst"]


@pytest.mark.parametrize(
    ("memory", "free", "cores", "expected"),
    [(512, 24_000, 2, 2), (2048, 4_000, 8, 1), (512, 100, 4, 1), (512, 8_000, 64, 9)],
)  # fmt: skip
def test_as_many_run_at_once_as_fit(memory: int, free: int, cores: int, expected: int) -> None:
    assert at_once(Size(memory * 2**20), Size(free * 2**20), cores) == expected


def test_a_request_travels_in_the_manifest() -> None:
    request = Request(("qcow2", "ova"), 3, ("true", "x 'y'"), "differs", True, ("a.service",), Duration(90), user="u")
    assert Request.from_json(request.to_json()) == request
    with pytest.raises(TypeError):
        Request.from_json({"nonsense": 1})


def seen(*, by: str = "", error: str = "") -> Seen:
    target = exported("qcow2")
    assert target.target is not None
    boot = Boot(target, 1, choices(target.target, RICH, Firmware.BIOS))
    return Seen(boot, by=by, error=VerificationFailed(error) if error else None)


@pytest.mark.parametrize(
    ("machines", "problems", "brief"),
    [
        ([seen(by="ssh"), seen(by="ssh")], (), "2 of 2 machines came up"),
        ([seen(by="ssh", error="'false' ended with 1")], (), "1 of 1 machines came up, 1 of them does not pass"),
        ([seen(error="the guest stopped"), seen(by="ssh")], (), "1 of 2 machines came up"),
        ([seen(by="ssh"), seen(by="ssh")], ("one machine-id twice",), "2 of 2 machines came up; one machine-id twice"),
    ],
)  # fmt: skip
def test_a_machine_whose_command_fails_has_come_up(machines: list[Seen], problems: tuple[str, ...], brief: str) -> None:
    assert in_brief(Verdict(Request(), machines, problems=problems)) == brief
