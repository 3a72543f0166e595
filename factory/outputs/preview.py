"""Estimates what an export will take, from a sample of the disk's own data, compressed as the exporters do."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from factory.disk.reader import DiskReader
from factory.outputs.raw import frame_compressor
from factory.outputs.stream import is_zero, workers
from factory.quantity import Duration, Size
from factory.template.output_options import ContainerDisk, Gce, OutputOptions, Ova, Qcow2, Raw, Vagrant, Vhd, Vhdx, Vmdk

_SAMPLES, _SAMPLE = 48, 128 * 1024
_COPY_RATE = 400 * 2**20
"""Bytes a second that reading, hashing and writing take without compression, on one core of an ordinary machine."""
_VHDX_BLOCKS = ((32 * 2**40, 64 * 2**20), (100 * 2**30, 32 * 2**20), (2**30, 16 * 2**20))
"""Disks larger than this have blocks of that size."""
_VHDX_OVERHEAD = 8 * 2**20  # headers, log, metadata and block table, each in MiB of its own


@dataclass(frozen=True, slots=True)
class Estimate:
    """``size``: bytes of the files as ``ls`` shows them; ``space``: what they take on disk, holes left out."""

    output: str
    size: Size
    space: Size
    seconds: Duration


@dataclass(frozen=True, slots=True)
class Preview:
    """``data``: bytes that the disks hold besides zeros; ``temporary``: gone when all is written."""

    data: Size
    virtual: Size
    estimates: tuple[Estimate, ...]
    temporary: Size
    seconds: Duration

    @property
    def space(self) -> Size:
        return Size(sum(e.space for e in self.estimates))


@dataclass(frozen=True, slots=True)
class _Packing:
    """What a compressor makes of the sample: ``ratio`` of packed to plain, ``rate`` in plain bytes a second."""

    ratio: float = 1.0
    rate: float = _COPY_RATE


def preview(readers: Sequence[DiskReader], requests: Sequence[OutputOptions], *, converted: int = 0) -> Preview:
    """Compresses a few MiB; CPU-bound, for a thread. *converted*: bytes of working copies that exist besides."""
    pieces = [piece for reader in readers for piece in _sample(reader)]
    filled = sum(len(p) for p in pieces if not is_zero(p))
    share = filled / max(1, sum(map(len, pieces)))
    data = round(sum(length for r in readers for _, length in r.extents()) * share)
    virtual = sum(r.size for r in readers)
    plain = [p for p in pieces if not is_zero(p)]
    known: dict[str, _Packing] = {}
    estimates, products = [], set[str]()
    for request in requests:
        kind = _compressor(request)
        if kind not in known:
            known[kind] = _measure(kind, plain)
        packing = known[kind]
        written = round(data * packing.ratio) + 2**16 * len(readers)
        size = written
        if isinstance(request, Vhd) or (kind == "none" and isinstance(request, Raw)):
            size = virtual
        elif isinstance(request, Vhdx):
            size = sum(map(_vhdx_size, readers))
        product = _product(request)
        work = 0.0 if product in products else data / packing.rate
        products.add(product)
        estimates.append(
            Estimate(_name(request), Size(size), Size(written), Duration(work / workers() + written / _COPY_RATE))
        )
    # A box or an OVA is packed from a file of its own, which is there until the end.
    shared = sum(e.space for e, r in zip(estimates, requests, strict=True) if isinstance(r, (Ova, Vagrant)))
    seconds = Duration(sum(e.seconds for e in estimates))
    return Preview(Size(data), Size(virtual), tuple(estimates), Size(shared + converted), seconds)


def _vhdx_size(reader: DiskReader) -> int:
    """Bytes of a dynamic VHDX as QEMU writes it: whole blocks for whatever is in them (``vhdx_co_create``)."""
    block = next((size for limit, size in _VHDX_BLOCKS if reader.size > limit), 8 * 2**20)
    blocks, last = 0, -1
    for offset, length in reader.extents():
        first = max(offset // block, last + 1)
        last = max(last, (offset + length - 1) // block)
        blocks += max(0, last - first + 1)
    return _VHDX_OVERHEAD + blocks * block


def _sample(reader: DiskReader) -> Iterator[bytes]:
    """Pieces from all over what the disk holds: one from each of as many equal stretches, at no regular distance."""
    extents = list(reader.extents())
    total = sum(length for _, length in extents)
    stretch, generator = max(_SAMPLE, total // _SAMPLES), random.Random(0)
    places = [at + generator.randrange(max(1, stretch - _SAMPLE)) for at in range(0, total, stretch)]
    passed = 0
    for offset, length in extents:
        while places and places[0] < passed + length:
            inside = places.pop(0) - passed
            yield reader.read(offset + inside, min(_SAMPLE, length - inside))
        passed += length


def _name(request: OutputOptions) -> str:
    variant = getattr(request, "provider", "") or (request.compress if isinstance(request, Raw) else "")
    return f"{request.kind} ({variant})" if variant and variant != "none" else request.kind


def _compressor(request: OutputOptions) -> str:
    if isinstance(request, Qcow2):
        return "zstd, fast" if request.compression == "zstd" else request.compression
    if isinstance(request, Raw):
        return request.compress
    if isinstance(request, Vmdk):
        return "deflate" if request.subformat == "streamOptimized" else "none"
    if isinstance(request, Ova) or (isinstance(request, Vagrant) and request.provider == "virtualbox"):
        return "deflate"
    return "zlib" if isinstance(request, (Vagrant, Gce, ContainerDisk)) else "none"


def _product(request: OutputOptions) -> str:
    """What several outputs share is made once."""
    kind = _compressor(request)
    return kind if isinstance(request, (Qcow2, Vagrant, Ova, Vmdk)) else f"{request.kind} {kind}"


def _measure(kind: str, pieces: Sequence[bytes]) -> _Packing:
    if kind == "none" or not pieces:
        return _Packing()
    compress = _compress(kind)
    plain, started = sum(map(len, pieces)), time.perf_counter()
    packed = sum(len(compress(piece)) for piece in pieces)
    return _Packing(packed / plain, plain / max(1e-6, time.perf_counter() - started))


def _compress(kind: str) -> Callable[[bytes], bytes]:
    if kind == "zstd, fast":  # qemu-img takes zstd's default level
        return frame_compressor("zstd", 3)
    return zlib.compress if kind == "zlib" else frame_compressor("gz" if kind == "deflate" else kind)
