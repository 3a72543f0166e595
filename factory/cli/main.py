"""Where the program starts. ``factory --version`` is answered here: scripts ask it often, and need no command line."""

from __future__ import annotations

import sys


def main() -> None:
    """The console script: runs and exits with the codes of ``factory.errors``."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from factory import __version__

        sys.stdout.write(f"factory {__version__}\n")
        return
    from factory.cli.program import run

    run()
