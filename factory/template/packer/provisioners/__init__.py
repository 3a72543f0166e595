"""Provisioners: what they take, and what every one of them takes."""

from factory.template.packer.provisioners.catalog import KNOWN_ELSEWHERE, PROVISIONERS, read_provisioner
from factory.template.packer.provisioners.meta import MetaOptions, OtherProvisioner, Provisioner

__all__ = [
    "KNOWN_ELSEWHERE",
    "PROVISIONERS",
    "MetaOptions",
    "OtherProvisioner",
    "Provisioner",
    "read_provisioner",
]
