"""SHA-512 crypt (``$6$``): the password hashes of /etc/shadow.

Ulrich Drepper's public specification "Unix crypt using SHA-256 and SHA-512" (2007), with its test vectors in the
tests. Python's own ``crypt`` is gone since 3.13, and the library that many used is no longer kept.
"""

from __future__ import annotations

from hashlib import sha512

_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DEFAULT_ROUNDS, _FEWEST, _MOST = 5000, 1000, 999_999_999
_LONGEST_PASSWORD = 1024
"""Bytes; the time grows with the length."""


def sha512_crypt(password: str, salt: str = "", rounds: int = _DEFAULT_ROUNDS) -> str:
    """The hash of *password* as /etc/shadow takes it.

    Without *salt* one is derived from the password by the same slow function: the result is the same in every run, and
    a guess costs as much as against any salt.

    Raises: ValueError for a salt with ``$``, ``:`` or a newline, and for a password of more than 1024 bytes.
    """
    secret = password.encode()
    if len(secret) > _LONGEST_PASSWORD:
        raise ValueError(f"a password of more than {_LONGEST_PASSWORD} bytes")
    if not salt:
        salt = _digest_text(_stretched(secret, b"factory", _DEFAULT_ROUNDS))[:16]
    if set(salt) & set("$:\n") or not salt.isascii():
        raise ValueError("a salt is made of ASCII characters other than '$' and ':'")
    salt, rounds = salt[:16], min(max(rounds, _FEWEST), _MOST)
    shown = "" if rounds == _DEFAULT_ROUNDS else f"rounds={rounds}$"
    return f"$6${shown}{salt}${_digest_text(_stretched(secret, salt.encode(), rounds))}"


def _stretched(password: bytes, salt: bytes, rounds: int) -> bytes:
    """Steps 1 to 21 of the specification."""
    length = len(password)
    alternate = sha512(password + salt + password).digest()
    mixed = sha512(password + salt + _repeated(alternate, length))
    bits = length
    while bits:
        mixed.update(alternate if bits & 1 else password)
        bits >>= 1
    digest = mixed.digest()
    p = _repeated(sha512(password * length).digest(), length)
    s = _repeated(sha512(salt * (16 + digest[0])).digest(), len(salt))
    for number in range(rounds):
        odd = number & 1
        digest = sha512(
            (p if odd else digest) + (s if number % 3 else b"") + (p if number % 7 else b"") + (digest if odd else p)
        ).digest()
    return digest


def _repeated(block: bytes, length: int) -> bytes:
    return (block * (length // len(block) + 1))[:length]


def _digest_text(digest: bytes) -> str:
    """Step 22: 24 bits at a time, in the specification's order of bytes, as 86 characters."""
    text, first, second, third = [], 0, 21, 42
    for _ in range(21):
        text.append(_letters(digest[first] << 16 | digest[second] << 8 | digest[third], 4))
        first, second, third = second + 1, third + 1, first + 1
    return "".join(text) + _letters(digest[63], 2)


def _letters(value: int, count: int) -> str:
    return "".join(_ALPHABET[value >> 6 * i & 0x3F] for i in range(count))
