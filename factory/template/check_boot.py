"""Checks of what will be typed: the boot command's language, the keyboard, the files it waits for."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from factory.boot_command.actions import WaitSeed
from factory.boot_command.keymap import check, layout
from factory.boot_command.parse import read
from factory.errors import Problem, SeedError, TemplateError
from factory.secret import Secret
from factory.template import jinja
from factory.template.assemble import Draft
from factory.template.late import late_names
from factory.template.model import FAIL, BootMethod, Firmware, LateText, SeedDelivery
from factory.template.render import Unrendered
from factory.template.seed import files_of
from factory.template.suggest import did_you_mean
from factory.template.yaml_source import Loc, Node

_SAMPLES: Mapping[str, Any] = MappingProxyType(
    {
        "seed": {"url": "http://10.0.2.2:8000/0a1b2c", "host": "10.0.2.2", "port": 8000},
        "build": {"name": "name", "ssh_public_key": "ssh-ed25519 AAAA factory", "run_id": "0a1b2c"},
        "guest": {"host": "127.0.0.1", "port": 2222},
    }
)
"""What late names could be: good enough to see whether a text with them can be typed."""


_EXPRESSION = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_UNKNOWN = "\ufffc"
"""Stands for each character of an expression that can't be filled in."""
_WORD = "secret"
"""Stands for a secret value."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a boot command: as written, as it will be typed with its secrets made up, and with the real ones."""

    node: Node
    typed: str
    real: str | None = field(default=None, repr=False)
    secrets: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names and values of those that ``real`` may hold."""

    def problem(self, offset: int, problem: Problem) -> Problem:
        placed = self.node.text_problem(self._written_offset(offset), problem.message, problem.hint)
        return replace(placed, severity=problem.severity)

    def _written_offset(self, offset: int) -> int:
        """Where the character at *offset* of what is typed was written: exact before the first and after the last
        expression, the first expression's own place in between."""
        written = str(self.node.value)
        if written == self.typed:
            return offset
        head = _common(written, self.typed)
        tail = _common(written[head:][::-1], self.typed[head:][::-1])
        if offset < head:
            return offset
        return offset + len(written) - len(self.typed) if offset >= len(self.typed) - tail else written.find("{{")


def _common(first: str, second: str) -> int:
    """The length of the common beginning."""
    return next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )


@dataclass(frozen=True, slots=True)
class _Seed:
    """What a seed will serve and how it travels; each None when that is not known."""

    names: tuple[str, ...] | None
    delivery: SeedDelivery | None

    def wait_problems(self, waiting: str, path: str) -> Iterator[Problem]:
        """Why *waiting* for a file of it to be fetched, an empty *path* for any, would be in vain."""
        if self.delivery not in (None, SeedDelivery.HTTP):
            message = f"{waiting} waits for the seed to be fetched over HTTP, and this build serves none"
            hint = f"leave the wait out, or deliver the seed by `seed: http` (it is `{self.delivery}` now)"
            yield Problem(message, hint=hint)
        elif path and self.names is not None and path not in self.names:
            hint = did_you_mean(path, self.names, kind="it has")
            yield Problem(f"{waiting} waits for '{path}', which the seed does not have", hint=hint)


def boot_problems(draft: Draft) -> list[Problem]:
    """Problems of the boot command that will be used: the template's, else the profile's."""
    keyboard, seed = _keyboard(draft), _Seed(_seed_names(draft), _delivery(draft))
    problems: list[Problem] = []
    for source, rendered in _commands(draft):
        here = seed if _is_typed(draft, source) else replace(seed, delivery=None)
        waits: list[_Pair] = []
        texts: list[_Pair] = []
        for pair in (*_pairs(source, rendered), None):
            if pair is not None and not isinstance(pair[0].value, dict):
                texts.append(pair)
                continue
            problems += _command_problems(list(_pieces(texts, draft)), keyboard, here)
            texts = []
            waits += [pair] if pair else []
        problems += _wait_problems(waits, draft, keyboard, here)
    problems += _wait_problems(_expected(draft), draft, keyboard, seed)
    return list(dict.fromkeys(problems))


