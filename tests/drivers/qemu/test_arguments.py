"""Command lines, held by golden files; among them those that this project's own machines can't run (KVM)."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factory.drivers.machine_spec import (
    Bus,
    CdromSpec,
    CpuSpec,
    Discard,
    DiskSpec,
    FloppySpec,
    Forward,
    KernelSpec,
    MachineSpec,
    NicSpec,
    Reboot,
    TpmSpec,
    UefiSpec,
)
from factory.drivers.qemu.argument import escape, option
from factory.drivers.qemu.arguments import Channels, arguments
from factory.quantity import Size
from tests.conftest import Golden

pytestmark = pytest.mark.unit

RUN = Path("/run/f")
NIC = NicSpec("nic0", forwards=(Forward(22),))
DISK = DiskSpec("main", Path("/l/disk.qcow2"), boot_index=0)
CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")


def spec(**changes: Any) -> MachineSpec:
    fields: dict[str, Any] = {
        "name": "debian-12",
        "binary": "qemu-system-x86_64",
        "machine_type": "pc-q35-7.2",
        "accelerator": "tcg",
        "memory": Size.parse("2 GiB"),
        "cpu": CpuSpec(count=2),
        "disks": (DISK,),
        "nics": (NIC,),
        "serial_log": Path("/logs/serial.log"),
    }
    return MachineSpec(**{**fields, **changes})


def every_bus(machine_type: str) -> MachineSpec:
    return spec(
        machine_type=machine_type,
        disks=tuple(DiskSpec(f"d-{b}", Path(f"/l/{b}"), "raw", b, n, serial=f"s{n}") for n, b in enumerate(Bus)),
        cdroms=tuple(CdromSpec(f"c-{b}", Path("/l/iso"), b) for b in Bus if b is not Bus.NVME),
        floppies=(FloppySpec("fd0", Path("/l/floppy")), FloppySpec("fd1", Path("/l/floppy2"))),
    )


MACHINES = {
    "install-bios-tcg": spec(
        machine_type="pc-i440fx-7.2", cdroms=(CdromSpec("installer", Path("/iso/debian,12.iso"), boot_index=1),)
    ),
    "install-uefi-kvm": spec(
        accelerator="kvm",
        uefi=UefiSpec(CODE, Path("/l/vars.fd")),
        cdroms=(CdromSpec("installer", Path("/iso/debian.iso"), Bus.SATA, 1), CdromSpec("seed", None, Bus.SATA)),
    ),
    "secure-boot-tpm-kvm": spec(
        accelerator="kvm",
        uefi=UefiSpec(Path("/fw/code.qcow2"), Path("/l/vars.fd"), "qcow2", secure_boot=True),
        tpm=TpmSpec(Path("/run/f/tpm.sock")),
        usb_tablet=True,
        rtc="localtime",
    ),
    "direct-kernel-tcg": spec(
        kernel=KernelSpec(Path("/iso/vmlinuz"), Path("/iso/initrd.gz"), "console=ttyS0 url=http://10.0.2.2:80/a,b")
    ),
    "resume-live-layer-kvm": spec(
        accelerator="kvm", incoming=Path("/l/the memory"), reboot=Reboot.RESETS, display="none"
    ),
    "every-bus-pc": every_bus("pc-i440fx-7.2"),
    "every-bus-q35": every_bus("pc-q35-7.2"),
    "odd-disks": spec(
        disks=(
            DiskSpec("in-ova", Path("/o/a.ova"), "vmdk", read_only=True, offset=1536, length=9216),
            DiskSpec("part", Path("/o/a.raw"), "raw", offset=512, length=1024, discard=Discard.IGNORE, flush=True),
            DiskSpec("big-sectors", Path("/o/4k.qcow2"), bus=Bus.SCSI, logical_block_size=4096),
        ),
        cpu=CpuSpec("Nehalem", 4, 1, 2, 2),
        nics=(NicSpec("nic0", "e1000e", "52:54:00:00:00:01", restricted=True), NicSpec("nic1", bridge="br0")),
        bios=Path("/fw/bios.bin"),
    ),
}


@pytest.mark.parametrize("name", MACHINES)
def test_command_line(name: str, golden: Golden) -> None:
    argv = arguments(MACHINES[name], runtime_dir=RUN, channels=Channels(qmp=11, serial=12, observer=13))
    text = shlex.join(argv).replace(" -", " \\\n  -")
    golden.check(f"argv/{name}.txt", text + "\n")


def test_for_pasting_the_channels_are_sockets() -> None:
    argv = arguments(spec(), runtime_dir=RUN)
    assert "socket,id=factory-qmp,path=/run/f/qmp.sock,server=on,wait=off" in argv
    assert not any("fd=" in word for word in argv)


def test_extra_arguments_come_last_as_they_are() -> None:
    assert arguments(spec(extra_args=("-device", "pvpanic")), runtime_dir=RUN)[-2:] == ("-device", "pvpanic")


def test_options_of_the_users_win_over_ours() -> None:
    nic = NicSpec(
        "nic0", forwards=(Forward(22), Forward(53, 5353, "udp", "192.0.2.1", "10.0.2.20")),
        network=("ipv6=on", "dnssearch=a", "dnssearch=b", "tftp=/a,b"), device=("romfile=x.rom", "mq=on"),
    )  # fmt: skip
    disk = replace(DISK, serial="S1", logical_block_size=4096, device=("physical_block_size=8192", "rotation_rate=1"))
    argv = arguments(spec(nics=(nic,), disks=(disk,)), runtime_dir=RUN)
    assert argv[argv.index("-netdev") + 1] == (
        "user,id=user.0,hostfwd=tcp:127.0.0.1:0-:22,hostfwd=udp:192.0.2.1:5353-10.0.2.20:53,"
        "ipv6=on,dnssearch=a,dnssearch=b,tftp=/a,,b"
    )
    (card,) = (word for word in argv if word.startswith("virtio-net-pci"))
    assert card.endswith(",mq=on")
    assert ",romfile=x.rom," in card
    (attached,) = (word for word in argv if word.startswith("virtio-blk-pci"))
    for option_text in ("serial=S1", "logical_block_size=4096", "physical_block_size=8192", "rotation_rate=1"):
        assert f",{option_text}" in attached


def switches(machine: MachineSpec) -> list[str]:
    return [word for word in arguments(machine, runtime_dir=RUN) if word.startswith("-")]


@pytest.mark.parametrize(
    ("replaced", "lost"),
    [
        ("m", {"-m"}),
        ("serial", {"-serial"}),
        ("display", {"-display"}),
        ("netdev", {"-netdev"}),
        ("machine", {"-machine"}),
        ("cpu", {"-cpu"}),
    ],
)
def test_a_replaced_switch_takes_the_generated_one_away(replaced: str, lost: set[str]) -> None:
    before, after = switches(spec()), switches(spec(replaced_switches=frozenset({replaced})))
    assert set(before) - set(after) == lost


def test_replacing_drives_keeps_the_firmware_and_takes_the_disks_devices() -> None:
    machine = spec(uefi=UefiSpec(CODE, Path("/l/vars.fd")), cdroms=(CdromSpec("cd", Path("/i"), Bus.SCSI),))
    text = " ".join(arguments(replace(machine, replaced_switches=frozenset({"drive"})), runtime_dir=RUN))
    assert "node-name=firmware-code" in text
    assert "virtio-net-pci" in text
    assert "virtio-blk-pci" not in text
    assert "main-format" not in text
    assert "scsi-cd" not in text


def test_replacing_devices_takes_the_cards_but_not_the_disks() -> None:
    text = " ".join(arguments(spec(replaced_switches=frozenset({"device"})), runtime_dir=RUN))
    assert "virtio-net-pci" not in text
    assert "user,id=user.0" in text
    assert "virtio-blk-pci,id=main" in text


@pytest.mark.parametrize("switch", ["chardev", "mon", "S", "nodefaults", "action", "object", "incoming"])
def test_what_drives_the_machine_is_never_replaced(switch: str) -> None:
    machine = spec(incoming=Path("/l/memory"))
    assert switches(machine) == switches(replace(machine, replaced_switches=frozenset({switch})))


def test_the_accelerator_is_left_to_a_machine_that_names_one() -> None:
    machine = spec(extra_args=("-machine", "type=pc,accel=kvm"), replaced_switches=frozenset({"machine"}))
    assert "-accel" not in switches(machine)
    assert "-accel" in switches(spec(extra_args=("-machine", "type=pc")))


@pytest.mark.parametrize(
    ("machine", "message"),
    [
        (
            spec(
                machine_type="pc",
                disks=tuple(DiskSpec(f"d{n}", Path("/d"), bus=Bus.IDE) for n in range(3)),
                cdroms=(CdromSpec("c0", None), CdromSpec("c1", None)),
            ),
            "4 disks and CDs",
        ),
        (spec(disks=tuple(DiskSpec(f"d{n}", Path("/d")) for n in range(15))), "14 virtio"),
        (spec(disks=tuple(DiskSpec(f"d{n}", Path("/d"), bus=Bus.SATA) for n in range(13))), "12 on q35"),
        (spec(disks=tuple(DiskSpec(f"d{n}", Path("/d"), bus=Bus.LSILOGIC) for n in range(9))), "takes 8"),
        (spec(nics=tuple(NicSpec(f"n{n}") for n in range(9))), "8 network cards"),
        (spec(floppies=tuple(FloppySpec(f"f{n}", Path("/f")) for n in range(3))), "2 floppies"),
        (spec(cdroms=(CdromSpec("c", Path("/c"), Bus.NVME),)), "no NVMe CD"),
        (spec(cdroms=(CdromSpec("c", None, Bus.VIRTIO),)), "can't be empty"),
        (spec(disks=(replace(DISK, id="4k"),)), "'4k' is no id"),
        (spec(disks=(replace(DISK, id="d" * 25),)), "is no id"),
    ],
    ids=["ide", "virtio", "sata", "lsilogic", "nics", "floppies", "nvme-cd", "empty-virtio-cd", "id", "long-id"],
)
def test_a_full_bus_is_named(machine: MachineSpec, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        arguments(machine, runtime_dir=RUN)


def test_cards_keep_their_slot_whatever_else_is_attached() -> None:
    def slot(machine: MachineSpec) -> str:
        device = next(word for word in arguments(machine, runtime_dir=RUN) if "netdev=user.0" in word)
        return device.partition("addr=")[2]

    for machine_type in ("pc-i440fx-7.2", "pc-q35-7.2"):
        full = every_bus(machine_type)
        assert slot(full) == slot(replace(full, disks=(), cdroms=(), display="none"))


def test_no_slot_is_taken_twice() -> None:
    for name, machine in MACHINES.items():
        taken = [word.partition("addr=")[2] for word in arguments(machine, runtime_dir=RUN) if "addr=" in word]
        assert len(taken) == len(set(taken)), name


def test_commas_are_doubled() -> None:
    assert escape("a,b") == "a,,b"
    assert option("file", {"filename": "a,b", "gone": None}) == "file,filename=a,,b"
    assert option("", {"base": "utc"}) == "base=utc"


def test_each_user_network_has_addresses_of_its_own() -> None:
    machine = spec(nics=(NicSpec("nic0", bridge="br0"), NIC, NicSpec("nic2"), NicSpec("nic3")))
    said = arguments(machine, runtime_dir=RUN)
    networks = [said[i + 1] for i, word in enumerate(said) if word == "-netdev"]
    # The first keeps QEMU's own, 10.0.2.0/24: the seed's address is told in it.
    assert [n.partition("net=")[2].partition(",")[0] for n in networks] == ["", "", "10.0.3.0/24", "10.0.4.0/24"]


def test_memory_is_read_from_a_file_that_qemu_inherits() -> None:
    channels = Channels(3, 4, 5, 6)
    argv = arguments(spec(incoming=Path("/l/memory")), runtime_dir=Path("/run/f"), channels=channels)
    assert argv[argv.index("-incoming") + 1] == "fd:6"
    assert channels.descriptors == (3, 4, 5, 6)
    assert Channels(3, 4, 5).descriptors == (3, 4, 5)
