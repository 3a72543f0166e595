"""What belongs to a guest and was not there to be cleaned or checked: the seal does not vouch for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from factory.seal.allowing import is_allowed

UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class Unseen:
    """``place`` is where the guest mounts it, or the appliance's name of a device."""

    place: str
    why: str
    allowed: bool = False

    def __str__(self) -> str:
        return f"{self.place} was neither cleaned nor checked: {self.why}"

    @property
    def allow_name(self) -> str:
        return f"{UNSEEN}:{self.place}"


def judge_unseen(unseen: Sequence[Unseen], allow: Sequence[str]) -> tuple[Unseen, ...]:
    return tuple(Unseen(u.place, u.why, is_allowed(UNSEEN, u.place, allow)) for u in unseen)
