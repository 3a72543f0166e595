"""What a provisioner is called in plans and output."""

from __future__ import annotations

from typing import cast

import pytest

from factory.steps.run_provisioner import RunProvisioner
from factory.template.model import Loaded, Plugin, Provision, Shell

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("provision", "title", "label"),
    [
        (Provision(shell=Shell(inline=("true",))), "shell: shell 3", "shell 3"),
        (Provision(plugin=Plugin(name="shell-local")), "shell-local: shell-local 3", "shell-local 3"),
        (Provision(plugin=Plugin(name="shell-local"), name="keys"), "shell-local: keys", "keys"),
    ],
)
def test_a_provisioner_is_called_by_its_type(provision: Provision, title: str, label: str) -> None:
    step = RunProvisioner(provision, 3, cast(Loaded, None))
    assert (step.title, step.label) == (title, label)
