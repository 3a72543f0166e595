"""What a seal found and did: the content of ``seal.json``."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from factory.errors import Evidence, VerificationFailed
from factory.seal.allowing import is_allowed
from factory.seal.free_space import FreeSpace
from factory.seal.model import GuestInfo
from factory.seal.sanitise import Broken, Done
from factory.seal.second_look import Place
from factory.seal.secret_scan import KNOWN, Hit
from factory.seal.trim import Trimmed
from factory.seal.unseen import Unseen

FORMAT = 1
_SHOWN = 64


@dataclass(frozen=True, slots=True)
class Finding:
    """A secret found on a sealed disk. ``where`` is the file, "free space", or empty when it isn't known."""

    name: str
    disk: str
    offset: int
    where: str
    excerpt: str
    allowed: bool = False
    reason: str = ""
    """Why it is allowed: the template's own word, or the package that ships the file."""

    def __str__(self) -> str:
        place = self.where or f"byte {self.offset}"
        excerpt = f" ({self.excerpt})" if self.excerpt else ""
        return f"{self.name}{excerpt} in {place} of disk {self.disk}"


@dataclass(frozen=True, slots=True)
class MoreFindings:
    """How many findings of one name and one verdict the report leaves out, beside those that it shows."""

    name: str
    allowed: bool
    count: int

    def __str__(self) -> str:
        return f"{self.count} more of {self.name}"


@dataclass(frozen=True, slots=True)
class SealReport:
    """All of it, as data."""

    guest: GuestInfo
    operations: tuple[Done, ...] = ()
    broken: tuple[Broken, ...] = ()
    trimmed: tuple[Trimmed, ...] = ()
    free_space: tuple[FreeSpace, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    findings: tuple[Finding, ...] = ()
    more_findings: tuple[MoreFindings, ...] = ()
    shrunk: tuple[str, ...] = ()
    missing_drivers: tuple[str, ...] = ()
    """What the guest lacks on platforms that it is exported to: a warning, for the image is clean all the same."""
    drivers: dict[str, Any] | None = None
    """``Drivers.to_json()``, of a guest whose disks only the appliance can read: the export can't look for itself."""
    notes: tuple[str, ...] = ()
    searched: bool = True
    """False when the search for secrets was left out."""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps the image from being called clean, one sentence each."""
        return (
            *(str(unseen) for unseen in self.unseen if not unseen.allowed),
            *(f"operation {broken}" for broken in self.broken),
            *(f"free space of {t.device} was not wiped: {t.problem}" for t in self.trimmed if t.problem),
            *(f"{f.dirty} bytes of free space on {f.place} keep old contents" for f in self.free_space if f.dirty),
            *(f"found {finding}" for finding in self.findings if not finding.allowed),
            *(f"found {more}" for more in self.more_findings if not more.allowed),
        )

    @property
    def proven(self) -> bool:
        return not self.problems

    @property
    def allowed(self) -> int:
        """How many findings are allowed, shown or not."""
        return sum(f.allowed for f in self.findings) + sum(m.count for m in self.more_findings if m.allowed)

    @property
    def summary(self) -> str:
        """One line for people: "12 of 44 operations had something to do; clean"."""
        worked = sum(1 for done in self.operations if done.paths)
        verdict = "clean" if self.proven else f"{len(self.problems)} problems"
        return f"{worked} of {len(self.operations)} operations had something to do; {verdict}"

    def require_proven(self) -> None:
        """Raises: VerificationFailed with every problem."""
        problems = self.problems
        if not problems:
            return
        more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
        raise VerificationFailed(
            f"the sealed disk is not clean: {problems[0]}{more}",
            hint=self._way_out(),
            evidence=Evidence(notes=problems),
        )

    def _way_out(self) -> str:
        unseen = next((u for u in self.unseen if not u.allowed), None)
        if unseen is not None:
            return (
                "seal all disks of the machine together, and let the guest's fstab name what is on them, "
                f"or allow it by name: {unseen.allow_name!r}"
            )
        hint = "remove what was found in a provisioner"
        unexpected = [f for f in self.findings if not f.allowed]
        if unexpected:
            hint += f", or name it in the template: `seal: {{allow: [{allow_name(unexpected[0])!r}]}}`"
        return hint

    def to_json(self) -> dict[str, Any]:
        """Plain data, with the verdict first."""
        data = dataclasses.asdict(self)
        data["guest"] = {**data["guest"], "family": str(self.guest.family), "init": str(self.guest.init)}
        return {"format": FORMAT, "proven": self.proven, "problems": list(self.problems), **data}


def allow_name(finding: Finding) -> str:
    """How an allow-list names exactly this finding."""
    return f"{finding.name}:{finding.where}" if finding.where.startswith("/") else finding.name


def judge(hits: Sequence[Hit], places: Sequence[Place], allow: Sequence[str]) -> list[Finding]:
    """Findings from hits and where they lie; *allow* holds names, or ``name:glob of paths``.

    What only looks like a secret is allowed in files that a distribution ships; the template's own secrets never are.
    """
    findings = []
    for hit, place in zip(hits, places, strict=True):
        reason = f"shipped by {place.shipped_by}" if place.shipped_by and not _is_known(hit.name) else ""
        if is_allowed(hit.name, place.where, allow):
            reason = "allowed by the template"
        findings.append(Finding(hit.name, hit.disk, hit.offset, place.where, hit.excerpt, bool(reason), reason))
    return findings


def few_of_each(findings: Sequence[Finding]) -> tuple[tuple[Finding, ...], tuple[MoreFindings, ...]]:
    """Some of each name and verdict, and how many there are beside them: ten thousand equal lines help nobody.

    For findings that were judged: what is left out before that has no verdict.
    """
    counts: Counter[tuple[str, bool]] = Counter()
    shown = []
    for finding in findings:
        kind = (finding.name, finding.allowed)
        counts[kind] += 1
        if counts[kind] <= _SHOWN:
            shown.append(finding)
    more = (MoreFindings(*kind, count - _SHOWN) for kind, count in counts.items() if count > _SHOWN)
    return tuple(shown), tuple(more)


def _is_known(name: str) -> bool:
    """Whether it is a value that we were told, and not a likeness."""
    return name.startswith(KNOWN)
