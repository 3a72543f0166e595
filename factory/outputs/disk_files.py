"""Exporters that give one file for each disk: qcow2, VMDK, VHDX."""

from __future__ import annotations

from pathlib import Path

from factory.events import Progress
from factory.outputs import products
from factory.outputs.model import Exported, Part, SealedDisk, Work
from factory.quantity import Size
from factory.template.output_options import Qcow2, Vhdx, Vmdk


async def export_qcow2(options: Qcow2, work: Work) -> list[Exported]:
    files = []
    for disk in work.disks:
        product = await products.qcow2(work, disk, options.compression, options.compat)
        files.append(await _delivered(work, disk, product, "qcow2", "qcow2", _start(work)))
    return files


def _start(work: Work) -> str:
    """How to start a machine on a qcow2 file. ``-snapshot`` keeps the delivered file as its checksum says."""
    hardware = work.hardware
    memory, install, qemu, drive = hardware.memory.mib, "", "", "-drive file={path},if=virtio"
    if hardware.uefi:
        install = " --boot uefi"
        qemu = " -machine q35,smm=on" if hardware.secure_boot else " -machine q35"
        qemu += _flash(work) or " -bios OVMF.fd"  # QEMU finds it by this name in its own data folder
        # The first, in words: the variables know the disk at its old address, and the shell comes before what is new.
        drive = "-drive id=disk,if=none,file={path} -device virtio-blk-pci,drive=disk,bootindex=0"
    return (
        f"virt-install --import --name {work.name} --memory {memory} --osinfo detect=on,require=off --disk {{path}}"
        f"{install}, or qemu-system-x86_64 -m {memory} -snapshot{qemu} {drive}"
    )


def _flash(work: Work) -> str:
    if work.uefi_code is None or work.uefi_variables is None:
        return ""
    format = "qcow2" if work.uefi_code.suffix == ".qcow2" else "raw"
    drives = (f"unit=0,readonly=on,file={work.uefi_code}", f"unit=1,file={work.variables_name}")
    return "".join(f" -drive if=pflash,format={format},{drive}" for drive in drives)


async def export_vmdk(options: Vmdk, work: Work) -> list[Exported]:
    files = []
    for disk in work.disks:
        if options.subformat == "streamOptimized":
            product = await products.stream_optimized(work, disk, options.adapter)
        else:
            product = await _converted(work, disk, "vmdk", _monolithic_sparse(options), "monolithicSparse")
        files.append(await _delivered(work, disk, product, "vmdk", "vmdk", "import it with VMware or VirtualBox"))
    return files


def _monolithic_sparse(options: Vmdk) -> list[str]:
    adapter = "ide" if options.adapter == "ide" else "lsilogic"
    return ["subformat=monolithicSparse", f"adapter_type={adapter}", "hwversion=14"]


async def export_vhdx(options: Vhdx, work: Work) -> list[Exported]:
    files = []
    for disk in work.disks:
        product = await _converted(work, disk, "vhdx", ["subformat=dynamic"], "")
        usage = "New-VM -Generation 2 -VHDPath {path} (Hyper-V; for secure boot: the Microsoft UEFI CA template)"
        files.append(await _delivered(work, disk, product, "vhdx", "vhdx", usage))
    return files


async def _converted(work: Work, disk: SealedDisk, format: str, options: list[str], kind: str) -> Path:
    async def make(path: Path) -> None:
        task = f"{format} {disk.id}"
        await work.images.convert(
            disk.path,
            path,
            source_format=disk.format,
            format=format,
            options=options,
            progress=lambda done, total: work.emit(Progress(task, done, total)),
        )
        await work.images.check(path, format=format)

    return await work.product((format, kind, disk.id), make, format)


async def _delivered(work: Work, disk: SealedDisk, product: Path, kind: str, suffix: str, usage: str) -> Exported:
    path = work.deliver(product, work.file_name(disk, suffix))
    parts = (Part(disk.id, path.name, suffix),)
    return await work.exported(
        path, kind, virtual_size=Size(disk.virtual_size), usage=usage.format(path=path.name), parts=parts
    )
