"""Go's text/template, the language inside ``{{ }}``."""

from factory.template.packer.gotemplate.packer_functions import Surroundings, packer_functions
from factory.template.packer.gotemplate.render import Context, Late, fields_of, is_template, render, render_known

__all__ = [
    "Context",
    "Late",
    "Surroundings",
    "fields_of",
    "is_template",
    "packer_functions",
    "render",
    "render_known",
]
