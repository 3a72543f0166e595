"""A sensitive number is no more to be quoted in an error than a sensitive text."""

from __future__ import annotations

import pytest

from factory.template.packer.hcl import Source, parse_expression
from factory.template.packer.language.evaluator import evaluate
from factory.template.packer.language.functions import FUNCTIONS
from factory.template.packer.language.scope import EvaluationError, Scope
from factory.template.packer.language.values import from_python

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "expression",
    [
        "[1,2][n]",
        "[for x in [n] : [1][x]]",
        'cidrhost("10.0.0.0/30", n)',
        'cidrsubnet("10.0.0.0/8", n, 1)',
        "slice([1,2], 0, n)",
        "[1,2][n / 1000]",
        '{a = 1}["${n}"]',
    ],
)
def test_no_error_quotes_it(expression: str) -> None:
    scope = Scope({"n": from_python(424242).with_sensitivity(True)}, FUNCTIONS)
    with pytest.raises(EvaluationError) as caught:
        evaluate(parse_expression(Source.of("t", expression)), scope)
    for problem in caught.value.problems:
        assert "424" not in f"{problem.message} {problem.hint}"
