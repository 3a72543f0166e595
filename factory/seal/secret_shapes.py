"""What secrets of well-known kinds look like: a literal that is cheap to search for, and the whole shape around it."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """``name`` is what an allow-list names; ``triggers`` occur in every match of ``pattern``."""

    name: str
    triggers: tuple[bytes, ...]
    pattern: re.Pattern[bytes]
    least_entropy: float = 0.0
    """Bits per byte, of the group ``secret`` or the whole match: placeholders such as "xxxxxxxx" have less."""

    def matches(self, match: re.Match[bytes]) -> bool:
        value = match["secret"] if "secret" in match.re.groupindex else match[0]
        return b"EXAMPLE" not in value and entropy(value) >= self.least_entropy


def entropy(value: bytes) -> float:
    """Shannon's, in bits per byte."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values()) if value else 0.0


def _shape(name: str, triggers: str, pattern: str, least_entropy: float = 3.0) -> Shape:
    return Shape(name, tuple(t.encode() for t in triggers.split()), re.compile(pattern.encode()), least_entropy)


_NOT_IN_WORD = r"(?<![A-Za-z0-9_/+-])"

SHAPES: tuple[Shape, ...] = (
    Shape(
        "private-key",
        (b"PRIVATE KEY",),
        re.compile(
            rb"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:\s|\\n|\\r)+"
            rb"(?:[A-Za-z-]+: [^\n]{0,80}\n){0,5}(?P<secret>(?:[A-Za-z0-9+/=]|\s|\\n|\\r){100,})"
        ),
        4.0,
    ),
    _shape(
        "putty-private-key",
        "PuTTY-User-Key-File-",
        r"PuTTY-User-Key-File-[23]: [a-z0-9-]+\r?\n(?:[^\n]{0,120}\n){4,}",
        4.0,
    ),
    _shape("age-secret-key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    _shape("wireguard-private-key", "PrivateKey", r"PrivateKey\s*=\s*(?P<secret>[A-Za-z0-9+/]{43}=)", 4.0),
    _shape("aws-access-key", "AKIA ASIA", _NOT_IN_WORD + r"(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])"),
    _shape(
        "aws-secret-key",
        "aws_secret_access_key AWS_SECRET_ACCESS_KEY",
        r"(?i)aws_secret_access_key[\"']?\s{0,3}[=:]\s{0,3}[\"']?(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])",
        4.0,
    ),
    _shape("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", _NOT_IN_WORD + r"gh[pousr]_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
    _shape("github-token", "github_pat_", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    _shape("gitlab-token", "glpat- gldt- glrt-", _NOT_IN_WORD + r"gl(?:pat|dt|rt)-[A-Za-z0-9_-]{20}"),
    _shape("slack-token", "xoxb- xoxp- xoxa- xoxs-", _NOT_IN_WORD + r"xox[bpas]-[0-9]{8,}-[0-9A-Za-z-]{16,}"),
    _shape(
        "slack-webhook",
        "hooks.slack.com/services/",
        r"hooks\.slack\.com/services/T[A-Z0-9]{8,}/B[A-Z0-9]{8,}/[A-Za-z0-9]{24}",
    ),
    _shape("stripe-key", "sk_live_ rk_live_", _NOT_IN_WORD + r"[sr]k_live_[0-9A-Za-z]{24,}"),
    _shape("google-api-key", "AIza", _NOT_IN_WORD + r"AIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])", 3.5),
    _shape("google-oauth-token", "ya29.", _NOT_IN_WORD + r"ya29\.[0-9A-Za-z_-]{40,}", 4.0),
    _shape("npm-token", "npm_", _NOT_IN_WORD + r"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])", 4.0),
    _shape("pypi-token", "pypi-AgE", r"pypi-AgE[A-Za-z0-9_-]{60,}", 4.0),
    _shape("vault-token", "hvs. hvb.", _NOT_IN_WORD + r"hv[sb]\.[A-Za-z0-9_-]{24,}", 3.8),
    _shape("docker-token", "dckr_pat_", r"dckr_pat_[A-Za-z0-9_-]{27}"),
    _shape("digitalocean-token", "dop_v1_ doo_v1_", r"do[op]_v1_[a-f0-9]{64}"),
    _shape("huggingface-token", "hf_", _NOT_IN_WORD + r"hf_[A-Za-z]{34}(?![A-Za-z0-9])", 4.0),
    _shape("anthropic-key", "sk-ant-", r"sk-ant-[a-z0-9]{3,8}-[A-Za-z0-9_-]{60,}", 4.0),
    _shape("openai-key", "sk-proj- T3BlbkFJ", r"sk-(?:proj-)?[A-Za-z0-9_-]{20,}T3BlbkFJ[A-Za-z0-9_-]{20,}", 4.0),
    _shape("sendgrid-key", "SG.", _NOT_IN_WORD + r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", 4.0),
    _shape("azure-storage-key", "AccountKey=", r"AccountKey=(?P<secret>[A-Za-z0-9+/]{86}==)", 4.0),
    _shape("json-web-token", ".eyJ", r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}", 4.0),
    _shape("netrc-password", "machine", r"(?m)^machine\s+\S+\s+login\s+\S+\s+password\s+(?P<secret>\S{8,})", 2.5),
    _shape(
        "url-password",
        "https:// http:// postgres:// mysql:// amqp:// redis:// mongodb://",
        r"(?:https?|postgres|mysql|amqps?|rediss?|mongodb)://[A-Za-z0-9._-]{2,32}:(?P<secret>[A-Za-z0-9_!.-]{12,64})@[a-z0-9.-]+\.[a-z]{2,}",
        3.5,
    ),
)
