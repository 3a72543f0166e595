"""Exporters for clouds and Kubernetes: fixed VHD (Azure), tar for Google's, containerDisk (KubeVirt)."""

from __future__ import annotations

import hashlib
import json
import struct
import tarfile
import time
import uuid
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from factory.disk.reader import DiskReader
from factory.outputs import products, usage
from factory.outputs.model import Exported, Meter, Part, Work
from factory.outputs.ova import write_tar
from factory.outputs.raw import write_sparse
from factory.outputs.stream import HashingWriter, blocks, hashing
from factory.quantity import Size
from factory.template.output_options import ContainerDisk, Gce, Vhd

_MIB, _GIB = 2**20, 2**30
_QEMU_USER = 107  # the user under which KubeVirt runs QEMU


async def export_vhd(options: Vhd, work: Work) -> list[Exported]:
    """A fixed VHD whose size is whole MiB, as Azure wants it: the disk and a footer of 512 bytes."""
    files = []
    for disk in work.disks:
        source = await products.readable(work, disk)
        path = work.staging / work.file_name(disk, "vhd")

        def write(meter: Meter, source: Any = source, path: Path = path) -> tuple[str, int]:
            with products.reading(source) as reader:
                size = -(-reader.size // _MIB) * _MIB
                return write_sparse(reader, path, size, vhd_footer(size, path.name), meter), size

        async with work.slots:
            work.digests[path], size = await work.in_thread(f"vhd {disk.id}", write)
        words = usage.on_azure(path.name, work.hardware)
        part = Part(disk.id, path.name, "vpc", 0, 0)
        files.append(await work.exported(path, "vhd", virtual_size=Size(size), usage=words, parts=(part,)))
    return files


def vhd_footer(size: int, name: str) -> bytes:
    """The footer of a fixed VHD (Microsoft, "Virtual Hard Disk Image Format Specification" 1.0, *Hard Disk Footer*)."""
    cylinders, heads, sectors = _geometry(size // 512)
    # "win " and not a name of our own: readers then take the size field for true, and not the geometry, which rounds.
    footer = struct.pack(
        ">8sIIQI4sI4sQQHBBII16sB",
        b"conectix", 2, 0x10000, 0xFFFFFFFFFFFFFFFF, 0, b"win ", 0x000A0000, b"Wi2k", size, size,
        cylinders, heads, sectors, 2, 0, uuid.uuid5(uuid.NAMESPACE_OID, f"{name} {size}").bytes, 0,
    ).ljust(512, b"\0")  # fmt: skip
    checksum = ~sum(footer) & 0xFFFFFFFF
    return footer[:64] + struct.pack(">I", checksum) + footer[68:]


def _geometry(total: int) -> tuple[int, int, int]:
    """CHS of *total* sectors, by the algorithm of the specification's appendix."""
    total = min(total, 65535 * 16 * 255)
    if total >= 65535 * 16 * 63:
        return total // 255 // 16, 16, 255
    sectors, heads = 17, max(4, (total // 17 + 1023) // 1024)
    cylinders_times_heads = total // sectors
    if cylinders_times_heads >= heads * 1024 or heads > 16:
        sectors, heads = 31, 16
        cylinders_times_heads = total // sectors
    if cylinders_times_heads >= heads * 1024:
        sectors, heads = 63, 16
        cylinders_times_heads = total // sectors
    return cylinders_times_heads // heads, heads, sectors


async def export_gce(options: Gce, work: Work) -> list[Exported]:
    """``disk.raw`` of whole GiB in a gzipped tar in GNU's old format, holes left out."""
    files = []
    for disk in work.disks:
        source = await products.readable(work, disk)
        path = work.staging / work.file_name(disk, "tar.gz")

        def write(meter: Meter, source: Any = source, path: Path = path) -> tuple[str, int]:
            with products.reading(source) as reader, hashing(path) as out:
                size = -(-reader.size // _GIB) * _GIB
                gzip = _Gzip(out)
                write_sparse_member(gzip, reader, "disk.raw", size, meter)
                gzip.write(bytes(2 * tarfile.BLOCKSIZE))
                gzip.close()
                return out.hexdigest(), size

        async with work.slots:
            work.digests[path], size = await work.in_thread(f"gce {disk.id}", write)
        words = usage.on_google(path.name, work.name, work.hardware)
        part = Part(disk.id, "disk.raw", "raw", packing="tar.gz")
        files.append(await work.exported(path, "gce", virtual_size=Size(size), usage=words, parts=(part,)))
    return files


class _Gzip:
    """Gzip without a name and a date, so that equal contents give equal files."""

    def __init__(self, out: HashingWriter) -> None:
        self._out, self._pack = out, zlib.compressobj(6, zlib.DEFLATED, 31)

    def write(self, data: bytes) -> None:
        self._out.write(self._pack.compress(data))

    def close(self) -> None:
        self._out.write(self._pack.flush())


def write_sparse_member(out: _Gzip, reader: DiskReader, name: str, size: int, meter: Meter) -> None:
    """One sparse member in GNU's old format (type S): a map of what holds data, then the data alone.

    Source: GNU tar's manual, *Old GNU Format*; tar.h ``oldgnu_header``.
    """
    extents: list[tuple[int, int]] = list(blocks(reader, 4096)) or []
    if not extents or sum(extents[-1]) < size:
        extents.append((size, 0))  # the map ends where the file ends
    stored = sum(length for _, length in extents)
    out.write(_sparse_header(name, size, stored, extents))
    rest = extents[4:]
    while rest:
        entries = b"".join(_number(o) + _number(n) for o, n in rest[:21])
        rest = rest[21:]
        out.write(entries.ljust(504, b"\0") + (b"\1" if rest else b"\0") + bytes(7))
    for offset, length in extents:
        for at in range(offset, offset + length, 4 * _MIB):
            out.write(reader.read(at, min(4 * _MIB, offset + length - at)))
            meter(at, size)
    out.write(bytes(-stored % 512))
    meter(size, size)


def _sparse_header(name: str, size: int, stored: int, extents: Sequence[tuple[int, int]]) -> bytes:
    header = bytearray(512)
    sparse = b"".join(_number(offset) + _number(length) for offset, length in extents[:4])
    for at, value in (
        (0, name.encode()), (100, b"0000644\0"), (108, b"0000000\0"), (116, b"0000000\0"), (124, _number(stored)),
        (136, _number(315532800)), (148, b" " * 8), (156, b"S"), (257, b"ustar  \0"), (386, sparse),
        (482, b"\1" if len(extents) > 4 else b"\0"), (483, _number(size)),
    ):  # fmt: skip
        header[at : at + len(value)] = value
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header)


def _number(value: int) -> bytes:
    """A field of 12 bytes: octal, or base 256 where that is too short."""
    return f"{value:011o}\0".encode() if value < 8**11 else b"\x80" + value.to_bytes(11, "big")


async def export_container_disk(options: ContainerDisk, work: Work) -> list[Exported]:
    """An OCI image (as an archive of an image layout) that holds nothing but the disk, as KubeVirt wants it."""
    disk = work.disks[0]
    image = await products.qcow2(work, disk, "zlib", "1.1")
    layer, path = work.scratch / "layer.tar", work.staging / f"{work.name}-containerdisk.oci.tar"
    inner = f"disk/{work.name}.qcow2"

    def write(meter: Meter) -> tuple[str, Part]:
        with hashing(layer) as out:
            offset = write_tar(out, [(inner, image)], meter, owner=_QEMU_USER)[inner]
            digest = out.hexdigest()
        blobs = _oci_documents(digest, layer.stat().st_size, work.name, options.tag)
        members: list[tuple[str, bytes | Path]] = [*blobs, (f"blobs/sha256/{digest}", layer)]
        with hashing(path) as out:
            start = write_tar(out, members, meter)[f"blobs/sha256/{digest}"]
            part = Part(disk.id, inner, "qcow2", start + offset, image.stat().st_size)
            return out.hexdigest(), part

    async with work.slots:
        work.digests[path], part = await work.in_thread("containerdisk", write)
    words = usage.on_kubevirt(path.name, work.name, options.tag, work.hardware)
    size = Size(disk.virtual_size)
    return [await work.exported(path, "containerdisk", virtual_size=size, usage=words, parts=(part,))]


def _oci_documents(layer: str, size: int, name: str, tag: str) -> list[tuple[str, bytes | Path]]:
    """What an OCI image layout holds besides the layer (OCI image specification 1.0, image-layout.md)."""
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(315532800))
    config = _json(
        {
            "created": created,
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
            "history": [{"created": created, "created_by": "factory"}],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [
                {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": f"sha256:{layer}", "size": size}
            ],
        }
    )
    listed = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
    listed |= {
        "annotations": {"org.opencontainers.image.ref.name": tag, "org.opencontainers.image.title": name},
        "platform": {"architecture": "amd64", "os": "linux"},
    }
    return [
        ("oci-layout", _json({"imageLayoutVersion": "1.0.0"})),
        ("index.json", _json({"schemaVersion": 2, "manifests": [listed]})),
        (f"blobs/sha256/{hashlib.sha256(config).hexdigest()}", config),
        (f"blobs/sha256/{hashlib.sha256(manifest).hexdigest()}", manifest),
    ]


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
