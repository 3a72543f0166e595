"""Runs a plan: from the newest stored layer on, phase by phase, keeping what each phase leaves.

Three things live longer than a phase and are held in slots: the *workspace* (a layer in the making, under the lock of
its key), the *session* (the boot steps: a running machine and a connection into it) and, while a live layer is being
stored, the next workspace. Slots are closed in the order session, workspace, whatever happens, so that QEMU is gone
before the folder that it writes to.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeAlias

from factory.drivers.protocols import Checkpoints, DiskImages, Machine
from factory.engine.failure import Failure, FailureHook, Holder, collect_evidence
from factory.engine.filesystem import disk_error
from factory.engine.freshness import Freshness, NothingChanges, PlanOutdated, Sources, StartAgain
from factory.engine.machine_state import SEAL_OVERLAY, branch, move_on, overlays_on
from factory.engine.scope import StepScope, merge
from factory.engine.slots import ClosingAll, Slot, Workspace
from factory.engine.store import Layer, LayerGone, LayerStore
from factory.errors import FactoryError, MemoryRefused, StoreError, unwrapped
from factory.events import (
    Emit,
    LayerStored,
    Note,
    PhaseFinished,
    PhaseSkipped,
    PhaseStarted,
    StepFailed,
    StepFinished,
    StepStarted,
)
from factory.plan.model import Keeps, Phase, Plan, Power
from factory.plan.resources import MEMORY, MachineState, TpmAt
from factory.plan.step import Step


class _Overtaken(StartAgain):
    """Another build has made the layer that we were about to make."""


class _CannotResume(StartAgain):
    """QEMU does not take the memory of the layer that we went on from."""


Usable: TypeAlias = Callable[[Layer], str]
"""Says why a live layer can't be resumed here; an empty text when it can."""


