"""What an expression can see: names, functions, and the world outside (folders, clock, environment)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from factory.errors import TemplateError
from factory.template.packer.hcl.source import Span
from factory.template.packer.language.bounds import Work
from factory.template.packer.language.values import Value

if TYPE_CHECKING:
    from factory.template.packer.language.functions.registry import Function


@dataclass(frozen=True, slots=True)
class World:
    """Where the outside comes from, so that a test can hand in its own.

    *folder* is the folder of the template, *working* the one that the command runs in; a relative path is looked for
    in both, in this order.
    """

    folder: Path = Path()
    working: Path = Path()
    environment: Mapping[str, str] = field(default_factory=dict)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    secret: Callable[[str, tuple[str, ...]], str] | None = None
    work: Work = field(default_factory=Work, compare=False, repr=False)
    parts: dict[str, set[str]] = field(default_factory=dict, compare=False, repr=False)
    """Texts with sensitive parts, and these: a secret that was computed stands for itself nowhere else."""

    def find(self, path: str) -> Path:
        """The file that *path* means; where none exists, the place where it is expected."""
        wanted = Path(path).expanduser() if path.startswith("~") else Path(path)
        if wanted.is_absolute():
            return wanted
        candidates = (self.folder / wanted, self.working / wanted)
        return next((c for c in candidates if c.exists()), candidates[0])


@dataclass(frozen=True, slots=True)
class Scope:
    """Names and functions. A child sees what its parent sees, and hides names of the same spelling."""

    names: Mapping[str, Value]
    functions: Mapping[str, Function]
    world: World = field(default_factory=World)
    parent: Scope | None = None
    forbidden: Mapping[str, str] = field(default_factory=dict)
    """Functions that exist but may not be called here, each with the reason."""

    def child(self, names: Mapping[str, Value]) -> Scope:
        return Scope(names, self.functions, self.world, self, self.forbidden)

    def find(self, name: str) -> Value | None:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return None

    def all_names(self) -> set[str]:
        names = set(self.names)
        return names | self.parent.all_names() if self.parent else names


class EvaluationError(TemplateError):
    """An expression has no value. ``try`` and ``can`` catch this and nothing else."""


def failure(span: Span, message: str, *, hint: str = "", sensitive: bool = False) -> EvaluationError:
    """*sensitive* says that *message* may quote a value that nobody shall see."""
    if sensitive:
        message, hint = without_quotes(message), "" if "“" in hint else hint
    return EvaluationError([span.problem(message, hint=hint)], hint=hint)


def without_quotes(message: str) -> str:
    """*message* without what it quotes (further lines are part of that), and without numbers: they have no quotes."""
    plain = re.sub(r"“.*”", "“<sensitive>”", message.partition("\n")[0])
    return re.sub(r"(?<!\w)-?\d[\d./:]*", "<sensitive>", plain)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``did you mean “…”?``, or nothing when no known name is near."""
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"did you mean “{close[0]}”?" if close else ""
