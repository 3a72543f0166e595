"""``source`` and ``build`` blocks: which builds there are, and what each consists of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from factory.errors import Problem, TemplateError
from factory.template.packer.config.bodies import ScopedBlock, argument, expanded, one_text, set_twice, settings_of
from factory.template.packer.config.late_values import (
    placeholder_build,
    real_build,
    runtime_names,
    unknown_build,
)
from factory.template.packer.gotemplate import Surroundings, packer_functions
from factory.template.packer.hcl.source import Span
from factory.template.packer.hcl.syntax import Attribute, Block, Body
from factory.template.packer.language.convert import as_text
from factory.template.packer.language.scope import Scope, did_you_mean
from factory.template.packer.language.types import is_mapping, is_sequence
from factory.template.packer.language.values import Value, object_value, string, to_python, wholly_known
from factory.template.packer.model import COMPATIBLE_VERSION, BuildBlock, OtherBuilder, PackerBuild, Source
from factory.template.packer.options import Decoder, Dialect, Given, Settings
from factory.template.packer.post_processors import PostProcessor, read_post_processor
from factory.template.packer.provisioners import Provisioner, read_provisioner
from factory.template.packer.qemu_builder import BUILDER, read_qemu_source
from factory.template.packer.reporting import raise_errors
from factory.template.packer.selection import Selection

_BLOCKS = ("source", "provisioner", "error-cleanup-provisioner", "post-processor", "post-processors")
_ARGUMENTS = ("name", "description", "sources")
_PASSED_OVER = ("hcp_packer_registry",)


@dataclass(frozen=True, slots=True)
class Use:
    """One source of one build: its type, the name it goes by here, and its arguments.

    *own_name* is the label of the source's own block. Packer calls the build so in everything that the build makes
    (``packer_build_name``); *name* is for ``source.name``, ``override`` and whatever selects.
    *extra* is what the build adds, which sees the iterator when it stands in a dynamic block.
    """

    type: str
    name: str
    own_name: str
    body: Body
    span: Span
    extra: Body | None = None
    extra_scope: Scope | None = None

    @property
    def reference(self) -> str:
        return f"{self.type}.{self.name}"


class Builds:
    def __init__(self, scope: Scope, problems: list[Problem], selection: Selection) -> None:
        self.scope = scope
        self.problems = problems
        self.selection = selection
        self.sources: dict[str, Block] = {}
        self.blocks: list[Block] = []
        self.secrets: set[str] = set()
        self.names: list[str] = []
        """Of all builds, those not selected too."""
        self.written: list[BuildBlock] = []

    def declare_source(self, block: Block) -> None:
        if len(block.labels) != 2:
            self.problems.append(block.kind_span.problem('a source has two labels: source "qemu" "name" { … }'))
            return
        reference = ".".join(block.labels)
        first = self.sources.setdefault(reference, block)
        if first is not block:
            self.problems.append(
                block.kind_span.problem(
                    f"the source “{reference}” is defined twice", hint=f"first at {first.span.place}"
                )
            )

    def declare_build(self, block: Block) -> None:
        self.blocks.append(block)

    def result(self) -> tuple[PackerBuild, ...]:
        builds: list[PackerBuild] = []
        seen: dict[str, Span] = {}
        for block in self.blocks:
            for build in self._of_block(block):
                first = seen.setdefault(build.name, build.span)
                if first is not build.span and first != build.span:
                    message = f"there are two builds named “{build.name}”"
                    hint = f"the other is at {first.place}; -only can't tell them apart"
                    self.problems.append(build.span.problem(message, hint=hint, severity="warning"))
                builds.append(build)
        return tuple(builds)

    def _of_block(self, block: Block) -> Iterator[PackerBuild]:
        attributes = block.body.attributes
        for name, item in attributes.items():
            if name not in _ARGUMENTS:
                hint = did_you_mean(name, (*_ARGUMENTS, *_BLOCKS))
                self.problems.append(item.name_span.problem(f"a build has no argument “{name}”", hint=hint))
        block_name = one_text(attributes, "name", self.scope, self.problems)
        description = one_text(attributes, "description", self.scope, self.problems)
        # The provisioners' names are only known once the dynamic blocks are expanded, which may need build.* or
        # source.*; the sources themselves can't.
        inner = list(expanded(block.body, self._with_build(self.scope, block_name), self.problems))
        for one in inner:
            if one.kind not in _BLOCKS and one.kind not in _PASSED_OVER:
                hint = did_you_mean(one.kind, _BLOCKS)
                self.problems.append(one.block.kind_span.problem(f"a build has no block “{one.kind}”", hint=hint))
        uses = [*self._listed(attributes.get("sources")), *self._written(inner)]
        if (
            not uses
            and "sources" not in attributes
            and not any(b.kind in ("source", "dynamic") for b in block.body.blocks)
        ):
            self.problems.append(
                block.kind_span.problem("this build has no source", hint='sources = ["source.qemu.x"]')
            )
        self._check_selectors(inner, uses)
        for one in [b for b in inner if b.kind == "error-cleanup-provisioner"][1:]:
            self.problems.append(one.block.kind_span.problem("a build has one error-cleanup-provisioner at most"))
        self.written.append(self._as_written(block_name, description, inner, uses))
        for use in uses:
            full = f"{block_name}.{use.reference}" if block_name else use.reference
            self.names.append(full)
            if self.selection.takes(full):
                yield self._build(full, block_name, description, use, block)

    def _as_written(self, name: str, description: str, blocks: list[ScopedBlock], uses: list[Use]) -> BuildBlock:
        def label(one: ScopedBlock) -> str:
            own = one_text(one.body.attributes, "name", one.scope, [])
            return ".".join((*one.block.labels, *([own] if own else [])))

        chains: list[tuple[str, ...]] = []
        for one in blocks:
            if one.kind == "post-processor":
                chains.append((label(one),))
            elif one.kind == "post-processors":
                chains.append(tuple(label(link) for link in expanded(one.body, one.scope, [])))
        return BuildBlock(
            name=name,
            description=description,
            sources=tuple(u.reference for u in uses),
            provisioners=tuple(label(one) for one in blocks if one.kind == "provisioner"),
            chains=tuple(chains),
        )

    def _with_build(self, scope: Scope, name: str) -> Scope:
        return scope.child({"build": placeholder_build(name)})

    # --- sources

    def _listed(self, item: Attribute | None) -> Iterator[Use]:
        if item is None:
            return
        kinds: dict[str, dict[str, Value]] = {}
        for reference in self.sources:
            kind, name = reference.split(".", 1)
            kinds.setdefault(kind, {})[name] = string(f"source.{reference}")
        scope = self.scope.child({"source": object_value({k: object_value(v) for k, v in kinds.items()})})
        value = argument(item, scope, self.problems)
        if value.is_unknown:
            return
        if value.is_null or not is_sequence(value.type):
            self.problems.append(item.value.span.problem('“sources” is a list: ["source.qemu.x"]'))
            return
        for element in value.items():
            text = as_text(element) or ""
            found = self._find(text, item.value.span)
            if found is not None:
                kind, name = found.labels
                yield Use(kind, name, name, found.body, item.value.span)

    def _find(self, text: str, span: Span) -> Block | None:
        # Packer drops the first of three words whatever it is: “source.qemu.x”, “sources.qemu.x”.
        words = text.split(".")
        reference = ".".join(words[1:3] if len(words) > 2 else words)
        if reference in self.sources:
            return self.sources[reference]
        hint = did_you_mean(reference, self.sources)
        if not hint and self.sources:
            hint = "there are " + ", ".join(sorted(self.sources))
        self.problems.append(span.problem(f"there is no source “{text}”", hint=hint))
        return None

    def _written(self, blocks: list[ScopedBlock]) -> Iterator[Use]:
        for one in blocks:
            if one.kind != "source":
                continue
            label = ".".join(one.block.labels)
            found = self._find(label, one.block.kind_span)
            if found is None:
                continue
            extra = dict(one.body.attributes)
            local_name = one_text(extra, "name", one.scope, self.problems)
            extra.pop("name", None)
            added = replace(one.body, attributes=extra)
            self.problems.extend(set_twice(found.body, added))
            kind, own_name = found.labels
            yield Use(kind, local_name or own_name, own_name, found.body, one.block.span, added, one.scope)

    # --- one build

    def _build(self, full: str, block_name: str, description: str, use: Use, block: Block) -> PackerBuild:
        other = use.type != BUILDER
        problems: list[Problem] = [] if other else self.problems
        settings = settings_of(use.body, self._scope_of(use, self.scope, placeholder_build(block_name)), problems)
        if use.extra is not None and use.extra_scope is not None:
            added = self._scope_of(use, use.extra_scope, placeholder_build(block_name))
            settings = settings_of(use.extra, added, problems).with_defaults(settings)
        source = self._source(use, settings, problems)
        inner = list(expanded(block.body, self._scope_of(use, self.scope, placeholder_build(block_name)), problems))
        return PackerBuild(
            name=full,
            block_name=block_name,
            source_type=use.type,
            source_name=use.name,
            source=source,
            description=description,
            provisioners=tuple(self._provisioners(inner, "provisioner", use, block_name, problems)),
            error_cleanup=next(self._provisioners(inner, "error-cleanup-provisioner", use, block_name, problems), None),
            post_processors=tuple(self._chains(inner, use, block_name, problems)),
            span=use.span,
        )

    def _scope_of(self, use: Use, scope: Scope, build: Value) -> Scope:
        source = object_value({"name": string(use.name), "type": string(use.type)})
        names = {"build": build}
        if scope.find("source") is None:  # the iterator of a dynamic "source" has the same name and stands nearer
            names["source"] = source
        return scope.child(names)

    def _source(self, use: Use, settings: Settings, problems: list[Problem]) -> Source:
        decoder = self._decoder(use, problems)
        if use.type == BUILDER:
            return read_qemu_source(decoder, settings, use.own_name)
        plain = {k: _plain(g) for k, g in settings.options.items()}
        return OtherBuilder(type=use.type, options=plain)

    def _decoder(self, use: Use, problems: list[Problem]) -> Decoder:
        around = Surroundings(self.scope.world, COMPATIBLE_VERSION, None, False, use.own_name, use.type, self.secrets)
        return Decoder(problems, Dialect.HCL, packer_functions(around), self.secrets)

    # --- provisioners and post-processors

    def _provisioners(
        self, blocks: list[ScopedBlock], kind: str, use: Use, block_name: str, problems: list[Problem]
    ) -> Iterator[Provisioner]:
        for one in blocks:
            if one.kind != kind:
                continue
            if len(one.block.labels) != 1:
                problems.append(
                    one.block.kind_span.problem(f'a {kind} has one label, its type: {kind} "shell" {{ … }}')
                )
                continue
            try:
                made = self._provisioner(one, use, block_name, problems, None)
            except TemplateError as error:
                problems.extend(error.problems)
                continue
            if _applies(made.meta.only, made.meta.except_, use.reference):
                yield made

    def _provisioner(
        self, one: ScopedBlock, use: Use, block_name: str, problems: list[Problem], real: Mapping[str, str] | None
    ) -> Provisioner:
        settings = self._late_settings(one, use, block_name, problems, real)
        settings = _overridden(settings, use.name)
        decoder = self._decoder(use, problems)
        options, meta = read_provisioner(decoder, one.block.labels[0], settings)

        def resolve(values: Mapping[str, str]) -> Provisioner:
            found: list[Problem] = []
            made = self._provisioner(one, use, block_name, found, values)
            raise_errors(found)
            return made

        needs = runtime_names(one.body)
        return Provisioner(
            type=one.block.labels[0],
            options=options,
            meta=meta,
            span=one.block.span,
            needs=needs,
            resolver=resolve if needs else None,
        )

    def _late_settings(
        self, one: ScopedBlock, use: Use, block_name: str, problems: list[Problem], real: Mapping[str, str] | None
    ) -> Settings:
        if real is not None:
            return settings_of(one.body, one.scope.child({"build": real_build(block_name, real)}), problems)
        return settings_of(one.body, one.scope, problems, {"build": unknown_build(block_name)})

    def _chains(
        self, blocks: list[ScopedBlock], use: Use, block_name: str, problems: list[Problem]
    ) -> Iterator[tuple[PostProcessor, ...]]:
        for one in blocks:
            if one.kind == "post-processor":
                links = [one]
            elif one.kind == "post-processors":
                links = list(expanded(one.body, one.scope, problems))
                problems.extend(
                    link.block.kind_span.problem("“post-processors” contains post-processor blocks only")
                    for link in links
                    if link.kind != "post-processor"
                )
                links = [link for link in links if link.kind == "post-processor"]
            else:
                continue
            chain = tuple(self._chain(links, use, block_name, problems))
            if chain:
                yield chain

    def _chain(
        self, links: list[ScopedBlock], use: Use, block_name: str, problems: list[Problem]
    ) -> Iterator[PostProcessor]:
        for one in links:
            if len(one.block.labels) != 1:
                message = 'a post-processor has one label, its type: post-processor "manifest" { … }'
                problems.append(one.block.kind_span.problem(message))
                continue
            try:
                made = self._post_processor(one, use, block_name, problems, None)
            except TemplateError as error:
                problems.extend(error.problems)
                continue
            # What isn't for this build can't cut its chain.
            if not _applies(made.meta.only, made.meta.except_, use.reference):
                continue
            if self.selection.cuts(made.name):
                return
            yield made

    def _post_processor(
        self, one: ScopedBlock, use: Use, block_name: str, problems: list[Problem], real: Mapping[str, str] | None
    ) -> PostProcessor:
        settings = self._late_settings(one, use, block_name, problems, real)
        options, meta = read_post_processor(self._decoder(use, problems), one.block.labels[0], settings)

        def resolve(values: Mapping[str, str]) -> PostProcessor:
            found: list[Problem] = []
            made = self._post_processor(one, use, block_name, found, values)
            raise_errors(found)
            return made

        needs = runtime_names(one.body)
        return PostProcessor(
            type=one.block.labels[0],
            options=options,
            meta=meta,
            span=one.block.span,
            needs=needs,
            resolver=resolve if needs else None,
        )

    def _check_selectors(self, blocks: list[ScopedBlock], uses: list[Use]) -> None:
        """``only`` and ``except`` are compared literally; one that names nothing is most likely a slip."""
        known = {u.reference for u in uses} | set(self.sources)
        for one in blocks:
            for name in ("only", "except"):
                item = one.body.attributes.get(name)
                if item is None or runtime_names(item.value):
                    continue
                scope = one.scope.child({"source": object_value({"name": string(""), "type": string("")})})
                value = argument(item, scope, [])
                for element in value.items() if wholly_known(value) and is_sequence(value.type) else ():
                    text = as_text(element) or ""
                    if text and text not in known:
                        hint = did_you_mean(text, known) or "it has the form type.name, such as qemu.debian"
                        self.problems.append(
                            item.value.span.problem(f"“{text}” is no source here", hint=hint, severity="warning")
                        )


def _applies(only: tuple[str, ...], except_: tuple[str, ...], reference: str) -> bool:
    return reference in only if only else reference not in except_


def _overridden(settings: Settings, source_name: str) -> Settings:
    """``override = { name = { … } }``: options for one source win over those of the block."""
    given = settings.options.get("override")
    if given is None or given.value is None or not is_mapping(given.value.type) or not wholly_known(given.value):
        return settings
    own = given.value.fields().get(source_name)
    if own is None or own.is_null or not is_mapping(own.type):
        return settings
    options: dict[str, Given] = dict(settings.options)
    for name, value in own.fields().items():
        hidden = value.with_sensitivity(given.value.sensitive or own.sensitive)
        options[name] = Given(hidden, given.span, given.name_span)
    return Settings(options, settings.span)


def _plain(given: Given) -> Any:
    if given.value is None:
        return [{k: _plain(g) for k, g in b.options.items()} for b in given.blocks]
    return to_python(given.value) if wholly_known(given.value) else None
