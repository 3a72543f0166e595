"""What all provisioners share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from factory.quantity import Duration
from factory.template.packer.hcl.source import NOWHERE, Span
from factory.template.packer.options import Options, option


@dataclass(frozen=True, kw_only=True)
class MetaOptions(Options):
    """``pause_before`` and so on. ``max_retries`` counts the tries after the first."""

    name: str = ""
    only: tuple[str, ...] = ()
    except_: tuple[str, ...] = ()
    pause_before: Duration = Duration(0)
    max_retries: int = 0
    timeout: Duration = Duration(0)
    override: Mapping[str, Any] = option(None, late=None)
    continue_on_error: bool = False


META_NAMES = ("name", "only", "except", "pause_before", "max_retries", "timeout", "override", "continue_on_error")


@dataclass(frozen=True, kw_only=True)
class OtherProvisioner(Options):
    """A provisioner that only a plug-in knows: its options as they are, nothing checked."""

    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Provisioner:
    """One provisioner of one build: its type, what it does, and when.

    ``needs`` names what only the running build can tell (``Host``, ``Password``, …) when the template uses it outside
    of plain texts; ``resolve`` then gives the provisioner with the true values.
    """

    type: str
    options: Options
    meta: MetaOptions
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    needs: frozenset[str] = frozenset()
    resolver: Callable[[Mapping[str, str]], Provisioner] | None = field(default=None, compare=False, repr=False)

    def resolve(self, build: Mapping[str, str]) -> Provisioner:
        """The provisioner for a running build, whose ``build.*`` values are *build*.

        Raises: TemplateError when an expression has no value for them.
        """
        return self.resolver(build) if self.resolver is not None else self
