"""The functions that expressions can call, in modules by what they are about."""

from __future__ import annotations

from collections.abc import Mapping

from factory.template.packer.language.functions import (  # each module registers its functions when imported
    checks,
    collections,
    encoding,
    files,
    hashes,
    network,
    numeric,
    outside,
    sets,
    strings,
    times,
)
from factory.template.packer.language.functions.registry import REGISTRY, Function

FUNCTIONS: Mapping[str, Function] = REGISTRY
__all__ = [
    "FUNCTIONS",
    "Function",
    "checks",
    "collections",
    "encoding",
    "files",
    "hashes",
    "network",
    "numeric",
    "outside",
    "sets",
    "strings",
    "times",
]
