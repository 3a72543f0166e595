"""What a translation could not say in factory's own words."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Note:
    """One option, or step, that has no equal field yet. *matters*: the result may differ because of it."""

    option: str
    message: str
    matters: bool = True


@dataclass(slots=True)
class Notes:
    items: list[Note] = field(default_factory=list)

    def add(self, option: str, message: str, *, matters: bool = True) -> None:
        note = Note(option, message, matters)
        if note not in self.items:
            self.items.append(note)
