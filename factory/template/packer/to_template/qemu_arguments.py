"""``qemuargs``: what factory has a field for becomes that, what only says how somebody watches goes, the rest is kept.

In Packer a switch that is named here replaces every default use of it, so templates repeat the machine's own disk, its
ISO and its network. Those are recognised and left out, for factory has attached them already; what they say more than
that is handed on to the device (``qemu_options``), or said to be left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import MappingProxyType

from factory.drivers.machine_spec import Bus
from factory.quantity import Size
from factory.template.model import Firmware, Forward, Medium, Text
from factory.template.packer.qemu_builder import QemuSource
from factory.template.packer.to_template.notes import Notes
from factory.template.packer.to_template.placing import OptionError
from factory.template.packer.to_template.qemu_controllers import Controllers, bus_of_device, controllers_of
from factory.template.packer.to_template.qemu_options import (
    OF_NETWORKS,
    PLACES,
    DiskWishes,
    card_options,
    disk_options,
    drive_options,
    left_out_options,
    mac_of,
    others,
    properties,
)
from factory.template.packer.to_template.texts import ARGUMENTS, late_text
from factory.template.packer.to_template.user_network import own_networks, read_user_network

_WATCHING = frozenset(
    {"display", "serial", "monitor", "vnc", "nographic", "accel", "enable-kvm", "mon", "qmp", "name", "D", "d", "spice",
     "daemonize", "pidfile", "no-reboot", "no-shutdown", "parallel", "nodefaults", "S", "debugcon", "vga"}
)  # fmt: skip
"""Switches that only say how a person watches, or how fast it runs: factory sees to these itself."""
_VIDEO = re.compile(r"(?:VGA|cirrus-vga|qxl(?:-vga)?|virtio-(?:vga|gpu)(?:-gl)?(?:-pci)?|bochs-display|vmware-svga)\Z")
_VGA = MappingProxyType({"std": "std", "cirrus": "cirrus", "qxl": "qxl", "virtio": "virtio", "vmware": "vmware"})
BUS_OF_INTERFACE: Mapping[str, Bus] = MappingProxyType(
    {"virtio": Bus.VIRTIO, "virtio-scsi": Bus.SCSI, "scsi": Bus.SCSI, "ide": Bus.IDE, "sata": Bus.SATA}
)
_GENERATED = frozenset({"rtc", "bios"})
"""Switches that factory gives itself and that a template may replace."""
_THIS_COMPUTER = ("", "127.0.0.1", "localhost", "::1")
NIC = MappingProxyType({"virtio-net": "virtio-net-pci", "virtio": "virtio-net-pci"})


@dataclass(slots=True)
class Arguments:
    """What ``qemuargs`` change. None and empty: nothing is said about it."""

    memory: Size | None = None
    cpus: int | None = None
    cpu: str | None = None
    machine_type: str = ""
    firmware: Firmware | None = None
    display: str = ""
    nic: str = ""
    mac: str = ""
    bridge: str = ""
    guest_port: int = 0
    """What the template's own forward leads to, where that is not the communicator's port."""
    forward: list[Forward] = field(default_factory=list)
    network: list[Text] = field(default_factory=list)
    """Further options of the user network, and then of the card."""
    card: list[str] = field(default_factory=list)
    bus: Bus | None = None
    disks: dict[int, DiskWishes] = field(default_factory=dict)
    """What is asked for the builder's own disks, by number."""
    tpm: bool = False
    tpm_model: str = ""
    media: list[Medium] = field(default_factory=list)
    extra: list[Text] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)


def read_arguments(s: QemuSource, notes: Notes) -> Arguments:
    """What the builder's ``qemuargs`` mean for the machine; what can't be said goes to *notes*."""
    return _Reader(s, notes).read()


def reached_host(s: QemuSource) -> str:
    """Where a template says that the guest is, if that is not this computer."""
    host = s.winrm_host if s.communicator == "winrm" else s.ssh_host if s.communicator == "ssh" else ""
    return "" if host in _THIS_COMPUTER else host