class Runner:
    """Runs one plan once.

    Args:
        usable: says why a live layer can't be resumed.
        not_stored: phases whose stored layers are not used.
        until: the last phase that is wanted, if not all are.
        why: says why a phase runs, for people.
        sources: what phases are made from, compared with the plan; *any_content*: phases that are left alone by it.
        replanned: is told the plan that has taken the place of *plan*.
    """

    def __init__(
        self, plan: Plan, store: LayerStore, scope: StepScope, *, usable: Usable,
        not_stored: frozenset[str] = frozenset(),
        until: str = "", why: Callable[[Phase], str] = lambda phase: "",
        sources: Sources | None = None, any_content: Collection[str] = (),
        replanned: Callable[[Plan], None] = lambda plan: None,
        hooks: Sequence[FailureHook] = (), holder: Holder | None = None,
    ) -> None:  # fmt: skip
        self._failure = Failure(hooks, holder, scope.emit)
        self._plan, self._store, self._base, self._usable, self._why = plan, store, scope, usable, why
        self._sources = sources or NothingChanges()
        self._freshness, self._replanned = Freshness(self._sources, any_content), replanned
        self._not_stored = set(not_stored)
        names = [p.name for p in plan.phases]
        self._wanted = plan.phases[: names.index(until) + 1] if until else plan.phases
        self._emit: Emit = scope.emit
        self._once: dict[str, str] = {}
        self._layer: Layer | None = None
        self._workspace: Workspace | None = None
        self._phase = ""
        self._session: StepScope | None = None
        self._session_slot = Slot()
        self._workspace_slots: list[Slot] = []
        self._holds = Slot()
        self._cannot_resume: set[str] = set()

    async def run(self) -> None:
        """Raises: FactoryError with evidence; what was kept before the failure stays kept. PlanOutdated."""
        while True:
            try:
                await self._run_once()
            except PlanOutdated:
                raise
            except StartAgain:
                continue
            except OSError as error:  # of a step: an output folder that is full, for example
                raise disk_error(error, self._store.root) or error from error
            return

    # --- the walk --------------------------------------------------------------------------------------------------

    async def _run_once(self) -> None:
        try:
            async with self._holds, ClosingAll(self._workspace_slots), self._telling(), self._session_slot:
                start = self._resume_point()
                for phase in self._wanted[:start]:
                    self._emit(PhaseSkipped(phase.name, phase.key))
                for index in range(start, len(self._wanted)):
                    self._phase = self._wanted[index].name
                    try:
                        await self._run_phase(index)
                    except Exception as error:  # of the runner itself, such as a full disk while a layer is stored
                        await self._failed(error, self._scope_for(self._wanted[index]))
                        raise
        finally:
            self._workspace = self._session = None

    @asynccontextmanager
    async def _telling(self) -> AsyncIterator[None]:
        """Lies between workspaces and session: here QEMU has ended, and what it wrote is still there."""
        try:
            yield
        except Exception as error:
            scope = (self._session or self._base).child(phase=self._phase, workspace=self._base.workspace)
            await self._failed(error, scope)  # the machine's own death is told here
            first = self._failure.error
            if first is not None and not isinstance(error, StartAgain):
                await self._failure.ended(self._workspace.draft.path if self._workspace else None)
                if first is not error and self._failure.outlived:
                    raise first from error  # the machine was only being looked at when it died
            raise

    async def _failed(self, error: BaseException, scope: StepScope) -> None:
        if not isinstance(error, StartAgain):
            await self._failure.happened(unwrapped(error), self._phase, scope)

    def _resume_point(self) -> int:
        """The number of the first phase that must run; sets the layer that it goes on from."""
        self._layer = None
        for index in reversed(range(len(self._wanted))):
            phase = self._wanted[index]
            if phase.keeps not in (Keeps.DISKS, Keeps.MEMORY) or phase.name in self._not_stored:
                continue
            layer = self._store.find(phase.key)
            if layer is None or layer.key in self._cannot_resume:
                continue
            if layer.keeps is Keeps.MEMORY and (reason := self._usable(layer)):
                self._emit(Note(f"the live layer after {phase.name} can't be resumed here: {reason}", "warning"))
                continue
            try:
                self._layer = layer
                self._hold()
            except LayerGone:  # another command has removed it since
                self._layer = None
                continue
            self._store.touch(layer)
            return index + 1
        self._stand_on_base()
        return 0

    def _stand_on_base(self) -> None:
        """Begins on the image of another build, where the plan says so. Raises: StoreError when it is gone."""
        if not self._plan.base:
            return
        self._layer = self._store.find(self._plan.base)
        if self._layer is None:
            raise StoreError(
                f"the image that {self._plan.name} starts from is not stored (layer {self._plan.base[:12]})",
                hint="run it again: it is built then",
            )
        self._hold()
        self._store.touch(self._layer)

    async def _run_phase(self, index: int) -> None:
        started = time.monotonic()
        phase = await self._fresh(index)
        refused = f"{phase.name} will run again: its live layer can't be resumed"
        self._emit(PhaseStarted(phase.name, refused if phase.key in self._cannot_resume else self._why(phase)))
        if phase.keeps is not Keeps.ARTIFACT or self._needs_power_change(phase):
            await self._ensure_workspace(index)
        if await self._ensure_power(phase.power):  # which may have taken minutes
            phase = await self._fresh(index)
        async with AsyncExitStack() as stack:
            await self._enter(stack, phase.steps, self._scope_for(phase))
        phase = await self._still_fresh(index)
        key = await self._keep(index, phase)
        self._emit(PhaseFinished(phase.name, time.monotonic() - started, key))

    async def _fresh(self, index: int) -> Phase:
        """The phase, before its steps read what it is made from. Raises: PlanOutdated."""
        phase = self._wanted[index]
        if what := await self._freshness.before(phase):
            words = f"{phase.name}: {what} since it was planned; it runs as it is now"
            await self._take_over(index, {}, PlanOutdated(phase.name, what, ran=False), words)
            await self._freshness.before(self._wanted[index])
        return self._wanted[index]

    async def _still_fresh(self, index: int) -> Phase:
        """The phase, before what it has left is kept under its key. Raises: PlanOutdated."""
        phase = self._wanted[index]
        if what := await self._freshness.after(phase):
            words = (
                f"{phase.name}: {what} while it ran; nobody knows which of the two it was, so the next build runs anew"
            )
            once = {phase.name: secrets.token_hex(8)}
            await self._take_over(index, once, PlanOutdated(phase.name, what, ran=True), words)
        return self._wanted[index]

    async def _take_over(self, index: int, once: Mapping[str, str], outdated: PlanOutdated, words: str) -> None:
        """Goes on in the same machine with the plan as it is now, where no layer is named after what was planned.

        Raises: *outdated* where layers are kept, or what has run already is planned otherwise.
        """
        old = self._plan.phases
        if any(p.keeps in (Keeps.DISKS, Keeps.MEMORY) for p in old):
            raise outdated
        try:
            plan = await self._sources.planned_again({**self._once, **once})
        except FactoryError:
            raise outdated from None
        if [p.name for p in plan.phases] != [p.name for p in old]:
            raise outdated
        if any(new.key != ran.key for new, ran in zip(plan.phases[:index], old, strict=False)):
            raise outdated
        self._emit(Note(words, "warning"))
        self._plan, self._wanted = plan, plan.phases[: len(self._wanted)]
        self._once.update(once)
        self._replanned(plan)

    async def _enter(self, stack: AsyncExitStack, steps: Sequence[Step], scope: StepScope) -> None:
        for step in steps:
            scope.details.clear()
            self._emit(StepStarted(scope.phase, step.name, step.title))
            started = time.monotonic()
            try:
                await stack.enter_async_context(step.enter(scope))
            except BaseException as error:
                # A cancelled step was not at fault: Ctrl-C, or QEMU's death, whose own error follows.
                cancelled = isinstance(error, asyncio.CancelledError)
                message = "ended early" if cancelled else str(error) or type(error).__name__
                self._emit(StepFailed(scope.phase, step.name, step.title, time.monotonic() - started, message))
                if isinstance(error, FactoryError):
                    error.evidence = merge(error.evidence, await collect_evidence(scope))
                if isinstance(error, Exception) and not self._refuses_memory(scope, error):
                    await self._failed(error, scope)
                raise
            seconds = time.monotonic() - started
            self._emit(StepFinished(scope.phase, step.name, step.title, seconds, "; ".join(scope.details)))

    def _scope_for(self, phase: Phase) -> StepScope:
        folder = self._workspace.draft.path if self._workspace else self._base.workspace
        return (self._session or self._state_scope(phase.name)).child(phase=phase.name, workspace=folder)

    def _state_scope(self, phase: str) -> StepScope:
        scope = self._base.child(phase=phase, workspace=self._base.workspace)
        if self._workspace:
            scope.put(self._workspace.state)
        elif self._layer:
            scope.put(MachineState(self._layer.path, self._layer.memory))
        return scope

    # --- power -----------------------------------------------------------------------------------------------------

    def _needs_power_change(self, phase: Phase) -> bool:
        suspended = self._layer is not None and self._layer.keeps is Keeps.MEMORY
        return phase.power is Power.RUNNING or self._session is not None or suspended

    async def _ensure_power(self, power: Power) -> bool:
        """True when something had to be done for it."""
        if power is Power.RUNNING:
            return await self._boot()
        if self._session or (self._workspace and self._workspace.state.memory):
            await self._boot()  # a live layer is powered off by resuming it first
            await self._power_off()
            return True
        return False

    async def _boot(self) -> bool:
        """False when it runs already."""
        if self._session:
            return False
        scope = self._state_scope("boot")
        self._session = scope
        try:
            await self._enter(self._session_slot.stack, self._plan.boot, scope)
        except Exception as error:
            if not self._refuses_memory(scope, error):
                raise
            assert self._layer is not None
            self._cannot_resume.add(self._layer.key)
            reason = f"the live layer after {self._layer.phase} can't be resumed: {unwrapped(error)}"
            self._emit(Note(reason, "warning"))
            raise _CannotResume from error
        return True

    def _refuses_memory(self, scope: StepScope, error: Exception) -> bool:
        """True when QEMU did not take a memory file: that must not stop every build from now on, an earlier layer does.

        A QEMU that ends over something else (a port that is taken) says nothing about the file.
        """
        if scope is not self._session or self._layer is None or scope.get(MachineState).memory is None:
            return False
        return isinstance(unwrapped(error), MemoryRefused)

    async def _power_off(self) -> None:
        assert self._session is not None
        async with AsyncExitStack() as stack:
            scope = self._session.child(phase="power off", workspace=self._base.workspace)
            await self._enter(stack, self._plan.power_off, scope)
        await self._session_slot.close()
        self._session = None
        if self._workspace:
            self._workspace.state = MachineState(self._workspace.state.folder)

    # --- workspaces and layers -------------------------------------------------------------------------------------

    async def _ensure_workspace(self, index: int) -> None:
        """Opens the folder for the next phase that keeps something, on top of the current layer."""
        if self._workspace is None:
            self._workspace = await self._open_workspace(index, self._layer)

    async def _open_workspace(self, index: int, parent: Layer | None, *, branched: bool = True) -> Workspace:
        target = next(
            (i for i, p in enumerate(self._plan.phases) if i >= index and p.keeps in (Keeps.DISKS, Keeps.MEMORY)),
            len(self._plan.phases) - 1,
        )
        phase = self._plan.phases[target]
        slot = Slot()
        waited: list[bool] = []

        def waiting() -> None:
            waited.append(True)
            self._emit(Note(f"another build is making the layer of {phase.name}: waiting for it"))

        self._workspace_slots.append(slot)
        draft = await slot.stack.enter_async_context(self._store.draft(phase.key, waiting=waiting))
        if waited and phase.name not in self._not_stored and self._store.find(phase.key):
            raise _Overtaken
        state = MachineState(draft.path)
        if branched:
            images = self._base.get(DiskImages)
            options = SEAL_OVERLAY if phase.power is Power.OFF and parent else None
            state = await branch(parent, draft.path, images, overlay_options=options)
        return Workspace(slot, draft, target, state)

    async def _keep(self, index: int, phase: Phase) -> str:
        """Stores what *phase* leaves. Returns the layer's key, empty when nothing is stored."""
        if phase.keeps in (Keeps.NOTHING, Keeps.ARTIFACT):
            return ""
        started, pause = time.monotonic(), 0.0
        if phase.keeps is Keeps.MEMORY:
            self._layer, pause = await self._keep_memory(index, phase)
        else:
            if self._session:
                await self._power_off()
            self._layer = await self._commit(phase, self._take_workspace(), {})
        self._not_stored.discard(phase.name)
        self._hold()
        layer, seconds = self._layer, time.monotonic() - started
        self._emit(LayerStored(phase.name, layer.key, layer.keeps.value, int(layer.size), seconds, pause))
        return layer.key

    def _hold(self) -> None:
        """Keeps the clean-up of the store away from the layers that this build stands on."""
        if self._layer:
            self._holds.stack.enter_context(self._store.hold(self._layer))

    def _take_workspace(self) -> Workspace:
        workspace, self._workspace = self._workspace, None
        assert workspace is not None
        return workspace

    async def _commit(self, phase: Phase, workspace: Workspace, machine: Mapping[str, str]) -> Layer:
        def waiting() -> None:
            self._emit(Note(f"another build uses the layer of {phase.name} that is to be replaced: waiting for it"))

        await self._store.vacate(phase.key, waiting=waiting)
        layer = await asyncio.to_thread(
            self._store.commit,
            workspace.draft,
            phase=phase.name,
            template=self._plan.name,
            keeps=phase.keeps,
            parent=self._layer.key if self._layer else "",
            recipe=phase.recipe,
            machine=machine,
        )
        await workspace.slot.close()
        return layer

    async def _keep_memory(self, index: int, phase: Phase) -> tuple[Layer, float]:
        """Checkpoints the running machine: its memory and disks become the layer, it goes on in the next folder.

        Returns the layer, and the seconds for which the guest stood still.
        """
        assert self._session is not None
        machine = self._session.get(Machine)
        checkpoints = self._session.get(Checkpoints)
        images = self._session.get(DiskImages)
        tpm = self._session.find(TpmAt)
        done = self._take_workspace()
        following = await self._open_workspace(index + 1, None, branched=False)
        power = self._plan.phases[following.index].power
        overlays = await overlays_on(
            done.draft, following.draft.path, [disk.id for disk in machine.spec.disks], images,
            options=SEAL_OVERLAY if power is Power.OFF else None,
        )  # fmt: skip
        pause = await checkpoints.save(
            machine,
            memory=done.draft.path / MEMORY,
            overlays=overlays,
            while_paused=lambda: move_on(done.draft.path, following.state, tpm),
            variables=following.state.uefi_variables,
        )
        self._workspace = following
        self._session.put(following.state)
        return await self._commit(phase, done, checkpoints.fingerprint(machine.spec)), pause
