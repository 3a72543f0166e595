"""From a Packer build to factory's own template model."""

from factory.template.packer.to_template.machine import UnsupportedMachine
from factory.template.packer.to_template.notes import Note
from factory.template.packer.to_template.placing import NotMadeHere
from factory.template.packer.to_template.translate import Translation, to_template

__all__ = ["NotMadeHere", "Note", "Translation", "UnsupportedMachine", "to_template"]
