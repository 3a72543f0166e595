"""The published schemas are those of the models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factory.template.schema import profile_schema, template_schema

pytestmark = pytest.mark.unit

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize(("name", "schema"), [("template", template_schema()), ("profile", profile_schema())])
def test_the_published_schema_is_the_model_s(name: str, schema: object) -> None:
    published = json.loads((REFERENCE / f"{name}.schema.json").read_text())
    assert published == json.loads(json.dumps(schema)), "run scripts/dev/reference"
