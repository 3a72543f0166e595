"""Runs chains of post-processors on what a build delivered, by Packer's rules about what is kept.

Each chain begins with the build's own artifact; a link gets what the one before it made. What a link does not keep is
removed: the build's own files only once every chain is through, and only when no first link keeps them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from factory.errors import FactoryError, StepError
from factory.events import Note, PostProcessed
from factory.outputs.plugins import has_output, load_output, missing_output
from factory.outputs.post.artifact import Artifact, Surroundings, remove
from factory.outputs.post.compress import compress
from factory.outputs.post.lists import artifice, checksum, manifest
from factory.outputs.post.vagrant_box import vagrant_box
from factory.template.model import PostProcess

PostProcessor = Callable[[Artifact, Mapping[str, Any], Surroundings], Awaitable[Artifact]]


async def shell_local(artifact: Artifact, options: Mapping[str, Any], around: Surroundings) -> Artifact:
    """A script on this host; the artifact stays what it is. Raises: CommandFailed, StepError."""
    env = {"PACKER_BUILD_NAME": around.build, "PACKER_BUILDER_TYPE": around.builder, "PACKER_RUN_UUID": around.run_id}
    pairs = dict(pair.split("=", 1) for pair in options.get("environment_vars") or ())
    environment = {**env, **pairs, **(options.get("env") or {})}
    await around.run_scripts({**options, "environment": environment, "working": str(around.working)})
    return artifact


BUILT_IN: Mapping[str, PostProcessor] = MappingProxyType(
    {
        "artifice": artifice,
        "checksum": checksum,
        "compress": compress,
        "manifest": manifest,
        "shell-local": shell_local,
        "vagrant": vagrant_box,
    }
)


def check_chains(chains: Sequence[Sequence[PostProcess]]) -> None:
    """Before anything runs. Raises: PluginError for a kind that nobody has."""
    for link in (link for chain in chains for link in chain):
        if link.kind not in BUILT_IN and not has_output(link.kind):
            raise missing_output(link.kind)


async def run_chains(
    chains: Sequence[Sequence[PostProcess]], artifact: Artifact, around: Surroundings
) -> tuple[Artifact, ...]:
    """What is left of all of them, the build's own artifact first.

    Raises: StepError that names every chain that failed; the others have run all the same.
    """
    results: list[Artifact] = []
    failed: list[str] = []
    keeps = not chains
    for chain in chains:
        try:
            made, kept = await _run_chain(chain, artifact, around)
        except FactoryError as error:
            around.emit(Note(error.message, "warning"))
            failed.append(error.message)
            keeps = True
            continue
        results += made
        keeps = keeps or kept
    if keeps:
        results.insert(0, artifact)
    else:
        remove(artifact, around)
    if failed:
        raise StepError("; ".join(failed), hint=_what_is_left(len(chains) - len(failed), artifact, around))
    return tuple(results)


def _what_is_left(others: int, artifact: Artifact, around: Surroundings) -> str:
    there = [name for name in artifact.files if around.path(name).exists()]
    if len(there) == len(artifact.files):
        kept = "the artifact is kept"
    elif there:
        kept = f"of the artifact there is still {', '.join(there)}"
    else:
        kept = "the artifact is not there any more: a post-processor took it away"
    return f"{kept}; the other post-processors have run" if others else kept


async def _run_chain(
    chain: Sequence[PostProcess], original: Artifact, around: Surroundings
) -> tuple[list[Artifact], bool]:
    """What the chain leaves, and whether its first link keeps the build's own artifact."""
    left: list[Artifact] = []
    current, keeps_original = original, True
    for number, link in enumerate(chain):
        before = current
        current = await _run_link(link, before, around)
        if number == 0:
            keeps_original = link.keeps_input
        elif link.keeps_input:
            left.append(before)
        else:
            remove(before, around)
        around.emit(PostProcessed(link.name or link.kind, current.files))
    if current != original:
        left.append(current)
    return left, keeps_original


async def _run_link(link: PostProcess, artifact: Artifact, around: Surroundings) -> Artifact:
    try:
        if link.kind in BUILT_IN:
            return await BUILT_IN[link.kind](artifact, link.options, around)
        plugin = load_output(link.kind, link.options)
        files = await plugin.write([around.path(f) for f in artifact.files], around.working, around.build)
        return Artifact(tuple(str(f) for f in files))
    except OSError as error:
        raise StepError(f"{link.kind}: {error.strerror}: {error.filename}") from error
