"""How much a template may ask of this computer: far more than any real one does, and too little to bring it down.

A text that doubles itself forty times, three loops within one another, or ten anchors of YAML that name one another
make a trillion of what a person wrote ten of. All of that ends here, with the place of the expression.
"""

from __future__ import annotations

from dataclasses import dataclass

from factory.errors import TemplateError

LONGEST_TEXT = 32 * 2**20
"""Characters of one text."""
LARGEST_VALUE = 2**20
"""Elements in one value, those of its elements among them; ``CHARACTERS`` of a text count as one."""
CHARACTERS = 64
MOST_STEPS = 500_000
"""Expressions that are evaluated for one template, each turn of a loop anew; what functions and comparisons go through
counts too."""
ELEMENTS_A_STEP = 16


class TooMuch(TemplateError):
    """A value or a computation beyond a bound; nothing that ``try`` and ``can`` could judge."""


@dataclass(slots=True)
class Work:
    """What has been done so far for one template."""

    steps: int = 0

    def spend(self, steps: int = 1) -> None:
        """Raises: TooMuch."""
        self.steps += steps
        if self.steps > MOST_STEPS:
            raise TooMuch(
                f"evaluating this template takes more than {MOST_STEPS} steps",
                hint="loops within loops multiply: is this one meant to go through so much?",
            )


def check_length(characters: int) -> None:
    """Before a text of that length is made. Raises: TooMuch."""
    if characters > LONGEST_TEXT:
        raise TooMuch(f"this makes a text of more than {LONGEST_TEXT // 2**20} MiB")


def check_elements(count: int) -> None:
    """Raises: TooMuch."""
    if count > LARGEST_VALUE:
        raise TooMuch(f"this makes a value of more than {LARGEST_VALUE} elements")
