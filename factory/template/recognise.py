"""Which boot profile is made for an ISO, and by what sign."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from factory.drivers.iso_view import IsoView
from factory.template.boot_files import named_in_treeinfo
from factory.template.model import Profile, Recognise

_WEIGHTS = {"treeinfo": 4, "disk_info": 4, "volume_id": 2, "paths": 1}
"""What an ISO says of itself in a file counts more than its label, the label more than names that many ISOs have."""


@dataclass(frozen=True, slots=True)
class Match:
    """A profile one of whose rules holds. ``reasons`` say why, in words."""

    profile: Profile
    reasons: tuple[str, ...]
    weight: int


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A profile whose best rule holds in part: ``holds`` and ``lacks`` in words."""

    profile: Profile
    holds: tuple[str, ...]
    lacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Sign:
    """One condition of a rule: what was looked at, whether it holds, and both in words."""

    kind: str
    holds: bool
    words: str


def recognise(view: IsoView, profiles: Iterable[Profile]) -> tuple[Match, ...]:
    """The profiles that fit, best first: by the weight of what holds, then by name."""
    found = [match for profile in profiles if (match := _best(view, profile)) is not None]
    return tuple(sorted(found, key=lambda m: (-m.weight, m.profile.name)))


def near_misses(view: IsoView, profiles: Iterable[Profile]) -> tuple[NearMiss, ...]:
    """The profiles that fit in part, best first: for saying why an ISO is not known."""
    found: list[tuple[int, NearMiss]] = []
    for profile in profiles:
        rules = [list(_signs(rule, view, profile)) for rule in profile.recognise]
        partial = [(sum(_WEIGHTS[s.kind] for s in signs if s.holds), signs) for signs in rules]
        weight, signs = max(partial, key=lambda item: item[0], default=(0, []))
        if weight and not all(s.holds for s in signs):
            holds = tuple(s.words for s in signs if s.holds)
            found.append((weight, NearMiss(profile, holds, tuple(s.words for s in signs if not s.holds))))
    return tuple(miss for _, miss in sorted(found, key=lambda item: (-item[0], item[1].profile.name)))


def _best(view: IsoView, profile: Profile) -> Match | None:
    best: Match | None = None
    for rule in profile.recognise:
        signs = list(_signs(rule, view, profile))
        weight = sum(_WEIGHTS[s.kind] for s in signs)
        if signs and all(s.holds for s in signs) and (best is None or weight > best.weight):
            best = Match(profile, tuple(s.words for s in signs), weight)
    return best


def _signs(rule: Recognise, view: IsoView, profile: Profile) -> Iterator[_Sign]:
    if rule.treeinfo:
        yield _text_sign("treeinfo", ".treeinfo", rule.treeinfo, view.treeinfo)
    if rule.disk_info:
        yield _text_sign("disk_info", ".disk/info", rule.disk_info, view.disk_info)
    if rule.volume_id:
        holds = re.search(rule.volume_id, view.volume_id) is not None
        words = f"its label is '{view.volume_id}'"
        yield _Sign("volume_id", holds, words if holds else f"{words}, which does not fit {rule.volume_id}")
    if rule.paths:
        # A rule by names alone needs the very names: they are all that it goes by.
        says_more = rule.treeinfo or rule.volume_id or rule.disk_info
        there = _as_named(rule.paths, view, profile) if says_more else list(rule.paths)
        missing = [path for path in there if next(view.matching(path), None) is None]
        words = f"it has no {' and no '.join(missing)}" if missing else f"it holds {' and '.join(there)}"
        yield _Sign("paths", not missing, words)


def _as_named(paths: Iterable[str], view: IsoView, profile: Profile) -> list[str]:
    """*paths* with kernel and initrd as `.treeinfo` calls them, where it names both and the ISO has them."""
    named = named_in_treeinfo(view)
    if named is None or profile.direct is None:
        return list(paths)
    kernels, initrds = profile.direct.kernel, profile.direct.initrd
    return [named[0] if path in kernels else named[1] if path in initrds else path for path in paths]


def _text_sign(kind: str, file: str, pattern: str, text: str) -> _Sign:
    if not text:
        return _Sign(kind, False, f"it has no {file}")
    match = re.search(pattern, text)
    if match is None:
        return _Sign(kind, False, f"its {file} does not fit {pattern}")
    # Where the match ends: a rule with several conditions begins to look at the top of the file.
    start = text.rfind("\n", 0, match.start() + len(match[0].rstrip())) + 1
    line = text[start:].split("\n", 1)[0].strip()
    return _Sign(kind, True, f"its {file} says '{line[:100]}'")
