"""SIGKILL at chosen moments of real builds, and a search for everything that they leave behind.

A drill has a *gold* place (a whole build) and a place to kill in. Before each kill the second is brought to a *stage*:
the layers before one phase are there (hard links of the gold ones: layers never change), the later ones are not. So a
kill costs seconds, each next build starts in what the last kill left, and every so often one runs to its end.
"""

from __future__ import annotations

import json
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from factory.engine.layer_index import INDEX
from factory.engine.store import LayerStore
from tests.e2e.command import FACTORY, PROJECT, Outcome, Place

FINISH = """
outputs: [qcow2, raw]
verify: {formats: first, clones: 1, run: ["test -s /etc/motd"]}
"""
PHASES = ("install", "boot", "provision-1", "provision-2", "seal", "export")
GUESTFS_CHILD = "guestfs/child.py"
PATIENCE = 300.0
"""Seconds for a build to end by itself after something that it needs was killed: the host may be loaded."""


class Target(StrEnum):
    FACTORY = "factory"
    QEMU = "qemu"
    GUESTFS = "guestfs"
    GROUP = "group"  # the factory and every process that it has started, at one instant


@dataclass(frozen=True)
class Moment:
    """When to kill: at an event of a step or phase, or *after* seconds of a phase."""

    phase: str
    event: str = "phase_started"
    step: str = ""
    after: float = 0.0

    def __str__(self) -> str:
        what = f"{self.event} {self.step}".strip() if self.event != "phase_started" or not self.after else ""
        return f"{self.phase}: {what or f'{self.after:.2f} s in'}"

    def reached(self, event: dict[str, Any], current: str) -> bool:
        if event["event"] != self.event or (self.step and event.get("step") != self.step):
            return False
        # The steps of "boot" and "power off" belong to the phase that asked for them.
        return self.phase in (event.get("phase"), current)


@dataclass
class Kill:
    target: Target
    moment: Moment
    code: int = 0
    hit: bool = False
    seconds: float = 0.0
    defects: list[str] = field(default_factory=list)


def project_copy(folder: Path, edit: Callable[[str], str]) -> Path:
    """A project in *folder* with all that ``images/tiny.yml`` needs, and that template, edited."""
    folder.mkdir()
    for name in ("http_seed", "scripts", "boot_configs"):
        (folder / name).symlink_to(PROJECT / name)
    template = folder / "tiny.yml"
    template.write_text(edit((PROJECT / "images" / "tiny.yml").read_text()))
    return template


def boundaries_of(outcome: Outcome) -> list[tuple[Target, Moment]]:
    """Every step boundary of a whole build, each once, with every target that lives there."""
    found: dict[tuple[Target, Moment], None] = {}
    current, living = "", {Target.FACTORY: 1, Target.GROUP: 1, Target.QEMU: 0, Target.GUESTFS: 0}
    for event in outcome.events:
        name = event["event"]
        if name in ("machine_started", "machine_ended"):
            living[Target.QEMU] += 1 if name == "machine_started" else -1
        elif name in ("command_started", "command_finished") and GUESTFS_CHILD in event["command"]:
            living[Target.GUESTFS] += 1 if name == "command_started" else -1
        elif name in ("phase_started", "phase_finished", "step_started", "step_finished"):
            current = event["phase"] if name == "phase_started" else current
            moment = Moment(current, name, event.get("step", ""))
            found |= {(target, moment): None for target, number in living.items() if number > 0}
    return list(found)


def lengths_of(outcome: Outcome) -> dict[str, float]:
    """Seconds that each phase of a whole build took."""
    return {event["phase"]: event["seconds"] for event in outcome.named("phase_finished")}


