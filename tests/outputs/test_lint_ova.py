"""Each rule on an OVA that breaks it and no other; what can be mended is mended, and what is damaged is refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import re
import tarfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factory.disk.reader import open_disk
from factory.errors import StepError
from factory.outputs import ovf
from factory.outputs.fix_ova import fix_ova
from factory.outputs.hardware import OvfHardware
from factory.outputs.lint_ova import RULES, capacity, lint_ova
from factory.outputs.ova_hardware import hardware_of
from factory.outputs.ova_package import open_package
from factory.outputs.ovf import OvfDisk, OvfSystem
from factory.outputs.vmdk import write_stream_optimized
from factory.quantity import Size

pytestmark = pytest.mark.unit

SIZE = 2**20


@dataclass
class Parts:
    """An OVA taken apart, to be spoilt and put together."""

    text: str
    disk: bytes
    names: list[str] = field(default_factory=lambda: ["x.ovf", "x.mf", "x-disk1.vmdk"])
    manifest: str | None = None
    pack: Callable[[bytes], bytes] = bytes
    more: list[tuple[str, bytes]] = field(default_factory=list)
    encoding: str = "utf-8"
    folder: str = ""

    def build(self, path: Path) -> Path:
        contents = {"x.ovf": self.text.encode(self.encoding), "x-disk1.vmdk": self.disk}
        if self.manifest is None:
            listed = [(n, hashlib.sha256(c).hexdigest()) for n, c in contents.items()]
            self.manifest = ovf.manifest(listed, "sha256").decode()
        contents["x.mf"] = self.manifest.encode()
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name, content in [*((n, contents[n.removeprefix("./")]) for n in self.names), *self.more]:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            if self.folder:
                info = tarfile.TarInfo(self.folder)
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
        path.write_bytes(self.pack(out.getvalue()))
        return path


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    raw, vmdk = tmp_path / "raw", tmp_path / "vmdk"
    raw.write_bytes(random.Random(1).randbytes(200_000).ljust(SIZE, b"\0"))
    with open_disk(raw, "raw") as reader:
        write_stream_optimized(
            reader, vmdk, name="x", adapter="lsilogic", hardware_version=14, progress=lambda done, total: None
        )
    disk = vmdk.read_bytes()
    text = ovf.descriptor(OvfSystem("x", OvfHardware()), [OvfDisk("x-disk1.vmdk", len(disk), Size(SIZE))])
    return Parts(text.decode(), disk)


def broken(path: Path) -> set[str]:
    return {v.rule for v in lint_ova(path) if not v.ok}


def sub(old: str, new: str) -> Callable[[Parts], None]:
    def spoil(parts: Parts) -> None:
        assert re.search(old, parts.text, re.DOTALL)
        parts.text = re.sub(old, new, parts.text, count=1, flags=re.DOTALL)

    return spoil


def resized(parts: Parts, disk: bytes) -> None:
    parts.text = parts.text.replace(f'ovf:size="{len(parts.disk)}"', f'ovf:size="{len(disk)}"')
    parts.disk = disk


def put(name: str, value: object) -> Callable[[Parts], None]:
    return lambda parts: setattr(parts, name, value)


SPOILT: dict[str, Callable[[Parts], None]] = {
    "plain-tar": put("pack", gzip.compress),
    "descriptor-first": put("names", ["x-disk1.vmdk", "x.ovf", "x.mf"]),
    "one-descriptor": put("more", [("y.ovf", b"<x/>")]),
    "member-names": put("names", ["./x.ovf", "./x.mf", "./x-disk1.vmdk"]),
    "manifest-place": put("names", ["x.ovf", "x-disk1.vmdk", "x.mf"]),
    "manifest-spelling": lambda p: put("manifest", manifest(p).replace("SHA256(x.ovf)=", "SHA256 (x.ovf) ="))(p),
    "manifest-complete": lambda p: put("manifest", manifest(p).splitlines(keepends=True)[1])(p),
    "manifest-digests": lambda p: put("manifest", re.sub("= .", "= 0", re.sub("= 0", "= 1", manifest(p)), count=1))(p),
    "well-formed": sub("</Envelope>", ""),
    "hardware-section": sub("<VirtualHardwareSection>.*</VirtualHardwareSection>", ""),
    "system-type": sub("vmx-14", "virtualbox-2.2"),
    "optional-config": sub('ovf:required="false" vmw:key', 'ovf:required="true" vmw:key'),
    "firmware": sub('vmw:value="bios"', 'vmw:value="uefi"'),
    "parents": sub("<rasd:Parent>3", "<rasd:Parent>33"),
    "references": sub("ovf:/disk/vmdisk1", "ovf:/disk/vmdisk2"),
    "file-sizes": sub(r'ovf:size="\d+"', 'ovf:size="17"'),
    "networks": sub(
        "</NetworkSection>", '<Network ovf:name="NAT"><Description>x</Description></Network></NetworkSection>'
    ),
    "disk-format": lambda p: resized(p, p.disk[:4] + b"\1" + p.disk[5:]),
    "distinct-names": lambda p: put("more", [("x-disk1.vmdk", b"another")])(p),
    "self-contained": lambda p: resized(p, p.disk.replace(b"parentCID=ffffffff", b"parentCID=00000001")),
    "end-marker": lambda p: resized(p, front_directory(p.disk)),
    "capacities": sub(f'ovf:capacity="{SIZE}"', 'ovf:capacity="512"'),
}
SAME_TIME = {"hardware-section": {"system-type", "networks"}, "one-descriptor": {"manifest-complete"}}
"""What can't be broken alone."""


