"""The key pairs that ``data "sshkey"`` of Packer's templates has made: they belong to names, not to layers.

A template counts on the key of a name staying the same, as with Packer's plug-in: images carry its public half. So no
limit and no clean-up ever removes one; ``factory cache`` shows them, and removes them when told to.
"""

from __future__ import annotations

from pathlib import Path

from factory.errors import StoreError

FOLDER = "keys"


def kept_keys(cache: Path) -> list[Path]:
    """The private keys, by name."""
    return sorted((cache / FOLDER).glob("*.pem"))


def is_kept_key(text: str) -> bool:
    """Whether an argument of ``cache rm`` names a key pair and not a layer."""
    return text.startswith(f"{FOLDER}/")


def remove_kept_key(cache: Path, text: str) -> Path:
    """Raises: StoreError when there is none of this name."""
    for path in kept_keys(cache):
        if text == f"{FOLDER}/{path.name}":
            path.unlink()
            return path
    raise StoreError(f"there is no key pair {text!r}", hint="`factory cache ls` lists them")