class Drill:
    """*gold* is a place with a finished build of ``images/tiny.yml``, *built* what that build said; *root* takes the
    place that is killed in.

    There the same image is made, but fewer files of it, and only one of them is booted: its layers are the same.
    """

    def __init__(self, gold: Place, built: Outcome, root: Path) -> None:
        self.gold, self.place = gold, Place(root)
        self.temporary = Path(tempfile.mkdtemp(prefix="fd"))  # short: sockets lie in it
        self.kills: list[Kill] = []
        cache = root / "cache"
        cache.mkdir(mode=0o700)
        shutil.copytree(gold.root / "cache" / "host", cache / "host")
        shutil.copy(gold.root / "cache" / "salt", cache / "salt")  # keys of secrets depend on it
        (cache / "guestfs").symlink_to(gold.root / "cache" / "guestfs")
        self.template = project_copy(root / "project", lambda text: re.sub(r"\noutputs:.*", FINISH, text, flags=re.S))
        # Not the newest keys of that name: other tests have built variants of it in the same place since.
        self._keys: dict[str, str] = {e["phase"]: e["key"] for e in built.named("layer_stored")}

    @property
    def environment(self) -> dict[str, str]:
        return {**self.place.environment, "TMPDIR": str(self.temporary)}

    def close(self) -> None:
        shutil.rmtree(self.temporary, ignore_errors=True)

    def bring_to(self, stage: str, *, with_media: bool = True) -> None:
        """The layers of all phases before *stage* are stored, the others are not; nothing is delivered."""
        store = LayerStore(self.place.root / "cache")
        for phase in PHASES[:-1]:
            key = self._keys[phase]
            if PHASES.index(phase) >= PHASES.index(stage):
                store.remove(key)
            elif not _is_the_same(golden := self.gold.root / "cache" / "layers" / key, store.layers / key):
                store.remove(key)  # of an installation of its own, on which no gold layer can stand
                _link_tree(golden, store.layers / key)
        shutil.rmtree(self.place.output / "tiny", ignore_errors=True)
        media = self.place.root / "cache" / "media"
        if not with_media:
            shutil.rmtree(media, ignore_errors=True)
        elif not media.exists():
            _link_tree(self.gold.root / "cache" / "media", media)

    def kill(self, target: Target, moment: Moment) -> Kill:
        """Builds from where the place is, kills, waits for the end, and notes what is wrong afterwards."""
        kill, started = Kill(target, moment), time.monotonic()
        process = subprocess.Popen(
            [*FACTORY, "build", "--json", "-o", str(self.place.output), str(self.template)],
            cwd=PROJECT, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        stderr: list[str] = []
        listener = threading.Thread(target=lambda: stderr.append(process.stderr.read() if process.stderr else ""))
        listener.start()
        try:
            ports = self._strike(process, kill)
            kill.code = process.wait(PATIENCE)
        finally:
            if process.poll() is None:
                kill.defects.append("the build did not end")
                process.kill()
            process.wait()
            listener.join()
        kill.seconds = time.monotonic() - started
        kill.defects += self.inspect(ports, survived=target in (Target.QEMU, Target.GUESTFS))
        if target is not Target.GROUP:  # which takes the watchdog along: only the next command can tidy up after it
            kill.defects += [f"half an artifact: {path}" for path in self._growing()]
        # 8: a machine that dies while an artifact is verified is a verification that failed.
        expected = {0, 5, 8} if target in (Target.QEMU, Target.GUESTFS) else {-9, 0}
        if kill.code not in expected:
            kill.defects.append(f"exit code {kill.code}: {''.join(stderr)[-2000:]}")
        self.kills.append(kill)
        return kill

    def _strike(self, process: subprocess.Popen[str], kill: Kill) -> set[str]:
        """Reads events until the moment has come, kills; returns the sockets that listened just before."""
        events: queue.Queue[dict[str, Any] | None] = queue.Queue()

        def read() -> None:
            for line in process.stdout or ():
                try:
                    events.put(json.loads(line))
                except ValueError:  # cut off by the kill
                    continue
            events.put(None)

        threading.Thread(target=read, daemon=True).start()
        current, due = "", None
        ports: set[str] = set()
        while True:
            try:
                event = events.get(timeout=0.02 if due is not None else PATIENCE)
            except queue.Empty:
                event = {}
            if event is None:
                return ports
            if event and event["event"] == "phase_started":
                current = event["phase"]
            if due is None and event and kill.moment.reached(event, current):
                due = time.monotonic() + kill.moment.after
            if due is not None and time.monotonic() >= due:
                tree = list(_tree(process.pid))
                victims = _victims(kill.target, process.pid, tree)
                if victims:  # else it has not been started yet
                    ports = _listening(tree)
                    for pid in victims:
                        _kill(pid)
                    kill.hit, due = True, float("inf")

    def inspect(self, ports: set[str], *, survived: bool) -> list[str]:
        """What must never be there after a kill. *survived*: the factory itself was not killed, and has cleaned up."""
        found = [f"process left: {line}" for line in self._processes()]
        found += [f"still listening: socket {inode}" for inode in _still_listening(ports)]
        found += [f"half an artifact: {path}" for path in self.place.half_made()]
        store = LayerStore(self.place.root / "cache")
        layers = [path.name for path in store.layers.iterdir() if not path.name.startswith(".")]
        found += [f"half a layer: {key}" for key in layers if store.find(key) is None]
        return found + (self.remains() if survived else [])

    def remains(self) -> list[str]:
        """What only a dead factory may leave, and the next build removes: drafts, temporary files."""
        cache = self.place.root / "cache"
        left = [*cache.glob("layers/.*"), *cache.glob("**/.*.tmp"), *cache.glob("media/built/.*")]
        return [f"left behind: {path}" for path in (*left, *self.temporary.iterdir())]

    def _growing(self) -> list[Path]:
        """What the watchdog has not removed: it is given a moment."""
        deadline = time.monotonic() + 15
        while (found := list(self.place.output.glob(".staging/*"))) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def _processes(self) -> list[str]:
        deadline = time.monotonic() + 15
        marker = f"TMPDIR={self.temporary}".encode()
        while True:
            found = [*self.place.processes(), *_with_environment(marker)]
            if not found or time.monotonic() > deadline:
                return sorted(set(found))
            time.sleep(0.1)

    def finish(self) -> Outcome:
        """The next ``factory build``: it must succeed, deliver what it should, and leave nothing at all."""
        process = subprocess.run(
            [*FACTORY, "build", "--json", "-o", str(self.place.output), str(self.template)],
            cwd=PROJECT, env=self.environment, capture_output=True, text=True, timeout=1500, check=False,
        )  # fmt: skip
        outcome = Outcome(process.returncode, [json.loads(x) for x in process.stdout.splitlines()], process.stderr)
        assert outcome.code == 0, outcome.stderr
        artifact = self.place.output / "tiny"
        subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=artifact, check=True)
        manifest = json.loads((artifact / "manifest.json").read_text())
        assert manifest["verify"]["passed"]
        assert b"built by factory" in (artifact / "tiny.raw").read_bytes()
        store = LayerStore(self.place.root / "cache")
        assert all(store.verify(layer) for layer in store.all())
        assert self.inspect(set(), survived=True) == []
        return outcome


