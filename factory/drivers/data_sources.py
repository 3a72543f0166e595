"""Data sources of Packer's templates: ``http``, ``sshkey``, and those that other packages bring.

Others register theirs as an entry point in the group ``factory.data_sources``: a callable that takes the options (a
mapping) and gives the attributes (a mapping).
"""

from __future__ import annotations

import importlib.metadata
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from factory.drivers.ssh_keys import new_private_key, public_line
from factory.errors import TemplateError
from factory.quantity import Duration, Size

GROUP = "factory.data_sources"
METHODS = ("HEAD", "GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
PATIENCE = Duration(60)
LARGEST_BODY = Size(16 * 2**20)


class DataSources:
    """Reads them (``template.packer.config.computed.DataReader``), each with the same options once.

    Args:
        cache: keys that templates ask for are kept here, so that a build's layers fit the next time.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._read: dict[str, Mapping[str, Any]] = {}

    def __call__(self, kind: str, name: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The attributes of the data source. Raises: TemplateError."""
        key = f"{kind} {sorted(options.items())!r}"
        if key not in self._read:
            self._read[key] = self._reader(kind)(options)
        return self._read[key]

    def _reader(self, kind: str) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
        if kind == "http":
            return read_http
        if kind == "sshkey":
            return self._key
        entry = next((e for e in importlib.metadata.entry_points(group=GROUP) if e.name == kind), None)
        if entry is None:
            raise TemplateError(
                "factory can't read data sources of this kind",
                hint=f"install a package with the entry point {kind!r} in the group {GROUP}, or set a local value",
            )
        found: Callable[[Mapping[str, Any]], Mapping[str, Any]] = entry.load()
        return found

    def _key(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """``ivoronin/sshkey``: a key pair with a name, made at first use."""
        kind = str(options.get("type") or "rsa")
        if kind not in ("rsa", "ed25519"):
            raise TemplateError(f"“type”: “{kind}” is not a kind of key", hint="known are rsa and ed25519")
        tag = str(options.get("name") or "packer").replace(os.sep, "_")
        path = self._cache / "keys" / f"{tag}_{kind}.pem"
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.exists():
                _write_once(path, new_private_key(kind))
            public = public_line(path.read_bytes(), tag)
        except (OSError, ValueError) as error:
            raise TemplateError(f"the key {path} can't be used: {error}", hint="remove the file") from error
        return {"private_key_path": str(path), "public_key": public}


def _write_once(path: Path, content: bytes) -> None:
    """Whole or not at all; another build that is first wins."""
    growing = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(growing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(growing, path)
        except FileExistsError:
            return
    finally:
        growing.unlink()


def read_http(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Packer's ``http``: ``url``, ``body`` and ``request_headers``, which are those of the *answer*.

    Proxies are those of the environment. Raises: TemplateError.
    """
    url, method = str(options.get("url") or ""), str(options.get("method") or "GET")
    if not url.startswith(("http://", "https://")):
        raise TemplateError(f"“url”: “{url}” is not an address that begins with http:// or https://")
    if method not in METHODS:
        raise TemplateError(f"“method”: “{method}” is not one of {', '.join(METHODS)}")
    body = str(options.get("request_body") or "")
    headers = {str(k): str(v) for k, v in dict(options.get("request_headers") or {}).items()}
    request = urllib.request.Request(url, body.encode() if body else None, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=float(PATIENCE)) as answer:
            content = answer.read(int(LARGEST_BODY) + 1)
            received = {k: ", ".join(answer.headers.get_all(k) or ()) for k in answer.headers}
    except urllib.error.HTTPError as error:
        error.close()
        raise TemplateError(f"{url} answered with {error.code} {error.reason}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise TemplateError(
            f"{url} can't be read: {reason}", hint="is there a network, and is the name right?"
        ) from error
    if len(content) > LARGEST_BODY:
        raise TemplateError(f"{url} gives more than {LARGEST_BODY}", hint="fetch large files with iso_url or a script")
    return {"url": url, "body": content.decode("utf-8", "replace"), "request_headers": received}
