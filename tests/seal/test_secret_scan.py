"""The secret scan on bytes in memory: every encoding, shapes, borders of chunks, and what is no secret."""

from __future__ import annotations

import base64
import json
import shlex
import urllib.parse
from collections.abc import Callable, Iterator

import pytest

from factory.seal import secret_scan
from factory.seal.model import GuestInfo
from factory.seal.report import MoreFindings, SealReport, allow_name, few_of_each, judge
from factory.seal.second_look import Place
from factory.seal.secret_scan import Hit, Needles, scan
from factory.secret import Secret
from tests.seal.dirty_disk import BUILD_KEY

pytestmark = pytest.mark.unit

NOISE = "k7Qm2xVb9RtY4nWc8ZpL3sHd6GfJ1aEuXo5CiBvNzMqTwKyPrSgUhDjFlAe0" * 4
VALUE = 'pa\'ss "w/örd"+=%9'


class Bytes:
    """A disk in memory, with one extent for each piece given."""

    def __init__(self, content: bytes, extents: list[tuple[int, int]] | None = None) -> None:
        self._content, self._extents = content, extents if extents is not None else [(0, len(content))]
        self.size = len(content)

    def extents(self) -> Iterator[tuple[int, int]]:
        yield from self._extents

    def read(self, offset: int, length: int) -> bytes:
        return self._content[offset : offset + length]


def find(content: bytes, secrets: dict[str, str] | None = None, keys: tuple[str, ...] = ()) -> list[Hit]:
    needles = Needles.of({n: Secret(v) for n, v in (secrets or {}).items()}, keys)
    return scan(Bytes(b"\0" * 100 + content + b"\0" * 100), "main", needles)


@pytest.mark.parametrize(
    "spelling",
    [
        VALUE,
        shlex.quote(VALUE),
        json.dumps(VALUE),
        urllib.parse.quote(VALUE, safe=""),
        urllib.parse.quote_plus(VALUE),
        VALUE.encode().hex(),
        base64.b64encode(VALUE.encode()).decode(),
        base64.b64encode(b"x" + VALUE.encode() + b"y").decode(),
        base64.b64encode(b"xy" + VALUE.encode()).decode(),
        base64.urlsafe_b64encode(VALUE.encode()).decode(),
    ],
)
def test_a_secret_is_found_in_every_encoding(spelling: str) -> None:
    assert {h.name for h in find(f"before {spelling} after".encode(), {"root_password": VALUE})} == {
        "secret:root_password"
    }


def test_a_secret_is_found_as_windows_writes_text() -> None:
    assert [h.name for h in find(VALUE.encode("utf-16-le"), {"p": VALUE})] == ["secret:p"]


TOKEN = "tok-7d1f0c9a55e24b6e8a3a2f7d9c1b0e4f-" + NOISE[:44]


