"""The key of a build: made anew for each installation, handed to the seed, removed when the image is sealed."""

from __future__ import annotations

from dataclasses import dataclass

from factory.secret import Secret


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
