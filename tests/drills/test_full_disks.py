"""Disks that are full or may only be read: what the build says, what it leaves, and that it goes on once there is room.

The builds run in a mount namespace of their own with a small tmpfs in it: nothing to unmount, and no root needed.
"""

from __future__ import annotations

import os
import shlex
import subprocess

import pytest

from tests.drills.killing import Drill
from tests.e2e.command import FACTORY, PROJECT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]


class Small:
    """A script of builds on a file system of a chosen size. *stage*: whose layers are there at the beginning."""

    def __init__(self, drill: Drill, size: str, folder: str, stage: str) -> None:
        drill.bring_to(stage)
        self.drill, self.mounted = drill, drill.place.root / folder
        self.mounted.mkdir(exist_ok=True)
        keep = shlex.quote(str(drill.place.root / "kept"))
        here = shlex.quote(str(self.mounted))
        self.lines = [
            "set -e", f"rm -rf {keep}; cp -a {here} {keep}",
            f"mount -t tmpfs -o size={size},mode=0700 small {here}", f"cp -a {keep}/. {here}",
        ]  # fmt: skip

    def build(self, *arguments: str) -> Small:
        command = shlex.join(
            [*FACTORY, "build", str(self.drill.template), "-o", str(self.drill.place.output), *arguments]
        )
        self.lines += [f"{command} >build.log 2>&1 && code=0 || code=$?", 'echo "code=$code"', "cat build.log"]
        return self

    def left(self) -> Small:
        """Lists what only a killed build may leave."""
        places = f"{self.mounted} {self.drill.place.output} {self.drill.temporary}"
        pattern = r"\( -name '.draft-*' -o -path '*/.staging/*' -o -name '*.tmp' -o -name 'factory-tmp-*' \)"
        self.lines.append(f"for f in $(find {places} {pattern} 2>/dev/null); do echo left=$f; done")
        return self

    def remount(self, options: str) -> Small:
        # Named in full: else mount(8) hands back the uid that it reads in mountinfo, which our user namespace has not.
        self.lines.append(f"mount -t tmpfs -o remount,{options} small {shlex.quote(str(self.mounted))}")
        return self

    def run(self) -> list[str]:
        script = "\n".join(self.lines)
        environment = {**self.drill.environment, "PYTHONPATH": str(PROJECT)}
        done = subprocess.run(
            [*UNSHARE, "sh", "-c", script], cwd=self.drill.place.root, env=environment, capture_output=True, text=True,
            timeout=1500, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


def codes(lines: list[str]) -> list[str]:
    return [line.removeprefix("code=") for line in lines if line.startswith("code=")]


def leftovers(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("left=")]


def test_a_full_cache_fails_with_a_way_out_and_goes_on_with_more_room(drill: Drill) -> None:
    """Two layers (some 147 MiB) are there; the memory that is to be kept next does not fit."""
    lines = (
        Small(drill, "200m", "cache/layers", "provision-1")
        .build("--until", "provision-1").left().remount("size=400m").build("--until", "provision-1").left().run()
    )  # fmt: skip
    text = "\n".join(lines)
    assert codes(lines) == ["6", "0"], text
    assert "no space left" in text
    assert "FACTORY_CACHE to a larger disk" in text
    assert leftovers(lines) == []


def test_a_full_output_folder_leaves_no_half_artifact(drill: Drill) -> None:
    lines = Small(drill, "30m", "output", "export").build().left().run()
    text = "\n".join(lines)
    assert codes(lines) == ["6"], text
    assert "no space left" in text
    assert leftovers(lines) == []
    assert not (drill.place.output / "tiny").exists()


def test_a_store_that_may_only_be_read_still_serves_what_it_has(drill: Drill) -> None:
    """`factory plan` and `factory cache` read; a build that has something to store says that it can't."""
    small = Small(drill, "900m", "cache/layers", "provision-1").remount("ro")
    small.lines += [
        f"{shlex.join([*FACTORY, 'plan', str(drill.template)])} || echo code=plan",
        f"{shlex.join([*FACTORY, 'cache', 'ls'])} || echo code=ls",
        f"{shlex.join([*FACTORY, 'cache', 'verify'])} || echo code=verify",
    ]
    lines = small.build("--until", "provision-1").left().run()
    text = "\n".join(lines)
    assert codes(lines) == ["6"], text
    assert "boot           stored as" in text
    assert "2 layers are whole" in text
    assert "Read-only file system" in text
    assert leftovers(lines) == []
