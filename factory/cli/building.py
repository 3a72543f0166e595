"""What ``factory build`` does: load, plan, run side by side, report, and end cleanly however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from factory.cli.many_builds import ManyBuilds
from factory.cli.noticing import Noticed, noticing, remember
from factory.cli.one_build import BuildOptions, Surroundings
from factory.cli.places import places
from factory.cli.report.view import open_view
from factory.cli.requests import find_builds
from factory.cli.signals import ended_by_signals
from factory.drivers.guestfs.environment import remove_dead_sockets
from factory.engine.run_directory import clean
from factory.engine.scratch import scratch_folder
from factory.errors import INTERRUPTED_EXIT_CODE
from factory.events import EventBus
from factory.host.facts import collect
from factory.outputs.staging import sweep_staging


def build_all(find: Callable[[], Sequence[Path]], options: BuildOptions) -> int:
    """Builds what *find* gives, side by side.

    Returns the exit code: the first failure's in the order given, 0 when there is none.
    """
    remove_dead_sockets(0)  # of appliances whose build was killed
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError), noticing(options.output) as noticed:
        return asyncio.run(_build_all(find(), options, noticed))
    click.echo("interrupted: what was stored stays stored; the same command goes on from there", err=True)
    return INTERRUPTED_EXIT_CODE


async def _build_all(templates: Sequence[Path], options: BuildOptions, noticed: Noticed) -> int:
    with ended_by_signals(), scratch_folder():
        where = places()
        clean(where.runs)
        sweep_staging(options.output)
        facts = await collect(where.cache, output=options.output)
        noticed.programs += [str(facts.qemu.binary)] if facts.qemu else []
        requests = await asyncio.to_thread(find_builds, templates, options.selection, facts.template_names)
        bus = EventBus()
        around = Surroundings(options, bus, where, facts, noticed=noticed)
        with open_view([*requests.failures, *requests.builds], bus, options) as view:
            builds = ManyBuilds(requests, around, view)
            code = await builds.run()
        artifacts = builds.artifacts()
        if artifacts and not (options.fresh or options.from_phase or options.until):
            noticed.stop()
            remember(sys.argv[2:], noticed, artifacts, json_lines=options.as_json)
        return code