def _wait_problems(waits: Iterable[_Pair], draft: Draft, keyboard: str, seed: _Seed) -> Iterator[Problem]:
    """Problems of entries that wait, and of what is typed at their outcomes."""
    for wait in waits:
        for branch in _branches(*wait):
            yield from _command_problems(list(_pieces(_pairs(*branch), draft)), keyboard, seed)
        wanted = wait[1].get("seed")
        if wanted is not None and isinstance(wanted.value, str) and wanted.value:
            for problem in seed.wait_problems("it", wanted.value):
                yield wanted.text_problem(0, problem.message, problem.hint)


_Pair: TypeAlias = tuple[Node, Node]
"""A value as written and as rendered."""


def _pairs(source: Node, rendered: Node) -> list[_Pair]:
    """The parts of a boot command, of which a single one needs no list."""
    nodes = source.value if isinstance(source.value, list) else [source]
    values = rendered.value if isinstance(rendered.value, list) else [rendered]
    return list(zip(nodes, values, strict=False))


def _commands(draft: Draft) -> Iterator[_Pair]:
    """Boot commands as written and as rendered."""
    own = draft.rendered.at("install", "boot_command")
    written = draft.assembly.root.at("install", "boot_command")
    if own is not None and own.value is not None and written is not None:
        yield written, own
        return
    locs: list[Loc] = [("typed", "command"), ("typed", "command_uefi")]
    for loc in locs if draft.profile_tree and draft.profile_source else []:
        assert draft.profile_tree is not None
        assert draft.profile_source is not None
        written, rendered = draft.profile_source.at(*loc), draft.profile_tree.at(*loc)
        if written is not None and rendered is not None:
            yield written, rendered


def _is_typed(draft: Draft, command: Node) -> bool:
    """Whether this boot command will be typed, as far as that is known: not where a kernel is booted directly."""
    template, profile, source = draft.template, draft.profile, draft.profile_source
    if template is None or template.install is None or profile is None:
        return False
    own, boot = template.install.boot_command is not None, template.install.boot
    if profile.direct and (boot is BootMethod.DIRECT or (boot is BootMethod.AUTO and not own)):
        return False
    if own or source is None or profile.typed is None:
        return own
    of_uefi = template.machine.firmware is not Firmware.BIOS and bool(profile.typed.command_uefi)
    return command is source.at("typed", "command_uefi" if of_uefi else "command")


def _expected(draft: Draft) -> list[_Pair]:
    """The waits behind the boot command that will be used: the template's, else the profile's."""
    written, rendered = draft.assembly.root.at("install", "expect"), draft.rendered.at("install", "expect")
    if (written is None or written.value is None) and draft.profile_source and draft.profile_tree:
        written, rendered = draft.profile_source.at("expect"), draft.profile_tree.at("expect")
    if written is None or rendered is None or not isinstance(written.value, list):
        return []
    return _pairs(written, rendered)


def _branches(wait: Node, shown_wait: Node) -> Iterator[_Pair]:
    """What is typed at the outcomes of a wait."""
    for place in ("on", "on_serial"):
        written, rendered = wait.at(place), shown_wait.at(place)
        if written is None or rendered is None or not isinstance(written.value, dict):
            continue
        for key, branch in written.value.items():
            shown = rendered.at(key)
            if shown is not None and branch.value != FAIL:
                yield branch, shown


def _pieces(pairs: Iterable[_Pair], draft: Draft) -> Iterator[_Piece]:
    for node, shown in pairs:
        value = shown.value
        if isinstance(value, Unrendered):
            yield _Piece(node, _EXPRESSION.sub(lambda match: _UNKNOWN * len(match[0]), value))
        elif isinstance(value, LateText):
            real = _sampled(value, draft, secrets=True)
            yield _Piece(node, _sampled(value, draft), real, tuple(_secrets(value.variables)))
        elif isinstance(value, str) and isinstance(node.value, str):
            yield _Piece(node, value)


def _sampled(text: LateText, draft: Draft, *, secrets: bool = False) -> str:
    """*text* as it could be typed, with its secret values or in their place a word."""
    early = text.variables if secrets else {k: _unsaid(v) for k, v in text.variables.items()}
    late = {**_SAMPLES, "vars": dict.fromkeys(draft.variables.generated, "generated")}
    try:
        return jinja.render_text(text.source, late_names(early, late), jinja.value_environment())
    except jinja.RenderError:
        # such as a filter that wants a real value
        return _EXPRESSION.sub(lambda match: _UNKNOWN * len(match[0]), text.source)


def _unsaid(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _unsaid(v) for k, v in value.items()}
    return _WORD if isinstance(value, Secret) else value


