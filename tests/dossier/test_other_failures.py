"""Rules for what ends a build from outside, and for commands: builds that really end so."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from factory.deadline import pause
from factory.dossier.record import read_record
from factory.dossier.rules import judge
from factory.dossier.verdict import Verdict
from factory.plan.resources import KernelFiles
from factory.plan.step import Scope, Step
from factory.quantity import Duration, Size
from factory.steps.run_provisioner import RunProvisioner
from factory.steps.start_machine import Role, StartMachine
from factory.template.model import Provision, Shell
from tests.dossier.broken_build import Bench, Heard
from tests.dossier.test_boot_failures import connect, installer_ends
from tests.dossier.test_install_failures import install
from tests.drivers.qemu.guests import CLI, FILL_DISK, HANG, POWER_OFF, disk, say

pytestmark = [pytest.mark.machine, pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Signal(Step):
    """Sends this very process a signal, as Ctrl-C or an out-of-memory kill does, and waits."""

    number: int

    @property
    def title(self) -> str:
        return "wait for the end"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        os.kill(os.getpid(), self.number)
        await pause(Duration(60))
        yield


def hanging(bench: Bench) -> tuple[Step, ...]:
    return StartMachine(bench.spec(CLI, say("at work\n"), HANG), Role.INSTALL), Heard("at work")


def judged(bench: Bench) -> Verdict:
    return judge(read_record(bench.root / "run", alive=False))


def _killed(root: Path) -> None:
    bench = Bench(root)
    bench.fails(*hanging(bench), Signal(signal.SIGKILL))


def test_a_build_that_is_killed(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_killed, args=(tmp_path,))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    found = judged(Bench(tmp_path))
    assert found.rule == "killed"
    assert found.sentence == (
        "The build was killed while it was at “wait for the end”: its process ended without a word."
    )


def test_a_build_that_is_interrupted(bench: Bench) -> None:
    with pytest.raises(KeyboardInterrupt):
        bench.fails(*hanging(bench), Signal(signal.SIGINT))
    found = judged(bench)
    assert found.rule == "interrupted"
    assert found.sentence == "The build was interrupted while it was at “wait for the end”."


def test_this_computers_disk_is_full(bench: Bench) -> None:
    """`blkdebug` says ENOSPC to every write, with no disk to fill: to QEMU, and so to the build, it is the same."""
    image = disk(bench.root / "full.raw", FILL_DISK)
    os.truncate(image, Size.parse("64 MiB"))
    debug = (
        f"driver=blkdebug,node-name=full,image.driver=file,image.filename={image},"
        f"inject-error.0.event=none,inject-error.0.iotype=write,inject-error.0.errno={errno.ENOSPC}"
    )
    spec = bench.spec(extra_args=("-blockdev", debug, "-device", "ide-hd,drive=full,bootindex=0"))
    found = bench.fails(StartMachine(spec, Role.INSTALL), installer_ends(stall=0))
    assert found.verdict.rule == "host-disk-full"
    assert found.verdict.sentence == "This computer's disk is full: the machine could not write to its image."


def test_a_command_that_fails_in_the_guest(bench: Bench, tiny_kernel: KernelFiles) -> None:
    seed = (
        "ON_START='mkdir -p /etc/dropbear /root/.ssh; chmod 700 /root /root/.ssh; "
        "cp /installer/system/etc/passwd /installer/system/etc/shadow /etc/; "
        'echo "{{ build.ssh_public_key }}" >/root/.ssh/authorized_keys; chmod 600 /root/.ssh/authorized_keys; '
        "dropbear -R -E -s; echo listening >/dev/ttyS0; sleep 600'\n"
    )
    script = Shell(inline=("echo could not resolve the conflict >&2; exit 3",))
    command = Provision(name="demo", shell=script)
    fails = RunProvisioner(command, 1, bench.template(seed), Duration(0))
    found = install(bench, tiny_kernel, seed, Heard("listening"), connect(budget=60), fails)
    assert found.verdict.rule == "command-failed"
    assert found.verdict.sentence == (
        "A command in the guest failed (“shell: demo”): 'echo could not resolve the conflict >&2; exit 3' ended with "
        "status 3 (allowed: 0); it said last: could not resolve the conflict."
    )
    assert found.quoted == "could not resolve the conflict"


def test_an_error_that_no_rule_knows_speaks_for_itself(bench: Bench) -> None:
    found = bench.fails(StartMachine(bench.spec(CLI, POWER_OFF, HANG), Role.INSTALL), installer_ends(stall=0))
    assert found.verdict.rule == "other"
    assert found.verdict.sentence == "the installer ended with guest-shutdown, but its profile says guest-reset."
    assert "finished" in found.verdict.advice[0]
