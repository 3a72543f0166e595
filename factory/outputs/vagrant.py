"""Vagrant boxes for libvirt (v1 and v2) and VirtualBox, and the catalog from which `vagrant box add` installs them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from factory.outputs import ovf, products
from factory.outputs.hardware import OvfHardware
from factory.outputs.model import Exported, Meter, Part, Work
from factory.outputs.ova import write_tar
from factory.outputs.ovf import OvfDisk, OvfSystem
from factory.outputs.stream import HashingWriter, hashing
from factory.quantity import Size
from factory.template.output_options import Vagrant

_VAGRANTFILE = """\
Vagrant.configure("2") do |config|
{settings}end
{own}"""
_LIBVIRT = """\
  config.vm.provider :libvirt do |libvirt|
    libvirt.disk_bus = "virtio"
  end
"""
# vagrant-libvirt wants the firmware's file. One that holds code and variables together needs no path for each machine.
_LIBVIRT_UEFI = """\
  firmware = [
    "/usr/share/ovmf/OVMF.fd",             # Debian, Ubuntu
    "/usr/share/qemu/OVMF.fd",
    "/usr/share/edk2/x64/OVMF.4m.fd",      # Arch
    "/usr/share/qemu/ovmf-x86_64.bin",     # openSUSE
  ].find { |path| File.exist?(path) }
  config.vm.provider :libvirt do |libvirt|
    libvirt.disk_bus = "virtio"
    libvirt.machine_type = "q35"
    # This box needs UEFI. Where none is found, set `libvirt.loader` (and `libvirt.nvram`) in your own Vagrantfile.
    libvirt.loader = firmware if firmware
  end
"""
_VIRTUALBOX_UEFI = """\
  config.vm.provider :virtualbox do |virtualbox|
    virtualbox.customize ["modifyvm", :id, "--firmware", "efi"]
  end
"""


async def export_vagrant(options: Vagrant, work: Work) -> list[Exported]:
    if options.provider == "libvirt":
        disks = [await products.qcow2(work, disk, "zlib", "1.1") for disk in work.disks]
    else:
        disks = [await products.stream_optimized(work, disk, "lsilogic") for disk in work.disks]
    path = work.staging / f"{work.name}-{options.provider}.box"
    members = _libvirt_members(options, work, disks) if options.provider == "libvirt" else _virtualbox(work, disks)
    members += [("Vagrantfile", _vagrantfile(options, work.hardware))]
    suffix = "qcow2" if options.provider == "libvirt" else "vmdk"
    names = [name for name, content in members if isinstance(content, Path)]

    def write(meter: Meter) -> str:
        with hashing(path) as out:
            if options.compression_level == 0:
                write_tar(out, members, meter)
            else:
                packed = GzipWriter(out, options.compression_level)
                write_tar(packed, members, meter)
                packed.finish()
            return out.hexdigest()

    async with work.slots:
        work.digests[path] = await work.in_thread(f"vagrant {options.provider}", write)
    parts = tuple(Part(d.id, n, suffix, packing="tar.gz") for d, n in zip(work.disks, names, strict=True))
    usage = f"vagrant box add --name {work.name} {path.name}"
    size = Size(sum(d.virtual_size for d in work.disks))
    box = await work.exported(path, "vagrant", virtual_size=size, usage=usage, parts=parts)
    return [box, await _catalog(options, work, box)]


class GzipWriter(HashingWriter):
    """Compresses on the way into another hashing file; without name and date: equal contents give equal files."""

    def __init__(self, out: HashingWriter, level: int) -> None:
        super().__init__(out)  # type: ignore[arg-type]
        self._out, self._pack, self._written = out, zlib.compressobj(level, zlib.DEFLATED, 31), 0

    def write(self, data: object) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        self._out.write(self._pack.compress(view))
        self._written += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        return self._written

    def finish(self) -> None:
        self._out.write(self._pack.flush())


def _libvirt_members(options: Vagrant, work: Work, disks: Sequence[Path]) -> list[tuple[str, bytes | Path]]:
    if options.box_format == "v1" and len(disks) == 1:
        # Whole GiB, rounded up: vagrant-libvirt makes the volume of this size, and takes integers only.
        size = -(-int(work.disks[0].virtual_size) // 2**30)
        metadata: dict[str, Any] = {"provider": "libvirt", "format": "qcow2", "virtual_size": size}
        return [("metadata.json", _json(metadata)), ("box.img", disks[0])]
    names = [f"box_{number}.img" for number in range(len(disks))]
    metadata = {"provider": "libvirt", "format": "qcow2", "disks": [{"path": name} for name in names]}
    return [("metadata.json", _json(metadata)), *zip(names, disks, strict=True)]


def _virtualbox(work: Work, disks: Sequence[Path]) -> list[tuple[str, bytes | Path]]:
    names = ["box.vmdk", *(f"box-disk{number}.vmdk" for number in range(2, len(disks) + 1))]
    described = [
        OvfDisk(name, path.stat().st_size, Size(disk.virtual_size))
        for disk, path, name in zip(work.disks, disks, names, strict=True)
    ]
    text = ovf.descriptor(OvfSystem(work.name, work.hardware, controller="sata"), described)
    return [
        ("metadata.json", _json({"provider": "virtualbox"})),
        ("box.ovf", text),
        *zip(names, disks, strict=True),
    ]


def _vagrantfile(options: Vagrant, hardware: OvfHardware) -> bytes:
    """Settings that the box needs on every machine, then the template's own text."""
    if options.provider == "libvirt":
        text = _LIBVIRT_UEFI if hardware.uefi else _LIBVIRT
    else:
        mac = hardware.macs[0].replace(":", "").upper() if hardware.macs else ""
        text = f'  config.vm.base_mac = "{mac}"\n' if mac else ""
        text += _VIRTUALBOX_UEFI if hardware.uefi else ""
    return _VAGRANTFILE.format(settings=text, own=options.vagrantfile).encode()


async def _catalog(options: Vagrant, work: Work, box: Exported) -> Exported:
    """``vagrant box add <this file>`` installs the box beside it, checked and with a version."""
    path = work.staging / f"{box.path.stem}.json"
    document = {
        "name": work.name,
        "versions": [
            {
                "version": options.version,
                "providers": [
                    {
                        "name": options.provider,
                        "url": box.path.name,
                        "checksum_type": "sha256",
                        "checksum": box.sha256,
                        "architecture": "amd64",
                        "default_architecture": True,
                    }
                ],
            }
        ],
    }
    path.write_bytes(_json(document))
    return await work.exported(path, "vagrant-catalog", usage=f"vagrant box add {path.name}", sidecar=True)


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
