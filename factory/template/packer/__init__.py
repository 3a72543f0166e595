"""Packer templates, HCL and JSON: ``load`` gives them completely evaluated and checked."""

from factory.template.packer.load import load
from factory.template.packer.model import OtherBuilder, PackerBuild, PackerConfig, PackerVariable
from factory.template.packer.qemu_builder import QemuSource

__all__ = ["OtherBuilder", "PackerBuild", "PackerConfig", "PackerVariable", "QemuSource", "load"]