def manifest(parts: Parts) -> str:
    contents = {"x.ovf": parts.text.encode(), "x-disk1.vmdk": parts.disk}
    return ovf.manifest([(n, hashlib.sha256(c).hexdigest()) for n, c in contents.items()], "sha256").decode()


def front_directory(disk: bytes) -> bytes:
    """As qemu-img writes it: the grain directory is not at the end, and the end-of-stream marker is missing."""
    return disk[:56] + (1).to_bytes(8, "little") + disk[64:-512]


def test_our_own_ova_breaks_no_rule(parts: Parts, tmp_path: Path) -> None:
    verdicts = lint_ova(parts.build(tmp_path / "x.ova"))
    assert [v.rule for v in verdicts] == [r.name for r in RULES]
    assert all(v.ok for v in verdicts), [v for v in verdicts if not v.ok]
    assert all(v.why and v.title for v in verdicts)


@pytest.mark.parametrize("rule", [r.name for r in RULES])
def test_a_broken_rule_is_seen_and_mended_where_it_can_be(rule: str, parts: Parts, tmp_path: Path) -> None:
    SPOILT[rule](parts)
    path = parts.build(tmp_path / "spoilt.ova")
    found = broken(path)
    assert rule in found
    assert found - {rule} <= SAME_TIME.get(rule, set()) | ({"well-formed"} if rule == "well-formed" else set())
    if not next(r.fixable for r in RULES if r.name == rule):
        return
    mended = tmp_path / "mended.ova"
    assert rule in fix_ova(path, mended)
    assert broken(mended) == set()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_a_damaged_package_is_not_mended(parts: Parts, tmp_path: Path) -> None:
    SPOILT["manifest-digests"](parts)
    with pytest.raises(StepError, match="not what it was when the manifest was written"):
        fix_ova(parts.build(tmp_path / "x.ova"), tmp_path / "y.ova")
    assert not (tmp_path / "y.ova").exists()


def test_a_disk_that_was_cut_is_not_mended(parts: Parts, tmp_path: Path) -> None:
    resized(parts, parts.disk[:-512])
    path = parts.build(tmp_path / "x.ova")
    assert broken(path) == {"end-marker"}
    with pytest.raises(StepError, match=r"the end of 'x-disk1.vmdk' is missing"):
        fix_ova(path, tmp_path / "y.ova")


def test_a_name_that_points_out_of_the_package_is_refused(parts: Parts, tmp_path: Path) -> None:
    parts.more = [("../../etc/cron.d/x", b"x")]
    path = parts.build(tmp_path / "x.ova")
    assert "member-names" in broken(path)
    with pytest.raises(StepError, match="looks like an attack"):
        fix_ova(path, tmp_path / "y.ova")


