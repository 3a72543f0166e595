"""The shape of `matrix`, for editors; ``template.matrix`` reads it and says what is wrong with it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import WithJsonSchema

_VALUE: dict[str, Any] = {"type": ["string", "number", "boolean"]}
MatrixOf = Annotated[
    Any,
    WithJsonSchema(
        {
            "type": "object",
            "minProperties": 1,
            "properties": {
                "exclude": {
                    "type": "array",
                    "items": {"type": "object", "minProperties": 1, "additionalProperties": _VALUE},
                    "description": "Combinations to leave out: axis and value, as many as are meant.",
                }
            },
            "additionalProperties": {
                "anyOf": [
                    {"type": "array", "minItems": 1, "items": _VALUE},
                    {
                        "type": "object",
                        "minProperties": 1,
                        "additionalProperties": {"type": "object", "minProperties": 1},
                    },
                ],
            },
        }
    ),
]
