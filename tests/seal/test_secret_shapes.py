"""Every shape of a secret: in each spelling under which it lies on disks, and what only looks like it."""

from __future__ import annotations

import base64
import itertools
import json
import re
import time

import pytest

from factory.seal.secret_scan import Needles, scan
from factory.seal.secret_shapes import SHAPES, Shape
from tests.seal.test_secret_scan import NOISE, Bytes

pytestmark = pytest.mark.unit

LOGIN = base64.b64encode(b"ci-bot:Tr0ub4dor&3xyQ").decode()
HEX = "3f9a1c7be04d58a26c1d9e70b5f4832a"
ED25519 = "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF"
"""What openssl writes: PKCS#8 of 48 bytes."""
LINES = "\n".join(NOISE[n : n + 64] for n in (0, 64, 128)) + "\n"


def pem(kind: str, body: str = LINES, head: str = "") -> str:
    return f"-----BEGIN {kind}-----\n{head}{body}-----END {kind}-----\n"


PUTTY = (
    "PuTTY-User-Key-File-{0}: ssh-ed25519\nEncryption: {1}\nComment: EXAMPLE key\nPublic-Lines: 2\n"
    f"{NOISE[:64]}\n{NOISE[64:80]}\nPrivate-Lines: 1\n{NOISE[80:128]}\nPrivate-MAC: {HEX}\n"
)
KEYS = {
    "PKCS#8": pem("PRIVATE KEY"),
    "Ed25519": pem("PRIVATE KEY", f"{ED25519}\n"),
    "Ed25519 without end": f"-----BEGIN PRIVATE KEY-----\n{ED25519}",
    "PKCS#8, encrypted": pem("ENCRYPTED PRIVATE KEY"),
    "RSA": pem("RSA PRIVATE KEY"),
    "RSA, encrypted": pem("RSA PRIVATE KEY", head="Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF\n\n"),
    "EC without public part": pem("EC PRIVATE KEY", f"{NOISE[:64]}\nAbC=\n"),
    "DSA": pem("DSA PRIVATE KEY"),
    "OpenSSH": pem("OPENSSH PRIVATE KEY", f"{NOISE[:70]}\n{NOISE[70:140]}\n"),
    "SSH2": f'---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: "rsa-key"\n{LINES}',
    "PGP": pem("PGP PRIVATE KEY BLOCK", head="Version: GnuPG v1.4.10 (GNU/Linux)\nComment: a\n\n"),
    "PGP without headers": pem("PGP PRIVATE KEY BLOCK", head="\n"),
    "lines of Windows": pem("PRIVATE KEY", f"{ED25519}\n").replace("\n", "\r\n"),
    "one long line": pem("PRIVATE KEY", NOISE + "\n"),
    "indented, as in YAML": pem("PRIVATE KEY", f"{ED25519}\n").replace("\n", "\n      "),
    "in JSON": json.dumps({"private_key": pem("PRIVATE KEY", f"{ED25519}\n")}),
    "in JSON, encrypted": json.dumps(pem("RSA PRIVATE KEY", head="Proc-Type: 4,ENCRYPTED\nDEK-Info: AES,01\n\n")),
    "in JSON in JSON": json.dumps(json.dumps(pem("PRIVATE KEY"))),
    "in JSON with slashes": json.dumps(pem("PRIVATE KEY", f"{ED25519[:20]}/{ED25519[21:]}\n")).replace("/", "\\/"),
    "in a shell's one line": pem("PRIVATE KEY").replace("\n", " "),
    "in a program": "\n".join(f'    "{line}\\n"' for line in pem("PRIVATE KEY", f"{ED25519}\n").splitlines()),
    "in a URL": pem("PRIVATE KEY").replace("\n", "%0A"),
    "in comments": "".join(f"# {line}\n" for line in pem("PRIVATE KEY", f"{ED25519}\n").splitlines()),
    "in XML": pem("PRIVATE KEY", f"{ED25519}\n").replace("\n", "&#10;"),
    "in XML, in hex": pem("PRIVATE KEY").replace("\n", "&#xD;&#xA;"),
    "in JSON of others": pem("PRIVATE KEY").replace("\n", "\\u000a"),
    "in a list": ",\n".join(f'"{line}"' for line in pem("PRIVATE KEY").splitlines()),
}
KINDS = ("Ed25519", "RSA", "PKCS#8", "EC without public part", "OpenSSH", "SSH2", "PGP")


