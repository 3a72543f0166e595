"""The secret scan on bytes in memory: every encoding, shapes, borders of chunks, and what is no secret."""

from __future__ import annotations

import base64
import json
import re
import shlex
import urllib.parse
from collections.abc import Iterator

import pytest

from factory.seal import secret_scan
from factory.seal.model import GuestInfo
from factory.seal.report import SealReport, allow_name, judge
from factory.seal.second_look import Place
from factory.seal.secret_scan import Hit, Needles, scan
from factory.seal.secret_shapes import SHAPES
from factory.secret import Secret
from tests.seal.dirty_disk import BUILD_KEY

pytestmark = pytest.mark.unit

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


NOISE = "k7Qm2xVb9RtY4nWc8ZpL3sHd6GfJ1aEuXo5CiBvNzMqTwKyPrSgUhDjFlAe0" * 4
REAL = {
    "private-key": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{NOISE[:70]}\n{NOISE[70:140]}\n",
    "putty-private-key": f"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: x\nLines: 2\n{NOISE[:64]}\n",
    "age-secret-key": "AGE-SECRET-KEY-1" + "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7LQPZRY9X8GF2TVDW0S3JN54KHCE"[:58],
    "wireguard-private-key": f"PrivateKey = {NOISE[:43]}=\n",
    "aws-access-key": " AKIAIX7QMZ2VB5TY4NWC ",
    "aws-secret-key": f"aws_secret_access_key = {NOISE[:40]}\n",
    "github-token": f" ghp_{NOISE[:36]} ",
    "gitlab-token": f" glpat-{NOISE[:20]} ",
    "slack-token": f" xoxb-1234567890-{NOISE[:24]} ",
    "slack-webhook": f"https://hooks.slack.com/services/T0123ABCD/B0123ABCD/{NOISE[:24]}",
    "stripe-key": f" sk_live_{NOISE[:24]} ",
    "google-api-key": f" AIza{NOISE[:35]} ",
    "google-oauth-token": f" ya29.{NOISE[:60]} ",
    "npm-token": f" npm_{NOISE[:36]} ",
    "pypi-token": f" pypi-AgE{NOISE[:70]} ",
    "vault-token": f" hvs.{NOISE[:30]} ",
    "docker-token": f" dckr_pat_{NOISE[:27]} ",
    "digitalocean-token": " dop_v1_" + "0123456789abcdef" * 4,
    "huggingface-token": " hf_" + re.sub("[0-9]", "", NOISE)[:34] + " ",
    "anthropic-key": f" sk-ant-api03-{NOISE[:80]} ",
    "openai-key": f" sk-proj-{NOISE[:30]}T3BlbkFJ{NOISE[30:60]} ",
    "sendgrid-key": f" SG.{NOISE[:22]}.{NOISE[22:65]} ",
    "azure-storage-key": f"AccountKey={NOISE[:86]}==",
    "json-web-token": f" eyJ{NOISE[:30]}.eyJ{NOISE[30:60]}.{NOISE[60:100]} ",
    "netrc-password": "\nmachine example.org login me password Tr0ub4dor&3xy\n",
    "url-password": " https://user:Tr0ub4dor3xyQ@mirror.example.org/ ",
}


@pytest.mark.parametrize("name", sorted({s.name for s in SHAPES}))
def test_a_well_known_shape_is_found(name: str) -> None:
    assert [h.name for h in find(REAL[name].encode())] == [name]


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PRIVATE KEY-----\n",  # the words alone are in every TLS library
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE...\n-----END RSA PRIVATE KEY-----",
        "AKIAIOSFODNN7EXAMPLE",
        "XAKIAIX7QMZ2VB5TY4NWCX",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "PrivateKey = <base64>",
        "https://user:password@example.com/",
        "npm_config_registry",
    ],
)
def test_what_only_looks_like_one_is_not(text: str) -> None:
    assert find(f" {text} ".encode()) == []


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
