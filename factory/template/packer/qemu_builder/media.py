"""What the machine is installed from, and the disks that it is installed on."""

from __future__ import annotations

from dataclasses import dataclass

from factory.template.packer.options import Options, option

DISK_INTERFACES = ("ide", "sata", "scsi", "sd", "virtio", "virtio-scsi")
DISK_CACHES = ("writethrough", "writeback", "none", "unsafe", "directsync")
CDROM_INTERFACES = ("ide", "scsi", "virtio", "virtio-scsi")
DEFAULT_DISK_SIZE = "40960M"


@dataclass(frozen=True, kw_only=True)
class IsoOptions(Options):
    """The installer, or the disk image to start from. ``iso_urls`` are mirrors of one file, tried in order."""

    iso_url: str = ""
    iso_urls: tuple[str, ...] = ()
    iso_checksum: str = ""
    """``none``, a digest (its type shows in its length), ``type:digest``, or ``file:`` and a list of digests."""
    iso_target_path: str = ""
    iso_target_extension: str = "iso"
    iso_skip_cache: bool = False
    disk_image: bool = False
    use_backing_file: bool = False
    iso_checksum_type: str = option("", replaced_by="iso_checksum")
    iso_checksum_url: str = option("", replaced_by="iso_checksum")
    iso_md5: str = option("", replaced_by="iso_checksum")


@dataclass(frozen=True, kw_only=True)
class QemuImgArgs(Options):
    """Further arguments for each use of ``qemu-img``."""

    convert: tuple[str, ...] = ()
    create: tuple[str, ...] = ()
    resize: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DiskOptions(Options):
    """A size is a number with b, k, m, g or t behind it; without, it counts MiB."""

    disk_size: str = DEFAULT_DISK_SIZE
    disk_additional_size: tuple[str, ...] = ()
    format: str = option("qcow2", choices=("qcow2", "raw"))
    disk_interface: str = option("virtio", choices=DISK_INTERFACES)
    disk_cache: str = option("writeback", choices=DISK_CACHES)
    disk_discard: str = option("ignore", choices=("unmap", "ignore"))
    disk_detect_zeroes: str = option("off", choices=("unmap", "on", "off"))
    skip_compaction: bool = False
    disk_compression: bool = False
    skip_resize_disk: bool = False
    cdrom_interface: str = option("", choices=CDROM_INTERFACES)
    qemu_img_args: QemuImgArgs | None = option(None, block=True)  # noqa: RUF009
