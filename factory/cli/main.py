"""Where the program starts.

What is asked often is answered here, before the command line is read and everything else is loaded: ``factory
--version``, and a build that has nothing to do.
"""

from __future__ import annotations

import sys


def main() -> None:
    """The console script: runs and exits with the codes of ``factory.errors``, from the first moment on.

    Signals are taken before anything else is imported, which takes a second where much is going on.
    """
    if sys.argv[1:] in (["--version"], ["-V"]):
        from factory import __version__

        sys.stdout.write(f"factory {__version__}\n")
        return
    try:
        from factory.cli.signals import interrupted_by_signals

        interrupted_by_signals()
        if sys.argv[1:2] == ["build"]:
            from factory.cli.unchanged import answered

            if answered(sys.argv[2:]):
                return
        from factory.cli.program import run

        run()
    except KeyboardInterrupt:  # nothing had begun yet, or everything had ended
        from factory.errors import INTERRUPTED_EXIT_CODE

        sys.stderr.write("interrupted\n")
        sys.exit(INTERRUPTED_EXIT_CODE)
