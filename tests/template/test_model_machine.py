"""What a machine's cards and disks may be told beyond their own fields."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from factory.template.model import Disk, Nic

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"network": ["hostfwd=tcp::1-:2"]}, "“hostfwd” is not for here: `forward` says it"),
        ({"model": "e1000,romfile=x"}, "should match pattern"),
        ({"model": ""}, "should match pattern"),
        ({"network": ["restrict"]}, "is not written as name=value"),
        ({"device": ["mac=1"]}, "“mac” is not for here"),
        ({"bridge": "br0", "network": ["restrict=on"]}, "a bridge has no `forward` and no `network`"),
        ({"bridge": "br0", "forward": [{"host": 1, "guest": 2}]}, "a bridge has no `forward` and no `network`"),
        ({"forward": [{"host": 0, "guest": 2}]}, "greater than or equal to 1"),
    ],
)
def test_what_a_card_can_not_be_told(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Nic.model_validate(fields)


def test_what_a_disk_can_not_be_told() -> None:
    with pytest.raises(ValidationError, match="“serial” is not for here"):
        Disk.model_validate({"device": ["serial=1"]})
    assert Disk.model_validate({"device": ["rotation_rate=1"]}).device == ("rotation_rate=1",)
