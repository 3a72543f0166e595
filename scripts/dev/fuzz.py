"""fuzz [--count N] [--seed S] [TARGET…]: throws N inputs at what reads Packer's languages and boot commands.

Fails on the first input that ends in anything but a result or a typed error, or that takes longer than a second of
this process' own time; the input is printed so that it can be pasted into a test. The same seed gives the same inputs.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from factory.errors import TemplateError
from tests.template.packer.fuzz.inputs import TARGETS, random_input

PATIENCE = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    targets = options.targets or list(TARGETS)
    chance = random.Random(options.seed)
    slowest, results, started = 0.0, 0, time.monotonic()
    for number in range(options.count):
        target = targets[number % len(targets)]
        text = random_input(target, chance)
        before = time.process_time()
        try:
            TARGETS[target][0](text)
            results += 1
        except TemplateError:
            pass
        except Exception as error:
            sys.exit(f"{target}: {type(error).__name__}: {error}\n{text!r}")
        taken = time.process_time() - before
        slowest = max(slowest, taken)
        if taken > PATIENCE:
            sys.exit(f"{target}: {taken:.1f} s\n{text!r}")
    elapsed = time.monotonic() - started
    sys.stdout.write(
        f"{options.count} inputs in {elapsed:.0f} s, {results} with a result, slowest {slowest * 1000:.0f} ms\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