def wrapped(text: str, columns: int, end: str) -> str:
    return end.join(text[i : i + columns] for i in range(0, len(text), columns))


def in_base64(key: str) -> list[str]:
    """As kubeconfig has it, base64(1), cloud-init in YAML, JSON; and behind what stands before it in the same file."""
    code = base64.b64encode(key.encode()).decode()
    files = [base64.b64encode(f"{'x' * n}\n{key}".encode()).decode() for n in (6, 7, 8)]
    return [
        f"    client-key-data: {code}\n",
        wrapped(code, 76, "\n"),
        wrapped(code, 64, "\r\n"),
        "content: |\n    " + wrapped(code, 76, "\n    "),
        f'{{"key": "{wrapped(code, 76, chr(92) + "n")}"}}',
        f"key={code.replace('+', '-').replace('/', '_')}",
        *files,
        base64.b64encode(key.encode("utf-16-le")).decode(),
    ]


PUTTY_KEYS = {
    "version 2": PUTTY.format(2, "none"),
    "version 3, encrypted": PUTTY.format(3, "aes256-cbc"),
    "lines of Windows": PUTTY.format(3, "none").replace("\n", "\r\n"),
    "in JSON": json.dumps(PUTTY.format(3, "none")),
}
REAL = {
    "age-secret-key": ["AGE-SECRET-KEY-1" + "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7LQPZRY9X8GF2TVDW0S3JN54KHCE"[:58]],
    "anthropic-key": [f" sk-ant-api03-{NOISE[:80]} ", f"KEY=sk-ant-oat01-{NOISE[:80]}"],
    "atlassian-token": [f" ATATT3xFfGF0{NOISE[:80]} "],
    "aws-access-key": [" AKIAIX7QMZ2VB5TY4NWC ", "=ASIAIX7QMZ2VB5TY4NWC\n"],
    "aws-secret-key": [
        f"aws_secret_access_key = {NOISE[:40]}\n",
        f"export AWS_SECRET_ACCESS_KEY='{NOISE[:40]}'",
        f'{{"SecretAccessKey": "{NOISE[:40]}"}}',
        f"aws_secret_key: {NOISE[:40]}\n",
    ],
    "azure-access-key": [f"SharedAccessKey={NOISE[:43]}="],
    "azure-storage-key": [f"AccountKey={NOISE[:86]}=="],
    "databricks-token": [f" dapi{HEX} ", f" dapi{HEX}-2 "],
    "digitalocean-token": [f" do{kind}_v1_{HEX * 2}" for kind in "opr"],
    "discord-webhook": [f"https://discord.com/api/webhooks/123456789012345678/{NOISE[:68]}"],
    "docker-token": [f" dckr_pat_{NOISE[:27]} ", f" dckr_oat_{NOISE[:32]} "],
    "github-token": [
        *(f" {kind}_{NOISE[:36]} " for kind in ("ghp", "gho", "ghu", "ghs", "ghr")),
        f" ghs_{NOISE[:90]} ",
        f"https://ghp_{NOISE[:36]}@github.com/x/y",
        f" github_pat_{NOISE[:22]}_{NOISE[:59]} ",
    ],
    "gitlab-token": [
        f" {kind}-{NOISE[:20]} " for kind in ("glpat", "gldt", "glrt", "glptt", "glft", "glcbt", "glagent")
    ]
    + [f" glpat-{NOISE[:40]}.01.{NOISE[:9]} "],
    "google-api-key": [f" AIza{NOISE[:35]} "],
    "google-client-secret": [f" GOCSPX-{NOISE[:28]} "],
    "google-oauth-token": [f" ya29.{NOISE[:60]} "],
    "grafana-token": [f" glsa_{NOISE[:32]}_{HEX[:8]} ", f" glc_eyJ{NOISE[:80]} "],
    "heroku-key": [f" HRKU-AA{NOISE[:58]} "],
    "huggingface-token": [" hf_" + re.sub("[0-9]", "", NOISE)[:34] + " ", f" hf_{NOISE[:34]} "],
    "docker-login": [
        f'{{"auths": {{"registry.example.org": {{"auth": "{LOGIN}"}}}}}}',
        json.dumps(json.dumps({"auth": LOGIN})),
        f'"auth":"{LOGIN}"',
    ],
    "json-web-token": [
        f" eyJ{NOISE[:30]}.eyJ{NOISE[30:60]}.{NOISE[60:100]} ",
        f" eyJ{NOISE * 25}.eyJ{NOISE * 25}.{NOISE[60:100]} ",  # with certificates in its header, and many claims
    ],
    "linear-key": [f" lin_api_{NOISE[:40]} "],
    "netrc-password": [
        "\nmachine example.org login me password Tr0ub4dor&3xy\n",
        "\nmachine a\n login b\n password Tr0ub4dor&3\n",
    ],
    "npm-token": [f"//npm.example/:_authToken=npm_{NOISE[:36]}\n"],
    "onepassword-token": [f" ops_eyJ{NOISE[:120]} "],
    "openai-key": [
        f" sk-proj-{NOISE[:30]}T3BlbkFJ{NOISE[30:60]} ",
        f" sk-svcacct-{NOISE[:60]}T3BlbkFJ{NOISE[:60]} ",
        f" sk-{NOISE[:20]}T3BlbkFJ{NOISE[:20]} ",
    ],
    "openvpn-static-key": ["-----BEGIN OpenVPN Static key V1-----\n" + f"{HEX}\n" * 16],
    "postman-key": [f" PMAK-{HEX[:24]}-{HEX}ab "],
    "private-key": [*KEYS.values(), *(text for kind in KINDS for text in in_base64(KEYS[kind]))],
    "pulumi-token": [f" pul-{HEX}{HEX[:8]} "],
    "putty-private-key": [*PUTTY_KEYS.values(), *in_base64(PUTTY_KEYS["version 2"])],
    "pypi-token": [f" pypi-AgE{NOISE[:70]} "],
    "rubygems-key": [f" rubygems_{HEX}{HEX[:16]} "],
    "sendgrid-key": [f" SG.{NOISE[:22]}.{NOISE[22:65]} "],
    "sentry-token": [f" sntrys_eyJ{NOISE[:80]} "],
    "shopify-token": [f" shpat_{HEX} "],
    "slack-token": [
        *(f" xox{kind}-1234567890-{NOISE[:24]} " for kind in "bpasr"),
        f" xoxe.xoxp-1-{NOISE[:100]} ",
        f" xapp-1-A0123456789-1234567890123-{HEX * 2} ",
    ],
    "slack-webhook": [f"https://hooks.slack.com/services/T0123ABCD/B0123ABCD/{NOISE[:24]}"],
    "stripe-key": [f" sk_live_{NOISE[:24]} ", f" rk_live_{NOISE[:99]} "],
    "tailscale-key": [f" tskey-auth-{NOISE[:17]}-{NOISE[:32]} "],
    "terraform-token": [f' token = "{NOISE[:14]}.atlasv1.{NOISE[:67]}"'],
    "url-password": [
        " https://user:Tr0ub4dor3xyQ@mirror.example.org/ ",
        " postgres://app:Tr0ub4dor3xyQ@db:5432/app ",
        " postgresql://app:Tr0ub4dor3xyQ@10.0.0.1/app ",
        " redis://:Tr0ub4dor3xyQ@cache ",
        " rediss://:Tr0ub4dor3xyQ@cache ",
        " amqps://app:Tr0ub4dor3xyQ@mq.example.org ",
        " mongodb+srv://app:Tr0ub4dor3xyQ@cluster.example.org ",
        " ftp://user:hunter2-hunter3@ftp.example.org/ ",
        " https://u:Tr0ub4dor3xyQ@localhost/ ",
        " https://u:Tr0ub4dor3xyQ@10.0.0.1 ",
        " https://u:Tr0ub4dor3xyQ@[fd00::1]:8443/ ",
        " https://u:Tr0ub4dor3xyQ@Git.Example.COM/x.git ",
        " http://u:Tr0ub4dor3xyQ@gitea:3000/x.git ",
    ],
    "vault-token": [f" hvs.{NOISE[:30]} ", f" hvr.{NOISE[:30]} "],
    "wireguard-private-key": [
        f"PrivateKey = {NOISE[:43]}=\n",
        f"PresharedKey={NOISE[:43]}=\n",
        f"private-key={NOISE[:43]}=\n",
        f'preshared-key="{NOISE[:43]}="\n',
    ],
}
ZEROS = "0" * 64
LOOKALIKES = {
    "age-secret-key": "AGE-SECRET-KEY-1...",
    "anthropic-key": "sk-ant-api03-" + "x" * 80,
    "atlassian-token": "ATATT3xFfGF0" + "x" * 80,
    "aws-access-key": "AKIAIOSFODNN7EXAMPLE XAKIAIX7QMZ2VB5TY4NWCX",
    "aws-secret-key": "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "azure-access-key": "SharedAccessKey=<key>",
    "azure-storage-key": "AccountKey=" + "x" * 86 + "==",
    "databricks-token": f"dapi{ZEROS[:32]} rendapi{HEX}",
    "digitalocean-token": "dop_v1_" + ZEROS,
    "discord-webhook": "discord.com/api/webhooks/123456789012345678/token",
    "docker-token": "dckr_pat_" + "x" * 27,
    "github-token": "ghp_" + "x" * 36 + f" ghp_{NOISE[:20]} ",
    "gitlab-token": "glpat-" + "x" * 20,
    "google-api-key": f"/AIza{NOISE[:35]}",
    "google-client-secret": "GOCSPX-<secret>",
    "google-oauth-token": "ya29." + "x" * 60,
    "grafana-token": f"glsa_<token>_{HEX[:8]}",
    "heroku-key": "HRKU-AA",
    "huggingface-token": "hf_hub_download_with_a_long_name_of_it",
    "docker-login": '"auth": "none" "auth": "c3R1ZmY=" "auth": "bm90IGEgbG9naW4gYnV0IHdvcmRz" '
    f'"auth": "{base64.b64encode(b"username:password").decode()}" "auth": "{NOISE[:40]}" "auth": "c3Rv...c3Rv"',
    "json-web-token": "eyJhbGciOi.eyJzdWIiOi",
    "linear-key": "lin_api_" + "x" * 40,
    "netrc-password": "the machine of a login and password",
    "npm-token": "npm_config_registry",
    "onepassword-token": "ops_eyJ…",
    "openai-key": "sk-proj-… T3BlbkFJ",
    "openvpn-static-key": "-----BEGIN OpenVPN Static key V1-----\n…",
    "postman-key": "PMAK-key",
    "private-key": "-----BEGIN PRIVATE KEY-----\n-----BEGIN RSA PRIVATE KEY-----\nMIIE...\n"
    + pem("RSA PRIVATE KEY", f"   {NOISE[:57]}\n    ...\n")
    + base64.b64encode(
        (pem("CERTIFICATE") + pem("PUBLIC KEY") + "-----BEGIN PRIVATE KEY-----\n...\n").encode()
    ).decode()
    + "\n-----BEGIN PRIVATE KEY-----\nand here follow the words of a manual that explain at some length what is in it\n"
    "-----BEGIN PRIVATE KEY-----\n" + "x" * 64 + "\n" + pem("PUBLIC KEY") + pem("CERTIFICATE"),
    "pulumi-token": "pul-" + "0" * 40,
    "putty-private-key": "PuTTY-User-Key-File-2: \nPuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\nComment: x\n…",
    "pypi-token": "pypi-AgE…",
    "rubygems-key": "rubygems_" + "0" * 48,
    "sendgrid-key": "SG.x.y",
    "sentry-token": "sntrys_eyJ",
    "shopify-token": "shpat_" + "0" * 32,
    "slack-token": "xoxb-your-token xapp-1-",
    "slack-webhook": "hooks.slack.com/services/T00/B00/XXX",
    "stripe-key": "sk_live_" + "x" * 24,
    "tailscale-key": "tskey-auth-…",
    "terraform-token": "x.atlasv1.y",
    "url-password": "https://user:password@example.com/ postgres://user:secret@localhost https://host:8080/a@b.c",
    "vault-token": "hvs." + "x" * 30,
    "wireguard-private-key": "PrivateKey = <base64>",
}


