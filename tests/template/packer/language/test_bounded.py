"""A regular expression that would be looked for without an end."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from factory.errors import TemplateError
from factory.quantity import Duration
from factory.template.packer.inspect import console_answer
from factory.template.packer.language.functions import bounded
from tests.template.packer.written import hcl

pytestmark = pytest.mark.unit
TEXT = f'"{"a" * 40}b"'


@pytest.mark.parametrize(
    "expression",
    [
        f'regex_replace({TEXT}, "(a+)+$", "")',
        f'regex("(a+)+$", {TEXT})',
        f'regexall("(a|aa)+$", {TEXT})',
        f'can(regex("(a+)+$", {TEXT}))',
        f'try(regex("(a+)+$", {TEXT}), "none")',
    ],
)
def test_a_search_without_an_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expression: str) -> None:
    monkeypatch.setattr(bounded, "LONGEST", Duration(0.05))
    before = signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(TemplateError, match="the pattern takes more than") as caught:
        console_answer(hcl(tmp_path, ""), expression)
    assert caught.value.problems[0].place is not None
    assert "such as (a+)+" in caught.value.problems[0].hint
    assert signal.getsignal(signal.SIGVTALRM) == before
    assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] == 0


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ('timeadd("2024-01-01T00:00:00Z", "99999999999h")', "“99999999999h” leads out of the years 1 to 9999"),
        ('jsondecode(join("", [for i in range(1000): "[[[[[[[[[["]))', "jsondecode(): the text is nested too deeply"),
    ],
)
def test_what_is_beyond_a_bound_is_said_in_own_words(tmp_path: Path, expression: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        console_answer(hcl(tmp_path, ""), expression)
    assert message in str(caught.value)
