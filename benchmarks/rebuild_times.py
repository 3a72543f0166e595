"""What a build costs: cold, unchanged, after an edit of the last or the first of five provisioners, beside packer.

Both build the same guest from the same ISO on the same machine (processors, memory, disk, accelerator) and run the same
five scripts over SSH; packer always does all of it. Times are up to the provisioned machine (for packer: until it halts
the guest), in seconds from the start of the command; sealing and exporting are timed apart. What is measured takes
turns in each round, so that a busy moment of the computer meets all of them; medians are compared.

Then what live layers cost: for how long the guest stands still, how large a layer is, how long from the start of a new
QEMU until the resumed guest greets by SSH. Who asks for that greeting makes the guest start a server process each time,
so it is asked for in builds of their own, which count for nothing else: packer's guest is left alone too.

Targets: unchanged at most 1/100 of packer's whole rebuild; last script edited at most 1/4 (tiny) or 1/20 (Debian) of
packer's time; cold at most packer's time. A pause of at most 0.28 s (tiny) or 0.66 s (Debian), a greeting within 0.6 s
or 2.6 s of a new process: twice what a prototype took.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cold_builds import watch
from factory.quantity import Duration

ROOT = Path(__file__).parents[1]
STEPS = 5
LAST = f"provision-{STEPS}"
SCRIPT = """#!/bin/sh
set -e
echo "step {step}, edition {edition}"
dd if=/dev/urandom bs=64k count=16 2>/dev/null | sha256sum >/root/step-{step}
"""


@dataclass(frozen=True, slots=True)
class Guest:
    """Targets are ratios to packer's time, and seconds."""

    name: str
    profile: str
    memory_mib: int
    disk_gib: int
    rootfs: bool
    last_edited: float
    pause: float
    greeting: float
    dial_every: Duration


GUESTS = {
    "tiny": Guest("tiny", "tiny", 512, 1, False, 1 / 4, 0.28, 0.6, Duration(0.2)),
    "debian-quick": Guest("debian-quick", "debian-quick", 1024, 4, True, 1 / 20, 0.66, 2.6, Duration(1)),
}


@dataclass
class Times:
    """Seconds of each repetition, by what was done; and of live layers, what was seen."""

    taken: dict[str, list[float]] = field(default_factory=dict)
    live: dict[str, list[float]] = field(default_factory=dict)

    def add(self, what: str, seconds: float) -> None:
        self.taken.setdefault(what, []).append(seconds)
        sys.stdout.write(f"  {what:<22} {seconds:7.2f} s\n")
        sys.stdout.flush()

    def median(self, what: str) -> float:
        return statistics.median(self.taken[what])


