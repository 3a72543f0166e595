"""All options of the qemu builder in one, with Packer's defaults filled in and its rules checked."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from factory.errors import Problem
from factory.template.packer.options import Decoder, Dialect, Settings, option
from factory.template.packer.qemu_builder.communicator import (
    CommunicatorOptions,
    PortOptions,
    SshOptions,
    WinrmOptions,
)
from factory.template.packer.qemu_builder.console import BootOptions, DisplayOptions
from factory.template.packer.qemu_builder.defaults import filled
from factory.template.packer.qemu_builder.foreign import explain
from factory.template.packer.qemu_builder.hardware import FirmwareOptions, HardwareOptions
from factory.template.packer.qemu_builder.media import DiskOptions, IsoOptions
from factory.template.packer.qemu_builder.output import OutputOptions
from factory.template.packer.qemu_builder.rules import check
from factory.template.packer.qemu_builder.seeds import CdOptions, FloppyOptions, HttpOptions


@dataclass(frozen=True, kw_only=True)
class QemuSource(
    IsoOptions,
    DiskOptions,
    HardwareOptions,
    FirmwareOptions,
    BootOptions,
    DisplayOptions,
    HttpOptions,
    CdOptions,
    FloppyOptions,
    OutputOptions,
    CommunicatorOptions,
    SshOptions,
    WinrmOptions,
    PortOptions,
):
    """What a ``source "qemu"`` says, completely: every option has a value, deprecated ones are carried over."""

    build_name: str = option("")


BUILDER = "qemu"


def read_qemu_source(decoder: Decoder, settings: Settings, build_name: str) -> QemuSource:
    """Reads and checks the options of one build; every problem goes to the decoder's list."""
    decoder.explain = explain
    if decoder.dialect is Dialect.HCL:
        settings = settings.without()
    before = sum(p.severity == "error" for p in decoder.problems)
    source = decoder.decode(QemuSource, settings, BUILDER)
    source = filled(dataclasses.replace(source, build_name=build_name))
    failed = sum(p.severity == "error" for p in decoder.problems) > before
    problems: list[Problem] = check(source, settings)
    decoder.problems.extend(p for p in problems if not failed or p.severity == "warning")
    return source
