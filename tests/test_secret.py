from __future__ import annotations

import base64
import html
import json
import shlex
import urllib.parse
import xml.sax.saxutils

import jinja2.utils
import markupsafe
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.secret import MASK, Redactor, Secret

pytestmark = pytest.mark.unit

PASSWORD = 'p\'a$s "w"ö/rd+4<2&'


def test_a_secret_never_shows_itself() -> None:
    secret = Secret(PASSWORD)
    assert PASSWORD not in f"{secret} {secret!r} {secret:>30} {[secret]}"
    assert secret.reveal() == PASSWORD


@pytest.mark.parametrize(
    "spelling",
    [
        PASSWORD,
        shlex.quote(PASSWORD),
        json.dumps(PASSWORD),
        json.dumps(PASSWORD, ensure_ascii=False),
        urllib.parse.quote(PASSWORD, safe=""),
        urllib.parse.quote_plus(PASSWORD),
        base64.b64encode(PASSWORD.encode()).decode(),
        PASSWORD.encode().hex(),
        PASSWORD.encode().hex().upper(),
        str(jinja2.utils.htmlsafe_json_dumps(PASSWORD)),
        str(markupsafe.escape(PASSWORD)),
        html.escape(PASSWORD),
        html.escape(PASSWORD, quote=False),
        xml.sax.saxutils.quoteattr(PASSWORD),
    ],
)
def test_every_encoding_is_masked(spelling: str) -> None:
    masked = Redactor([PASSWORD])(f"before {spelling} after")
    assert MASK in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert spelling not in masked


@given(st.text("abcdefgh0123", min_size=12, max_size=40), st.binary(max_size=5), st.binary(max_size=5))
def test_base64_is_masked_at_every_alignment(value: str, before: bytes, after: bytes) -> None:
    encoded = base64.b64encode(before + value.encode() + after).decode()
    assert MASK in Redactor([value])(encoded)


def test_each_line_of_a_key_is_masked() -> None:
    key = "-----BEGIN KEY-----\nAAAABBBBCCCC\nDDDDEEEEFFFF\n-----END KEY-----"
    assert "DDDDEEEEFFFF" not in Redactor([key])("log: DDDDEEEEFFFF")


def test_a_short_value_does_not_destroy_the_log() -> None:
    assert Redactor(["abc"])("abc abcdef") == "abc abcdef"


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    assert Redactor(["hunter", "hunter22"])("is hunter22!") == f"is {MASK}!"