class Bench:
    """Both projects in *folder*: ours under ``project/``, packer's under ``packer/``."""

    def __init__(self, guest: Guest, folder: Path) -> None:
        self.guest, self.folder, self.editions = guest, folder, dict.fromkeys(range(1, STEPS + 1), 0)
        self.project, self.http = folder / "project", folder / "http"
        self.times = Times()
        self.http.mkdir()
        self.project.mkdir()
        for name in ("http_seed", "boot_configs", "scripts"):
            (self.project / name).symlink_to(ROOT / name)
        for step in self.editions:
            self.edit(step)
        _run("scripts/iso/tiny", folder / "tiny.iso")
        if guest.rootfs:
            _run("scripts/iso/debian-rootfs", self.http / "rootfs.tar.lz4")
        self.template = self.project / "rebuild.yml"
        self.template.write_text(json.dumps(self._ours()))
        self._packers()
        self.environment = {
            **os.environ, "FACTORY_CACHE": str(folder / "cache"), "FACTORY_RUNS": str(folder / "runs"),
            "PACKER_CACHE_DIR": str(folder / "packer-cache"), "CHECKPOINT_DISABLE": "1",
        }  # fmt: skip
        # Packer is compiled; so is what is measured here, on every computer where nobody forbids it.
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        # What is asked of a computer once until its next start (which accelerator is good) is asked before.
        subprocess.run(
            [ROOT / ".venv/bin/factory", "doctor"], env=self.environment, stdout=subprocess.DEVNULL, check=False
        )

    def edit(self, step: int) -> None:
        self.editions[step] += 1
        text = SCRIPT.format(step=step, edition=self.editions[step])
        (self.project / f"step-{step}.sh").write_text(text)

    def _ours(self) -> dict[str, Any]:
        """JSON is YAML too."""
        seed_files = [{"name": "rootfs.tar.lz4", "path": str(self.http / "rootfs.tar.lz4")}]
        return {
            "format": 1, "name": "rebuild",
            "source": {"iso": {"path": str(self.folder / "tiny.iso"), "checksum": "none"}},
            "machine": {
                "cpus": 2, "memory": f"{self.guest.memory_mib} MiB",
                "disks": [{"id": "main", "size": f"{self.guest.disk_gib} GiB"}],
            },
            "install": {"profile": self.guest.profile, **({"seed_files": seed_files} if self.guest.rootfs else {})},
            "provision": [{"shell": {"script": f"step-{step}.sh"}} for step in self.editions],
            "verify": False, "outputs": [{"qcow2": {"compress": "none"}}],
        }  # fmt: skip

    def _packers(self) -> None:
        key, port = self.folder / "key", _free_port()
        # ECDSA: packer 1.6.6 signs with an RSA key in a way that today's OpenSSH refuses.
        _run("ssh-keygen", "-q", "-t", "ecdsa", "-m", "PEM", "-N", "", "-f", key)
        seed = f"HOSTNAME='rebuild'\nSSH_KEY='{key.with_suffix('.pub').read_text().strip()}'\n"
        if self.guest.rootfs:
            seed += f"ROOTFS='http://10.0.2.2:{port}/rootfs.tar.lz4'\nTABLE=hybrid\n"
        (self.http / "seed").write_text(seed)
        builder = {
            "type": "qemu", "accelerator": "tcg", "headless": True, "iso_url": str(self.folder / "tiny.iso"),
            "iso_checksum": "none", "output_directory": str(self.folder / "packer-output"), "vm_name": "rebuild.qcow2",
            "disk_size": f"{self.guest.disk_gib * 1024}M", "format": "qcow2", "disk_interface": "virtio",
            "disk_cache": "unsafe", "net_device": "virtio-net", "cpus": 2, "memory": self.guest.memory_mib,
            "qemuargs": [["-cpu", "max"]], "http_directory": str(self.http), "http_port_min": port,
            "http_port_max": port, "boot_wait": "3s", "boot_key_interval": "20ms",
            "boot_command": ["install seed=http://{{ .HTTPIP }}:{{ .HTTPPort }}/seed<enter>"],
            "ssh_username": "root", "ssh_private_key_file": str(key), "ssh_timeout": "30m",
            "shutdown_command": "poweroff",
        }  # fmt: skip
        scripts = [str(self.project / f"step-{step}.sh") for step in self.editions]
        content = {"builders": [builder], "provisioners": [{"type": "shell", "script": s} for s in scripts]}
        (self.folder / "packer.json").write_text(json.dumps(content, indent=2))

    # --- what is measured ------------------------------------------------------------------------------------------

    def ours(self, what: str, *arguments: str) -> list[dict[str, Any]]:
        """One ``factory build``, timed; returns its events. Raises: RuntimeError."""
        started = time.monotonic()
        with self._started(what, *arguments) as process:
            process.wait()
            seconds = time.monotonic() - started
        self.times.add(what, seconds)
        events = self._events()
        for event in events:
            if event["event"] == "layer_stored" and event["keeps"] == "memory":
                live = {"pause": event["pause"], "store": event["seconds"], "size": event["size"] / 2**20}
                for name, value in live.items():
                    self.times.live.setdefault(name, []).append(value)
        return events

    def greeting(self, *arguments: str) -> None:
        """One ``factory build`` that resumes, with somebody at the guest's SSH port. Raises: RuntimeError."""
        started, began = time.monotonic(), time.time()
        with self._started("greeting", *arguments) as process:
            greeted = asyncio.run(watch(process, self.guest.dial_every))
        events = self._events()
        resumed = any("resumed from memory" in str(event.get("detail")) for event in events)
        new = next((e for e in events if e["event"] == "command_started" and "-incoming" in e["command"]), None)
        if resumed and new and greeted:
            self.times.live.setdefault("greeting", []).append(began + greeted - started - new["time"])

    @contextmanager
    def _started(self, what: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """A ``factory build``, which has ended well when the body ends. Raises: RuntimeError."""
        output = str(self.folder / "output")
        argv = [str(ROOT / ".venv/bin/factory"), "build", "--json", str(self.template), "-o", output, *arguments]
        errors = self.folder / "errors.log"
        with (self.folder / "events.jsonl").open("wb") as out, errors.open("wb") as err:
            process = subprocess.Popen(argv, cwd=ROOT, env=self.environment, stdout=out, stderr=err)
            yield process
        if process.wait():
            raise RuntimeError(f"factory, {what}: {errors.read_text()[-3000:]}")

    def _events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "events.jsonl").read_text().splitlines()]

    def packer(self) -> None:
        started, provisioned = time.monotonic(), 0.0
        argv = ["packer", "build", "-force", str(self.folder / "packer.json")]
        with subprocess.Popen(argv, env=self.environment, stdout=subprocess.PIPE, text=True) as process:
            said = []
            for line in process.stdout or ():
                said.append(line)
                if "alting" in line and not provisioned:  # "Gracefully halting virtual machine..."
                    provisioned = time.monotonic() - started
        if process.returncode or not provisioned:
            raise RuntimeError(f"packer ended with {process.returncode}: {''.join(said)[-3000:]}")
        self.times.add("packer", provisioned)
        self.times.add("packer, whole", time.monotonic() - started)

    def round(self) -> None:
        self.packer()
        shutil.rmtree(self.folder / "cache" / "layers", ignore_errors=True)
        shutil.rmtree(self.folder / "output", ignore_errors=True)
        self.ours("cold", "--until", LAST)
        self.ours("seal and export")
        events = self.ours("unchanged")
        if any(event["event"] == "phase_started" for event in events):
            raise RuntimeError("a build that changes nothing has run something")
        self.edit(STEPS)
        self.ours("last edited", "--until", LAST)
        self.ours("seal and export")
        self.edit(1)
        self.ours("first edited", "--until", LAST)
        self.edit(STEPS)
        self.greeting("--until", LAST)


