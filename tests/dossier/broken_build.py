"""Builds that really fail: the real runner, machine, seed server and journal, and steps that a test chooses."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from factory.cli.adapters import DiscMaker, MachineProbes, MachineScreens
from factory.cli.given import HostPrograms
from factory.deadline import Deadline, poll
from factory.dossier.collector import Collector, write_report
from factory.dossier.record import Record, read_record
from factory.dossier.verdict import Verdict
from factory.drivers import protocols
from factory.drivers.http_server import HttpSeedServer
from factory.drivers.machine_spec import CpuSpec, FloppySpec, MachineSpec, Reboot
from factory.drivers.qemu.disk_image import QemuImg
from factory.drivers.qemu.driver import QemuDriver
from factory.drivers.ssh import SshCommunicator
from factory.drivers.ssh_keys import generate_build_key
from factory.engine.journal import Journal
from factory.engine.runner import Runner
from factory.engine.scope import StepScope
from factory.engine.store import LayerStore
from factory.events import BuildStarted, EventBus
from factory.plan.keys import ROOT, chain
from factory.plan.model import Keeps, Phase, Plan, Power, Recipe
from factory.plan.resources import BuildName, BuildSecrets, KernelFiles, MachineState
from factory.plan.step import Scope, Step
from factory.quantity import Duration, Size
from factory.steps.fetch_media import MediaLibrary
from factory.template.load import load
from factory.template.model import Loaded
from tests.drivers.qemu.guests import sector

PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Given(Step):
    """Hands resources on; a test's own step."""

    resources: tuple[object, ...] = ()

    @property
    def title(self) -> str:
        return "take what the test gives"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        for resource in self.resources:
            scope.put(resource)
        yield


@dataclass(frozen=True)
class Heard(Step):
    """Waits, however slow this computer is, until the guest has written *text*: what follows may then be short."""

    text: str

    @property
    def title(self) -> str:
        return f"hear {self.text!r}"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        machine = scope.get(protocols.Machine)  # type: ignore[type-abstract]

        async def heard() -> bool | None:
            return True if self.text in machine.serial_text() else None

        await poll(heard, Deadline.after(Duration(280), f"the guest to say {self.text!r}"))
        yield


@dataclass(frozen=True)
class Broken:
    """A build that has failed, and what its dossier says."""

    folder: Path
    error: BaseException
    verdict: Verdict
    record: Record

    @property
    def html(self) -> str:
        return (self.folder / "report.html").read_text("utf-8")

    @property
    def quoted(self) -> str:
        return "\n".join(quote.text for quote in self.verdict.quotes)


@dataclass
class Bench:
    """Where a test's builds run. ``appliances`` set: the guest's disks are read after a failure."""

    root: Path
    appliances: protocols.ApplianceDriver | None = None
    redactor_words: tuple[str, ...] = ()

    def spec(self, *code: bytes, memory: str = "64 MiB", **changes: object) -> MachineSpec:
        """A machine that boots a boot sector from a floppy; without code, from nothing."""
        floppies: tuple[FloppySpec, ...] = ()
        if code:
            image = self.root / "floppy.img"
            image.write_bytes(sector(*code).ljust(1440 * 1024, b"\0"))
            floppies = (FloppySpec("boot", image),)
        spec = MachineSpec(
            "broken", "qemu-system-x86_64", "pc", "tcg", Size.parse(memory), CpuSpec(), floppies=floppies,
            reboot=Reboot.ENDS_MACHINE,
        )  # fmt: skip
        return replace(spec, **changes)  # type: ignore[arg-type]

    def template(self, seed: str | None = None, more: str = "") -> Loaded:
        """The tiny installer's template, booted directly, with *seed* for its answers."""
        folder = self.root / "template"
        folder.mkdir(exist_ok=True)
        for name in ("boot_configs", "http_seed", "scripts"):
            if not (folder / name).exists():
                (folder / name).symlink_to(PROJECT / name)
        directory = ""
        if seed is not None:
            (folder / "answers").mkdir(exist_ok=True)
            (folder / "answers" / "seed.j2").write_text(seed)
            directory = "\n  seed_dir: answers"
        path = folder / "broken.yml"
        path.write_text(
            "format: 1\nname: broken\n"
            "source: {iso: {build: {script: scripts/iso/tiny, inputs: [scripts/iso/tiny.d]}}}\n"
            f"machine: {{memory: 512 MiB, disks: [{{id: main, size: 64 MiB}}]}}\n"
            f"install:\n  profile: tiny\n  boot: direct{directory}\n{more}"
        )
        return load(path)

    def fails(self, *steps: Step, phase: str = "install", power: Power = Power.OFF) -> Broken:
        """Runs a build of one phase, which must fail."""
        return asyncio.run(self._fails(steps, phase, power))

    async def _fails(self, steps: tuple[Step, ...], phase: str, power: Power) -> Broken:
        run, runtime = self.root / "run", Path(tempfile.mkdtemp(prefix="lab"))
        run.mkdir()
        bus = EventBus()
        for word in self.redactor_words:
            bus.redactor.add(word)
        journal = Journal(run / "journal.jsonl")
        bus.subscribe(journal)
        emit = bus.emitter("broken")
        emit(BuildStarted("broken", str(run), (phase,)))
        recipe = Recipe({"test": self.root.name})
        phases = (Phase(phase, steps, recipe, chain(ROOT, phase, recipe), power, Keeps.DISKS),)
        plan = Plan("broken", "broken.yml", phases, (), (), {"accelerator": "tcg"})
        (run / "plan.json").write_text(plan.to_json())
        scope = self._scope(bus, run, runtime)
        runner = Runner(plan, LayerStore(self.root / "cache"), scope, usable=lambda layer: "", hooks=(Collector(),))
        try:
            await runner.run()
        except Exception as error:
            verdict, _ = write_report(run, alive=True)
            return Broken(run, error, verdict, read_record(run, alive=True))
        finally:
            journal.close()
            shutil.rmtree(runtime)
        raise AssertionError("the build was meant to fail")

    def _scope(self, bus: EventBus, run: Path, runtime: Path) -> StepScope:
        emit = bus.emitter("broken")
        scope = StepScope(emit, "", run, runtime, run)
        screens = MachineScreens(self.root / "fonts")
        key = self.root / "key"
        pair = generate_build_key()
        key.write_bytes(pair.private_pem.reveal())
        scope.put(bus.redactor)
        scope.put(BuildName("broken"))
        scope.put(BuildSecrets(key, pair.public_line, {}))
        scope.put(MachineState(run))
        scope.put_as(MediaLibrary, None)  # asked for files that scripts make only
        scope.put_as(protocols.MachineDriver, QemuDriver())
        scope.put_as(protocols.DiskImages, QemuImg(emit))
        scope.put_as(protocols.Communicator, SshCommunicator())
        scope.put_as(protocols.SeedServer, HttpSeedServer())
        scope.put_as(protocols.Programs, HostPrograms())
        scope.put_as(protocols.ScreenReader, screens)
        scope.put_as(protocols.ActivityProbe, MachineProbes(screens))
        if self.appliances is not None:
            scope.put_as(protocols.ApplianceDriver, self.appliances)
        return scope


async def take_kernel(iso: Path, folder: Path) -> KernelFiles:
    """Kernel and initrd of the tiny installer's ISO."""
    files = KernelFiles(folder / "kernel", folder / "initrd")
    await DiscMaker().extract(iso, {"boot/vmlinuz": files.kernel, "boot/initrd.img": folder / "initrd"})
    return files