def test_chunks_are_one_file(parts: Parts, tmp_path: Path) -> None:
    """As vCenter writes them."""
    half = len(parts.disk) // 1024 * 512
    parts.text = parts.text.replace("<File ", '<File ovf:chunkSize="1000" ')
    parts.manifest = manifest(parts)
    parts.manifest += "".join(f"SHA256(x-disk1.vmdk.{n:09})= {d}\n" for n, d in enumerate(
        hashlib.sha256(c).hexdigest() for c in (parts.disk[:half], parts.disk[half:])))  # fmt: skip
    parts.names = ["x.ovf", "x.mf"]
    parts.more = [("x-disk1.vmdk.000000000", parts.disk[:half]), ("x-disk1.vmdk.000000001", parts.disk[half:])]
    path = parts.build(tmp_path / "x.ova")
    assert broken(path) == set()
    fix_ova(path, tmp_path / "joined.ova")
    with tarfile.open(tmp_path / "joined.ova") as tar:
        assert tar.getnames() == ["x.ovf", "x.mf", "x-disk1.vmdk"]
        assert tar.extractfile("x-disk1.vmdk").read() == parts.disk  # type: ignore[union-attr]
        assert b"chunkSize" not in tar.extractfile("x.ovf").read()  # type: ignore[union-attr]


def test_something_else_is_no_ova(tmp_path: Path) -> None:
    path = tmp_path / "x.ova"
    path.write_bytes(b"no tar at all" * 100)
    with pytest.raises(StepError, match=r"is no OVA: .*[^:]$"):
        lint_ova(path)


@pytest.mark.parametrize(
    ("number", "units", "expected"),
    [("5", "byte", 5), ("5", "", 5), ("2", "byte * 2^20", 2**21), ("2", "byte * 10^9", 2 * 10**9), ("1", "GiB", 2**30),
     ("x", "byte", None), ("1", "furlong", None), ("\u00b2", "byte", None), ("9" * 5000, "byte", None),
     ("1", "byte * 2^99999", None)],
)  # fmt: skip
def test_capacities_are_read_in_every_unit(number: str, units: str, expected: int | None) -> None:
    assert capacity(number, units) == expected


def test_a_link_beside_a_file_of_its_name_is_left_out(parts: Parts, tmp_path: Path) -> None:
    path = parts.build(tmp_path / "x.ova")
    spoilt = with_links(path, tmp_path / "spoilt.ova", {"./x-disk1.vmdk": "/some/hostsecret.bin"})
    assert broken(spoilt) == {"member-names", "descriptor-first"}
    fix_ova(spoilt, tmp_path / "mended.ova")
    assert broken(tmp_path / "mended.ova") == set()


def test_a_disk_that_is_a_link_only_is_not_there(parts: Parts, tmp_path: Path) -> None:
    parts.names = ["x.ovf", "x.mf"]
    spoilt = with_links(parts.build(tmp_path / "x.ova"), tmp_path / "spoilt.ova", {"x-disk1.vmdk": "/some/secret"})
    assert "references" in broken(spoilt)
    assert not any(v.fixable for v in lint_ova(spoilt))
    with pytest.raises(StepError, match=r"can't be mended: the file 'x-disk1.vmdk' is not in the tar"):
        fix_ova(spoilt, tmp_path / "y.ova")


def with_links(path: Path, destination: Path, links: dict[str, str]) -> Path:
    """The package with links before its members."""
    with tarfile.open(path) as old, tarfile.open(destination, "w") as tar:
        for name, target in links.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
        for member in old:
            tar.addfile(member, old.extractfile(member))
    return destination


@pytest.mark.parametrize(
    ("said", "codec"), [("ISO-8859-1", "iso-8859-1"), ("UTF-16", "utf-16"), ("UTF-8", "utf-8-sig")]
)
def test_a_descriptor_in_another_encoding_is_mended_into_utf_8(
    said: str, codec: str, parts: Parts, tmp_path: Path
) -> None:
    parts.text = parts.text.replace("UTF-8", said, 1).replace("vmx-14", "virtualbox-2.2")
    parts.text = re.sub("<Name>[^<]*", "<Name>M\u00fcller", parts.text)
    parts.encoding, parts.names = codec, ["x.ovf", "x-disk1.vmdk"]
    path, mended = parts.build(tmp_path / "x.ova"), tmp_path / "mended.ova"
    assert fix_ova(path, mended) == ["system-type"]
    assert broken(mended) == set()
    with tarfile.open(mended) as tar:
        text = tar.extractfile("x.ovf").read().decode()  # type: ignore[union-attr]
    assert 'encoding="UTF-8"' in text
    assert "M\u00fcller" in text


