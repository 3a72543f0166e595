"""How an installer is booted: typed or directly, and with which words."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from itertools import takewhile
from typing import Any

from factory.errors import TemplateError
from factory.quantity import Duration
from factory.steps.expectation import AwaitExpectation
from factory.steps.type_boot_command import TypeBootCommand
from factory.template.model import (
    DEFAULT_STALL,
    FAIL,
    BootMethod,
    Expect,
    Firmware,
    LateText,
    Loaded,
    SeedDelivery,
    Text,
)


class Method(enum.StrEnum):
    TYPED = "typed"
    DIRECT = "direct"
    NONE = "none"  # the ISO starts its installer without being told anything


def boot_method(loaded: Loaded) -> Method:
    """What the template asks for, else what the profile allows: directly where it can. Raises: TemplateError."""
    install, profile = loaded.template.install, loaded.profile
    assert install is not None
    assert profile is not None
    if install.boot is BootMethod.DIRECT or (install.boot is BootMethod.AUTO and install.boot_command is None):
        if profile.direct:
            return Method.DIRECT
        if install.boot is BootMethod.DIRECT:
            raise TemplateError(
                f"boot profile {profile.name} does not say where kernel and initrd are",
                hint="write `boot: typed`, or add `direct:` to the profile",
            )
    if install.boot_command is not None:
        return Method.TYPED if install.boot_command else Method.NONE
    return Method.TYPED if profile.typed and profile.typed.command else Method.NONE


def boot_command(loaded: Loaded) -> TypeBootCommand:
    """The step that types: the template's command, else the profile's for this firmware."""
    install, profile = loaded.template.install, loaded.profile
    assert install is not None
    assert profile is not None
    typed = profile.typed
    command = install.boot_command
    if command is None and typed:
        uefi = loaded.template.machine.firmware is not Firmware.BIOS
        command = typed.command_uefi if uefi and typed.command_uefi else typed.command
    wait = install.boot_wait
    if wait is None:
        wait = typed.wait if typed else Duration(0)
    # Packer's language in Packer's templates: what is no token is typed as it stands.
    dialect = "packer" if loaded.delivery else "factory"
    return TypeBootCommand(command or (), wait, keyboard(loaded), dialect, _stall(loaded))


def expectations(loaded: Loaded) -> tuple[list[AwaitExpectation], list[AwaitExpectation]]:
    """The waits before and after the one for the seed: those with outcomes that come first may start the installer."""
    steps = [AwaitExpectation(expect, keyboard(loaded), _stall(loaded)) for expect in expected(loaded)]
    first = list(takewhile(lambda step: step.expect.branches, steps))
    return first, steps[len(first) :]


def _stall(loaded: Loaded) -> Duration:
    own = loaded.template.stall
    return own if own is not None else loaded.profile.stall if loaded.profile else DEFAULT_STALL


def typed_words(command: Iterable[Text | Expect]) -> list[Any]:
    """A boot command for the phase's key: its texts, and what its waits may type."""
    words: list[Any] = []
    for part in command:
        words += typed_at_outcomes([part]) if isinstance(part, Expect) else [part]
    return words


def typed_at_outcomes(expected: Iterable[Expect]) -> list[dict[str, Any]]:
    """What waits may type, for the phase's key; outcomes at which nothing is typed do not count."""
    typed = []
    for expect in expected:
        for where, branches in (("screen", expect.on), ("serial", expect.on_serial)):
            typed += [{where: key, "typed": branch} for key, branch in branches.items() if branch and branch != FAIL]
    return typed


def expected(loaded: Loaded) -> tuple[Expect, ...]:
    """The waits behind the boot command: the template's, else the profile's."""
    install, profile = loaded.template.install, loaded.profile
    if install is not None and install.expect is not None:
        return install.expect
    return profile.expect if profile else ()


def keyboard(loaded: Loaded) -> str:
    """The layout of the boot prompt: the template's, else the profile's."""
    install, profile = loaded.template.install, loaded.profile
    assert profile is not None
    return (install.keyboard if install else None) or profile.keyboard


def command_line(loaded: Loaded) -> Text:
    """The kernel's command line for a direct boot: the profile's, then the template's own arguments."""
    install, profile = loaded.template.install, loaded.profile
    own: Text = install.kernel_args if install else ""
    if profile is None or profile.direct is None:
        return own
    line = profile.direct.command_line
    if install and install.seed is SeedDelivery.INITRD and profile.direct.seed_in_initrd is not None:
        line = join(line, profile.direct.seed_in_initrd)
    return join(line, own)


def join(first: Text, second: Text) -> Text:
    """Two texts with a space between them, still open where one of them is."""
    if isinstance(first, str) and isinstance(second, str):
        return f"{first} {second}".strip()
    sources: list[str] = []
    variables: dict[str, Any] = {}
    for text in (first, second):
        if isinstance(text, LateText):
            sources.append(text.source)
            variables.update(text.variables)
        elif text:
            sources.append("{% raw %}" + text + "{% endraw %}" if "{" in text else text)
    return LateText(" ".join(sources), variables)
