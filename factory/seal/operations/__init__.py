"""Every operation by name, in the order in which they run."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from factory.errors import TemplateError
from factory.seal.model import GuestInfo, Operation, SealOptions
from factory.seal.operations import devices, identity, logs, network, packages, services, users, windows
from factory.seal.operations.devices import DeviceOperation

_MODULES = (users, services, packages, network, logs, identity, windows)
OPERATIONS: Mapping[str, Operation] = {o.name: o for module in _MODULES for o in module.OPERATIONS}
DEVICE_OPERATIONS: Mapping[str, DeviceOperation] = {o.name: o for o in devices.OPERATIONS}


def select(guest: GuestInfo, options: SealOptions) -> list[Operation]:
    """The operations that run on *guest*.

    ``only`` names all that run; a name with a plus ("+hostname") adds one that is off by default to those that are on.

    Raises: TemplateError when a name is unknown.
    """
    check_names((*options.only, *options.except_))
    return [o for o in OPERATIONS.values() if o.fits(guest) and _is_wanted(o, options)]


def select_devices(options: SealOptions) -> list[DeviceOperation]:
    """The operations on devices that run. Raises: TemplateError when a name is unknown."""
    check_names((*options.only, *options.except_))
    return [o for o in DEVICE_OPERATIONS.values() if _is_wanted(o, options)]


def _is_wanted(operation: Operation | DeviceOperation, options: SealOptions) -> bool:
    added = {name[1:] for name in options.only if name.startswith("+")}
    alone = {name for name in options.only if not name.startswith("+")}
    by_default = operation.name in alone if alone else operation.default
    return (by_default or operation.name in added) and operation.name not in options.except_


def check_names(names: Sequence[str]) -> None:
    """Raises: TemplateError that names the nearest operation."""
    known = [*OPERATIONS, *DEVICE_OPERATIONS]
    for name in (n.removeprefix("+") for n in names):
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else "`factory seal --list` prints all of them"
            raise TemplateError(f"there is no seal operation {name!r}", hint=hint)
