"""Where this user's cache, runs and artifacts are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """Absolute folders. ``cache`` holds layers and media, ``runs`` a folder per build."""

    cache: Path
    runs: Path

    @property
    def media(self) -> Path:
        return self.cache / "media"


def places() -> Places:
    """``FACTORY_CACHE`` (default: ``$XDG_CACHE_HOME/factory``) and ``FACTORY_RUNS`` (default: beside the cache)."""
    xdg = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(os.environ.get("FACTORY_CACHE") or xdg / "factory").expanduser().absolute()
    runs = Path(os.environ.get("FACTORY_RUNS") or cache.with_name(f"{cache.name}-runs")).expanduser().absolute()
    return Places(cache, runs)