def _run(*argv: object) -> None:
    subprocess.run([str(a) for a in argv], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def report(guest: Guest, times: Times) -> int:
    packer, whole = times.median("packer"), times.median("packer, whole")
    rows = [
        ("cold", packer, 1.0), ("unchanged", whole, 1 / 100), ("last edited", packer, guest.last_edited),
        ("first edited", packer, None), ("seal and export", packer, None),
    ]  # fmt: skip
    sys.stdout.write(f"\n{guest.name}: medians of {len(times.taken['packer'])}\n")
    sys.stdout.write(f"{'packer':<18} {packer:8.2f} s   (whole: {whole:.2f} s)\n")
    missed = []
    for name, against, most in rows:
        ours = times.median(name)
        target = f"target {1 / most:.0f}" if most else "no target"
        sys.stdout.write(f"{name:<18} {ours:8.2f} s   {against / ours:7.1f} times as fast   ({target})\n")
        if most and ours > most * against:
            missed.append(name)
    live = {name: statistics.median(values) for name, values in times.live.items()}
    limits: Mapping[str, float] = {"pause": guest.pause, "greeting": guest.greeting}
    words = {
        "pause": "s  the guest stands still", "store": "s  until the layer is stored", "size": "MiB  a live layer",
        "greeting": "s  from a new QEMU to the resumed guest's SSH greeting",
    }  # fmt: skip
    for name, word in words.items():
        target = f"   (target at most {limits[name]} s)" if name in limits else ""
        seen = f"{live[name]:8.2f}" if name in live else "not seen"
        sys.stdout.write(f"{seen} {word}{target}\n")
        if name in limits and live.get(name, float("inf")) > limits[name]:
            missed.append(name)
    if missed:
        sys.stdout.write(f"target missed: {', '.join(missed)}\n")
    return 1 if missed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guest", choices=list(GUESTS), default="tiny")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if not shutil.which("packer"):
        sys.exit("packer is not installed: scripts/dev/setup --peers")
    guest = GUESTS[options.guest]
    with tempfile.TemporaryDirectory(prefix="rebuild-") as name:
        bench = Bench(guest, Path(name))
        for number in range(options.rounds):
            sys.stdout.write(f"round {number + 1}\n")
            bench.round()
        return report(guest, bench.times)


if __name__ == "__main__":
    sys.exit(main())
