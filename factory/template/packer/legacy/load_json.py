"""Loads JSON templates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from factory.errors import Problem
from factory.secret import Secret
from factory.template.packer.config.files import read_template
from factory.template.packer.config.plugins import satisfies
from factory.template.packer.gotemplate import Context, Surroundings, packer_functions, render
from factory.template.packer.hcl import Source as Text
from factory.template.packer.hcl.json_parser import JsonArray, JsonMember, JsonNode, JsonObject, JsonScalar, parse_json
from factory.template.packer.language.scope import World, did_you_mean
from factory.template.packer.language.types import is_mapping
from factory.template.packer.language.values import to_python
from factory.template.packer.legacy.choices import applies, check_choices
from factory.template.packer.legacy.fixes import fixed_builder, fixed_post_processor, fixed_provisioner
from factory.template.packer.legacy.nodes import is_comment, settings_of, text_of
from factory.template.packer.legacy.user_variables import read_user_variables
from factory.template.packer.model import (
    COMPATIBLE_VERSION,
    OtherBuilder,
    PackerBuild,
    PackerConfig,
    PackerVariable,
    Source,
)
from factory.template.packer.options import Decoder, Dialect, Given, Settings
from factory.template.packer.post_processors import PostProcessor, read_post_processor
from factory.template.packer.provisioners import Provisioner, read_provisioner
from factory.template.packer.qemu_builder import BUILDER, read_qemu_source
from factory.template.packer.reporting import raise_errors, warnings_of
from factory.template.packer.selection import Selection, nothing_selected
from factory.template.packer_files import Purpose

ROOT_KEYS = ("builders", "variables", "provisioners", "post-processors", "sensitive-variables", "description",
             "min_packer_version", "error-cleanup-provisioner", "push")  # fmt: skip


def load_json(
    path: Path,
    world: World,
    *,
    variables: Mapping[str, str],
    var_files: Sequence[Path],
    selection: Selection,
    text: Text | None = None,
    purpose: Purpose = Purpose.CHECK,
) -> PackerConfig:
    """Raises: TemplateError with everything that is wrong."""
    root = parse_json(text or read_template(path))
    if not isinstance(root, JsonObject):
        raise root.span.error('a template is an object: { "builders": [ … ] }')
    problems: list[Problem] = []
    members = _root(root, problems)
    sensitive = frozenset(_texts(members.get("sensitive-variables"), problems))
    inputs = read_user_variables(
        _members(members.get("variables"), problems), sensitive, world, var_files, variables, problems, purpose
    )
    raise_errors(problems)
    # Options that a variable without a value leaves empty say nothing about the template.
    unset = any(v.required and v.origin == "default" for v in inputs.values())
    loader = _Loader(world, [] if unset else problems, selection, inputs)
    builds = tuple(loader.builds(members))
    if loader.names and not builds:
        problems.append(nothing_selected(loader.names))
    raise_errors(problems)
    values = [v.value.text() for v in inputs.values() if v.sensitive]
    return PackerConfig(
        path=path,
        folder=world.folder,
        working=world.working,
        builds=builds,
        warnings=warnings_of(problems),
        variables=inputs,
        secrets=tuple(Secret(s) for s in sorted({*values, *loader.secrets}) if s),
        description=_one_text(members.get("description"), problems),
        required_version=_one_text(members.get("min_packer_version"), problems),
    )


def _root(root: JsonObject, problems: list[Problem]) -> Mapping[str, JsonMember]:
    members: dict[str, JsonMember] = {}
    for member in root.members:
        if is_comment(member.name):
            continue
        if member.name not in ROOT_KEYS:
            problems.append(
                member.name_span.problem(
                    f"a template has no key “{member.name}”",
                    hint=did_you_mean(member.name, ROOT_KEYS) or "a key for a comment begins with “_”",
                )
            )
        members[member.name] = member
    if "builders" not in members:
        problems.append(root.span.problem("“builders” is missing"))
    if "push" in members:
        problems.append(members["push"].name_span.problem("“push” has no meaning any more", severity="warning"))
    version = _one_text(members.get("min_packer_version"), problems)
    if version and satisfies(COMPATIBLE_VERSION, f">= {version}") is False:
        message = f"the template wants Packer {version}; this is compatible with {COMPATIBLE_VERSION}"
        problems.append(members["min_packer_version"].value.span.problem(message, severity="warning"))
    return members


def _members(member: JsonMember | None, problems: list[Problem]) -> Mapping[str, JsonMember]:
    if member is None:
        return {}
    if not isinstance(member.value, JsonObject):
        problems.append(member.value.span.problem(f"“{member.name}” is an object"))
        return {}
    return member.value.last()


def _items(member: JsonMember | None, problems: list[Problem]) -> tuple[JsonNode, ...]:
    if member is None or (isinstance(member.value, JsonScalar) and member.value.value is None):
        return ()
    if isinstance(member.value, JsonArray):
        return member.value.items
    if isinstance(member.value, JsonObject):
        return (member.value,)
    problems.append(member.value.span.problem(f"“{member.name}” is a list"))
    return ()


def _texts(member: JsonMember | None, problems: list[Problem]) -> Iterator[str]:
    for item in _items(member, problems):
        if isinstance(item, JsonScalar) and isinstance(item.value, str):
            yield item.value
        else:
            problems.append(item.span.problem("a text is expected here"))


def _one_text(member: JsonMember | None, problems: list[Problem]) -> str:
    if member is None:
        return ""
    if isinstance(member.value, JsonScalar) and isinstance(member.value.value, str):
        return member.value.value
    problems.append(member.value.span.problem(f"“{member.name}” must be a text"))
    return ""


class _Loader:
    def __init__(
        self, world: World, problems: list[Problem], selection: Selection, inputs: Mapping[str, PackerVariable]
    ) -> None:
        self.world = world
        self.problems = problems
        self.selection = selection
        self.user = {name: v.value.text() for name, v in inputs.items()}
        self.secrets: set[str] = set()
        self.names: list[str] = []
        self.written: dict[str, str] = {}

    def builds(self, members: Mapping[str, JsonMember]) -> Iterator[PackerBuild]:
        seen: dict[str, Settings] = {}
        builders = _items(members.get("builders"), self.problems)
        provisioners, chains = (_items(members.get(key), []) for key in ("provisioners", "post-processors"))
        self.problems.extend(check_choices(provisioners, chains, builders))
        for node in builders:
            if not isinstance(node, JsonObject):
                self.problems.append(node.span.problem("a builder is an object"))
                continue
            settings = settings_of(node, self.problems)
            kind = text_of(settings, "type", self.problems)
            if not kind:
                self.problems.append(node.span.problem("a builder needs a “type”", hint='such as "type": "qemu"'))
                continue
            written = text_of(settings, "name", self.problems) or kind
            name = self._rendered(written, settings, kind) or kind
            if name in seen:
                message = f"there are two builders named “{name}”"
                self.problems.append(node.span.problem(message, hint='give each a "name" of its own'))
                continue
            seen[name] = settings
            self.names.append(name)
            self.written[name] = written
            if self.selection.takes(name):
                yield self._build(name, kind, settings.without("type", "name"), members)

    def _rendered(self, text: str, settings: Settings, kind: str) -> str:
        functions = packer_functions(Surroundings(self.world, COMPATIBLE_VERSION, self.user, build_type=kind))
        return render(text, Context({}, functions), settings.span) if "{{" in text else text

    def _decoder(self, name: str, kind: str, problems: list[Problem], settings: Settings) -> Decoder:
        def warn(message: str) -> None:
            problems.append(settings.span.problem(message, severity="warning"))

        around = Surroundings(self.world, COMPATIBLE_VERSION, self.user, False, name, kind, self.secrets, warn)
        return Decoder(problems, Dialect.JSON, packer_functions(around), self.secrets)

    def _build(self, name: str, kind: str, settings: Settings, members: Mapping[str, JsonMember]) -> PackerBuild:
        problems = self.problems if kind == BUILDER else list[Problem]()
        source: Source
        if kind == BUILDER:
            settings = fixed_builder(settings, problems)
            source = read_qemu_source(self._decoder(name, kind, problems, settings), settings, name)
        else:
            plain = {k: to_python(g.value) for k, g in settings.options.items() if g.value is not None}
            source = OtherBuilder(type=kind, options=plain)
        provisioners = _items(members.get("provisioners"), problems)
        cleanup = _items(members.get("error-cleanup-provisioner"), problems)
        return PackerBuild(
            name=name,
            block_name="",
            source_type=kind,
            source_name=name,
            source=source,
            provisioners=tuple(self._provisioners(provisioners, name, kind, problems)),
            error_cleanup=next(self._provisioners(cleanup, name, kind, problems), None),
            post_processors=tuple(self._chains(_items(members.get("post-processors"), problems), name, kind, problems)),
            span=settings.span,
        )

    def _provisioners(
        self, nodes: Sequence[JsonNode], name: str, kind: str, problems: list[Problem]
    ) -> Iterator[Provisioner]:
        for node in nodes:
            if not isinstance(node, JsonObject):
                problems.append(node.span.problem("a provisioner is an object"))
                continue
            settings = settings_of(node, problems)
            what = text_of(settings, "type", problems)
            if not what:
                problems.append(node.span.problem("a provisioner needs a “type”", hint='such as "type": "shell"'))
                continue
            settings = fixed_provisioner(what, settings.without("type"), problems)
            if not applies(settings, self.written[name]):
                continue
            settings = _overridden(settings, self.written[name])
            options, meta = read_provisioner(self._decoder(name, kind, problems, settings), what, settings)
            yield Provisioner(type=what, options=options, meta=meta, span=node.span)

    def _chains(
        self, nodes: Sequence[JsonNode], name: str, kind: str, problems: list[Problem]
    ) -> Iterator[tuple[PostProcessor, ...]]:
        for node in nodes:
            links = node.items if isinstance(node, JsonArray) else (node,)
            chain = tuple(self._chain(links, name, kind, problems))
            if chain:
                yield chain

    def _chain(
        self, links: Sequence[JsonNode], name: str, kind: str, problems: list[Problem]
    ) -> Iterator[PostProcessor]:
        for node in links:
            if isinstance(node, JsonScalar) and isinstance(node.value, str):
                settings, what = Settings({}, node.span), node.value
            elif isinstance(node, JsonObject):
                settings = settings_of(node, problems)
                what = text_of(settings, "type", problems)
                settings = settings.without("type")
            else:
                problems.append(node.span.problem("a post-processor is a text or an object"))
                continue
            if not what:
                problems.append(node.span.problem("a post-processor needs a “type”"))
                continue
            settings = fixed_post_processor(what, settings, problems)
            label = text_of(settings, "name", problems) or what
            # What isn't for this build can't cut its chain.
            if not applies(settings, self.written[name]):
                continue
            if self.selection.cuts(label):
                return
            options, meta = read_post_processor(self._decoder(name, kind, problems, settings), what, settings)
            yield PostProcessor(type=what, options=options, meta=meta, span=node.span)


def _overridden(settings: Settings, name: str) -> Settings:
    given = settings.options.get("override")
    if given is None or given.value is None or not is_mapping(given.value.type):
        return settings
    own = given.value.fields().get(name)
    if own is None or not is_mapping(own.type):
        return settings
    options = dict(settings.options)
    for key, value in own.fields().items():
        if not is_comment(key):
            options[key] = Given(value, given.span, given.name_span)
    return Settings(options, settings.span)
