"""``--json``: every event as one JSON object a line on standard output."""

from __future__ import annotations

import json
import sys

from factory.events import Stamped
from factory.visible import visible_json


def print_json(stamped: Stamped) -> None:
    """An event subscriber."""
    sys.stdout.write(visible_json(json.dumps(stamped.to_json(), ensure_ascii=False)) + "\n")
    sys.stdout.flush()