@pytest.mark.parametrize("value", [VALUE, TOKEN, "correct horse battery staple"])
@pytest.mark.parametrize("form", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize("columns", [16, 60, 64, 76])
@pytest.mark.parametrize("code", [lambda b: base64.b64encode(b).decode(), lambda b: b.hex()])
def test_a_wrapped_code_is_found(value: str, form: str, columns: int, code: Callable[[bytes], str]) -> None:
    """As base64(1), xxd(1) and PowerShell write it; one that is wrapped narrowly is found where it breaks only once."""
    for before in (b"", b"x=", b"password = "):
        text = code(before + value.encode(form))
        if (columns == 16 and len(text) > 2 * columns) or (
            form == "utf-16-le" and set(text) <= set("0123456789abcdef")
        ):
            continue
        for end in ("\n", "\r\n"):
            wrapped = end.join(text[i : i + columns] for i in range(0, len(text), columns))
            assert {h.name for h in find(wrapped.encode(), {"p": value})} == {"secret:p"}, wrapped


def test_a_secret_in_one_place_is_one_hit_and_in_two_files_two() -> None:
    text = base64.b64encode(TOKEN.encode())
    assert len(find(text + b"\n" + text[:40], {"p": TOKEN})) == 1
    assert len(find(bytes(412 - 8) + text[:30] + bytes(520) + text, {"p": TOKEN})) == 2


def test_the_armour_of_a_key_is_no_secret() -> None:
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + NOISE[:70] + "\n-----END OPENSSH PRIVATE KEY-----\n"
    other = base64.b64encode(key.replace(NOISE[:70], NOISE[69::-1]).encode())
    assert {h.name for h in find(other, {"key": key})} == {"private-key"}


def test_the_excerpt_never_shows_the_secret() -> None:
    (hit, *_) = find(VALUE.encode(), {"p": VALUE})
    assert VALUE not in hit.excerpt
    assert len(hit.excerpt) <= 5


def test_a_short_secret_is_said_to_be_skipped() -> None:
    needles = Needles.of({"pin": Secret("1234")})
    assert needles.skipped == ("pin",)
    assert needles.literals == ()


def test_a_secret_across_two_reads_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_scan, "_CHUNK", 64)
    for lead in range(40, 64):
        assert [h.offset for h in find(bytes(lead) + b"correct horse battery", {"p": "correct horse battery"})] == [
            100 + lead
        ]


def test_holes_are_not_read() -> None:
    content = b"correct horse battery" + bytes(100) + b"correct horse battery"
    needles = Needles.of({"p": Secret("correct horse battery")})
    assert [h.offset for h in scan(Bytes(content, [(0, 21)]), "main", needles)] == [0]


def test_the_build_key_is_found_without_its_comment() -> None:
    body = BUILD_KEY.split()[1]
    assert [h.name for h in find(f"{body} someone".encode(), keys=(BUILD_KEY,))] == ["build-key:1"]


def hit(name: str) -> Hit:
    return Hit(name, "main", 7, "abcd…")


@pytest.mark.parametrize(
    ("allow", "allowed"),
    [
        ((), [False, False]),
        (("private-key",), [True, True]),
        (("private-key:/usr/share/*",), [True, False]),
        (("private-key:/etc/other",), [False, False]),
        (("aws-*",), [False, False]),
    ],
)
def test_findings_are_allowed_by_name_or_by_place(allow: tuple[str, ...], allowed: list[bool]) -> None:
    findings = judge([hit("private-key")] * 2, [Place("/usr/share/doc/x/key.pem"), Place("/etc/ssl/own.pem")], allow)
    assert [f.allowed for f in findings] == allowed
    report = SealReport(GuestInfo(), findings=tuple(findings))
    assert report.proven is all(allowed)
    assert judge([hit("private-key")], [Place("/etc/ssl/own.pem")], (allow_name(findings[1]),))[0].allowed


def test_what_a_distribution_ships_is_no_secret_unless_it_is_ours() -> None:
    place = Place("/usr/lib/x86_64-linux-gnu/libgnutls.so.30", "libgnutls30")
    likeness, secret = judge([hit("private-key"), hit("secret:password")], [place, place], ())
    assert (likeness.allowed, likeness.reason) == (True, "shipped by libgnutls30")
    assert (secret.allowed, secret.reason) == (False, "")


def test_every_hit_is_judged_before_the_report_leaves_any_out() -> None:
    key = b"-----BEGIN PRIVATE KEY-----\n" + NOISE[:64].encode() + b"\n"
    hits = find(key * 70)
    assert len(hits) == 70
    places = [Place(f"/opt/app/test{n}.pem") for n in range(69)] + [Place("/root/id_rsa")]
    shown, more = few_of_each(judge(hits, places, ("private-key:/opt/app/*",)))
    report = SealReport(GuestInfo(), findings=shown, more_findings=more)
    assert [f.where for f in report.findings if not f.allowed] == ["/root/id_rsa"]
    assert not report.proven
    assert report.allowed == 69
    assert more == (MoreFindings("private-key", allowed=True, count=5),)


