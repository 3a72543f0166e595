"""``journal.jsonl``: every event of a build, one JSON object a line, flushed as it happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

from factory.events import Progress, Stamped
from factory.log_files import open_text_log


class Journal:
    """An event subscriber. Progress is left out: it is for eyes, and would be most of the file."""

    def __init__(self, path: Path) -> None:
        self._stream: IO[str] = open_text_log(path)

    def __call__(self, stamped: Stamped) -> None:
        if not isinstance(stamped.event, Progress):
            self._stream.write(json.dumps(stamped.to_json(), ensure_ascii=False) + "\n")
            self._stream.flush()

    def close(self) -> None:
        self._stream.close()
