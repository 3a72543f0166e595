"""Says what came out wrong on a line that was typed, without a word of a secret."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from factory.boot_command.keymap import Layout
from factory.drivers.keyboard.likeness import way_out
from factory.errors import Evidence, UnexpectedScreen


class SecretsOnScreen(Protocol):
    """Who is told what the screen comes to show."""

    def held_by(self, text: str) -> bool:
        """Whether *text* holds a secret: a whole one, for a word of one is in many a line."""

    def typing(self, text: str) -> None:
        """*text*, which holds a secret, is typed now."""

    def instead(self, shown: str) -> None:
        """*shown* stands where a secret was typed."""


class LineWords:
    """The words for one line.

    Args:
        line: all of it: a secret may be cut in two by a chunk's end, and a wrong one looks much like the right one.
        redact: masks secrets in messages and evidence.
        secrets: masks them on the screen; is told of the line now.
    """

    def __init__(
        self, line: str, layout: Layout, redact: Callable[[str], str], secrets: SecretsOnScreen | None = None
    ) -> None:
        self._secret = secrets.held_by(line) if secrets else redact(line) != line
        self._secrets = secrets if self._secret else None
        if self._secrets:
            self._secrets.typing(line)
        self._layout = layout
        self._redact = redact

    def quoted(self, meant: str) -> str:
        return f"typed {len(meant)} characters that hold a secret" if self._secret else f"typed {self._redact(meant)!r}"

    def what_went_wrong(self, meant: str, shown: str) -> str:
        if self._secrets:
            self._secrets.instead(shown)
        if self._secret:
            return f"{len(meant)} characters that hold a secret came out wrong"
        shown = shown if meant.startswith(" ") else shown.lstrip()  # the blank of the prompt is not typed
        return f"{self.quoted(meant)}, but the screen shows {self._redact(shown)!r}"

    def error(self, what: str, screen: Sequence[str], shown: str = "", meant: str = "") -> UnexpectedScreen:
        evidence = Evidence(screen="" if self._secret else self._redact("\n".join(screen)))
        return UnexpectedScreen(what, hint=way_out(shown, meant, self._layout), evidence=evidence)