def names(text: str) -> set[str]:
    return {h.name for h in scan(Bytes(bytes(100) + text.encode() + bytes(100)), "main", Needles.of({}))}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in sorted(REAL.items()) for text in texts])
def test_a_secret_of_this_shape_is_found(name: str, text: str) -> None:
    assert names(text) == {name}


@pytest.mark.parametrize(("name", "text"), [(name, texts[0]) for name, texts in sorted(REAL.items())])
def test_a_secret_in_a_file_of_powershells_is_found(name: str, text: str) -> None:
    for lead in (100, 101):
        content = bytes(lead) + "\ufeff".encode("utf-16-le") + f"a\n{text}\n".encode("utf-16-le") + bytes(100)
        assert {h.name for h in scan(Bytes(content), "main", Needles.of({}))} == {name}


@pytest.mark.parametrize(("name", "text"), sorted(LOOKALIKES.items()))
def test_what_only_looks_like_one_is_not(name: str, text: str) -> None:
    assert names(f" {text} ") == set()


@pytest.mark.parametrize("end", ["\n", "\n      ", "\r\n", "\\n"], ids=["plain", "indented", "CRLF", "JSON"])
@pytest.mark.parametrize("kind", [*KINDS, "RSA, encrypted", "PKCS#8, encrypted", "UTF-16", "PuTTY"])
def test_a_key_in_base64_is_found_wherever_its_lines_end(kind: str, end: str) -> None:
    """Once each, where it begins: behind 0 to 79 bytes of the same file, in both usual widths."""
    key = PUTTY_KEYS["version 2"] if kind == "PuTTY" else KEYS.get(kind, KEYS["OpenSSH"])
    form = "utf-16-le" if kind == "UTF-16" else "utf-8"
    disk, places = b"", set()
    for lead, columns in itertools.product(range(80), (64, 76)):
        code = base64.b64encode(b"#" * lead + key.encode(form)).decode()
        begin = lead * 4 // 3
        places.add(len(disk) + len(wrapped(code, columns, end)[: begin + begin // columns * len(end)]))
        disk += wrapped(code, columns, end).encode() + bytes(512)
    name = "putty-private-key" if kind == "PuTTY" else "private-key"
    hits = scan(Bytes(disk), "main", Needles.of({}))
    assert {h.name for h in hits} == {name}
    assert [h.offset for h in hits] == sorted(places)


def test_every_shape_has_both_tests() -> None:
    assert {s.name for s in SHAPES} == set(REAL) == set(LOOKALIKES)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.name} {shape.triggers[0].decode()}")
def test_a_shape_is_looked_for_by_what_its_secrets_hold(shape: Shape) -> None:
    assert any(trigger in text.encode() for trigger in shape.triggers for text in REAL[shape.name])


@pytest.mark.parametrize(
    "text", ["a: b, " * 600, "a: " * 1200, ("a: " + "x y " * 20 + "\n") * 40, "\\" * 3000, " " * 4000]
)
@pytest.mark.parametrize("head", ["-----BEGIN PRIVATE KEY-----\n", "PuTTY-User-Key-File-2: a\nEncryption: "])
def test_no_text_takes_long(head: str, text: str) -> None:
    started = time.process_time()
    assert names(head + text) == set()
    assert time.process_time() - started < 2
