"""``only``, ``except`` and ``override`` of JSON templates: they name builders, as these are written."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from factory.errors import Problem
from factory.template.packer.hcl.json_parser import JsonArray, JsonMember, JsonNode, JsonObject, JsonScalar
from factory.template.packer.hcl.source import Span
from factory.template.packer.language.scope import did_you_mean
from factory.template.packer.language.values import from_python, to_python
from factory.template.packer.options import Settings


def applies(settings: Settings, written: str) -> bool:
    """Whether a provisioner or post-processor is for the builder whose name is *written*, functions unresolved."""
    for key, wanted in (("only", True), ("except", False)):
        given = settings.options.get(key)
        if given is None or given.value is None or given.value.is_null:
            continue
        listed = to_python(given.value)
        names = [str(n) for n in (listed if isinstance(listed, list) else [listed])]
        if names and (written in names) != wanted:
            return False
    return True


def check_choices(
    provisioners: Sequence[JsonNode], post_processors: Sequence[JsonNode], builders: Sequence[JsonNode]
) -> Iterator[Problem]:
    """A name that no builder has is an error in Packer, whichever builds are chosen: what it guards would never run."""
    known = [_written_name(b) for b in builders if isinstance(b, JsonObject)]
    links = [link for node in post_processors for link in (node.items if isinstance(node, JsonArray) else (node,))]
    for node in (*provisioners, *links):
        if not isinstance(node, JsonObject):
            continue
        members = node.last()
        for key in ("only", "except"):
            for name, span in _names(members.get(key)):
                yield from _unknown(f"“{key}” names “{name}”, and no builder has this name", name, span, known)
        override = members.get("override")
        if node in provisioners and override is not None and isinstance(override.value, JsonObject):
            for member in override.value.members:
                message = f"“override” is for “{member.name}”, and no builder has this name"
                yield from _unknown(message, member.name, member.name_span, known)


def _written_name(builder: JsonObject) -> str:
    members = builder.last()
    for key in ("name", "type"):
        value = members[key].value if key in members else None
        if isinstance(value, JsonScalar) and isinstance(value.value, str) and value.value:
            return value.value
    return ""


def _names(member: JsonMember | None) -> Iterator[tuple[str, Span]]:
    if member is None:
        return
    for item in member.value.items if isinstance(member.value, JsonArray) else (member.value,):
        if isinstance(item, JsonScalar) and item.value is not None:
            yield str(to_python(from_python(item.value))), item.span


def _unknown(message: str, name: str, span: Span, known: Collection[str]) -> Iterator[Problem]:
    if name not in known:
        hint = did_you_mean(name, known) or f"there {'is' if len(known) == 1 else 'are'} {', '.join(sorted(known))}"
        yield span.problem(message, hint=hint)
