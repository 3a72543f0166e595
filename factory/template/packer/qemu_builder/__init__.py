"""The qemu builder: its options, their defaults, and the rules between them."""

from factory.template.packer.qemu_builder.source import BUILDER, QemuSource, read_qemu_source

__all__ = ["BUILDER", "QemuSource", "read_qemu_source"]