def _secrets(variables: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and values of the secret texts among *variables*."""
    for name, value in variables.items():
        if isinstance(value, Mapping):
            yield from _secrets(value)
        elif isinstance(value, Secret) and isinstance(value.reveal(), str):
            yield name, value.reveal()


def _keyboard(draft: Draft) -> str:
    own = draft.rendered.at("install", "keyboard")
    if own is not None and isinstance(own.value, str):
        return own.value
    return draft.profile.keyboard if draft.profile else "us"


def _command_problems(pieces: list[_Piece], keyboard: str, seed: _Seed) -> list[Problem]:
    """The parts are joined without anything between them, as Packer does."""
    if not pieces:
        return []
    text = "".join(piece.typed for piece in pieces)
    actions, wrong = read(text)  # also what can't be typed beside a token that means nothing is told at once
    found = list(wrong)
    with contextlib.suppress(TemplateError):  # an unknown layout is the model's problem
        found += check(actions, layout(keyboard))
    problems = [_at(pieces, p) for p in found if not _is_unknown(text, p)]
    problems += _secret_problems(pieces, text, keyboard)
    for action in actions:
        if isinstance(action, WaitSeed):
            problems += [
                _placed(pieces, action.column, problem) for problem in seed.wait_problems("<waitSeed>", action.path)
            ]
    return problems


def _secret_problems(pieces: list[_Piece], text: str, keyboard: str) -> Iterator[Problem]:
    """What the layout can't type of secret values, which are not shown: only where in the value it stands."""
    with contextlib.suppress(TemplateError):
        told = _untypable(text, keyboard)
        for piece in pieces:
            wrong = _untypable(piece.real, keyboard) - told if piece.real is not None else frozenset()
            if not wrong:
                continue
            shown = [(name, value) for name, value in piece.secrets if value in (piece.real or "")]
            places = [(name, i) for name, value in shown for i, c in enumerate(value, 1) if c in wrong]
            for name, position in places[:1]:
                message = f"the keyboard layout '{keyboard}' can't type character {position} of the secret '{name}'"
                yield piece.problem(max(piece.typed.find(_WORD), 0), Problem(message, hint=_SECRET_HINT))
            if not places:
                message = f"the keyboard layout '{keyboard}' can't type what is made of a secret here"
                yield piece.problem(0, Problem(message, hint=_SECRET_HINT))


_SECRET_HINT = "choose a value of characters that the keyboard has"


def _untypable(text: str, keyboard: str) -> frozenset[str]:
    actions, _ = read(text)
    wrong = check(actions, layout(keyboard))
    return frozenset(text[p.place.column - 1] for p in wrong if p.place)


def _is_unknown(text: str, problem: Problem) -> bool:
    """True for a problem with a token (or character) whose text isn't known."""
    start = problem.place.column - 1 if problem.place else 0
    end = text.find(">", start) if text[start : start + 1] == "<" else start
    return _UNKNOWN in text[start : end + 1]


def _at(pieces: list[_Piece], problem: Problem) -> Problem:
    return _placed(pieces, problem.place.column if problem.place else 1, problem)


def _placed(pieces: list[_Piece], column: int, problem: Problem) -> Problem:
    offset = max(column - 1, 0)
    for piece in pieces:
        if offset < len(piece.typed):
            return piece.problem(offset, problem)
        offset -= len(piece.typed)
    last = pieces[-1]
    return last.problem(len(last.typed), problem)


def _delivery(draft: Draft) -> SeedDelivery | None:
    """How the seed travels; None when that is not known, as of a profile that is checked alone."""
    template, profile = draft.template, draft.profile
    if template is None or template.install is None or profile is None:
        return None
    own = template.install.seed
    return own or (profile.seed.delivery if profile.seed else SeedDelivery.NONE)


def _seed_names(draft: Draft) -> tuple[str, ...] | None:
    """What the seed will serve, None when that is not known."""
    return served_names(draft, draft.seed_directory) if draft.seed_directory else None


def served_names(draft: Draft, directory: Path) -> tuple[str, ...]:
    try:
        names = [name for name, _ in files_of(directory)]
    except SeedError:
        names = []
    extra = draft.rendered.at("install", "seed_files")
    if extra is not None and isinstance(extra.value, list):
        names += [str(n.value) for item in extra.value if (n := item.get("name"))]
    return tuple(names)