def random_kill(dice: random.Random, lengths: dict[str, float]) -> tuple[Target, Moment]:
    """A target, and a moment of a phase in which it lives; phases by the number of things that can go wrong in them."""
    target = dice.choices(list(Target), weights=(4, 3, 2, 2))[0]
    if target is Target.GUESTFS:
        phase = "seal"
    elif target is Target.QEMU:
        phase = dice.choice(("install", "boot", "provision-1", "provision-2", "export"))
    else:
        phase = dice.choices(PHASES, weights=(2, 1, 2, 2, 2, 3))[0]
    return target, Moment(phase, after=dice.uniform(0, lengths[phase]))


def _is_the_same(golden: Path, layer: Path) -> bool:
    """Whether *layer* was linked from *golden*."""
    return layer.exists() and os.path.samefile(golden / INDEX, layer / INDEX)


def _link_tree(source: Path, destination: Path) -> None:
    shutil.copytree(source, destination, copy_function=os.link)
    destination.chmod(0o700)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _processes() -> Iterator[Path]:
    yield from Path("/proc").glob("[0-9]*")


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _tree(root: int) -> Iterator[int]:
    """*root* and everything that it has started, down to the last grandchild."""
    children: dict[int, list[int]] = {}
    for process in _processes():
        children.setdefault(_parent(process), []).append(int(process.name))
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += children.get(pid, [])


def _victims(target: Target, factory: int, tree: list[int]) -> list[int]:
    if target is Target.FACTORY:
        return [factory]
    if target is Target.GROUP:
        return tree
    words = "-name guest=" if target is Target.QEMU else GUESTFS_CHILD
    # Not what only starts it, and is about to become it.
    return [pid for pid in tree if words in (line := _command(pid)) and "setpriv" not in line.split(" ")[0]][:1]


def _listening(pids: list[int]) -> set[str]:
    """Inodes of the TCP sockets that *pids* listen on."""
    own = set()
    for pid in pids:
        try:
            links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        own |= {link[8:-1] for link in links if link.startswith("socket:[")}
    return own & _all_listening()


def _all_listening() -> set[str]:
    """Inodes of all listening TCP sockets (state 0A). proc(5), net/tcp."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in _lines(Path("/proc/net") / name)[1:]]
    return {row[9] for row in rows if row[3] == "0A"}


def _still_listening(inodes: set[str]) -> set[str]:
    """Those of *inodes* that stay open: a dying process loses its command line before it closes its files."""
    deadline = time.monotonic() + 15
    while (left := inodes & _all_listening()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _with_environment(marker: bytes) -> list[str]:
    found = []
    for process in _processes():
        try:
            if int(process.name) != os.getpid() and marker in (process / "environ").read_bytes():
                found.append(_command(int(process.name))[:200])
        except OSError:
            continue
    return found
