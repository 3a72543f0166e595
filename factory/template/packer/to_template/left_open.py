"""Sensitive variables of a Packer template, for a template that somebody keeps: their values stay out of it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from factory.secret import Secret
from factory.template.packer.language.values import Value, holds_secret, secrets_within
from factory.template.packer.model import PackerConfig
from factory.template.packer.to_template.translate import EVERYBODYS

_SHORTEST = 4
"""A shorter value is part of too many words to be looked for in every text."""
_EXPRESSION = re.compile(r"(\{\{.*?\}\})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LeftOpen:
    """Values that are written as variables of the template: ``names`` by value."""

    names: Mapping[str, str]

    @classmethod
    def of(cls, config: PackerConfig) -> LeftOpen:
        """Those of sensitive variables, of sensitive local values, and then of options that only compute with them."""
        names: dict[str, str] = {}
        for name, value in _sensitive(config):
            texts = [t for t in secrets_within(value) if t and not t.isspace()]
            for number, text in enumerate(texts):
                wanted = re.sub(r"\W", "_", name if len(texts) == 1 else f"{name}_{number + 1}", flags=re.ASCII)
                while wanted in names.values() and text not in names:
                    wanted += "_"
                names.setdefault(text, wanted)
        numbers = itertools.count(1)
        for text in sorted(s.reveal() for s in config.secrets):
            if text in names or text.isspace() or _is_told(text, names, config.parts):
                continue
            names[text] = next(n for i in numbers if (n := f"secret_{i}") not in {*names.values(), *config.variables})
        return cls(names)

    def text(self, text: str, escape: Callable[[str], str]) -> str:
        """*text* with the variables in the place of values; *escape* writes what lies between them."""
        looked_for = [v for v in self.names if len(v) >= _SHORTEST and v.lower() not in EVERYBODYS]
        return self._replaced(text, looked_for, escape)

    def secret(self, secret: Secret[str], escape: Callable[[str], str]) -> str:
        """As ``text``, for a field that holds a secret: here every value is one."""
        text = secret.reveal()
        return _written(self.names[text]) if text in self.names else self.text(text, escape)

    def source(self, source: str) -> str:
        """The source of a text that has expressions: values are looked for outside of these."""
        pieces = _EXPRESSION.split(source)
        return "".join(p if _EXPRESSION.fullmatch(p) else self.text(p, lambda kept: kept) for p in pieces)

    def declared_for(self, written: str) -> list[str]:
        """The variables that *written* uses."""
        return [name for name in self.names.values() if _written(name) in written]

    def _replaced(self, text: str, values: list[str], escape: Callable[[str], str]) -> str:
        if not values:
            return escape(text)
        longest_first = sorted(values, key=len, reverse=True)
        pieces = re.split("(" + "|".join(map(re.escape, longest_first)) + ")", text)
        return "".join(_written(self.names[p]) if p in values else escape(p) for p in pieces)


def _is_told(text: str, names: Mapping[str, str], parts: Mapping[str, AbstractSet[str]]) -> bool:
    """Whether all that is sensitive in *text* is replaced by itself: the rest is the template's own then."""
    if text.lower() in EVERYBODYS or (text in names and len(text) >= _SHORTEST):
        return True
    within = parts.get(text, frozenset())
    return bool(within) and all(part != text and _is_told(part, names, parts) for part in within)


def _written(name: str) -> str:
    return "{{ vars." + name + " }}"


def _sensitive(config: PackerConfig) -> list[tuple[str, Value]]:
    found = [(n, v.value) for n, v in config.variables.items() if v.sensitive or holds_secret(v.value)]
    return found + [(n, v) for n, v in config.locals.items() if holds_secret(v)]
