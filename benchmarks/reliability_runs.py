"""How often a typed installation succeeds: N cold builds of the tiny installer in a row, with another core kept busy.

Each run types the boot command, serves the seed, waits for the installer's reset, boots, logs in and runs a provisioner
(``tiny/tiny.yml``). One failure fails the whole; its last words are shown, and its run directory is kept.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.cold_builds import ROOT, ours


@contextmanager
def busy_core() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def run(folder: Path, iso: Path, runs: int) -> int:
    way, seconds = ours(folder, iso, "typed"), []
    environment = {**os.environ, **way.environment}
    for number in range(1, runs + 1):
        started = time.monotonic()
        done = subprocess.run(
            way.argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        seconds.append(time.monotonic() - started)
        word = "FAILED" if done.returncode else "done"
        sys.stdout.write(f"run {number:2} of {runs}: {word} {seconds[-1]:.1f} s\n")
        sys.stdout.flush()
        if done.returncode:
            sys.stdout.write(f"{done.stderr[-3000:]}\nsee {folder}\n")
            return 1
    sys.stdout.write(f"{runs} of {runs}; median {statistics.median(seconds):.1f} s, longest {max(seconds):.1f} s\n")
    shutil.rmtree(folder)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--idle", action="store_true", help="leave the other core alone")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="reliability-"))
    iso = folder / "tiny.iso"
    subprocess.run([ROOT / "scripts/iso/tiny", iso], check=True)
    if options.idle:
        return run(folder, iso, options.runs)
    with busy_core():
        return run(folder, iso, options.runs)


if __name__ == "__main__":
    sys.exit(main())
