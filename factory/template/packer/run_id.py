"""The id that Packer gives to all builds of one command."""

from __future__ import annotations

import os
import uuid
from functools import cache


def run_id() -> str:
    """``PACKER_RUN_UUID``, or one made up for as long as this process lives."""
    return os.environ.get("PACKER_RUN_UUID") or _made_up()


@cache
def _made_up() -> str:
    return str(uuid.uuid4())
