"""Judges OVAs by the rules that products hold them to. Each rule names the trouble that it saves."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from factory.outputs.ova_package import (
    OVF_SPACE,
    OvaPackage,
    attribute,
    file_name,
    is_file,
    open_package,
    plain_name,
)

_UNITS = {"": 1, "byte": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_POWER = re.compile(r"byte\s*\*\s*(2|10)\^([0-9]{1,2})\Z")
_TOO_LARGE = 2**63
_NUMBER = re.compile(r"[0-9]{1,19}\Z")
_DAMAGED = ("distinct-names", "manifest-digests", "well-formed", "references", "self-contained")
"""Where one of these does not hold nothing can be mended."""
_MANIFEST_LINE = re.compile(r"(SHA1|SHA256|SHA512)\((.+)\)= [0-9a-f]+\Z")
_DISK, _NETWORK_CARD = "17", "10"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule's word on one file. ``problems`` is empty when it holds.

    ``fixable``: ``fix_ova`` mends it, in this very file.
    """

    rule: str
    title: str
    why: str
    problems: tuple[str, ...]
    fixable: bool

    @property
    def ok(self) -> bool:
        return not self.problems


Check = Callable[[OvaPackage], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    title: str
    why: str
    check: Check
    fixable: bool = False


def lint_ova(path: Path) -> list[Verdict]:
    """Every rule's verdict, in order. Blocking: hashes what the manifest lists. Raises: StepError when it is no tar."""
    return judge(open_package(path))


def judge(package: OvaPackage) -> list[Verdict]:
    found = [(r, tuple(r.check(package))) for r in RULES]
    whole = not beyond_mending(package, {r.name: problems for r, problems in found})
    return [Verdict(r.name, r.title, r.why, problems, r.fixable and whole) for r, problems in found]


def beyond_mending(package: OvaPackage, problems: Mapping[str, Sequence[str]]) -> str:
    """Why nothing can be mended, in words; empty when it can. *problems* of each rule."""
    damaged = next((problems[rule][0] for rule in _DAMAGED if problems[rule]), "")
    if damaged:
        return damaged
    if not package.descriptor_name:
        return "it has no .ovf file"
    names = dict.fromkeys([*map(file_name, filter(is_file, package.members)), package.descriptor_name])
    for name in names:
        if name.startswith("/") or ".." in name.split("/") or not name.isprintable():
            return f"{name!r} is no file's name in a package: it looks like an attack"
    for name, facts in package.disks.items():
        if facts is not None and facts.markers and facts.directory_at_end and not facts.has_end_marker:
            return f"the end of {name!r} is missing"
    return ""


def _plain_tar(p: OvaPackage) -> Iterator[str]:
    if p.compressed:
        yield "the tar is compressed"


def _descriptor_first(p: OvaPackage) -> Iterator[str]:
    if not p.descriptor_name:
        yield "there is no .ovf file"
    elif p.names[0] != p.descriptor_name:
        yield f"the first member is {p.names[0]!r}"


def _one_descriptor(p: OvaPackage) -> Iterator[str]:
    found = [n for n in p.names if n.lower().endswith(".ovf")]
    if len(found) > 1:
        yield f"there are {len(found)}: {', '.join(map(repr, found))}"


def _member_names(p: OvaPackage) -> Iterator[str]:
    for member in p.members:
        if member.isdir():
            yield f"{member.name!r} is a folder"
        elif not member.isreg():
            yield f"{member.name!r} is a link or a device"
        elif not is_file(member):
            yield f"{member.name!r} is sparse"
        elif member.name.startswith(("./", "/")) or ".." in member.name.split("/") or not member.name.isprintable():
            yield f"{member.name!r} is no plain name"


def _distinct_names(p: OvaPackage) -> Iterator[str]:
    names = Counter(map(plain_name, filter(is_file, p.members)))
    for name, number in names.items():
        if number > 1:
            yield f"{name!r} is there {number} times"
        elif name in names and p.chunks(name):
            yield f"{name!r} is there whole and in chunks"


def _manifest_place(p: OvaPackage) -> Iterator[str]:
    if p.manifest_name and p.descriptor_name and p.names.index(p.manifest_name) != p.names.index(p.descriptor_name) + 1:
        yield f"{p.manifest_name!r} does not follow the descriptor"


def _manifest_spelling(p: OvaPackage) -> Iterator[str]:
    for line in p.manifest:
        if not _MANIFEST_LINE.match(line.text):
            yield f"{line.text[:80]!r} is not spelled 'SHA256(name)= hex'"


def _manifest_complete(p: OvaPackage) -> Iterator[str]:
    if not p.manifest_name:
        return
    listed = {line.name for line in p.manifest}
    for member in p.members:
        name = plain_name(member)
        if is_file(member) and not name.lower().endswith((".mf", ".cert")) and name not in listed:
            yield f"{name!r} is not listed"
    for line in p.manifest:
        if line.name and not p.pieces(line.name):
            yield f"{line.name!r} is listed, but not there"


def _manifest_digests(p: OvaPackage) -> Iterator[str]:
    for line in p.manifest:
        digest = p.digests.get((line.name, line.algorithm))
        if digest is not None and digest != line.digest:
            yield f"{line.name!r} is not what it was when the manifest was written"


def _well_formed(p: OvaPackage) -> Iterator[str]:
    if p.descriptor and p.envelope is None:
        yield "it is no well-formed XML"
    elif p.envelope is not None and p.envelope.tag != f"{{{OVF_SPACE}}}Envelope":
        yield f"its root is {p.envelope.tag!r}"


def _hardware(p: OvaPackage) -> Iterator[str]:
    if p.envelope is not None and not list(p.elements("VirtualHardwareSection")):
        yield "it has no VirtualHardwareSection"


def _system_type(p: OvaPackage) -> Iterator[str]:
    types = [(e.text or "").strip() for e in p.elements("VirtualSystemType")]
    if p.envelope is not None and not types:
        yield "it has no VirtualSystemType"
    for text in types:
        if not any(re.fullmatch(r"vmx-\d+", word) for word in text.split()):
            yield f"its VirtualSystemType is {text!r}"


def _optional_config(p: OvaPackage) -> Iterator[str]:
    for element in (*p.elements("Config"), *p.elements("ExtraConfig")):
        if attribute(element, "required").lower() != "false":
            yield f'{attribute(element, "key")!r} is not marked required="false"'


def _firmware(p: OvaPackage) -> Iterator[str]:
    for element in p.elements("Config"):
        value = attribute(element, "value")
        if attribute(element, "key") == "firmware" and value not in {"bios", "efi"}:
            yield f"the firmware is {value!r}"


def _parents(p: OvaPackage) -> Iterator[str]:
    ids = {i.get("InstanceID", "") for i in p.items()}
    for item in p.items():
        parent = item.get("Parent")
        if parent and parent not in ids:
            yield f"{item.get('ElementName', 'a device')!r} hangs on device {parent}, which is not there"
        elif item.get("ResourceType") == _DISK and not parent:
            yield f"{item.get('ElementName', 'a disk')!r} hangs on no controller"


def _references(p: OvaPackage) -> Iterator[str]:
    files = p.files()
    for file in files.values():
        if not p.pieces(attribute(file, "href")):
            yield f"the file {attribute(file, 'href')!r} is not in the tar"
        for number, chunk in enumerate(p.chunks(attribute(file, "href"))):
            if not chunk.name.endswith(f".{number:09}"):
                yield f"chunk {number} of {attribute(file, 'href')!r} is not in the tar"
                break
    disks = {attribute(d, "diskId"): d for d in p.elements("Disk")}
    for name, disk in disks.items():
        if attribute(disk, "fileRef") not in {"", *files}:
            yield f"disk {name!r} is in file {attribute(disk, 'fileRef')!r}, which is not declared"
    for item in p.items():
        target = item.get("HostResource", "").rsplit("/", 1)[-1]
        if item.get("ResourceType") == _DISK and target not in {*disks, *files}:
            yield f"{item.get('ElementName', 'a disk')!r} is {target!r}, which is not declared"


def _file_sizes(p: OvaPackage) -> Iterator[str]:
    for file in p.files().values():
        name, said = attribute(file, "href"), attribute(file, "size")
        if p.pieces(name) and said and said != str(p.size(name)):
            yield f"{name!r} has {p.size(name)} bytes, the descriptor says {said}"


def _networks(p: OvaPackage) -> Iterator[str]:
    declared = {attribute(n, "name") for n in p.elements("Network")}
    used = {i["Connection"] for i in p.items() if i.get("ResourceType") == _NETWORK_CARD and i.get("Connection")}
    yield from (f"network {name!r} is used, but not declared" for name in sorted(used - declared))
    yield from (f"network {name!r} is declared, but not used" for name in sorted(declared - used))


def _disk_format(p: OvaPackage) -> Iterator[str]:
    for name, facts in p.disks.items():
        if facts is None:
            yield f"{name!r} is no sparse VMDK"
        elif not (facts.compressed and facts.markers):
            yield f"{name!r} is not stream-optimised"
        elif facts.version != 3:
            yield f"{name!r} has version {facts.version}"


def _self_contained(p: OvaPackage) -> Iterator[str]:
    for name, others in p.needs.items():
        yield f"{name!r} refers to another file: {others}"


def _end_marker(p: OvaPackage) -> Iterator[str]:
    for name, facts in p.disks.items():
        if facts is not None and facts.markers and not facts.has_end_marker:
            yield f"{name!r} ends without it"


def _capacities(p: OvaPackage) -> Iterator[str]:
    files = p.files()
    for disk in p.elements("Disk"):
        file = files.get(attribute(disk, "fileRef"))
        facts = p.disks.get(attribute(file, "href")) if file is not None else None
        said = capacity(attribute(disk, "capacity"), attribute(disk, "capacityAllocationUnits"))
        if facts is not None and said is not None and said < facts.capacity:
            name = attribute(disk, "diskId")
            yield f"disk {name!r} holds {facts.capacity} bytes, the descriptor says {said}"


def capacity(number: str, units: str) -> int | None:
    """Bytes; None for what can't be read, or is more than any file system and any machine holds."""
    text = units.strip().lower()
    match = _POWER.match(text)
    factor = int(match[1]) ** int(match[2]) if match else _UNITS.get(text)
    value = int(number) * factor if _NUMBER.match(number) and factor else _TOO_LARGE
    return value if value < _TOO_LARGE else None


RULES: tuple[Rule, ...] = (
    Rule("plain-tar", "the tar is not compressed", "VMware reads it as a stream and can't", _plain_tar, True),
    Rule("descriptor-first", "the descriptor comes first",
         "“Did not find an .ovf file at the beginning of the OVA package”", _descriptor_first, True),
    Rule("one-descriptor", "there is one descriptor", "products take the first and lose the rest", _one_descriptor),
    Rule("member-names", "members are plain files with plain names",
         "products don't find them, or refuse the package as an attack", _member_names, True),
    Rule("distinct-names", "every name is there once",
         "some products take the first and others the last: nobody knows which disk is imported", _distinct_names),
    Rule("manifest-place", "the manifest follows the descriptor",
         "a reader of the stream must know the digests before the disks", _manifest_place, True),
    Rule("manifest-spelling", "manifest lines are spelled SHA256(name)= hex",
         "“Invalid OVF checksum algorithm”", _manifest_spelling, True),
    Rule("manifest-complete", "the manifest lists every file, and only those",
         "VMware refuses the package", _manifest_complete, True),
    Rule("manifest-digests", "files are what the manifest says", "the package is damaged or was changed",
         _manifest_digests),
    Rule("well-formed", "the descriptor is an OVF 1 envelope", "nothing reads it", _well_formed),
    Rule("hardware-section", "the descriptor has a VirtualHardwareSection",
         "“Missing child element 'VirtualHardwareSection'”", _hardware),
    Rule("system-type", "the system type is one of VMware's (vmx-NN)",
         "“Unsupported hardware family 'virtualbox-2.2'”", _system_type, True),
    Rule("optional-config", "VMware's own settings are optional",
         "other products, and other versions of VMware's, refuse what is required and unknown", _optional_config, True),
    Rule("firmware", "the firmware is bios or efi", "virt-v2v and VMware refuse other words", _firmware),
    Rule("parents", "every disk hangs on a controller that is there",
         "the disk is left out, or attached where the guest has no driver", _parents),
    Rule("references", "what is referred to is there", "the import ends in the middle", _references),
    Rule("file-sizes", "sizes in the descriptor are those of the files", "“Wrong file size specified”",
         _file_sizes, True),
    Rule("networks", "networks are declared and used", "ESXi fails on networks that nothing uses", _networks, True),
    Rule("disk-format", "disks are stream-optimised VMDKs, version 3",
         "vSphere refuses others (“Unsupported or invalid disk type”)", _disk_format),
    Rule("self-contained", "disks refer to no other file",
         "whoever imports it reads that file of their own computer into the disk", _self_contained),
    Rule("end-marker", "disks end with the end-of-stream marker",
         "ovftool calls the package damaged though all digests are right; qemu-img leaves the marker out",
         _end_marker, True),
    Rule("capacities", "disks are declared as large as they are", "the guest's last blocks are cut off", _capacities),
)  # fmt: skip
