from __future__ import annotations

import hashlib
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.drivers.checksums import Checksum, find_in_sums, parse_checksum
from factory.errors import StepError

pytestmark = pytest.mark.unit

KINDS = {"md5": 32, "sha1": 40, "sha256": 64, "sha384": 96, "sha512": 128}
kinds = st.sampled_from(sorted(KINDS))
names = st.text(string.ascii_letters + string.digits + "._-+~ ()=", min_size=1, max_size=30).filter(
    lambda name: name == name.strip() and name not in (".", "..") and not name.startswith(("-", "\\"))
)


def _hex(kind: str, seed: str) -> str:
    return hashlib.new(kind, seed.encode()).hexdigest()


@pytest.mark.parametrize("kind", KINDS)
def test_kind_by_prefix_and_by_length(kind: str) -> None:
    digits = _hex(kind, "x")
    assert parse_checksum(f"{kind}:{digits}") == Checksum(kind, digits)
    assert parse_checksum(f" {kind.upper()}:{digits.upper()} ") == Checksum(kind, digits)
    assert parse_checksum(digits) == Checksum(kind, digits)
    assert str(parse_checksum(digits)) == f"{kind}:{digits}"


@pytest.mark.parametrize(
    "text",
    ["", "sha256:", "sha256:abc", "sha512:" + "0" * 64, "crc32:00000000", "z" * 64, "0" * 63, "sha256:" + "g" * 64],
)
def test_what_is_no_checksum_is_refused(text: str) -> None:
    with pytest.raises(StepError, match="is not a checksum") as caught:
        parse_checksum(text)
    assert "sha256:<64 hex digits>" in caught.value.hint


def test_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    for kind in KINDS:
        assert Checksum(kind, "").of(tmp_path / "f") == Checksum(kind, hashlib.new(kind, b"abc").hexdigest())


@given(kinds, st.lists(names, min_size=1, max_size=6, unique=True), st.data())
def test_every_style_of_sums_files_is_read(kind: str, files: list[str], data: st.DataObject) -> None:
    wanted = data.draw(st.sampled_from(files))
    style = data.draw(
        st.sampled_from(["{hex}  {name}", "{hex} *{name}", "{hex}  ./{name}", "{hex}  a/b/{name}", "bsd"])
    )
    style = f"{kind.upper()} ({{name}}) = {{hex}}" if style == "bsd" else style
    ending = data.draw(st.sampled_from(["\n", "\r\n"]))
    text = ending.join(["# comment", *(style.format(hex=_hex(kind, name), name=name) for name in files), ""])
    assert find_in_sums(text, [wanted], "SUMS") == Checksum(kind, _hex(kind, wanted))


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = find_in_sums(text, ["file.iso"], "SUMS")
    except StepError:
        return
    assert len(found.hex) == KINDS[found.algorithm]


def test_a_signed_file_of_fedora() -> None:
    text = (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# Fedora.iso: 123 bytes\n"
        f"SHA256 (Fedora.iso) = {_hex('sha256', 'f')}\n-----BEGIN PGP SIGNATURE-----\n\niQIzBAEBCAAdFiEE\n"
    )
    assert find_in_sums(text, ["Fedora.iso"], "CHECKSUM").hex == _hex("sha256", "f")


def test_the_name_counts_and_not_a_longer_one_that_ends_like_it() -> None:
    text = f"{_hex('sha256', 'a')}  big-file.iso\n{_hex('sha256', 'b')}  file.iso\n"
    assert find_in_sums(text, ["file.iso"], "SUMS").hex == _hex("sha256", "b")


def test_mirrors_may_know_it_by_different_names() -> None:
    text = f"{_hex('sha256', 'a')}  second.iso\n"
    assert find_in_sums(text, ["first.iso", "second.iso"], "SUMS").hex == _hex("sha256", "a")


def test_a_lone_checksum_fits_any_name() -> None:
    assert find_in_sums(_hex("sha512", "a") + "\n", ["x.iso"], "x.iso.sha512").algorithm == "sha512"


@pytest.mark.parametrize(("text", "has"), [("", "no checksums at all"), (f"{'0' * 64}  other.iso\n", "other.iso")])
def test_a_missing_name_tells_what_there_is(text: str, has: str) -> None:
    with pytest.raises(StepError, match=f"https://h/SUMS has no checksum of file.iso; it has {has}"):
        find_in_sums(text, ["file.iso"], "https://h/SUMS")
