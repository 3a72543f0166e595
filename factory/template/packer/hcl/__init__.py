"""HCL: the syntax of ``.pkr.hcl`` files and of their JSON form, without any meaning."""

from factory.template.packer.hcl.body_parser import parse_body, parse_expression, parse_template
from factory.template.packer.hcl.source import NOWHERE, Source, Span

__all__ = ["NOWHERE", "Source", "Span", "parse_body", "parse_expression", "parse_template"]
