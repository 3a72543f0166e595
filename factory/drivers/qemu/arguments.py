"""A ``MachineSpec`` as QEMU's command line: pure, ordered, the same for the same spec (golden files hold it).

Nothing of QEMU's defaults is used (``-nodefaults``): each device is written out with its id and, on PCI, its slot. The
user's own arguments come last. Switches are those of QEMU 7.2; see qemu(1) for what each means.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from factory.drivers.machine_spec import Forward, MachineSpec, NicSpec, UefiSpec
from factory.drivers.qemu.argument import KEPT, Argument, Slots, escape, named, option
from factory.drivers.qemu.storage import Storage

QMP_SOCKET = "qmp.sock"
OBSERVER_SOCKET = "observer.sock"
SERIAL_SOCKET = "serial.sock"
VNC_SOCKET = "vnc.sock"
SERIAL_LOG = "serial.log"
VARIABLES_NODE = "firmware-variables"
"""The block node that the firmware writes its variables to."""
_DISPLAYS = {
    "std": "VGA",
    "cirrus": "cirrus-vga",
    "vmware": "vmware-svga",
    "qxl": "qxl-vga",
    "virtio": "virtio-vga",
}


@dataclass(frozen=True, slots=True)
class Channels:
    """Sockets that QEMU inherits: its ends of QMP and of the first serial line, connected, and a listening one for
    observers. ``memory`` is a file to resume from."""

    qmp: int
    serial: int
    observer: int
    memory: int | None = None

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All that QEMU inherits."""
        return tuple(n for n in (self.qmp, self.serial, self.observer, self.memory) if n is not None)


def arguments(spec: MachineSpec, *, runtime_dir: Path, channels: Channels | None = None) -> tuple[str, ...]:
    """QEMU's argv, binary first. Sockets are made in *runtime_dir*.

    Without *channels*, QMP and the serial line are listening sockets in *runtime_dir* instead: that argv can be pasted
    into a shell. Raises: ValueError when the spec has more devices than a bus takes.
    """
    parts = [
        *_machine(spec),
        *_control(runtime_dir, channels),
        *_serial(spec, runtime_dir, channels),
        *_display(spec, runtime_dir),
        *_tpm(spec),
        *_nics(spec),
        *_storage(spec),
        *_boot(spec),
        *_incoming(spec, channels),
    ]
    words = [word for part in parts if part.survives(spec.replaced_switches) for word in part.words()]
    return (spec.binary, *words, *spec.extra_args)


def _machine(spec: MachineSpec) -> Iterator[Argument]:
    yield Argument("name", option("", {"guest": spec.name}))
    yield Argument("nodefaults", replaced_by=KEPT)
    yield Argument("no-user-config", replaced_by=KEPT)
    yield Argument("S", replaced_by=KEPT)  # runs when somebody listens: QMP `cont`
    yield Argument("machine", spec.machine_type, frozenset({"machine", "M"}))
    if spec.uefi is not None:
        # An option list of its own (QEMU merges them): the user's -machine must not lose the firmware.
        yield from _uefi(spec.uefi)
    if not _names_accelerator(spec.extra_args):  # QEMU refuses -accel beside -machine accel=
        threads = {"thread": "multi"} if spec.accelerator == "tcg" else {}
        yield Argument("accel", option(spec.accelerator, threads), frozenset({"accel", "enable-kvm"}))
    yield Argument("cpu", _cpu_model(spec))
    cpu = spec.cpu
    yield Argument(
        "smp",
        option(
            str(cpu.count),
            {"sockets": cpu.sockets or None, "cores": cpu.cores or None, "threads": cpu.threads or None},
        ),
    )
    yield Argument("m", f"{spec.memory.mib}M")
    yield Argument("rtc", option("", {"base": spec.rtc}))
    # "pause": after the event SHUTDOWN the process stays, so that screen, serial line and disks can be looked at.
    yield Argument("action", option("", {"reboot": spec.reboot.value, "shutdown": "pause"}), KEPT)
    # The ids are ours alone: a user may well add an "rng0".
    yield Argument("object", option("rng-random", {"id": "factory-rng-source", "filename": "/dev/urandom"}), KEPT)
    rng = {"id": "factory-rng", "rng": "factory-rng-source", **_slots(spec).rng}
    yield Argument("device", option("virtio-rng-pci", rng), KEPT)
    # Tells a guest that was resumed from memory that it is a copy: kernels that know it (Linux 5.18, Windows) make
    # their random numbers anew at once. QEMU's docs/specs/vmgenid.
    yield Argument("device", option("vmgenid", {"guid": "auto", "id": "factory-generation"}), KEPT)


