"""The names of all findings, and whether an ``allow`` names one of them."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Collection, Sequence

from factory.errors import TemplateError
from factory.seal.secret_scan import KNOWN
from factory.seal.secret_shapes import SHAPES
from factory.seal.unseen import UNSEEN

FINDINGS = tuple(sorted({UNSEEN, *(shape.name for shape in SHAPES)}))


def check_allow(allow: Sequence[str], known: Collection[str]) -> None:
    """Raises: TemplateError for an entry that allows nothing, as none of *known* has its name; it tells the nearest."""
    for entry in allow:
        name = entry.partition(":/")[0]
        if name.startswith(KNOWN) or any(fnmatch.fnmatchcase(k, name) for k in (*known, *KNOWN)):
            continue
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"findings: {', '.join(known)}"
        raise TemplateError(f"{entry!r} allows nothing: there is no finding {name!r}", hint=hint)
