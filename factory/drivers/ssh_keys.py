"""The key of a build: made anew for each installation, handed to the seed, removed when the image is sealed."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from factory.secret import Secret

if TYPE_CHECKING:
    import paramiko


@dataclass(frozen=True, slots=True)
class BuildKey:
    """An ed25519 key pair. ``private_pem`` is in OpenSSH's format; write it with mode 0600."""

    private_pem: Secret[bytes]
    public_line: str
    """One line for ``authorized_keys``: type, base64, comment."""


def generate_build_key(comment: str = "factory-build-key") -> BuildKey:
    """Makes a key pair. *comment* ends the public line: sealing looks for it, so keep it recognisable."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return BuildKey(Secret(private), f"{public.decode()} {comment}")


def new_private_key(kind: str) -> bytes:
    """A new private key of the kind ``rsa`` (4096 bits) or ``ed25519``, as PEM. Raises: ValueError."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    if kind not in ("rsa", "ed25519"):
        raise ValueError(f"{kind!r} is not a kind of key")
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey = (
        rsa.generate_private_key(65537, 4096) if kind == "rsa" else ed25519.Ed25519PrivateKey.generate()
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )


def public_line(private_pem: bytes, comment: str) -> str:
    """The line for ``authorized_keys`` that belongs to a private key. Raises: ValueError, TypeError."""
    key = load_key(private_pem)
    return f"{key.get_name()} {key.get_base64()} {comment}"


def load_key(data: bytes) -> paramiko.PKey:
    """Reads an ed25519, ecdsa or rsa private key, in OpenSSH's or any PEM format.

    By cryptography, because paramiko's own parser misreads ecdsa keys whose padding differs from ssh-keygen's, and
    knows no ed25519 key in PKCS #8. Raises: ValueError, TypeError (it has a passphrase), UnsupportedAlgorithm.
    """
    import paramiko
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    is_openssh = b"BEGIN OPENSSH PRIVATE KEY" in data
    load = serialization.load_ssh_private_key if is_openssh else serialization.load_pem_private_key
    key = load(data, password=None)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return paramiko.ECDSAKey(vals=(key, key.public_key()))
    if isinstance(key, rsa.RSAPrivateKey):
        return paramiko.RSAKey(key=key)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        return paramiko.Ed25519Key.from_private_key(io.StringIO(text.decode()))
    raise ValueError(f"a key of the kind {type(key).__name__} can't be used over SSH")
