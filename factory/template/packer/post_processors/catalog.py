"""Which post-processors are known, and how each is read and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from factory.template.packer.hcl.source import NOWHERE, Span
from factory.template.packer.language.values import to_python, wholly_known
from factory.template.packer.options import Decoder, Options, Settings
from factory.template.packer.post_processors.kinds import (
    BEST_LEVEL,
    Artifice,
    Checksum,
    Compress,
    Manifest,
    Provenance,
    Vagrant,
    VagrantRegistry,
)
from factory.template.packer.provisioners.shell import ShellLocal

POST_PROCESSORS: Mapping[str, type[Options]] = {
    "compress": Compress,
    "checksum": Checksum,
    "manifest": Manifest,
    "shell-local": ShellLocal,
    "artifice": Artifice,
    "vagrant": Vagrant,
    "vagrant-cloud": VagrantRegistry,
    "vagrant-registry": VagrantRegistry,
    "hcp-vagrant-registry": VagrantRegistry,
    "provenance": Provenance,
}
KNOWN_ELSEWHERE = frozenset(
    {"amazon-import", "docker-import", "docker-push", "docker-save", "docker-tag", "digitalocean-import",
     "googlecompute-export", "googlecompute-import", "exoscale-import", "vsphere", "vsphere-template", "ucloud-import",
     "yandex-export", "yandex-import", "alicloud-import", "utm-vagrant", "utm-zip", "parallels-vagrant", "ovftool"}
)  # fmt: skip
KEPT_ANYWAY = ("checksum", "manifest", "shell-local", "provenance", "artifice")
"""Post-processors that leave the artifact alone when the template says nothing."""
KEPT_ALWAYS = ("checksum", "manifest", "shell-local")
"""Post-processors whose output means nothing without their input: they keep it whatever the template says."""


@dataclass(frozen=True, kw_only=True)
class PostMeta(Options):
    name: str = ""
    only: tuple[str, ...] = ()
    except_: tuple[str, ...] = ()
    keep_input_artifact: bool = False


META_NAMES = ("name", "only", "except", "keep_input_artifact")


@dataclass(frozen=True, kw_only=True)
class OtherPostProcessor(Options):
    """A post-processor that only a plug-in knows: its options as they are, nothing checked."""

    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PostProcessor:
    """One link of a chain; each link gets the artifact of the one before it."""

    type: str
    options: Options
    meta: PostMeta
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    needs: frozenset[str] = frozenset()
    resolver: Callable[[Mapping[str, str]], PostProcessor] | None = field(default=None, compare=False, repr=False)

    @property
    def keeps_input(self) -> bool:
        """Whether the files that come in stay; when the template says nothing, the post-processor decides."""
        if self.type in KEPT_ALWAYS:
            return True
        if "keep_input_artifact" in self.meta.given:
            return self.meta.keep_input_artifact
        return self.type in KEPT_ANYWAY

    @property
    def name(self) -> str:
        """What ``-except`` can name it by."""
        return self.meta.name or self.type

    def resolve(self, build: Mapping[str, str]) -> PostProcessor:
        """The post-processor for a build that has run, whose ``build.*`` values are *build*."""
        return self.resolver(build) if self.resolver is not None else self


def read_post_processor(decoder: Decoder, kind: str, settings: Settings) -> tuple[Options, PostMeta]:
    """Reads the options of one post-processor, its own and the general ones."""
    own = settings.without(*META_NAMES)
    general = Settings({k: v for k, v in settings.options.items() if k in META_NAMES}, settings.span)
    meta = decoder.decode(PostMeta, general, kind)
    if meta.only and meta.except_:
        decoder.problems.append(settings.span.problem(f"{kind}: “only” and “except” exclude each other"))
    if kind not in POST_PROCESSORS:
        return OtherPostProcessor(options=_plain(own)), meta
    before = len(decoder.problems)
    options = decoder.decode(POST_PROCESSORS[kind], own, kind)
    if not any(p.severity == "error" for p in decoder.problems[before:]):
        _check(decoder, kind, options, own)
    return options, meta


def _plain(settings: Settings) -> Mapping[str, Any]:
    return {
        name: to_python(given.value) if given.value is not None and wholly_known(given.value) else None
        for name, given in settings.options.items()
    }


def _check(decoder: Decoder, kind: str, options: Options, settings: Settings) -> None:
    level = options.compression_level if isinstance(options, Vagrant) else 0
    if level > BEST_LEVEL:  # compress takes its best instead, as Packer's does
        span = settings.options["compression_level"].span
        decoder.problems.append(span.problem(f"{kind}: the compression level {level} is above {BEST_LEVEL}"))
    if isinstance(options, ShellLocal) and not options.unknown:
        count = bool(options.inline) + bool(options.script) + bool(options.scripts) + bool(options.command)
        if count == 0:
            decoder.problems.append(
                settings.span.problem(f"{kind}: one of “inline”, “script” and “scripts” must be set")
            )
        elif count > 1:
            decoder.problems.append(
                settings.span.problem(f"{kind}: “inline”, “script” and “scripts” exclude one another")
            )