def _cpu_model(spec: MachineSpec) -> str:
    # "max" is all that the accelerator can do; under a hypervisor that is called "host", and "host" has the guest
    # see the host's own model name and caches too.
    return "host" if spec.cpu.model == "max" and spec.accelerator != "tcg" else spec.cpu.model


def _names_accelerator(extra: tuple[str, ...]) -> bool:
    return any(switch.lstrip("-") in ("machine", "M") and "accel=" in value for switch, value in pairwise(extra))


def _uefi(uefi: UefiSpec) -> Iterator[Argument]:
    replaced_by = frozenset({"bios", "pflash"})
    code: dict[str, str | int | None] = {"driver": uefi.code_format, "node-name": "firmware-code", "read-only": "on"}
    yield Argument(
        "blockdev", option("", {**code, "file.driver": "file", "file.filename": str(uefi.code)}), replaced_by
    )
    variables: dict[str, str | int | None] = {"driver": uefi.variables_format, "node-name": VARIABLES_NODE}
    yield Argument(
        "blockdev", option("", {**variables, "file.driver": "file", "file.filename": str(uefi.variables)}), replaced_by
    )
    flash: dict[str, str | int | None] = {"pflash0": "firmware-code", "pflash1": VARIABLES_NODE}
    if uefi.secure_boot:
        flash["smm"] = "on"
        # Only code in SMM may write the variables: without this a guest's kernel could enrol keys of its own.
        secure = {"driver": "cfi.pflash01", "property": "secure", "value": "on"}
        yield Argument("global", option("", secure), replaced_by)
        # OVMF's SMM build does not resume from S3 safely; libvirt turns it off too.
        yield Argument("global", option("", {"driver": "ICH9-LPC", "property": "disable_s3", "value": 1}), replaced_by)
    yield Argument("machine", option("", flash), replaced_by)


def _control(runtime_dir: Path, channels: Channels | None) -> Iterator[Argument]:
    if channels is not None:
        place: dict[str, str | int | None] = {"id": "factory-qmp", "fd": channels.qmp}
    else:
        place = {"id": "factory-qmp", "path": str(runtime_dir / QMP_SOCKET), "server": "on", "wait": "off"}
    yield Argument("chardev", option("socket", place), KEPT)
    yield Argument("mon", option("", {"chardev": "factory-qmp", "mode": "control"}), KEPT)
    if channels is not None:
        # A second monitor, for people who look while the first is the build's: QEMU serves one visitor at a time.
        watch: dict[str, str | int | None] = {"id": "factory-observer", "fd": channels.observer}
        yield Argument("chardev", option("socket", {**watch, "server": "on", "wait": "off"}), KEPT)
        yield Argument("mon", option("", {"chardev": "factory-observer", "mode": "control"}), KEPT)


def _serial(spec: MachineSpec, runtime_dir: Path, channels: Channels | None) -> Iterator[Argument]:
    if channels is not None:
        place: dict[str, str | int | None] = {"id": "factory-serial", "fd": channels.serial}
    else:
        place = {"id": "factory-serial", "path": str(runtime_dir / SERIAL_SOCKET), "server": "on", "wait": "off"}
    # QEMU writes the log itself: it is whole even when nobody reads the socket.
    log = str(spec.serial_log or runtime_dir / SERIAL_LOG)
    line = option("socket", {**place, "logfile": log, "logappend": "on"})
    yield Argument("chardev", line, frozenset({"serial"}))
    yield Argument("serial", "chardev:factory-serial")


def display_device(word: str) -> str:
    """The device that ``machine.display`` names: by one of the short words of ``-vga``, or as it is called."""
    return _DISPLAYS.get(word, word)


