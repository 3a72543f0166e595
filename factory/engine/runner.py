"""Runs a plan: from the newest stored layer on, phase by phase, keeping what each phase leaves.

Three things live longer than a phase and are held in slots: the *workspace* (a layer in the making, under the lock of
its key), the *session* (the boot steps: a running machine and a connection into it) and, while a live layer is being
stored, the next workspace. Slots are closed in the order session, workspace, whatever happens, so that QEMU is gone
before the folder that it writes to.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeAlias

from factory.drivers.protocols import Checkpoints, DiskImages, Machine
from factory.engine.failure import Failure, FailureHook, Holder
from factory.engine.filesystem import disk_error
from factory.engine.machine_state import SEAL_OVERLAY, branch, move_on
from factory.engine.scope import StepScope, merge
from factory.engine.slots import ClosingAll, Slot, Workspace
from factory.engine.store import Layer, LayerGone, LayerStore
from factory.errors import Evidence, FactoryError, MachineDied, StoreError, unwrapped
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
from factory.plan.resources import MEMORY, MachineState, TpmAt, disk_file
from factory.plan.step import Step
from factory.quantity import Duration

EVIDENCE_PATIENCE = Duration(10)
"""How long the collection of evidence may take: a hung machine must not hide the error."""


class _StartAgain(Exception):
    """Not an error: look again for the layer to go on from."""


class PlanOutdated(_StartAgain):
    """Not an error: what *phase* is made from has changed since it was planned, so its key is that of something else.

    ``ran``: it was seen after the phase had run, not before.
    """

    def __init__(self, phase: str, what: str, *, ran: bool) -> None:
        super().__init__(what)
        self.phase, self.what, self.ran = phase, what, ran


class _Overtaken(_StartAgain):
    """Another build has made the layer that we were about to make."""


class _CannotResume(_StartAgain):
    """QEMU does not take the memory of the layer that we went on from."""


Usable: TypeAlias = Callable[[Layer], str]
"""Says why a live layer can't be resumed here; an empty text when it can."""


Changed: TypeAlias = Callable[[Phase], Awaitable[str]]
"""Says what has changed in a phase since it was planned; an empty text when nothing has."""


async def _nothing_changed(phase: Phase) -> str:
    return ""


class Runner:
    """Runs one plan once. *own_doing*: phases that change what they are made from while they run, as was seen before.

    ``fresh_before`` is the number of leading phases whose stored layers are not used."""

    def __init__(
        self, plan: Plan, store: LayerStore, scope: StepScope, *, usable: Usable,
        not_stored: frozenset[str] = frozenset(),
        until: str = "", why: Callable[[Phase], str] = lambda phase: "",
        changed: Changed = _nothing_changed, own_doing: AbstractSet[str] = frozenset(),
        hooks: Sequence[FailureHook] = (), holder: Holder | None = None,
    ) -> None:  # fmt: skip
        self._failure = Failure(hooks, holder, scope.emit)
        self._plan, self._store, self._base, self._usable, self._why = plan, store, scope, usable, why
        self._changed, self._own_doing = changed, own_doing
        self._not_stored = set(not_stored)
        names = [p.name for p in plan.phases]
        self._wanted = plan.phases[: names.index(until) + 1] if until else plan.phases
        self._emit: Emit = scope.emit
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
            except _StartAgain:
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
                for index, phase in enumerate(self._wanted[start:], start):
                    self._phase = phase.name
                    try:
                        await self._run_phase(index, phase)
                    except Exception as error:  # of the runner itself, such as a full disk while a layer is stored
                        await self._failed(error, self._scope_for(phase))
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
            if first is not None and not isinstance(error, _StartAgain):
                await self._failure.ended(self._workspace.draft.path if self._workspace else None)
                if first is not error and self._failure.outlived:
                    raise first from error  # the machine was only being looked at when it died
            raise

    async def _failed(self, error: BaseException, scope: StepScope) -> None:
        if not isinstance(error, _StartAgain):
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

    async def _run_phase(self, index: int, phase: Phase) -> None:
        started = time.monotonic()
        if what := await self._changed(phase):
            raise PlanOutdated(phase.name, what, ran=False)
        refused = f"{phase.name} will run again: its live layer can't be resumed"
        self._emit(PhaseStarted(phase.name, refused if phase.key in self._cannot_resume else self._why(phase)))
        if phase.keeps is not Keeps.ARTIFACT or self._needs_power_change(phase):
            await self._ensure_workspace(index)
        await self._ensure_power(phase.power)
        async with AsyncExitStack() as stack:
            await self._enter(stack, phase.steps, self._scope_for(phase))
        await self._still_as_planned(phase)
        key = await self._keep(index, phase)
        self._emit(PhaseFinished(phase.name, time.monotonic() - started, key))

    async def _still_as_planned(self, phase: Phase) -> None:
        """Before it is kept: steps read files when they run, and a person may have saved one meanwhile.

        What a phase changes itself was as planned when it began. Raises: PlanOutdated.
        """
        if what := await self._changed(phase):
            if phase.name not in self._own_doing:
                raise PlanOutdated(phase.name, what, ran=True)
            self._emit(
                Note(f"{phase.name} changes what it is made from: {what}; the next build runs it again", "warning")
            )

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
                    error.evidence = merge(error.evidence, await _collect(scope))
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

    async def _ensure_power(self, power: Power) -> None:
        if power is Power.RUNNING:
            await self._boot()
        elif self._session or (self._workspace and self._workspace.state.memory):
            await self._boot()  # a live layer is powered off by resuming it first
            await self._power_off()

    async def _boot(self) -> None:
        if self._session:
            return
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

    def _refuses_memory(self, scope: StepScope, error: Exception) -> bool:
        """True when QEMU did not take a memory file: that must not stop every build from now on, an earlier layer does.

        A QEMU that was killed (a negative status) says nothing about the file.
        """
        if scope is not self._session or self._layer is None or scope.get(MachineState).memory is None:
            return False
        died = unwrapped(error)
        return isinstance(died, MachineDied) and (died.evidence.exit_status or 0) > 0

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
        overlays = {}
        for disk in machine.spec.disks:
            overlays[disk.id] = following.draft.path / disk_file(disk.id)
            info = await images.info(done.draft.path / disk_file(disk.id))
            await images.create(
                overlays[disk.id],
                size=info.virtual_size,
                backing=f"../{done.draft.key}/{disk_file(disk.id)}",
                options=SEAL_OVERLAY if power is Power.OFF else None,
            )
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


async def _collect(scope: StepScope) -> Evidence:
    try:
        async with asyncio.timeout(float(EVIDENCE_PATIENCE)):
            return await scope.collect_evidence()
    except TimeoutError:
        return Evidence(notes=(f"the machine gave no evidence within {EVIDENCE_PATIENCE}",))
