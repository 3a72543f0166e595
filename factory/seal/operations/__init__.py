"""Every operation by name, in the order in which they run."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from factory.errors import TemplateError
from factory.seal.model import GuestInfo, Operation, SealOptions
from factory.seal.operations import identity, logs, network, packages, services, users, windows

_MODULES = (users, services, packages, network, logs, identity, windows)
OPERATIONS: Mapping[str, Operation] = {o.name: o for module in _MODULES for o in module.OPERATIONS}


def select(guest: GuestInfo, options: SealOptions) -> list[Operation]:
    """The operations that run on *guest*. ``only`` may name those that are off by default.

    Raises: TemplateError when a name is unknown.
    """
    check_names((*options.only, *options.except_))
    return [
        operation
        for operation in OPERATIONS.values()
        if operation.fits(guest)
        and (operation.name in options.only if options.only else operation.default)
        and operation.name not in options.except_
    ]


def check_names(names: Sequence[str]) -> None:
    """Raises: TemplateError that names the nearest operation."""
    for name in names:
        if name not in OPERATIONS:
            near = difflib.get_close_matches(name, OPERATIONS, 1)
            hint = f"did you mean {near[0]!r}?" if near else "`factory seal --list` prints all of them"
            raise TemplateError(f"there is no seal operation {name!r}", hint=hint)
