"""The XML of a Windows image file, without its gigabytes."""

from __future__ import annotations

import io
import struct

import pytest

from factory.drivers.wim import read_xml
from tests.iso_layouts import wim

pytestmark = pytest.mark.unit

WIM = wim(("Windows Server 2022 SERVERSTANDARD", "ServerStandard", "Server"))


def header(**fields: int) -> bytes:
    """The WIM above with other numbers in the entry for its XML."""
    sizes, offset, size = struct.unpack_from("<QQQ", WIM, 72)
    changed = bytearray(WIM)
    flagged = sizes | fields.get("flags", 0) << 56
    struct.pack_into("<QQQ", changed, 72, flagged, fields.get("offset", offset), fields.get("size", size))
    return bytes(changed)


def test_the_xml_is_read() -> None:
    xml = read_xml(io.BytesIO(WIM))
    assert xml.startswith("<WIM>")
    assert "<NAME>Windows Server 2022 SERVERSTANDARD</NAME>" in xml


def test_only_header_and_xml_are_read() -> None:
    class Counting(io.BytesIO):
        count = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.count += len(data)
            return data

    stream = Counting(WIM[:4096].ljust(2**20, b"x") + WIM[4096:])
    stream.write(b"")
    moved = bytearray(stream.getvalue())
    struct.pack_into("<Q", moved, 80, 2**20)
    stream = Counting(bytes(moved))
    assert "SERVERSTANDARD" in read_xml(stream)
    assert stream.count < 4096


@pytest.mark.parametrize(
    "content",
    [
        b"", b"MSWIM\0\0\0", b"PK" + bytes(300), header(flags=0x04), header(size=0), header(size=2**40),
        header(size=17), header(offset=2**50),
    ],
    ids=["empty", "cut", "zip", "compressed", "nothing", "huge", "unequal", "outside"],
)  # fmt: skip
def test_what_is_no_wim_has_no_xml(content: bytes) -> None:
    assert read_xml(io.BytesIO(content)) == ""
