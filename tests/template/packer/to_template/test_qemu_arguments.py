"""What ``qemuargs`` say of the builder's own card and disks takes effect, or is said to be left out."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from factory.drivers.machine_spec import Bus
from factory.drivers.machine_spec import Forward as PortForward
from factory.errors import TemplateError
from factory.steps.installer import late_networks
from factory.steps.machine_plan import host_seen_by_guest, machine_facts, machine_recipe, machine_spec
from factory.template.model import Firmware, Forward, LateText, Machine, Nic
from factory.template.packer.to_template import Translation, to_template
from tests.steps.test_contents import PLATFORM
from tests.template.packer.written import build_with, hcl

pytestmark = pytest.mark.unit
OWN = "hostfwd=tcp::{{ .SSHHostPort }}-:22"


def translated(folder: Path, *arguments: tuple[str, str], options: str = "") -> Translation:
    listed = ", ".join(f'["{switch}", "{value}"]' for switch, value in arguments)
    config = hcl(
        folder, build_with("", f'  vm_name = "vm"\n  output_directory = "out"\n  qemuargs = [{listed}]\n{options}')
    )
    return to_template(config, config.builds[0])


def machine_of(translation: Translation) -> Machine:
    return translation.loaded.template.machine


def said(translation: Translation) -> list[str]:
    return [n.message for n in translation.notes if n.matters]


@pytest.mark.parametrize(
    ("switch", "head"),
    [("-netdev", "user,id=user.0"), ("-netdev", "type=user,id=n"), ("-net", "user"), ("-nic", "user")],
)
def test_the_user_network_is_as_the_template_says(tmp_path: Path, switch: str, head: str) -> None:
    value = (
        f"{head},{OWN},hostfwd=tcp:127.0.0.1:18081-:80,hostfwd=udp:192.0.2.7:53-10.0.2.20:53,restrict=on,"
        "net=192.168.76.0/24,dnssearch=a,dnssearch=b,hostname=vm,tftp=x,,y"
    )
    result = translated(tmp_path, (switch, value))
    (nic,) = machine_of(result).nics
    assert nic.forward == (
        Forward(host=18081, guest=80),
        Forward(host=53, guest=53, protocol="udp", address="192.0.2.7", guest_address="10.0.2.20"),
    )
    assert nic.network == (
        "restrict=on", "net=192.168.76.0/24", "dnssearch=a", "dnssearch=b", "hostname=vm", "tftp=x,y",
    )  # fmt: skip
    assert said(result) == []
    (card,) = machine_spec(result.loaded.template, PLATFORM).nics
    assert card.forwards[:2] == (PortForward(22), PortForward(80, 18081))
    assert card.network == nic.network
    assert host_seen_by_guest(machine_of(result)) == "192.168.76.2"


def test_a_forward_that_names_no_address_is_for_this_computer_alone(tmp_path: Path) -> None:
    result = translated(tmp_path, ("-netdev", f"user,id=user.0,{OWN},hostfwd=tcp::18081-:22,hostfwd=tcp:0.0.0.0:1-:2"))
    assert machine_of(result).nics[0].forward == (
        Forward(host=18081, guest=22), Forward(host=1, guest=2, address="0.0.0.0"),
    )  # fmt: skip
    assert said(result) == ["“hostfwd=tcp::18081-:22” listens on 127.0.0.1 alone; name an address to let others in"]


def test_a_forward_without_a_protocol_is_tcp(tmp_path: Path) -> None:
    result = translated(tmp_path, ("-netdev", f"user,id=user.0,{OWN},hostfwd=:127.0.0.1:2222-:80,hostfwd=::2223-:80"))
    assert machine_of(result).nics[0].forward == (Forward(host=2222, guest=80), Forward(host=2223, guest=80))
    (message,) = said(result)
    assert message.startswith("“hostfwd=::2223-:80” listens on 127.0.0.1 alone")


@pytest.mark.parametrize(
    "argument",
    [("-device", "virtio-net,netdev=user.0,mac=52:54:00:zz"), ("-net", "nic,macaddr=1"),
     ("-device", "virtio-net,netdev=user.0,mac=52:54:00:00:00:0g")],
)  # fmt: skip
def test_what_is_wrong_with_a_card_stands_in_the_line_of_qemuargs(tmp_path: Path, argument: tuple[str, str]) -> None:
    with pytest.raises(TemplateError) as caught:
        translated(tmp_path, ("-netdev", "user,id=user.0"), argument)
    (problem,) = caught.value.problems
    assert problem.place is not None
    assert "qemuargs" in (tmp_path / "t.pkr.hcl").read_text().splitlines()[problem.place.line - 1]
    assert "qemuargs" in problem.message
    assert "is no address of a network card" in problem.message


def test_what_a_network_option_says_may_come_late(tmp_path: Path) -> None:
    value = "user,id=user.0,net=1.0.0.0/8,guestfwd=tcp:1.0.0.1:80-tcp::{{ .HTTPPort }},tftp={{ .HTTPDir }}"
    result = translated(tmp_path, ("-netdev", value), options='  http_directory = "answers"\n')
    (network,) = late_networks(result.loaded.template)
    assert network[0] == "net=1.0.0.0/8"
    assert isinstance(network[1], LateText)
    assert network[1].source.startswith("guestfwd=tcp:1.0.0.1:80-tcp::{{ (seed.port")
    assert network[2] == "tftp=answers"
    assert machine_spec(result.loaded.template, PLATFORM).nics[0].network == ("net=1.0.0.0/8", "tftp=answers")


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ("hostfwd=tcp::{{ .HTTPPort }}-:22", "“hostfwd=tcp::{{ .HTTPPort }}-:22” of “-netdev” is left out"),
        ("hostfwd=tcp::99999-:22", "“hostfwd=tcp::99999-:22” of “-netdev” is left out: “99999” is no port"),
        ("hostfwd=tcp::70000-:22", "“hostfwd=tcp::70000-:22” of “-netdev” is left out: “70000” is no port"),
        ("hostfwd=tcp::1-:70000", "“hostfwd=tcp::1-:70000” of “-netdev” is left out: “70000” is no port"),
        ("hostfwd=tcp::0-:80", "“hostfwd=tcp::0-:80” of “-netdev” is left out: the kernel would choose its port"),
        ("hostfwd=:2222-:22", "“hostfwd=:2222-:22” of “-netdev” is left out: QEMU wants [tcp|udp]:[address]:port-"),
        ("hostfwd=tcp:2222-:22", "“hostfwd=tcp:2222-:22” of “-netdev” is left out: QEMU wants [tcp|udp]:[address]:"),
        ("hostfwd=tcp::1-host:80", "“hostfwd=tcp::1-host:80” of “-netdev” is left out: “host” is no IPv4 address"),
        ("hostfwd=tcp:my host:1-:80", "“hostfwd=tcp:my host:1-:80” of “-netdev” is left out: “my host” is no IPv4"),
        ("guestfwd=tcp:1.0.0.1:1-tcp::{{ .SSHHostPort }}", "“guestfwd=tcp:1.0.0.1:1-tcp::{{ .SSHHostPort }}” of"),
    ],
)
def test_what_the_network_can_not_have_is_said(tmp_path: Path, value: str, left: str) -> None:
    (message,) = said(translated(tmp_path, ("-netdev", f"user,id=user.0,{OWN},{value}")))
    assert message.startswith(left)


def test_another_network_in_the_place_of_the_builders_own_is_said_to_be_left_out(tmp_path: Path) -> None:
    (message,) = said(translated(tmp_path, ("-netdev", "tap,id=user.0,ifname=tap0")))
    assert "factory reaches the guest by a user network" in message


def test_the_card_is_as_the_template_says(tmp_path: Path) -> None:
    result = translated(
        tmp_path, ("-netdev", "user,id=user.0"),
        ("-device", "virtio-net,netdev=user.0,mac=52:54:00:00:00:09,bus=pci.0,addr=0x9,mq=on,romfile=x.rom"),
    )  # fmt: skip
    (nic,) = machine_of(result).nics
    assert (nic.model, nic.mac, nic.device) == ("virtio-net-pci", "52:54:00:00:00:09", ("mq=on", "romfile=x.rom"))
    assert said(result) == ["“addr=0x9” of “-device” is left out: factory attaches the card itself"]
    old = machine_of(translated(tmp_path, ("-net", "nic,model=e1000,macaddr=52:54:00:00:00:08"))).nics[0]
    assert (old.model, old.mac) == ("e1000", "52:54:00:00:00:08")


def test_disks_are_as_the_template_says(tmp_path: Path) -> None:
    result = translated(
        tmp_path,
        ("-drive", "file=out/vm,if=none,id=d0,format=qcow2,cache=writeback,discard=unmap,serial=OLD"),
        ("-drive", "file=out/vm-1,if=none,id=d1"),
        ("-device", "virtio-blk-pci,drive=d0,serial=ROOTDISK,logical_block_size=4096,num-queues=2,bootindex=1"),
        ("-device", "virtio-blk-pci,drive=d1,serial=DATA"),
        options='  disk_additional_size = ["1G"]\n',
    )
    main, more = machine_of(result).disks
    assert (main.serial, main.block_size, main.device, main.bus) == ("ROOTDISK", 4096, ("num-queues=2",), Bus.VIRTIO)
    assert (more.serial, more.block_size, more.device) == ("DATA", 512, ())
    assert said(result) == []
    disk = machine_spec(result.loaded.template, PLATFORM).disks[0]
    assert (disk.serial, disk.logical_block_size, disk.device) == ("ROOTDISK", 4096, ("num-queues=2",))


def test_a_device_may_refer_to_the_drive_that_packer_makes(tmp_path: Path) -> None:
    result = translated(tmp_path, ("-device", "scsi-hd,bus=scsi0.0,drive=drive0,serial=A"))
    assert (machine_of(result).disks[0].serial, machine_of(result).disks[0].bus) == ("A", Bus.SCSI)
    assert machine_of(result).extra_args == ()


@pytest.mark.parametrize(
    ("switch", "value", "left"),
    [
        ("-drive", "file=out/vm,if=virtio,cache=none", "cache=none"),
        ("-drive", "file=out/vm,if=virtio,discard=ignore", "discard=ignore"),
        ("-drive", "file=out/vm,if=virtio,aio=native", "aio=native"),
        ("-drive", "file=out/vm,if=virtio,iops=5", "iops=5"),
        ("-device", "virtio-blk-pci,drive=drive0,addr=5", "addr=5"),
        ("-device", "virtio-blk-pci,drive=drive0,logical_block_size=1024", "logical_block_size=1024"),
        ("-device", "virtio-scsi-pci,id=scsi0,num_queues=4", "num_queues=4"),
        ("-device", "virtio-vga,xres=800", "xres=800"),
        ("-m", "512,maxmem=1G", "maxmem=1G"),
        ("-machine", "q35,hpet=off", "hpet=off"),
    ],
)
def test_what_can_not_be_taken_over_is_said(tmp_path: Path, switch: str, value: str, left: str) -> None:
    (message,) = said(translated(tmp_path, (switch, value)))
    assert message.startswith(f"“{left}” of “{switch}” is left out")


def test_packers_own_options_for_disks_are_heard_too(tmp_path: Path) -> None:
    result = translated(tmp_path, options='  disk_cache = "none"\n  disk_discard = "unmap"\n')
    assert said(result) == ["“none” has no effect: factory opens the machine's disks its own way"]


def test_a_forward_changes_no_key_and_an_option_does() -> None:
    plain = Machine(firmware=Firmware.BIOS)
    recipe = machine_recipe(plain, PLATFORM)
    assert recipe["nics"] == [{"id": "net0", "model": "virtio-net-pci", "mac": "", "bridge": ""}]
    assert recipe["disks"] == [{"id": "main", "size": plain.disks[0].size, "bus": Bus.VIRTIO, "serial": ""}]
    led = plain.model_copy(update={"nics": (Nic(forward=(Forward(host=1, guest=2),)),)})
    assert machine_recipe(led, PLATFORM) == recipe
    cut = plain.model_copy(update={"nics": (Nic(network=("restrict=on",)),)})
    assert machine_recipe(cut, PLATFORM)["nics"][0]["network"] == ("restrict=on",)


def test_a_plan_tells_of_options_without_secrets() -> None:
    machine = Machine(nics=(Nic(forward=(Forward(host=1, guest=2),), network=("hostname=geheim",), device=("mq=on",)),))
    facts: Any = machine_facts(machine, PLATFORM, ("geheim",))
    (nic,) = facts["nics"]
    assert nic["forward"][0]["host"] == 1
    assert nic["network"] == ["hostname=********"]


@pytest.mark.parametrize("file", ["out/vm-data", "out/vm-2", "out/vm-01", "out/vm-0", "other/vm"])
def test_a_file_beside_the_own_disks_is_another_drive(tmp_path: Path, file: str) -> None:
    result = translated(
        tmp_path, ("-drive", f"file={file},if=none,id=d9"), ("-device", "virtio-blk-pci,drive=d9,serial=ABC"),
        options='  disk_additional_size = ["1G"]\n',
    )  # fmt: skip
    machine = machine_of(result)
    assert [d.serial for d in machine.disks] == ["", ""]
    assert machine.extra_args == (
        "-drive", f"file={file},if=none,id=d9", "-device", "virtio-blk-pci,drive=d9,serial=ABC",
    )  # fmt: skip


OWN_DISK = ("-drive", "file=out/vm,if=none,id=d0")
OTHER_CD = ("-drive", "file=seed.iso,if=none,id=cd1,media=cdrom")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # the template's own disk is virtio, and something else is on its SCSI controller
        (
            [OTHER_CD, ("-device", "virtio-scsi-pci,id=scsi0"), ("-device", "scsi-cd,bus=scsi0.0,drive=cd1")],
            ["virtio-scsi-pci,id=template-scsi0", "scsi-cd,bus=template-scsi0.0,drive=cd1"],
        ),
        (
            [OTHER_CD, ("-device", "virtio-scsi-pci"), ("-device", "scsi-cd,drive=cd1")],
            ["virtio-scsi-pci", "scsi-cd,drive=cd1"],
        ),
        (
            [OTHER_CD, ("-device", "virtio-scsi-pci"), ("-device", "scsi-cd,bus=scsi.0,drive=cd1")],
            ["virtio-scsi-pci", "scsi-cd,bus=scsi.0,drive=cd1"],
        ),
        # both are on it: factory's own controller of this name serves both
        (
            [OWN_DISK, OTHER_CD, ("-device", "virtio-scsi-pci,id=scsi0"), ("-device", "scsi-hd,bus=scsi0.0,drive=d0"),
             ("-device", "scsi-cd,bus=scsi0.0,drive=cd1")],
            ["scsi-cd,bus=scsi0.0,drive=cd1"],
        ),
        # the own disk alone
        ([OWN_DISK, ("-device", "virtio-scsi-pci,id=scsi0"), ("-device", "scsi-hd,bus=scsi0.0,drive=d0")], []),
        ([OWN_DISK, ("-device", "ahci,id=ahci0"), ("-device", "ide-hd,drive=d0,bus=ahci0.0")], []),
        ([OWN_DISK, ("-device", "ahci,id=x"), ("-device", "ide-hd,drive=d0,bus=x.0")], []),
        ([OWN_DISK, ("-device", "lsi53c895a,id=scsi0"), ("-device", "scsi-hd,bus=scsi0.0,drive=d0")], []),
        # its port is the own disk's here
        (
            [OWN_DISK, OTHER_CD, ("-device", "ich9-ahci,id=ahci0"), ("-device", "ide-hd,drive=d0,bus=ahci0.1"),
             ("-device", "ide-cd,drive=cd1,bus=ahci0.0")],
            ["ich9-ahci,id=template-ahci0", "ide-cd,drive=cd1,bus=template-ahci0.0"],
        ),
        # a name that factory gives, too
        (
            [("-device", "qemu-xhci,id=usb0"), ("-device", "usb-kbd,bus=usb0.0")],
            ["qemu-xhci,id=template-usb0", "usb-kbd,bus=template-usb0.0"],
        ),
        ([("-device", "megasas,id=scsi1")], ["megasas,id=scsi1"]),
    ],
)  # fmt: skip
def test_a_controller_stays_where_something_else_is_on_it(
    tmp_path: Path, arguments: list[tuple[str, str]], expected: list[str]
) -> None:
    extra = [str(word) for word in machine_of(translated(tmp_path, *arguments)).extra_args]
    assert [value for switch, value in pairwise(extra) if switch == "-device"] == expected
