"""Exporters that give one file for each disk: qcow2, VMDK, VHDX."""

from __future__ import annotations

from pathlib import Path

from factory.events import Progress
from factory.outputs import products, usage
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
    variables = work.variables_name if work.uefi_variables else ""
    return usage.on_kvm(work.name, work.hardware, work.uefi_code, variables)


async def export_vmdk(options: Vmdk, work: Work) -> list[Exported]:
    files = []
    for disk in work.disks:
        if options.subformat == "streamOptimized":
            product = await products.stream_optimized(work, disk, options.adapter)
        else:
            product = await _converted(work, disk, "vmdk", _monolithic_sparse(options), "monolithicSparse")
        words = usage.on_vmware(options.adapter, work.hardware)
        files.append(await _delivered(work, disk, product, "vmdk", "vmdk", words))
    return files


def _monolithic_sparse(options: Vmdk) -> list[str]:
    adapter = "ide" if options.adapter == "ide" else "lsilogic"
    return ["subformat=monolithicSparse", f"adapter_type={adapter}", "hwversion=14"]


async def export_vhdx(options: Vhdx, work: Work) -> list[Exported]:
    files = []
    for disk in work.disks:
        product = await _converted(work, disk, "vhdx", ["subformat=dynamic"], "")
        words = usage.on_hyper_v(work.name, work.hardware)
        files.append(await _delivered(work, disk, product, "vhdx", "vhdx", words))
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


async def _delivered(work: Work, disk: SealedDisk, product: Path, kind: str, suffix: str, words: str) -> Exported:
    path = work.deliver(product, work.file_name(disk, suffix))
    parts = (Part(disk.id, path.name, suffix),)
    return await work.exported(
        path, kind, virtual_size=Size(disk.virtual_size), usage=words.format(path=path.name), parts=parts
    )
