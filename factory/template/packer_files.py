"""Tells Packer's templates from our own, quickly: their reader is imported only when there is something to read."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from factory.errors import Problem


class Purpose(enum.Enum):
    """Why templates are loaded: to list what they declare, to say whether they are right, or to make their builds.

    Only for ``SHOW`` a variable may lack its value.
    """

    SHOW = "show"
    CHECK = "check"
    MAKE = "make"


DataReader = Callable[[str, str, Mapping[str, Any]], Any]
"""Reads a data source: its type, name and options give the attributes it has. None: it can't be read here."""
HCL_ENDINGS = (".pkr.hcl", ".pkr.json")


def is_packer(path: Path) -> bool:
    """Whether *path* is a Packer template: a folder with HCL files, such a file, or JSON with builders."""
    if path.is_dir():
        return any(p.name.endswith(HCL_ENDINGS) for p in path.iterdir())
    if path.name.endswith((*HCL_ENDINGS, ".hcl")):
        return True
    if path.suffix != ".json" or not path.is_file():
        return False
    try:
        content = json.loads(path.read_text("utf-8-sig", errors="replace"))
    except RecursionError:  # nested more deeply than either form allows: the reader of JSON names the place
        return True
    except (OSError, ValueError):
        # A template with a mistake in it is still one: its own reader says where the mistake is.
        return '"builders"' in path.read_text("utf-8", errors="replace") if path.is_file() else False
    return isinstance(content, dict) and "builders" in content


def syntax_problems(path: Path) -> tuple[Problem, ...]:
    """What keeps the files of a Packer template from being read; values are not looked at."""
    from factory.template.packer.config.load_hcl import syntax_errors

    return syntax_errors(path)
