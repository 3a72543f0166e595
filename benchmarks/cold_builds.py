"""From an installer ISO to a finished image: Debian's packer, ours with a typed boot command, ours with a direct boot.

The same ISO, disk, memory, processors, accelerator and provisioner; one uncompressed qcow2 comes out of each
(``tiny/packer.json``, ``tiny/tiny.yml``). Packer's ``boot_wait`` is as short as its typing still works with. The ways
take turns, so that a busy moment of the computer meets all of them; medians are compared. The first greeting of the
installed guest's SSH server is seen by this program, from outside, in the same manner for all.

Targets: typed at most 0.8 of Packer's time to the greeting, direct at most 0.5.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.drivers.protocols import GuestAddress
from factory.drivers.ssh_dial import Dialler
from factory.quantity import Duration

ROOT = Path(__file__).parents[1]
TINY = ROOT / "benchmarks/tiny"
TARGETS = {"typed": 0.8, "direct": 0.5}
LOOK_EVERY = 0.05
DIAL_EVERY = Duration(0.2)
"""How exactly a greeting is seen, whoever builds."""


@dataclass(frozen=True, slots=True)
class Way:
    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds from the start of the command."""

    greeting: float
    total: float


def family(pid: int) -> Iterator[int]:
    """A process and all that descend from it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from family(int(child))


def listening_ports(pid: int) -> set[int]:
    """TCP ports that a process listens on (proc(5): /proc/net/tcp, state 0A)."""
    try:
        held = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
        lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return set()
    fields = [line.split() for line in lines]
    return {int(f[1].rpartition(":")[2], 16) for f in fields if f[3] == "0A" and f"socket:[{f[9]}]" in held}


def machines(pid: int) -> Iterator[int]:
    for process in family(pid):
        try:
            if Path(f"/proc/{process}/comm").read_text().startswith("qemu-system"):
                yield process
        except OSError:
            continue


async def first_greeting(pid: int, every: Duration = DIAL_EVERY) -> float:
    """When an SSH server first spoke on a port of a machine that descends from *pid* (``time.monotonic``).

    By several connections side by side, as a slow guest may take seconds to speak on one. *every*: the longest gap
    between two; each costs the guest a process of its SSH server.
    """
    greeted: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def listen(port: int) -> None:
        dialler = Dialler(
            GuestAddress("127.0.0.1", port),
            connect=Duration(5),
            banner=Duration(30),
            between=every,
            on_silent=lambda how: None,
        )
        with await dialler.answer() as answered:
            spoken = answered.recv(4) == b"SSH-"
        if spoken and not greeted.done():
            greeted.set_result(time.monotonic())

    async with asyncio.TaskGroup() as group:
        listeners: dict[int, asyncio.Task[None]] = {}
        while not greeted.done():
            ports = {port for machine in machines(pid) for port in listening_ports(machine)}
            for gone in set(listeners) - ports:
                listeners.pop(gone).cancel()
            for port in ports - set(listeners):
                listeners[port] = group.create_task(listen(port))
            await asyncio.wait({greeted}, timeout=LOOK_EVERY)
        for task in listeners.values():
            task.cancel()
    return greeted.result()


async def watch(process: subprocess.Popen[bytes], every: Duration = DIAL_EVERY) -> float | None:
    """Waits for its end; returns when its guest greeted."""
    async with asyncio.TaskGroup() as group:
        greeting = group.create_task(first_greeting(process.pid, every))
        await asyncio.to_thread(process.wait)
        greeting.cancel()
    return None if greeting.cancelled() else greeting.result()


def measure(way: Way, log: Path) -> Taken:
    """Runs it to its end. Raises: RuntimeError when it fails, or when no guest ever greeted."""
    started = time.monotonic()
    environment = {**os.environ, **way.environment}
    # Packer is compiled; so is what is measured here, on every computer where nobody forbids it.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with log.open("wb") as out:
        process = subprocess.Popen(
            way.argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        try:
            greeting = asyncio.run(watch(process))
        finally:
            process.terminate()
            process.wait()
    total = time.monotonic() - started
    if process.returncode or greeting is None:
        said = log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{way.name} ended with {process.returncode}, greeting {greeting}:\n{said}")
    return Taken(greeting - started, total)


def ways(folder: Path, iso: Path) -> list[Way]:
    http = folder / "http"
    http.mkdir()
    shutil.copy(TINY / "http-seed", http / "seed")
    found = [ours(folder, iso, boot) for boot in ("typed", "direct")]
    if not shutil.which("packer"):
        sys.exit("packer is not installed: scripts/dev/setup --peers")
    variables = {"iso": iso, "http": http, "output": folder / "packer-output"}
    arguments = [f"-var={name}={value}" for name, value in variables.items()]
    # Its cache and its look for a newer version have no part in this.
    environment = {"PACKER_CACHE_DIR": str(folder / "packer-cache"), "CHECKPOINT_DISABLE": "1"}
    return [Way("packer", ("packer", "build", "-force", *arguments, str(TINY / "packer.json")), environment), *found]


def ours(folder: Path, iso: Path, boot: str) -> Way:
    program = str(ROOT / ".venv/bin/factory")
    output = str(folder / f"{boot}-output")
    variables = ("-var", f"iso={iso}", "-var", f"boot={boot}")
    argv = (program, "build", str(TINY / "tiny.yml"), "--fresh", "--output", output, *variables)
    return Way(boot, argv, {"FACTORY_CACHE": str(folder / "cache"), "FACTORY_RUNS": str(folder / "runs")})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cold-") as name:
        folder = Path(name)
        iso = folder / "tiny.iso"
        subprocess.run([ROOT / "scripts/iso/tiny", iso], check=True)
        contestants = ways(folder, iso)
        # What is asked of a computer once until its next start (which accelerator is good) is asked before.
        once = {**os.environ, **contestants[-1].environment}
        once.pop("PYTHONDONTWRITEBYTECODE", None)
        subprocess.run([ROOT / ".venv/bin/factory", "doctor"], env=once, stdout=subprocess.DEVNULL, check=False)
        results: dict[str, list[Taken]] = {way.name: [] for way in contestants}
        for number in range(options.rounds):
            for way in contestants:
                taken = measure(way, folder / f"{way.name}-{number}.log")
                results[way.name].append(taken)
                sys.stdout.write(f"round {number + 1}  {way.name:<7} {taken.greeting:6.1f} s  {taken.total:6.1f} s\n")
                sys.stdout.flush()
    return report(results)


def report(results: Mapping[str, list[Taken]]) -> int:
    greeting = {name: statistics.median(t.greeting for t in taken) for name, taken in results.items()}
    total = {name: statistics.median(t.total for t in taken) for name, taken in results.items()}
    sys.stdout.write("\nmedian     SSH greeting            total\n")
    for name in results:
        ratios = greeting[name] / greeting["packer"], total[name] / total["packer"]
        sys.stdout.write(
            f"{name:<8} {greeting[name]:6.1f} s  {ratios[0]:.2f}x   {total[name]:6.1f} s  {ratios[1]:.2f}x\n"
        )
    missed = [name for name, most in TARGETS.items() if greeting[name] > most * greeting["packer"]]
    if missed:
        sys.stdout.write(f"target missed: {', '.join(f'{name} (at most {TARGETS[name]}x)' for name in missed)}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
