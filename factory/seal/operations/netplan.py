"""Takes the addresses of network cards out of netplan's files, and leaves every other character as it is.

Loading and dumping would not: YAML 1.1 reads ``52:54:00:12:34:56`` and ``01234567`` as numbers, and forgets comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from factory.seal.files import read_regular
from factory.seal.model import Subject

_FILES = ("/etc/netplan/*.{yaml,yml}", "/lib/netplan/*.{yaml,yml}", "/run/netplan/*.{yaml,yml}")
_KINDS = ("ethernets", "wifis", "modems")
_ALIAS = re.compile(r"\s*:\s*\*[^\s,\[\]{}]+")

_Entry: TypeAlias = tuple[Any, Any]
"""Key and value of a mapping, as nodes."""


async def unbind(subject: Subject) -> None:
    """A file that can't be edited stays as it is: ``check`` tells of it."""
    for path in await subject.files.find(_FILES):
        content = await read_regular(subject.files, path)
        rest = unbound(content) if content is not None else None
        if rest is not None and rest != content:
            await subject.files.write(path, rest)


async def check(subject: Subject) -> list[str]:
    messages = []
    for path in await subject.files.find(_FILES):
        content = await read_regular(subject.files, path)
        documents = _loaded(content or b"")
        if documents is None and b"macaddress" in (content or b""):
            messages.append(f"{path} names the address of a network card, and is no YAML that can be read")
        elif documents is not None and _take_out(documents):
            messages.append(f"{path} still matches a network card by its address")
    return messages


def unbound(content: bytes) -> bytes | None:
    """*content* without ``match: {macaddress: …}`` and the ``set-name`` that needs it; None where that is no edit."""
    wanted = _loaded(content)
    if wanted is None:
        return None
    _take_out(wanted)
    text = content.decode()
    while cuts := _cuts(text):
        for start, end, instead in sorted(cuts, reverse=True):
            text = text[:start] + instead + text[end:]
    edited = text.encode()
    return edited if _loaded(edited) == wanted else None


def _loaded(content: bytes) -> list[Any] | None:
    """The documents of a file, with every scalar as the text that it is; None when it is no YAML."""
    import yaml

    try:
        return list(yaml.load_all(content.decode(), yaml.BaseLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _take_out(documents: list[Any]) -> bool:
    """Does to loaded documents what an edit does to their text; True when there was something to do."""
    changed = False
    for document in documents:
        network = document.get("network") if isinstance(document, dict) else None
        for kind in _KINDS:
            devices = network.get(kind) if isinstance(network, dict) else None
            for device in devices.values() if isinstance(devices, dict) else ():
                match = device.get("match") if isinstance(device, dict) else None
                if isinstance(match, dict) and "macaddress" in match:
                    changed = True
                    if len(match) > 1:
                        del match["macaddress"]
                    else:
                        del device["match"]
                        device.pop("set-name", None)  # netplan refuses it without a match
    return changed


def _cuts(text: str) -> list[tuple[int, int, str]]:
    """What to replace, and by what, to unbind the last device that is bound; nothing when none is, or it is no YAML."""
    for key, device in reversed(list(_devices(text))):
        match = _entry(device, "match")
        if match is None or not (address := _entry(match[1], "macaddress")):
            continue
        if len(match[1].value) > 1:
            return [_cut(text, match[1], address)]
        # One entry at a time, for each place moves those behind it; the match last, which tells of the name.
        cuts = [_cut(text, device, _entry(device, "set-name") or match)]
        if len(device.value) == 1 and not device.flow_style:
            colon = text.index(":", key.end_mark.index) + 1
            cuts.append((colon, colon, " {}"))  # netplan wants a mapping, if an empty one
        return cuts
    return []


def _devices(text: str) -> Iterator[_Entry]:
    import yaml

    try:
        documents = list(yaml.compose_all(text, yaml.SafeLoader))
    except yaml.YAMLError:
        return
    for document in documents:
        network = _entry(document, "network")
        for kind in _KINDS if network is not None else ():
            devices = _entry(network[1], kind) if network is not None else None
            for key, device in _entries(devices[1]) if devices is not None else ():
                if _entries(device):
                    yield key, device


def _entries(node: Any) -> Sequence[_Entry]:
    import yaml

    return node.value if isinstance(node, yaml.MappingNode) else ()


def _entry(node: Any, name: str) -> _Entry | None:
    return next(((key, value) for key, value in _entries(node) if key.value == name), None)


def _cut(text: str, mapping: Any, entry: _Entry) -> tuple[int, int, str]:
    """The place of an entry: of its lines in a block, of it and one comma between braces."""
    start, end = entry[0].start_mark.index, _end(text, entry)
    if not mapping.flow_style:
        newline = text.find("\n", end)
        return text.rfind("\n", 0, start) + 1, newline + 1 if newline >= 0 else len(text), ""
    after = re.compile(r"\s*,[ \t]*").match(text, end)
    if after:
        return start, after.end(), ""
    before = re.search(r",\s*$", text[:start])
    return before.start() if before else start, end, ""


def _end(text: str, entry: _Entry) -> int:
    """Where the value of an entry ends: a block ends before the next thing, which may be far below."""
    key, value = entry
    alias = _ALIAS.match(text, key.end_mark.index)
    if alias:
        return alias.end()
    while _entries(value) and not value.flow_style:
        value = value.value[-1][1]
    return int(value.end_mark.index)
