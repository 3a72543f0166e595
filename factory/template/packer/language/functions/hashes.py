"""Functions that hash and decrypt."""

from __future__ import annotations

import base64
import binascii
import hashlib
import uuid
from collections.abc import Callable
from decimal import Decimal

from factory.template.packer.language.functions.registry import FunctionError, define


def _hash(name: str) -> Callable[[str], str]:
    return lambda text: hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


for _name in ("md5", "sha1", "sha256", "sha512"):
    define(_name, "str:s")(_hash(_name))

DEFAULT_COST, CHEAPEST, DEAREST, HIGHEST = 10, 4, 18, 31
"""Of bcrypt's costs: what Go takes when none or too low a one is given, and what is worth waiting for. A cost of 18
takes half a minute, and each further one twice as long as the one before, up to days."""


@define("bcrypt", "str:s *cost:n")
def bcrypt(text: str, *cost: Decimal) -> str:
    """Bcrypt with a fresh salt: its result differs from call to call, as it does in Packer."""
    import bcrypt as library

    if len(cost) > 1:
        raise FunctionError("one cost is enough", 1)
    given = cost[0] if cost else Decimal(DEFAULT_COST)
    if given != given.to_integral_value():
        raise FunctionError("the cost must be a whole number", 1)
    rounds = int(given) if given >= CHEAPEST else DEFAULT_COST
    if rounds > HIGHEST:
        raise FunctionError(f"the cost must lie between {CHEAPEST} and {HIGHEST}", 1)
    if rounds > DEAREST:
        hint = f"Packer takes it and works for minutes to days; {DEAREST} is the most here, {DEFAULT_COST} is usual"
        raise FunctionError(f"a cost of {rounds} takes too long", 1, hint=hint)
    if len(text.encode()) > 72:
        raise FunctionError("bcrypt takes at most 72 bytes", 0)
    return library.hashpw(text.encode(), library.gensalt(rounds, prefix=b"2a")).decode()


@define("rsadecrypt", "ciphertext:s privatekey:s")
def rsadecrypt(ciphertext: str, private_key: str) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

    try:
        raw = base64.b64decode(ciphertext, validate=True)
    except (binascii.Error, ValueError):
        raise FunctionError("the text is not base64", 0) from None
    load = load_ssh_private_key if "OPENSSH" in private_key else load_pem_private_key
    try:
        key = load(private_key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise FunctionError("this is not a private key without a passphrase", 1) from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise FunctionError("this is not an RSA key", 1)
    try:
        return key.decrypt(raw, padding.PKCS1v15()).decode()
    except (ValueError, UnicodeDecodeError):
        raise FunctionError("the text was not encrypted for this key", 0) from None


@define("uuidv4")
def uuidv4() -> str:
    return str(uuid.uuid4())


_NAMESPACES = {"dns": uuid.NAMESPACE_DNS, "url": uuid.NAMESPACE_URL, "oid": uuid.NAMESPACE_OID,
               "x500": uuid.NAMESPACE_X500}  # fmt: skip


@define("uuidv5", "namespace:s name:s")
def uuidv5(namespace: str, name: str) -> str:
    try:
        space = _NAMESPACES.get(namespace) or uuid.UUID(namespace)
    except ValueError:
        raise FunctionError("the namespace is dns, url, oid, x500 or a UUID", 0) from None
    return str(uuid.uuid5(space, name))