def _display(spec: MachineSpec, runtime_dir: Path) -> Iterator[Argument]:
    yield Argument("display", "none")
    if spec.display == "none":
        return
    yield Argument(
        "device", option(display_device(spec.display), {"id": "video0", **_slots(spec).display}), frozenset({"vga"})
    )
    yield Argument("vnc", f"unix:{runtime_dir / VNC_SOCKET}")


def _tpm(spec: MachineSpec) -> Iterator[Argument]:
    if spec.tpm is None:
        return
    replaced_by = frozenset({"tpmdev"})
    yield Argument("chardev", option("socket", {"id": "tpm0-control", "path": str(spec.tpm.socket)}), replaced_by)
    yield Argument("tpmdev", option("emulator", {"id": "tpm0-backend", "chardev": "tpm0-control"}), replaced_by)
    yield Argument("device", option(spec.tpm.model, {"id": "tpm0", "tpmdev": "tpm0-backend"}), replaced_by)


def _nics(spec: MachineSpec) -> Iterator[Argument]:
    slots, networks = _slots(spec), 0
    for index, nic in enumerate(spec.nics):
        backend = f"user.{index}"  # as Packer calls it: users' own -device arguments refer to that name
        yield Argument("netdev", _netdev(nic, backend, networks), frozenset({"netdev", "net"}))
        networks += not nic.bridge
        device = {
            "id": nic.id,
            "netdev": backend,
            "mac": nic.mac or f"52:54:00:12:34:{0x56 + index:02x}",
            # No network boot: the option ROM costs a second of every start. As one word, for QEMU wants "romfile=".
            "romfile": "",
            **slots.nic(index),
            **named(nic.device),
        }
        yield Argument("device", option(nic.model, device), frozenset({"device", "net"}))


def _netdev(nic: NicSpec, backend: str, before: int) -> str:
    """*before*: how many user networks this machine has already."""
    if nic.bridge:
        return option("bridge", {"id": backend, "br": nic.bridge})
    # ipv6=off spares installers a wait for router advertisements that never come.
    # Each has addresses of its own: a guest with two cards on 10.0.2.0/24 would answer through the wrong one.
    net = f"10.0.{2 + before}.0/24" if before else None
    ours = {"ipv6": "off", "net": net, "restrict": "on" if nic.restricted else None}
    taken = named(nic.network)
    head = option("user", {"id": backend, **{name: value for name, value in ours.items() if name not in taken}})
    # Not as pairs: some may be there more than once (guestfwd, dnssearch).
    return ",".join([head, *map(_forward, nic.forwards), *map(escape, nic.network)])


def _forward(forward: Forward) -> str:
    host = f"{forward.protocol}:{forward.address}:{forward.host_port}"
    return f"hostfwd={host}-{forward.guest_address}:{forward.guest_port}"


def _storage(spec: MachineSpec) -> Iterator[Argument]:
    storage = Storage(spec, _slots(spec))
    if storage.needs_usb or spec.usb_tablet:
        yield Argument("device", option("qemu-xhci", {"id": "usb0", **_slots(spec).usb}), frozenset({"usb"}))
    if spec.usb_tablet:
        yield Argument("device", option("usb-tablet", {"id": "tablet0", "bus": "usb0.0"}), frozenset({"usbdevice"}))
    yield from storage.arguments()


def _boot(spec: MachineSpec) -> Iterator[Argument]:
    if spec.bios is not None:
        yield Argument("bios", str(spec.bios))
    if spec.kernel is not None:
        yield Argument("kernel", str(spec.kernel.kernel))
        if spec.kernel.initrd is not None:
            yield Argument("initrd", str(spec.kernel.initrd))
        yield Argument("append", spec.kernel.command_line)


def _incoming(spec: MachineSpec, channels: Channels | None) -> Iterator[Argument]:
    """QEMU reads the file itself where it inherits it: a pipe from another process costs half a second on a busy host.

    (``file:`` came with 8.2; ``fd:`` takes plain files in all versions, ``exec:`` works in a shell.)
    """
    if spec.incoming is None:
        return
    inherited = channels.memory if channels else None
    where = f"exec:cat {shlex.quote(str(spec.incoming))}" if inherited is None else f"fd:{inherited}"
    yield Argument("incoming", where, KEPT)


def _slots(spec: MachineSpec) -> Slots:
    return Slots(q35="q35" in spec.machine_type)