@pytest.mark.parametrize("size", ["\u00b2", "9" * 5000, "-1", ""])
def test_odd_numbers_in_a_descriptor_are_no_capacity(size: str, parts: Parts, tmp_path: Path) -> None:
    sub('ovf:capacity="[^"]*"', f'ovf:capacity="{size}"')(parts)
    path = parts.build(tmp_path / "x.ova")
    assert broken(path) == set()
    hardware_of(open_package(path))


@pytest.mark.parametrize("word", ["SHAKE_128", "MD4", "SM3"])
def test_a_digest_that_nobody_can_check_is_misspelt(word: str, parts: Parts, tmp_path: Path) -> None:
    parts.manifest = manifest(parts).replace("SHA256", word)
    assert broken(parts.build(tmp_path / "x.ova")) == {"manifest-spelling"}


def test_a_chunk_that_is_missing_is_named(parts: Parts, tmp_path: Path) -> None:
    parts.names = ["x.ovf"]
    parts.more = [("x-disk1.vmdk.000000000", parts.disk[:512]), ("x-disk1.vmdk.000000002", parts.disk[512:])]
    assert "references" in broken(parts.build(tmp_path / "x.ova"))


def cut(content: bytes) -> bytes:
    return gzip.compress(content)[:-50]


PACKS: list[Callable[[bytes], bytes]] = [bytes, gzip.compress, cut]
TYPES = [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE]
NAMES = ["x.ovf", "./x.ovf", "x.mf", "x-disk1.vmdk", "./x-disk1.vmdk", "x-disk1.vmdk.000000000", "../y", "\udcff\n", ""]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(data=st.data())
def test_members_and_bytes_of_any_kind_give_verdicts_or_errors_of_ours(
    data: st.DataObject, parts: Parts, tmp_path: Path
) -> None:
    texts = [parts.text.encode(), parts.disk[:4096], manifest(parts).encode(), b"", b"<", parts.text.encode("utf-16")]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=data.draw(st.sampled_from([0, 1, 2]))) as tar:
        for name, kind, content in data.draw(
            st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(TYPES), st.sampled_from(texts)), max_size=6)
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, "x-disk1.vmdk", len(content)
            tar.addfile(info, io.BytesIO(content))
    spoilt = bytearray(out.getvalue())
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(spoilt) - 1), st.integers(0, 255)), max_size=4)):
        spoilt[at] = value
    pack = data.draw(st.sampled_from(PACKS))
    only_errors_of_ours(pack(bytes(spoilt)), tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(
    number=st.integers(0),
    value=st.sampled_from(["", "\u00b2", "&#10;", "9" * 5000, "x", '"', "..", "/etc", "Disk", "17"]),
)
def test_descriptors_of_any_kind_give_verdicts_or_errors_of_ours(
    number: int, value: str, parts: Parts, tmp_path: Path
) -> None:
    """One value of the descriptor, an attribute's or an element's, becomes another one."""
    values = list(re.finditer(r'(?<==")[^"]*(?=")|(?<=>)[^<>]*(?=<)', parts.text))
    place = values[number % len(values)]
    parts.text = parts.text[: place.start()] + value + parts.text[place.end() :]
    parts.manifest = None
    only_errors_of_ours(parts.build(tmp_path / "any.ova").read_bytes(), tmp_path)


def only_errors_of_ours(content: bytes, folder: Path) -> None:
    path = folder / "any.ova"
    path.write_bytes(content)
    with suppress(StepError):
        lint_ova(path)
    with suppress(StepError):
        hardware_of(open_package(path))
    with suppress(StepError):
        fix_ova(path, folder / "mended.ova")
