from __future__ import annotations

import base64
import html
import json
import re
import shlex
import urllib.parse
import xml.sax.saxutils
from collections.abc import Callable

import jinja2.utils
import markupsafe
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.secret import MASK, Redactor, Secret

pytestmark = pytest.mark.unit

PASSWORD = 'p\'a$s "w"ö/rd+4<2&'
COMMAS = "it's, a,b"


def bash_quoted(value: str) -> str:
    """As bash's ``printf %q`` writes it."""
    return "".join(c if c.isalnum() or c in "_@%+=:,./-" else f"\\{c}" for c in value)


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
        base64.b64encode(PASSWORD.encode("utf-16-le")).decode(),
        bash_quoted(PASSWORD),
        '"' + re.sub(r'(["$`\\])', r"\\\1", PASSWORD) + '"',
        shlex.join([f"-append root={PASSWORD} quiet"]),
        shlex.join([f"type=11,value=a,,{COMMAS.replace(',', ',,')},path=b"]),
    ],
)
def test_every_encoding_is_masked(spelling: str) -> None:
    masked = Redactor([PASSWORD, COMMAS])(f"before {spelling} after")
    assert MASK in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert spelling not in masked


@given(st.text("abcdefgh0123", min_size=12, max_size=40), st.binary(max_size=5), st.binary(max_size=5))
def test_base64_is_masked_at_every_alignment(value: str, before: bytes, after: bytes) -> None:
    encoded = base64.b64encode(before + value.encode() + after).decode()
    assert MASK in Redactor([value])(encoded)


@pytest.mark.parametrize("value", ["correct horse", "correct horses", "correct horse s", "correct horse+/=?"])
@pytest.mark.parametrize("after", ["", "\n"])
@pytest.mark.parametrize("before", ["", "a", "ab"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_nothing_of_a_base64_text_is_left_of_a_secret(
    value: str, before: str, after: str, encode: Callable[[bytes], bytes]
) -> None:
    encoded = encode(f"{before}{value}{after}".encode()).decode()
    begin = encode(before.encode()).decode()[: (0, 1, 2)[len(before)]]  # what says nothing of the secret
    assert Redactor([value])(f"is {encoded}\n") == f"is {begin}{MASK}\n"


def test_what_a_base64_text_says_behind_a_secret_stays() -> None:
    encoded = base64.b64encode(b"correct horse and more text").decode()
    assert Redactor(["correct horse"])(encoded) == MASK + encoded[18:]
    whole = base64.b64encode(b"correct horses").decode().rstrip("=")
    assert Redactor(["correct horses"])(f"{whole}/folder/file") == f"{MASK}/folder/file"


def test_a_log_may_write_a_character_twice() -> None:
    redactor, encoded = Redactor(["correct horse"]), base64.b64encode(b"correct horse\n").decode()
    for text in ("coorrect  horse", "correcct horrrse", "correct horsee", encoded.replace("cn", "cnn")):
        assert redactor.finds([text])
        assert "".join(redactor.masked([f"is {text}\n"])) == f"is {MASK}\n"
    assert not redactor.finds(["corect horse"])


@given(st.lists(st.text("ab=YWJ", max_size=30)), st.sampled_from(["abab", "aab\nabbbbb", "bbaabbaabb"]), st.data())
def test_a_text_in_pieces_is_masked_as_the_whole(pieces: list[str], value: str, data: st.DataObject) -> None:
    encoded = base64.b64encode(value.encode()).decode()
    text = "".join(data.draw(st.permutations([*pieces, value, encoded])))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    cut = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    redactor = Redactor([value])
    whole = "".join(redactor.masked([text]))
    assert "".join(redactor.masked(cut)) == whole
    assert redactor.finds(cut) == (whole != text)
    assert value not in whole
    assert "".join(Redactor().masked(cut)) == text
    assert not Redactor().finds(cut)


def test_each_line_of_a_key_is_masked() -> None:
    key = "-----BEGIN KEY-----\nAAAABBBBCCCC\nDDDDEEEEFFFF\n-----END KEY-----"
    assert "DDDDEEEEFFFF" not in Redactor([key])("log: DDDDEEEEFFFF")


def test_a_short_value_does_not_destroy_the_log() -> None:
    assert Redactor(["abc"])("abc abcdef") == "abc abcdef"


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    assert Redactor(["hunter", "hunter22"])("is hunter22!") == f"is {MASK}!"


TOKEN = "tok-7d1f0c9a55e24b6e8a3a2f7d9c1b0e4f-" + "0123456789" * 4


@pytest.mark.parametrize("columns", [64, 76])
@pytest.mark.parametrize("code", [lambda b: base64.b64encode(b).decode(), lambda b: b.hex()])
def test_each_line_of_a_wrapped_code_is_masked(code: Callable[[bytes], str], columns: int) -> None:
    """As base64(1) and xxd(1) print it: the lines come one by one."""
    text, redact = code(b"x" + TOKEN.encode()), Redactor([TOKEN])
    lines = [text[i : i + columns] for i in range(0, len(text), columns)]
    for line in filter(lambda line: len(line) >= 32, lines):
        masked = redact(f"leak: {line}")
        assert masked.startswith("leak: ")
        assert MASK in masked
        assert len(masked) < 20


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("at", range(1, len(PASSWORD)))
def test_a_secret_that_a_console_broke_is_masked(end: str, at: int) -> None:
    text = f"boot: install pw={PASSWORD[:at]}{end}{PASSWORD[at:]} quiet"
    assert Redactor([PASSWORD])(text) == f"boot: install pw={MASK} quiet"


def test_other_lines_stay_as_they_are() -> None:
    text = "one\ntwo\n" + base64.b64encode(b"nobody's secret, but a long one").decode()
    assert Redactor([TOKEN, PASSWORD])(text) == text


FRAMED = "\\│\r\n    │"


@pytest.mark.parametrize(
    "end",
    ["\\\r\n", "\\\n", FRAMED, "  |\n|  ", "\n\n\n", "\x1b[12;3H", "\\\x1b[0m\x1b[12;80H│\x1b[13;3H", "\x1b[31m"],
)
@pytest.mark.parametrize("value", ["Sup3rS3cretPassw0rd", PASSWORD, "a\\b|c*d e"])
def test_a_secret_that_a_program_broke_by_its_marks_is_masked(end: str, value: str) -> None:
    """GRUB's editor: a backslash and the frame; over a serial line it goes to the next row by an order."""
    redactor = Redactor([value])
    for at in range(1, len(value)):
        text = f"pw={value[:at]}{end}{value[at:]} quiet"
        assert redactor(text) == f"pw={MASK} quiet"
        assert "".join(redactor.masked([text[:9], text[9:]])) == f"pw={MASK} quiet"
        assert redactor.finds([text])
    twice = end.join(["Sup3rS3", "cretPa", "ssw0rd"])
    assert Redactor(["Sup3rS3cretPassw0rd"])(f"pw={twice} quiet") == f"pw={MASK} quiet"


def test_a_long_row_of_marks_takes_no_time_and_stays() -> None:
    text = "pw=S" + " │|*\\" * 20_000 + "x\n"
    redactor = Redactor(["Sup3rS3cretPassw0rd"])
    assert redactor(text) == text
    assert not redactor.finds([text])
