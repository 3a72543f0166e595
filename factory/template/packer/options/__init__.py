"""Options of builders, provisioners and post-processors: declared as dataclasses, read from HCL and JSON alike."""

from factory.template.packer.options.declare import NO_SECRET, Options, option
from factory.template.packer.options.decode import Decoder, Dialect, Given, Settings

__all__ = ["NO_SECRET", "Decoder", "Dialect", "Given", "Options", "Settings", "option"]
