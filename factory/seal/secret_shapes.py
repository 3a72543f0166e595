"""What secrets of well-known kinds look like: a literal that is cheap to search for, and the whole shape around it."""

from __future__ import annotations

import base64
import math
import re
from collections import Counter
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Shape:
    """``name`` is what an allow-list names; ``triggers`` occur in every match of ``pattern``."""

    name: str
    triggers: tuple[bytes, ...]
    pattern: re.Pattern[bytes]
    least_entropy: float = 0.0
    """Bits per byte, of the group ``secret`` or the whole match: placeholders such as "xxxxxxxx" have less."""

    placeholder: bytes = b""
    """What only examples in a manual hold."""
    reach: tuple[int, int] = (256, 4096)
    """Bytes before and behind the begin of a trigger that hold the whole."""
    is_in_base64: bool = False
    """Whether it is looked for in base64 too: what is long enough for that, and often kept so."""
    decoded: re.Pattern[bytes] | None = None
    """What it says itself in base64; its group ``secret`` is what must not be a placeholder."""

    def matches(self, match: re.Match[bytes]) -> bool:
        value = _secret_in(match)
        if self.decoded is not None:
            plain = self.decoded.fullmatch(base64.b64decode(value + b"==="[: -len(value) % 4]))
            if plain is None:
                return False
            value = _secret_in(plain)
        is_placeholder = bool(self.placeholder) and self.placeholder in value
        return not is_placeholder and entropy(value) >= self.least_entropy


def _secret_in(match: re.Match[bytes]) -> bytes:
    found: bytes = match["secret"] if "secret" in match.re.groupindex else match[0]
    return found


