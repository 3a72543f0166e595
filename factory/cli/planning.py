"""From a template's path to a plan on this host, and the plan in words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from factory.cli.given import GIVEN, media_library, usable_here
from factory.cli.places import Places
from factory.engine.file_digests import digests_kept
from factory.engine.freshness import Seen
from factory.engine.media import Library
from factory.engine.store import Layer, LayerStore
from factory.errors import FactoryError, TemplateError, in_one_line
from factory.host.facts import HostFacts
from factory.opening import Stamp, stamp_of
from factory.plan.explain import changes
from factory.plan.model import Keeps, Phase, Plan
from factory.plan.wiring import check_wiring
from factory.steps.contents import PlanInputs, make_plan
from factory.template.model import Layers, Loaded


@dataclass(frozen=True, slots=True)
class Planned:
    """``usable`` says why a live layer can't be resumed here; an empty text when it can.

    ``again`` plans the same with the files that the template names as they are now; it does not ask the network. What
    it is given are the phases that are never the same again (``PlanInputs.once``).
    """

    loaded: Loaded
    plan: Plan
    usable: Callable[[Layer], str]
    again: Callable[[Mapping[str, str]], Awaitable[Plan]] | None = None
    once: Mapping[str, str] = field(default_factory=dict)

    async def look(self, phase: Phase) -> Seen:
        """See ``engine.freshness.Sources``."""
        if self.again is None:
            return Seen()
        try:
            now = await self.planned_again({})
        except FactoryError as error:  # a script that is gone, for example: perhaps of a phase that has run
            stamps = await asyncio.to_thread(_stamps_now, phase)
            return Seen("" if stamps == phase.sources else f"its files changed ({in_one_line(error)})", stamps)
        same = next((p for p in now.phases if p.name == phase.name), phase)
        found = changes(phase.recipe, same.recipe)
        return Seen(found[0].sentence() if found else "", same.sources)

    async def planned_again(self, once: Mapping[str, str]) -> Plan:
        assert self.again is not None
        return await self.again({**self.once, **once})


def _stamps_now(phase: Phase) -> dict[str, Stamp]:
    """Of the files that *phase* was planned from, those that are there."""
    stamps = {}
    for name in phase.sources:
        with suppress(OSError):
            stamps[name] = stamp_of(Path(name))
    return stamps


async def plan_build(
    loaded: Loaded, output: Path, layers: str | None, where: Places, facts: HostFacts, base: Planned | None = None,
    once: Mapping[str, str] = MappingProxyType({}),
) -> Planned:  # fmt: skip
    """Plans one build; *base* is the plan of the build that it starts from, *once* that of ``PlanInputs``.

    Raises: TemplateError, HostError, StepError (a checksum file that can't be had).
    """
    library = media_library(where, loaded.root, where.runs)
    source = loaded.template.source.iso or loaded.template.source.image
    assert source is not None

    async def planned(media: str, once: Mapping[str, str]) -> Plan:
        inputs = PlanInputs(
            loaded=loaded,
            platform=facts.platform,
            media=media,
            seed_files=await _seed_files(loaded, library),
            output=output,
            salt=LayerStore(where.cache).salt,
            layers=Layers(layers) if layers else None,
            base=last_layer(base).key if base else "",
            once=once,
        )
        return await asyncio.to_thread(make_plan, inputs)

    async def again(once: Mapping[str, str]) -> Plan:
        here = not base and (source.build or (source.path and "file:" not in str(source.checksum)))
        return await planned(await library.identity(source) if here else media, once)

    with digests_kept(where.cache / "media" / "digests.json"):
        media = f"the image of {base.plan.name}" if base else await library.identity(source)
        plan = await planned(media, once)
    check_wiring(plan, GIVEN)
    return Planned(loaded, plan, usable_here(plan, facts), again, once)


async def _seed_files(loaded: Loaded, library: Library) -> dict[str, str]:
    """Identity of each seed file that a script makes, by name."""
    files = loaded.template.install.seed_files if loaded.template.install else ()
    return {f.name: f"built:{await library.build_identity(f.build)}" for f in files if f.build}


def last_layer(planned: Planned) -> Phase:
    """The phase whose layer is the whole image: what another build starts from. Raises: TemplateError."""
    name = planned.plan.name
    kept = [p for p in planned.plan.phases if p.keeps in (Keeps.DISKS, Keeps.MEMORY)]
    if not kept:
        raise TemplateError(f"'{name}' keeps no layers, so nothing can start from it", hint="let its `layers` be off")
    if kept[-1].keeps is Keeps.MEMORY:
        raise TemplateError(
            f"'{name}' ends with a running machine, so nothing can start from it", hint="seal it, or say `layers: off`"
        )
    return kept[-1]
