"""Waits that are part of an installation, and what is typed at what they find."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from factory.boot_command.outcomes import checked_expression, outcome_pattern
from factory.boot_command.sensed_waits import still_budget
from factory.quantity import Duration
from factory.template.model.text import Strict, Text, one_or_many

FAIL: Literal["fail"] = "fail"
_NEARLY_FAIL = (FAIL, "failed", "failure")


def _branch(value: object) -> object:
    """`fail` stays what it is; another single text is a boot command of one part.

    Raises: ValueError for a word that is nearly `fail`, and would be typed.
    """
    if value == FAIL:
        return value
    if isinstance(value, str) and difflib.get_close_matches(value.strip().casefold(), _NEARLY_FAIL, 1, 0.8):
        raise ValueError(f"{value!r} would be typed: did you mean `fail`? To type it, write [{value}]")
    return one_or_many(value)


Branch = Annotated[Literal["fail"] | tuple[Text, ...], BeforeValidator(_branch, json_schema_input_type=str | list[str])]
"""What happens at an outcome: the installation fails, or a boot command is typed (an empty one goes on)."""

_KEYS = "a text, or /a regular expression/ (`i` behind it: any case)"


class Expect(Strict):
    """A wait that the profile makes part of the installation."""

    serial: str = Field("", description="A regular expression on the serial line.")
    text: str = Field("", description="A regular expression on the screen.")
    still: Duration | None = Field(None, description="The screen must not change for so long.")
    seed: str = Field("", description="This file of the seed must be fetched.")
    on: dict[str, Branch] = Field(
        default_factory=dict,
        description=f"Outcomes, whichever the screen shows first: {_KEYS}, and the boot command that is typed then, or "
        "`fail`.",
    )
    on_serial: dict[str, Branch] = Field(
        default_factory=dict, description="The same on the serial line; may stand beside `on`."
    )
    deadline: Duration = Field(Duration(5 * 60), description="How long to wait.")
    means: str = Field("", description="What it shows, in words: used in errors.")

    @property
    def branches(self) -> bool:
        """True when it waits for one of several outcomes."""
        return bool(self.on or self.on_serial)

    @model_validator(mode="after")
    def _something(self) -> Expect:
        single = [name for name in ("serial", "text", "still", "seed") if getattr(self, name) not in ("", None)]
        if not single and not self.branches:
            raise ValueError("it waits for nothing: write `text`, `serial`, `still`, `seed`, `on` or `on_serial`")
        if len(single) > 1:
            raise ValueError(
                f"it waits for one thing, not for `{single[0]}` and `{single[1]}`: put each into an entry of its own, "
                "or write `on` and `on_serial` for the first of several"
            )
        if single and self.branches:
            raise ValueError(f"`on` waits for one of several outcomes: put `{single[0]}` into an entry of its own")
        if self.deadline <= 0 or (self.still is not None and self.still <= 0):
            raise ValueError("a wait must be longer than 0")
        if self.still is not None and self.deadline <= self.still:
            raise ValueError(
                f"within {self.deadline} the screen can't stand still for {self.still}: write a longer `deadline`, "
                f"such as {still_budget(self.still)}"
            )
        for source in filter(None, (self.serial, self.text)):
            checked_expression(source)
        for key in (*self.on, *self.on_serial):
            outcome_pattern(key)
        return self


def _kind(part: object) -> str:
    return "wait" if isinstance(part, (Mapping, Expect)) else "text"


_Part = Annotated[Annotated[Text, Tag("text")] | Annotated[Expect, Tag("wait")], Discriminator(_kind)]
BootCommand = Annotated[
    tuple[_Part, ...], BeforeValidator(one_or_many, json_schema_input_type=str | list[str | Expect])
]
"""Texts that are joined and typed; between them waits, such as those with several outcomes."""