def entropy(value: bytes) -> float:
    """Shannon's, in bits per byte."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values()) if value else 0.0


def _shape(name: str, triggers: str, pattern: str, least_entropy: float = 3.0, placeholder: str = "") -> Shape:
    found = tuple(t.encode() for t in triggers.split())
    return Shape(name, found, re.compile(pattern.encode()), least_entropy, placeholder.encode())


_NOT_IN_WORD = r"(?<![A-Za-z0-9_/+-])"
"""For prefixes that base64 may hold by chance."""
_OWN_WORD = r"(?<![A-Za-z0-9])"
"""For prefixes that are long or strange enough; what stands before one may be the slash of a URL."""
LINE_END = rb"(?:[\s\"'#>*|;,]|\\{1,4}(?:[nrt]|u000[aAdD]|x0[aAdD])|%0[ADad]|&#(?:1[03]|x0?[aAdD]);)"
"""What ends a line: itself, as JSON, XML, a shell, a programming language or a URL writes it, and what begins the next
one in comments and lists. None of it is a character of base64."""
_ARMOUR = rb"(?:[A-Za-z0-9+/=]|\\{1,4}/)"
_BODY = rb"(?P<secret>" + _ARMOUR + rb"{32,}(?:" + LINE_END + rb"*" + _ARMOUR + rb"){28,})"
"""60 characters at least, whatever lies between: manuals show the first line of a key, of some 57, and dots."""
_HEADERS = rb"(?:(?!----)[\s\S]){1,1200}?" + LINE_END
"""What stands between a key's first line and its body, as one: to try all ways in which a text may be headers takes
minutes."""

_KEYS: tuple[Shape, ...] = (
    Shape(
        "private-key",
        (b"PRIVATE KEY",),
        # The shortest are Ed25519 and X25519 in PKCS#8: one line of 64 characters. SSH2 has four dashes and a blank.
        re.compile(
            rb"-{4,5} ?BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)? ?-{4,5}" + LINE_END + rb"++"
            rb"(?:[A-Za-z0-9-]+:" + _HEADERS + rb")?" + _BODY
        ),
        4.0,
        is_in_base64=True,
    ),
    Shape(
        "putty-private-key",
        (b"PuTTY-User-Key-File-",),
        re.compile(
            rb"PuTTY-User-Key-File-[1-3]: [a-z0-9@.-]+" + LINE_END + rb"++(?:Encryption|Comment):" + _HEADERS + _BODY
        ),
        4.0,
        is_in_base64=True,
    ),
    _shape(
        "openvpn-static-key",
        "OpenVPN",
        r"-----BEGIN OpenVPN Static key V1-----(?:\s|\\n)+(?P<secret>(?:[0-9a-f]|\s|\\n){256,})",
    ),
    _shape("age-secret-key", "AGE-SECRET-KEY-", r"AGE-SECRET-KEY-(?:1[0-9A-Z]{58}|PQ-1[0-9A-Z]{58,})"),
    _shape(
        "wireguard-private-key",
        "PrivateKey PresharedKey private-key= preshared-key=",
        r"(?i:private-?key|preshared-?key)\s*=\s*[\"']?(?P<secret>[A-Za-z0-9+/]{43}=)",
        4.0,
    ),
)

_CLOUDS: tuple[Shape, ...] = (
    _shape(
        "aws-access-key", "AKIA ASIA", _NOT_IN_WORD + r"(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])", placeholder="EXAMPLE"
    ),
    _shape(
        "aws-secret-key",
        "aws_secret AWS_SECRET SecretAccessKey secretAccessKey",
        r"(?i:aws_secret_(?:access_)?key|SecretAccessKey)[\"']?\s{0,3}[=:]\s{0,3}[\"']?"
        r"(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])",
        4.0,
        "EXAMPLE",
    ),
    _shape("google-api-key", "AIza", _NOT_IN_WORD + r"AIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])", 3.5),
    _shape("google-oauth-token", "ya29.", _OWN_WORD + r"ya29\.[0-9A-Za-z_-]{40,}", 4.0),
    _shape("google-client-secret", "GOCSPX-", _OWN_WORD + r"GOCSPX-[0-9A-Za-z_-]{28}", 3.5),
    _shape("azure-storage-key", "AccountKey=", r"AccountKey=(?P<secret>[A-Za-z0-9+/]{86}==)", 4.0),
    _shape("azure-access-key", "SharedAccessKey=", r"SharedAccessKey=(?P<secret>[A-Za-z0-9+/]{43}=)", 4.0),
    _shape("digitalocean-token", "dop_v1_ doo_v1_ dor_v1_", r"do[opr]_v1_[a-f0-9]{64}"),
    _shape("heroku-key", "HRKU-AA", _OWN_WORD + r"HRKU-AA[0-9A-Za-z_-]{58}", 4.0),
    _shape("databricks-token", "dapi", _NOT_IN_WORD + r"dapi[a-f0-9]{32}(?:-\d)?(?![A-Za-z0-9])"),
    _shape("terraform-token", ".atlasv1.", r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}", 4.0),
    _shape("pulumi-token", "pul-", _NOT_IN_WORD + r"pul-[a-f0-9]{40}(?![A-Za-z0-9])"),
    _shape("tailscale-key", "tskey-", _OWN_WORD + r"tskey-[a-z]{2,12}-[0-9A-Za-z]{8,}-[0-9A-Za-z]{16,}", 3.5),
    _shape("vault-token", "hvs. hvb. hvr.", _NOT_IN_WORD + r"hv[sbr]\.[A-Za-z0-9_-]{24,}", 3.8),
    _shape("onepassword-token", "ops_eyJ", _OWN_WORD + r"ops_eyJ[A-Za-z0-9+/=_-]{100,}", 4.0),
)

_FORGES: tuple[Shape, ...] = (
    _shape("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", _OWN_WORD + r"gh[pousr]_[A-Za-z0-9]{36,251}(?![A-Za-z0-9])"),
    _shape("github-token", "github_pat_", _OWN_WORD + r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    _shape(
        "gitlab-token",
        "glpat- gldt- glrt- glrtr- glptt- glft- glsoat- glcbt- glimt- glagent- gloas- glffct-",
        _OWN_WORD + r"gl(?:pat|dt|rtr?|ptt|ft|soat|cbt|imt|agent|oas|ffct)-[A-Za-z0-9_-]{20}",
    ),
    _shape("npm-token", "npm_", _NOT_IN_WORD + r"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])", 4.0),
    _shape("pypi-token", "pypi-AgE", r"pypi-AgE[A-Za-z0-9_-]{60,}", 4.0),
    _shape("rubygems-key", "rubygems_", _OWN_WORD + r"rubygems_[a-f0-9]{48}(?![A-Za-z0-9])"),
    _shape("docker-token", "dckr_pat_ dckr_oat_", r"dckr_[po]at_[A-Za-z0-9_-]{27,}"),
    _shape("huggingface-token", "hf_", _NOT_IN_WORD + r"hf_[A-Za-z0-9]{34}(?![A-Za-z0-9])", 4.0),
    _shape("atlassian-token", "ATATT3 ATCTT3", _OWN_WORD + r"AT[AC]TT3[A-Za-z0-9_=-]{60,}", 4.0),
    _shape("postman-key", "PMAK-", _OWN_WORD + r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
)

_SERVICES: tuple[Shape, ...] = (
    _shape(
        "slack-token",
        "xoxb- xoxp- xoxa- xoxs- xoxr- xoxo- xoxc-",
        _OWN_WORD + r"xox[bpasroc]-[0-9]{8,}-[0-9A-Za-z-]{16,}",
    ),
    _shape("slack-token", "xoxe- xoxe.xox", _OWN_WORD + r"xoxe(?:\.xox[bp])?-\d-[0-9A-Za-z]{60,}", 4.0),
    _shape("slack-token", "xapp-", _OWN_WORD + r"xapp-\d-[A-Z0-9]{8,}-[0-9]{8,}-[0-9a-f]{64}"),
    _shape(
        "slack-webhook",
        "hooks.slack.com/services/",
        r"hooks\.slack\.com/services/T[A-Z0-9]{8,}/B[A-Z0-9]{8,}/[A-Za-z0-9]{24}",
    ),
    _shape(
        "discord-webhook", "/api/webhooks/", r"discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/[A-Za-z0-9_-]{60,}", 4.0
    ),
    _shape("stripe-key", "sk_live_ rk_live_", _OWN_WORD + r"[sr]k_live_[0-9A-Za-z]{24,}"),
    _shape("anthropic-key", "sk-ant-", r"sk-ant-[a-z0-9]{3,8}-[A-Za-z0-9_-]{60,}", 4.0),
    _shape("openai-key", "T3BlbkFJ", r"sk-[A-Za-z0-9_-]{20,}T3BlbkFJ[A-Za-z0-9_-]{20,}", 4.0),
    _shape("sendgrid-key", "SG.", _NOT_IN_WORD + r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", 4.0),
    _shape("shopify-token", "shpat_ shpca_ shppa_ shpss_", _OWN_WORD + r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    _shape("grafana-token", "glsa_", _OWN_WORD + r"glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}", 4.0),
    _shape("grafana-token", "glc_eyJ", _OWN_WORD + r"glc_eyJ[A-Za-z0-9+/=_-]{60,}", 4.0),
    _shape("sentry-token", "sntrys_eyJ", _OWN_WORD + r"sntrys_eyJ[A-Za-z0-9+/=_-]{60,}", 4.0),
    _shape("linear-key", "lin_api_", _OWN_WORD + r"lin_api_[A-Za-z0-9]{40}", 4.0),
)

_LOGINS: tuple[Shape, ...] = (
    replace(  # with a chain of certificates in its header (x5c), and all the groups of a user in its claims
        _shape("json-web-token", ".eyJ", r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}", 4.0),
        reach=(16384, 16384),
    ),
    Shape(
        "docker-login",
        (b'auth"', b'auth\\"'),
        re.compile(rb"auth\\{0,3}\"\s{0,8}:\s{0,8}\\{0,3}\"(?P<secret>[A-Za-z0-9+/]{16,}={0,2})\\{0,3}\""),
        2.8,
        decoded=re.compile(rb"[!-9;-~]{1,128}:(?P<secret>[ -~]{8,})"),
    ),
    _shape("netrc-password", "machine", r"(?m)^machine\s+\S+\s+login\s+\S+\s+password\s+(?P<secret>\S{8,})", 2.5),
    _shape(
        "url-password",
        "https:// http:// ftp:// ftps://",
        r"(?:https?|ftps?)://[A-Za-z0-9._%+-]{1,64}:(?P<secret>[A-Za-z0-9_!.~*+=%-]{12,64})@"
        r"(?:(?:[A-Za-z0-9-]+\.)+[A-Za-z0-9]|localhost|\[[0-9A-Fa-f:]+\]|[A-Za-z0-9-]+:[0-9])",
        3.0,
    ),
    _shape(  # of a database, whose host is often but a word, and whose user may be left out
        "url-password",
        "postgres:// postgresql:// mysql:// mariadb:// amqp:// amqps:// redis:// rediss:// mongodb:// mongodb+srv://",
        r"(?:postgres(?:ql)?|mysql|mariadb|amqps?|rediss?|mongodb(?:\+srv)?)://[A-Za-z0-9._%+-]{0,64}:"
        r"(?P<secret>[A-Za-z0-9_!.~*+=%-]{12,64})@[A-Za-z0-9.-]+",
        3.0,
    ),
)

SHAPES: tuple[Shape, ...] = (*_KEYS, *_CLOUDS, *_FORGES, *_SERVICES, *_LOGINS)
