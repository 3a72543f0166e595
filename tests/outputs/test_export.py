"""Every format, read back by programs that nobody here wrote: qemu-img, tar, bmaptool, skopeo, virt-v2v."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from factory.drivers.qemu.disk_image import QemuImg
from factory.errors import StepError, TemplateError, VerificationFailed
from factory.events import ignore
from factory.outputs.export import export_all, parse_request
from factory.outputs.hardware import OvfHardware
from factory.outputs.manifest import check_folder, write_manifest
from factory.outputs.model import Exported, Exports
from factory.outputs.source import image_disks
from factory.outputs.unpack import unpack
from factory.plan.resources import SealedDisk
from factory.quantity import Size
from factory.template.output_options import OutputOptions

pytestmark = pytest.mark.machine

MIB = 2**20
SIZE = 24 * MIB + 512  # no whole number of MiB, of grains or of 4 KiB
REQUESTS: tuple[OutputOptions, ...] = (
    parse_request("qcow2", {"compress": "zstd"}),
    parse_request("vmdk"),
    parse_request("ova"),
    parse_request("raw", {"bmap": True}),
    parse_request("raw", {"compress": "gz"}),
    parse_request("raw", {"compress": "xz"}),
    parse_request("raw", {"compress": "zstd"}),
    parse_request("vagrant", {"version": "1.2.3"}),
    parse_request("vagrant", {"provider": "virtualbox"}),
    parse_request("vhd"),
    parse_request("vhdx"),
    parse_request("gce"),
    parse_request("containerdisk", {"tag": "v1"}),
)


def run(*argv: object, cwd: Path | None = None) -> str:
    return subprocess.run([str(a) for a in argv], check=True, capture_output=True, text=True, cwd=cwd).stdout


def make_disk(path: Path, size: int, seed: int) -> bytes:
    """A raw disk with text, noise, zeros that are written and holes; the first and the last sector hold data."""
    generator, content = random.Random(seed), bytearray(size)
    for _ in range(60):
        at = generator.randrange(0, size - 70_000)
        length = generator.randrange(1, 70_000)
        content[at : at + length] = (
            generator.randbytes(length) if generator.random() < 0.5 else b"text " * (length // 5)
        )
    content[:512] = generator.randbytes(512)
    content[-512:] = generator.randbytes(512)
    with path.open("wb") as stream:
        stream.truncate(size)
        for at in range(0, size, 4096):
            if any(content[at : at + 4096]):
                os.pwrite(stream.fileno(), content[at : at + 4096], at)
        os.pwrite(stream.fileno(), bytes(65536), 20 * MIB)
        os.pwrite(stream.fileno(), content[20 * MIB : 20 * MIB + 65536], 20 * MIB)
    return bytes(content)


@dataclass(frozen=True, slots=True)
class Artifact:
    folder: Path
    exports: Exports
    disks: Mapping[str, SealedDisk]

    def of(self, format: str, name: str = "") -> Exported:
        return next(f for f in self.exports.files if f.format == format and name in f.path.name)

    def path(self, format: str, name: str = "") -> Path:
        return self.folder / self.of(format, name).path


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    place = tmp_path_factory.mktemp("export")
    raw, base, data = place / "main.raw", place / "base.qcow2", place / "data.raw"
    make_disk(raw, SIZE, 1)
    make_disk(data, 24 * MIB, 2)
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, base)
    main = place / "main.qcow2"  # an overlay with small clusters, as a sealed layer is
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", "-b", base, "-F", "qcow2", main)
    run("qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 100k", "-c", "discard 2M 1M", "-c", "write -z 4M 64k", main)
    variables = place / "vars.fd"
    variables.write_bytes(b"uefi")
    disks = [
        SealedDisk("main", main, "qcow2", Size(SIZE)),
        SealedDisk("data", data, "raw", Size(24 * MIB)),
    ]
    staging = place / "out"
    staging.mkdir()
    hardware = OvfHardware(cpus=3, memory=Size(1536 * MIB), uefi=True, os_id="debian", os_version="12")
    exports = asyncio.run(
        export_all(
            disks, REQUESTS, name="img", hardware=hardware, uefi_variables=variables, staging=staging,
            images=QemuImg(), emit=ignore, uefi_code=Path("/firmware/CODE.fd"),
        )
    )  # fmt: skip
    write_manifest(staging, exports, about={"template": "images/x.yml"})
    return Artifact(staging, exports, {d.id: d for d in disks})


def same(disk: SealedDisk, image: object, format: str) -> bool:
    """Whether a guest would read the same from both; a rounded-up end may only be zeros."""
    argv = ["qemu-img", "compare", "-f", disk.format, "-F", format, disk.path, image]
    return subprocess.run([str(a) for a in argv], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("format", "driver"), [("qcow2", "qcow2"), ("vmdk", "vmdk"), ("vhdx", "vhdx"), ("vhd", "vpc"), ("raw", "raw")]
)
def test_plain_images_hold_the_disk(artifact: Artifact, format: str, driver: str) -> None:
    for disk, name in (("main", "img."), ("data", "img-data.")):
        path = artifact.path(format, name)
        assert same(artifact.disks[disk], path, driver), path
        assert not same(artifact.disks["main" if disk == "data" else "data"], path, driver)
    if format in ("qcow2", "vmdk", "vhdx"):
        assert "No errors were found" in run("qemu-img", "check", "-f", driver, artifact.path(format, "img."))


def test_the_words_on_how_to_start_a_uefi_disk_name_its_firmware_and_variables(artifact: Artifact) -> None:
    (usage,) = {f.usage for f in artifact.exports.files if f.path.name == "img.qcow2"}
    assert " --memory 1536 " in usage
    assert " --boot uefi" in usage
    flash = "-drive if=pflash,format=raw,unit="
    assert f"{flash}0,readonly=on,file=/firmware/CODE.fd {flash}1,file=img-uefi-vars.fd " in usage
    assert (artifact.folder / "img-uefi-vars.fd").exists()
    assert "qemu-system-x86_64 -m 1536 -snapshot -machine q35 " in usage
    assert usage.endswith(
        "-drive id=disk,if=none,file=img.qcow2,format=qcow2 -device virtio-blk-pci,drive=disk,bootindex=0"
    )


def test_the_streamed_vmdk_ends_as_vmware_wants_it(artifact: Artifact) -> None:
    content = artifact.path("vmdk", "img.").read_bytes()
    assert content[:4] == b"KDMV"
    assert content[4] == 3  # version
    assert int.from_bytes(content[56:64], "little") == 0xFFFFFFFFFFFFFFFF  # the grain directory is at the end
    assert content[-512:] == bytes(512)  # end-of-stream marker
    footer = content[-1024:-512]
    assert footer[:4] == b"KDMV"
    directory = int.from_bytes(footer[56:64], "little") * 512
    assert content[directory - 512 :][12:16] == b"\2\0\0\0"  # the marker before it says what it is


def test_qemu_refuses_the_vmdk_without_its_end(artifact: Artifact, tmp_path: Path) -> None:
    """The negative path of the test above: the checks of qemu-img do look at the end."""
    cut = tmp_path / "cut.vmdk"
    cut.write_bytes(artifact.path("vmdk", "img.").read_bytes()[:-512])
    assert not same(artifact.disks["main"], cut, "vmdk")


def test_the_ova_is_a_tar_in_the_order_that_vmware_reads(artifact: Artifact) -> None:
    path = artifact.path("ova")
    with tarfile.open(path, "r:") as tar:
        members = tar.getmembers()
        assert [m.name for m in members] == ["img.ovf", "img.mf", "img-disk1.vmdk", "img-disk2.vmdk"]
        assert all(m.isreg() for m in members)
        lines = tar.extractfile("img.mf").read().decode().splitlines()  # type: ignore[union-attr]
        for line, member in zip(lines, [m for m in members if m.name != "img.mf"], strict=True):
            content = tar.extractfile(member).read()  # type: ignore[union-attr]
            assert line == f"SHA256({member.name})= {hashlib.sha256(content).hexdigest()}"
    assert path.read_bytes()[257:263] == b"ustar\0"


def test_disks_inside_the_ova_are_found_by_their_offsets(artifact: Artifact) -> None:
    path = artifact.path("ova")
    for part in artifact.of("ova").parts:
        inner = {"driver": "file", "filename": str(path)}
        middle = {"driver": "raw", "offset": part.offset, "size": part.length, "file": inner}
        where = json.dumps({"driver": "vmdk", "file": middle})
        source = artifact.disks[part.disk]
        argv = ["qemu-img", "compare", "-f", source.format, str(source.path), f"json:{where}"]
        assert subprocess.run(argv, capture_output=True, check=False).returncode == 0


def test_virt_v2v_takes_the_ova_and_refuses_a_flipped_byte(artifact: Artifact, tmp_path: Path) -> None:
    environment = {**os.environ, "LIBGUESTFS_BACKEND": "direct"}
    argv = ["virt-v2v", "-i", "ova", "-o", "null", "--print-source"]
    said = subprocess.run([*argv, artifact.path("ova")], capture_output=True, text=True, check=True, env=environment)
    for expected in ("img", "nr vCPUs: 3", f"memory: {1536 * MIB}", "firmware: uefi"):
        assert expected in said.stdout
    damaged = tmp_path / "damaged.ova"
    content = bytearray(artifact.path("ova").read_bytes())
    content[artifact.of("ova").parts[0].offset + 66_000] ^= 1
    damaged.write_bytes(content)
    refused = subprocess.run([*argv, damaged], capture_output=True, text=True, check=False, env=environment)
    assert refused.returncode != 0
    assert "checksum" in refused.stderr


def test_bmaptool_writes_the_raw_image_by_its_map(artifact: Artifact, tmp_path: Path) -> None:
    target = tmp_path / "device"
    bmap, raw = artifact.path("bmap", "img."), artifact.path("raw", "img.raw")
    run("bmaptool", "copy", "--bmap", bmap, raw, target)
    assert same(artifact.disks["main"], target, "raw")
    wrong = tmp_path / "wrong.bmap"
    wrong.write_text(bmap.read_text().replace('<Range chksum="', '<Range chksum="0', 1))
    refused = subprocess.run(["bmaptool", "copy", "--bmap", wrong, raw, target], capture_output=True, check=False)
    assert refused.returncode != 0


@pytest.mark.parametrize(("suffix", "program"), [("gz", "gzip"), ("xz", "xz"), ("zst", "zstd")])
def test_compressed_raw_images_unpack_with_the_usual_programs(
    artifact: Artifact, tmp_path: Path, suffix: str, program: str
) -> None:
    packed = artifact.path("raw", f"img.raw.{suffix}")
    unpacked = tmp_path / "disk.raw"
    with unpacked.open("wb") as out:
        subprocess.run([program, "-dc", packed], stdout=out, check=True)
    assert same(artifact.disks["main"], unpacked, "raw")
    assert packed.stat().st_size < SIZE / 2


def test_gnu_tar_unpacks_the_disk_for_google(artifact: Artifact, tmp_path: Path) -> None:
    path = artifact.path("gce", "img.tar.gz")
    run("tar", "xzf", path, "-C", tmp_path)
    disk = tmp_path / "disk.raw"
    assert disk.stat().st_size == 2**30
    assert same(artifact.disks["main"], disk, "raw")
    assert "disk.raw" in run("tar", "tzvf", path)


def test_the_vhd_has_whole_mebibytes_and_a_footer(artifact: Artifact) -> None:
    content = artifact.path("vhd", "img.").read_bytes()
    assert len(content) == 25 * MIB + 512
    footer = bytearray(content[-512:])
    assert footer[:8] == b"conectix"
    checksum = int.from_bytes(footer[64:68], "big")
    footer[64:68] = bytes(4)
    assert checksum == ~sum(footer) & 0xFFFFFFFF
    assert (
        json.loads(run("qemu-img", "info", "--output=json", "-f", "vpc", artifact.path("vhd", "img.")))["virtual-size"]
        == 25 * MIB
    )


def test_skopeo_reads_the_container_disk(artifact: Artifact, tmp_path: Path) -> None:
    path = artifact.path("containerdisk")
    source = f"oci-archive:{path}:v1"
    if os.geteuid() != 0:  # Debian 12's skopeo wants to give what it unpacks to the owners that the archive names
        with tarfile.open(path) as archive:
            archive.extractall(tmp_path / "layout")
        source = f"oci:{tmp_path / 'layout'}:v1"
    run("skopeo", "copy", "--quiet", "--insecure-policy", source, f"dir:{tmp_path / 'image'}")
    layers = json.loads((tmp_path / "image" / "manifest.json").read_text())["layers"]
    layer = tmp_path / "image" / layers[0]["digest"].removeprefix("sha256:")
    with tarfile.open(layer) as tar:
        (member,) = tar.getmembers()
        assert (member.name, member.uid, member.gid) == ("disk/img.qcow2", 107, 107)
        tar.extractall(tmp_path)
    assert same(artifact.disks["main"], tmp_path / "disk" / "img.qcow2", "qcow2")


def test_the_boxes_hold_what_vagrant_reads(artifact: Artifact, tmp_path: Path) -> None:
    for provider, word, names in (
        ("libvirt", "libvirt.loader = ", ["metadata.json", "box_0.img", "box_1.img", "Vagrantfile"]),
        (
            "virtualbox",
            '"--firmware", "efi"',
            ["metadata.json", "box.ovf", "box.vmdk", "box-disk2.vmdk", "Vagrantfile"],
        ),
    ):
        box = artifact.path("vagrant", provider)
        with tarfile.open(box, "r:gz") as tar:
            assert tar.getnames() == names
            metadata = json.loads(tar.extractfile("metadata.json").read())  # type: ignore[union-attr]
            vagrantfile = tar.extractfile("Vagrantfile").read().decode()  # type: ignore[union-attr]
        assert metadata["provider"] == provider
        assert word in vagrantfile, "a machine that was installed by UEFI boots by UEFI"
        catalog = json.loads(artifact.path("vagrant-catalog", provider).read_text())
        (listed,) = catalog["versions"][0]["providers"]
        assert listed["checksum"] == hashlib.sha256(box.read_bytes()).hexdigest()
        assert listed["url"] == box.name


def test_every_part_unpacks_to_the_disk(artifact: Artifact, tmp_path: Path) -> None:
    """What the verify step does with any exported file."""
    seen = set()
    for file in artifact.exports.files:
        for part in file.parts:
            image = tmp_path / "image"
            unpack(artifact.folder / file.path, part, image)
            assert same(artifact.disks[part.disk], image, part.format), (file.path, part)
            seen.add(file.format)
    assert seen == {"qcow2", "vmdk", "ova", "raw", "vagrant", "vhd", "vhdx", "gce", "containerdisk"}
    assert all(f.target is not None for f in artifact.exports.files if not f.sidecar)


def test_checksums_hold_for_every_file_and_find_a_changed_one(artifact: Artifact, tmp_path: Path) -> None:
    check_folder(artifact.folder)
    names = {p.name for p in artifact.folder.iterdir()}
    listed = {line.split("  ")[1] for line in (artifact.folder / "SHA256SUMS").read_text().splitlines()}
    assert listed == names - {"SHA256SUMS"}
    manifest = json.loads((artifact.folder / "manifest.json").read_text())
    assert {f["path"] for f in manifest["files"]} == names - {"SHA256SUMS", "manifest.json"}
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("SHA256SUMS", "manifest.json"):
        shutil.copy(artifact.folder / name, copy)
    for line in (copy / "SHA256SUMS").read_text().splitlines():
        os.link(artifact.folder / line.split("  ")[1], copy / f"{line.split('  ')[1]}.link")
        os.rename(copy / f"{line.split('  ')[1]}.link", copy / line.split("  ")[1])
    (copy / "img.bmap").unlink()
    (copy / "img.bmap").write_text("changed")
    with pytest.raises(VerificationFailed, match=r"img\.bmap is not what was exported"):
        check_folder(copy)
    (copy / "img.bmap").unlink()
    with pytest.raises(VerificationFailed, match=r"img\.bmap is missing"):
        check_folder(copy)


def test_equal_disks_give_equal_ovas(artifact: Artifact, tmp_path: Path) -> None:
    again = asyncio.run(
        export_all(
            list(artifact.disks.values()), [parse_request("ova"), parse_request("gce")], name="img",
            hardware=artifact.exports.hardware, uefi_variables=None, staging=tmp_path, images=QemuImg(), emit=ignore,
        )
    )  # fmt: skip
    assert [f.sha256 for f in again.files] == [f.sha256 for f in artifact.exports.files if f.format in ("ova", "gce")]


def test_nothing_of_the_work_is_left_among_the_delivered_files(artifact: Artifact) -> None:
    assert not [p for p in artifact.folder.iterdir() if p.name.startswith(".")]


def test_two_outputs_for_one_file_are_refused(artifact: Artifact, tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="two outputs would be written to one file: vmdk"):
        asyncio.run(
            export_all(
                list(artifact.disks.values()),
                [parse_request("vmdk"), parse_request("vmdk", {"subformat": "monolithicSparse"})],
                name="img",
                hardware=OvfHardware(),
                uefi_variables=None,
                staging=tmp_path,
                images=QemuImg(),
                emit=ignore,
            )
        )


def test_an_ova_is_a_source_like_any_image(artifact: Artifact, tmp_path: Path) -> None:
    images = QemuImg()
    found = asyncio.run(image_disks(artifact.path("ova"), images, tmp_path))
    assert [(d.format, d.virtual_size) for d in found] == [("vmdk", SIZE), ("vmdk", 24 * MIB)]
    for disk, source in zip(found, artifact.disks.values(), strict=True):
        assert same(source, disk.path, "vmdk")
    exports = asyncio.run(
        export_all(
            found, [parse_request("raw")], name="again", hardware=OvfHardware(), uefi_variables=None,
            staging=tmp_path / "out", images=images, emit=ignore,
        )
    )  # fmt: skip
    assert [str(f.path) for f in exports.files] == ["again.raw", "again-disk2.raw"]
    assert same(artifact.disks["main"], tmp_path / "out" / "again.raw", "raw")
    (single,) = asyncio.run(image_disks(artifact.path("qcow2", "img."), images, tmp_path))
    assert (single.format, single.virtual_size) == ("qcow2", SIZE)


def test_a_damaged_ova_is_no_source(artifact: Artifact, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.ova"
    content = bytearray(artifact.path("ova").read_bytes())
    content[artifact.of("ova").parts[0].offset + 66_000] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(StepError, match="not what it was"):
        asyncio.run(image_disks(damaged, QemuImg(), tmp_path))