def test_findings_that_are_left_out_count_as_problems_too() -> None:
    hits = [hit("private-key")] * 100
    shown, more = few_of_each(judge(hits, [Place("/a")] * 100, ()))
    report = SealReport(GuestInfo(), findings=shown, more_findings=more)
    assert report.problems[-1] == "found 36 more of private-key"


MADE = "Tr0ub4dor/and+3x"
SPELLED = {
    "PHP's JSON": MADE.replace("/", "\\/"),
    "a URL of .NET": "Tr0ub4dor%2fand%2b3x",
    "encodeURIComponent": "p'(a)!%2F",
    "HTML of Go": "Tr0ub4dor/and&#43;3x",
    "HTML, in decimal": "Tr0ub4dor&#47;and&#43;3x",
    "HTML, in hex": "Tr0ub4dor&#x2f;and&#x2b;3x",
    "HTML, in hex of OWASP": "Tr0ub4dor&#x2F;and&#x2B;3x",
    "System.Text.Json": "Tr0ub4dor/and\\u002B3x",
    "xxd": "00000000: 5472 3075 6234 646f 722f 616e 642b 3378  Tr0ub4dor/and+3x",
    "xxd of one byte more": "00000000: 0a54 7230 7562 3464 6f72 2f61 6e64 2b33  .Tr0ub4dor/and+3",
    "xxd -i": "0x54, 0x72, 0x30, 0x75, 0x62, 0x34, 0x64, 0x6f, 0x72, 0x2f, 0x61, 0x6e,\n  0x64, 0x2b, 0x33, 0x78",
    "a list": "0x54,0x72,0x30,0x75,0x62,0x34,0x64,0x6F,0x72,0x2F,0x61,0x6E,0x64,0x2B,0x33,0x78",
    "a string's escapes": "".join(f"\\x{b:02x}" for b in MADE.encode()),
    "hexdump -C": "00000000  54 72 30 75 62 34 64 6f  72 2f 61 6e 64 2b 33 78  |Tr0ub4dor/and+3x|",
    "od": " 54 72 30 75 62 34 64 6f 72 2f 61 6e 64 2b 33 78",
    "openssl": MADE.encode().hex(":"),
    "BitConverter": MADE.encode().hex("-").upper(),
}


@pytest.mark.parametrize(("program", "text"), SPELLED.items())
def test_a_secret_is_found_as_this_program_writes_it(program: str, text: str) -> None:
    value = "p'(a)!/" if program == "encodeURIComponent" else MADE
    assert {h.name for h in find(text.encode(), {"p": value})} == {"secret:p"}


@pytest.mark.parametrize("value", ["hunter2", MADE, "correct horse battery staple"])
@pytest.mark.parametrize("end", ["\n    ", "\r\n\t", "\\n", "\\r\\n", "\\\\n", '"\n  "', "\\u000a", "&#10;", "\n# "])
def test_a_code_that_is_wrapped_once_is_found_whatever_ends_its_lines(value: str, end: str) -> None:
    """YAML indents a block, JSON and XML spell a line's end."""
    for code in (base64.b64encode(f"password={value}\n".encode()).decode(), value.encode().hex()):
        texts = [code[:at] + end + code[at:] for at in range(1, len(code))]
        hits = find(b"".join(text.encode().ljust(1024, b"\0") for text in texts), {"p": value})
        assert {(h.name, h.offset // 1024) for h in hits} == {("secret:p", n) for n in range(len(texts))}


def test_pieces_of_a_short_code_are_no_secret() -> None:
    code = base64.b64encode(b"hunter2!").decode()
    assert find(f"{code[:6]}\n{code[:6]}.{code[6:]} {b'hunter'.hex()}".encode(), {"p": "hunter2!"}) == []


def test_nothing_of_a_known_secret_is_shown() -> None:
    code = base64.b64encode(MADE.encode()).decode()
    assert [h.excerpt for h in find(f"{code[:9]}\n  {code[9:]}".encode(), {"p": MADE})] == [""]