class _Reader:
    def __init__(self, source: QemuSource, notes: Notes) -> None:
        self.source, self.notes, self.result = source, notes, Arguments()
        # Packer passes over a list without a switch, too.
        self.pairs = [(switch.lstrip("-"), "".join(parts)) for switch, *parts in filter(None, source.qemuargs)]
        self.networks, self.result.guest_port = own_networks(source, self.pairs)
        self.reached_itself = bool(reached_host(source))
        # Where no drive is named, devices refer to Packer's own: drive0 is the disk's.
        named = any(name == "drive" for name, _ in self.pairs)
        self.disks = 1 + len(source.disk_additional_size)
        self.own_drives: dict[str, int] = {} if named else {f"drive{i}": i for i in range(self.disks)}
        self.installers: set[str] = set()
        self.controllers: Controllers | None = None
        self.tpm_channels = {
            properties(v).get("chardev", "") for name, v in self.pairs if name == "tpmdev"
        }  # fmt: skip

    def read(self) -> Arguments:
        rules: Mapping[str, Callable[[str], bool]] = {
            "m": self._memory, "smp": self._processors, "cpu": self._model, "machine": self._machine,
            "M": self._machine, "netdev": self._network, "net": self._old_network, "nic": self._old_network,
            "device": self._device, "drive": self._drive, "cdrom": self._cdrom, "fda": self._floppy,
            "bios": self._bios, "boot": self._boot, "tpmdev": self._tpm, "chardev": self._channel, "vga": self._vga,
        }  # fmt: skip
        ordered = sorted(self.pairs, key=lambda pair: pair[0] == "device")  # a device refers to drives
        for name, value in ordered:
            if name == "device" and self.controllers is None:
                bus = self.result.bus or BUS_OF_INTERFACE.get(self.source.disk_interface, Bus.VIRTIO)
                devices = [v for n, v in ordered if n == "device"]
                self.controllers = controllers_of(devices, self.own_drives, self.installers, bus)
            if name in rules and rules[name](value):
                continue
            if name in _WATCHING:
                self._left_out(name, value, "factory sees to it")
            else:
                self._keep(name, value)
        return self.result

    def _left_out(self, name: str, value: str, why: str, *, matters: bool = False) -> bool:
        self.notes.add("qemuargs", f"“-{name} {value}” is left out: {why}", matters=matters)
        return True

    def _unheard(self, name: str, options: Iterable[str], why: str) -> None:
        left_out_options(self.notes, name, options, why)

    def _keep(self, name: str, value: str) -> None:
        if "SSHHostPort" in value:
            self._left_out(name, value, "its port is not known before the machine runs", matters=True)
            return
        self.result.extra += [f"-{name}"]
        if value:
            text = self.controllers.named(value) if name == "device" and self.controllers else value
            self.result.extra.append(late_text(self._named(text), ARGUMENTS, "qemuargs", self.notes))
        if name in _GENERATED and name not in self.result.replaced:
            self.result.replaced.append(name)

    def _named(self, text: str) -> str:
        """*text* with what is known before the build: the names of the disk and its folder."""
        known = {"Name": self.source.vm_name, "OutputDir": self.source.output_directory,
                 "HTTPDir": self.source.http_directory}  # fmt: skip
        return re.sub(r"\{\{\s*\.(Name|OutputDir|HTTPDir)\s*\}\}", lambda m: known[m[1]], text)

    # --- processor and memory ------------------------------------------------------------------------------------

    def _memory(self, value: str) -> bool:
        found = re.fullmatch(r"(?:size=)?(\d+)([MmGg]?)[Bb]?(?:,.*)?", value)
        if found:
            self.result.memory = Size(int(found[1]) * (2**30 if found[2] in ("G", "g") else 2**20))
            self._unheard("m", others(value, ("", "size")), "the machine has this memory and no room for more")
        return bool(found)

    def _processors(self, value: str) -> bool:
        known = properties(value)
        first = known.get("") or known.get("cpus")
        if first is None:
            numbers = [int(known[k]) for k in ("sockets", "cores", "threads") if known.get(k, "").isdigit()]
            first = str(_product(numbers)) if numbers else ""
        if not first.isdigit():
            return False
        self.result.cpus = int(first)
        if known.keys() & {"sockets", "dies", "clusters", "cores", "threads", "maxcpus"} and "{{" not in value:
            self.result.extra += ["-smp", value]
            self.result.replaced.append("smp")
        return True

    def _model(self, value: str) -> bool:
        if not value or "{{" in value:
            return False
        self.result.cpu = cpu_model(value)
        return True

    def _machine(self, value: str) -> bool:
        known = properties(value)
        kind = known.pop("type", "") or known.pop("", "")
        known.pop("", None)
        for ours in ("accel", "smm", "kernel_irqchip", "pflash0", "pflash1"):
            known.pop(ours, None)
        if "hpet" in known:
            self._unheard("machine", [f"hpet={known.pop('hpet')}"], "not every QEMU knows it")
        self.result.machine_type = kind
        if known:
            self.result.extra += ["-machine", ",".join(f"{k}={v}" for k, v in known.items())]
        return True

    # --- network -------------------------------------------------------------------------------------------------

    def _network(self, value: str) -> bool:
        known = properties(value)
        if known.get("id", "") in self.networks:
            kind = known.get("", "") or known.get("type", "")
            if self.reached_itself and kind != "user":
                return self._bridged(value, known)
            if kind != "user":
                return self._left_out("netdev", value, "factory reaches the guest by a user network", matters=True)
            return self._user_network("netdev", value)
        return False

    def _user_network(self, switch: str, value: str) -> bool:
        found = read_user_network(switch, value, self._named, self.notes)
        self.result.forward += [f for f in found.forward if f not in self.result.forward]
        self.result.network += found.options
        return self._left_out(switch, value, "it is how factory reaches the guest")

    def _old_network(self, value: str) -> bool:
        known = properties(value)
        kind, model = known.get("", ""), known.get("model", "")
        if model and kind in ("nic", "user", ""):
            self.result.nic = NIC.get(model, model)
        if kind in ("nic", "user"):
            self.result.mac = mac_of(known.get("mac", "") or known.get("macaddr", "")) or self.result.mac
        if kind == "bridge" and self.reached_itself:
            return self._bridged(value, known)
        if kind == "user":
            return self._user_network("net", value)
        if kind == "nic":
            options, left = card_options(",".join(others(value, OF_NETWORKS)))
            self.result.card += options
            self._unheard("net", left, "factory attaches the card itself")
            return self._left_out("net", value, "it is how factory reaches the guest")
        return False

    def _bridged(self, value: str, known: Mapping[str, str]) -> bool:
        if known.get("", "") != "bridge":
            hint = "put the card on a bridge: net_bridge"
            raise OptionError("qemuargs", f"“{value}” is another network than a bridge", hint=hint)
        self.result.bridge = known.get("br", "br0")
        self._unheard("netdev", others(value, ("", "id", "br", "model", "mac")), "factory attaches the bridge itself")
        return True

    # --- devices -------------------------------------------------------------------------------------------------

    def _device(self, value: str) -> bool:
        known = properties(value)
        model = known.get("", "") or known.get("driver", "")
        if known.get("netdev") in self.networks:
            self.result.nic, self.result.mac = NIC.get(model, model), mac_of(known.get("mac", ""))
            options, left = card_options(value)
            self.result.card += options
            self._unheard("device", left, "factory attaches the card itself")
            return True
        if known.get("drive") in self.own_drives:
            bus = bus_of_device(model)
            self.result.bus = bus or self.result.bus
            wishes = self._wishes(self.own_drives[known["drive"]])
            self._unheard("device", disk_options(value, wishes), "factory attaches the disk itself")
            return self._left_out("device", value, "it is the machine's own disk", matters=bus is None)
        if known.get("drive") in self.installers:
            self._unheard("device", others(value, PLACES), "factory attaches the installer itself")
            return self._left_out("device", value, "it is the installer")
        if _VIDEO.match(model):
            self.result.display = model
            self._unheard("device", others(value, PLACES | {"addr"}), "factory attaches the display itself")
            return True
        if model.startswith("tpm-"):
            self.result.tpm, self.result.tpm_model = True, model
            return True
        if self.controllers and value in self.controllers.needless:
            self._unheard("device", others(value, PLACES | {"addr"}), "factory attaches this controller itself")
            return self._left_out("device", value, "factory attaches this controller where a disk needs it")
        return False

    def _wishes(self, disk: int) -> DiskWishes:
        return self.result.disks.setdefault(disk, DiskWishes())

    def _tpm(self, value: str) -> bool:
        self.result.tpm = True
        matters = properties(value).get("", "") != "emulator"
        return self._left_out("tpmdev", value, "factory runs the TPM itself, an emulated one", matters=matters)

    def _channel(self, value: str) -> bool:
        """A channel matters where a device speaks through it; a console's or monitor's is factory's own business."""
        name = properties(value).get("id", "")
        users = [v for n, v in self.pairs if n == "device" and properties(v).get("chardev") == name]
        if users and name not in self.tpm_channels:
            return False
        return self._left_out("chardev", value, "factory sees to it")

    def _vga(self, value: str) -> bool:
        if value in _VGA:
            self.result.display = _VGA[value]
            return True
        return False

    # --- media ---------------------------------------------------------------------------------------------------

    def _drive(self, value: str) -> bool:
        known = properties(value)
        file = known.get("file", "")
        if known.get("if") == "pflash":
            self.result.firmware = self.result.firmware or firmware_of(file)
            return self._left_out("drive", value, "factory finds the firmware itself")
        if (number := self._own_disk(file)) is not None:
            self.own_drives[known.get("id", "")] = number
            wishes = self._wishes(number)
            wishes.serial = known.get("serial", wishes.serial)
            self._unheard("drive", drive_options(value), "factory opens the machine's disks its own way")
            self.result.bus = BUS_OF_INTERFACE.get(known.get("if", ""), self.result.bus)
            return self._left_out("drive", value, "it is the machine's own disk")
        if self._is_installer(file):
            self.installers.add(known.get("id", "installer"))
            return self._left_out("drive", value, "it is the installer")
        kind = "cd" if known.get("media") == "cdrom" else "floppy" if known.get("if") == "floppy" else ""
        if kind and "id" not in known:
            return self._medium(kind, file)
        return False

    def _cdrom(self, value: str) -> bool:
        if self._is_installer(value):
            return self._left_out("cdrom", value, "it is the installer")
        return self._medium("cd", value)

    def _floppy(self, value: str) -> bool:
        return self._medium("floppy", value)

    def _medium(self, kind: str, file: str) -> bool:
        if not file or "://" in file or "{{" in file:
            return False
        self.result.media.append(Medium.model_validate({"kind": kind, "image": file}))
        return True

    def _own_disk(self, file: str) -> int | None:
        """Which of the builder's own disks *file* is; None for another's."""
        named = PurePosixPath(self._named(file))
        own = PurePosixPath(self.source.output_directory, self.source.vm_name)
        if named == own:
            return 0
        further = [own.with_name(f"{own.name}-{i}") for i in range(1, self.disks)]
        return further.index(named) + 1 if named in further else None

    def _is_installer(self, file: str) -> bool:
        urls = {self.source.iso_url, *self.source.iso_urls, self.source.iso_target_path} - {""}
        return file in urls or "packer_cache" in file or any(file == url.removeprefix("file://") for url in urls)

    # --- start ---------------------------------------------------------------------------------------------------

    def _bios(self, value: str) -> bool:
        self.result.firmware = firmware_of(value)
        if self.result.firmware is None:
            return False
        return self._left_out("bios", value, "factory finds the firmware itself")

    def _boot(self, value: str) -> bool:
        known = properties(value)
        order = known.get("once", "") + known.get("order", "") + known.get("", "")
        if "n" in order:
            return self._left_out("boot", value, "nothing starts from a network", matters=True)
        return self._left_out("boot", value, "an empty disk is passed over, and the ISO starts")


def firmware_of(file: str) -> Firmware | None:
    """What a firmware file is, by its name; None for a BIOS of somebody's own."""
    if not re.search(r"OVMF|AAVMF|edk2|efi", file, re.IGNORECASE):
        return None
    secure = re.search(r"secboot|secure|\.ms\.", file, re.IGNORECASE)
    return Firmware.UEFI_SECURE if secure else Firmware.UEFI


def cpu_model(value: str) -> str:
    """``host`` is factory's default under KVM, and impossible under TCG: the most that there is takes its place."""
    model, comma, flags = value.partition(",")
    if model != "host":
        return value
    return f"max,{flags}" if comma else ""


def _product(numbers: list[int]) -> int:
    result = 1
    for number in numbers:
        result *= number
    return result
