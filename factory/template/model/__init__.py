"""What a person wrote, as frozen typed data. Knows nothing of this host.

Two documents: a ``Template`` (``images/*.yml``) and a ``Profile`` (``boot_configs/*.yml``). Both refuse unknown
fields. Texts that need a value which exists only while a build runs (``seed.url``, the build key, a generated
password) stay a ``LateText``: they are rendered when the value is there and only their source enters a key.
"""

from __future__ import annotations

from factory.template.model.access import Access, Bastion, Ssh, WinRm
from factory.template.model.delivery import RUN_ID_MARK, Delivery, PostProcess
from factory.template.model.expect import FAIL, Expect
from factory.template.model.finish import Seal, Shutdown, Verify
from factory.template.model.install import BootMethod, Install, Medium, SeedDelivery, SeedFile
from factory.template.model.loaded import Loaded
from factory.template.model.machine import Disk, Firmware, Forward, Machine, Nic, Tpm
from factory.template.model.profile import (
    DEFAULT_STALL,
    DirectBoot,
    Finished,
    Profile,
    ProfileSeed,
    Recognise,
    TypedBoot,
)
from factory.template.model.provision import PROVISIONER_KINDS, Ansible, File, Plugin, Provision, Reboot, Shell
from factory.template.model.source import BuiltFile, ImageSource, IsoSource, Source
from factory.template.model.template import NEEDS_INSTALL, NO_WAY_TO_PROVISION, Layers, Template
from factory.template.model.text import LATE_NAMES, Identifier, LateText, Name, Strict, Text, Texts
from factory.template.model.variables import Variable, VariableType

__all__ = [
    "DEFAULT_STALL",
    "FAIL",
    "LATE_NAMES",
    "NEEDS_INSTALL",
    "NO_WAY_TO_PROVISION",
    "PROVISIONER_KINDS",
    "RUN_ID_MARK",
    "Access",
    "Ansible",
    "Bastion",
    "BootMethod",
    "BuiltFile",
    "Delivery",
    "DirectBoot",
    "Disk",
    "Expect",
    "File",
    "Finished",
    "Firmware",
    "Forward",
    "Identifier",
    "ImageSource",
    "Install",
    "IsoSource",
    "LateText",
    "Layers",
    "Loaded",
    "Machine",
    "Medium",
    "Name",
    "Nic",
    "Plugin",
    "PostProcess",
    "Profile",
    "ProfileSeed",
    "Provision",
    "Reboot",
    "Recognise",
    "Seal",
    "SeedDelivery",
    "SeedFile",
    "Shell",
    "Shutdown",
    "Source",
    "Ssh",
    "Strict",
    "Template",
    "Text",
    "Texts",
    "Tpm",
    "TypedBoot",
    "Variable",
    "VariableType",
    "Verify",
    "WinRm",
]
