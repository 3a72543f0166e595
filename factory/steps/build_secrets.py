"""Makes (or reads back) what an installation keeps for itself: the build key and the generated variables."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import string
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from factory.drivers.protocols import KeyMaker
from factory.plan.resources import BUILD_SECRETS, BuildSecrets, MachineState
from factory.plan.step import Scope, Step
from factory.secret import Redactor, Secret

KEY_COMMENT = "factory-build-key"
"""The comment of every build key: how sealing finds it in ``authorized_keys``."""
PASSWORD_LENGTH = 20
_PASSWORD_ALPHABET = string.ascii_letters + string.digits  # typed, quoted and escaped by many hands: no punctuation


@dataclass(frozen=True, slots=True)
class MakeBuildSecrets(Step):
    """Runs once per installation; the result lies in its layer, never in a key."""

    generate: tuple[tuple[str, str], ...] = ()
    """Pairs of variable name and kind ("password", "uuid" or "hex")."""

    needs: ClassVar[tuple[type, ...]] = (MachineState, KeyMaker, Redactor)
    provides: ClassVar[tuple[type, ...]] = (BuildSecrets,)

    @property
    def title(self) -> str:
        names = ", ".join(name for name, _ in self.generate)
        return f"generate the build key and {names}" if names else "generate the build key"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        state = scope.get(MachineState)
        make_key = scope.get(KeyMaker)
        private, public = await asyncio.to_thread(make_key, KEY_COMMENT)
        content = {
            "private_key": private.decode(),
            "public_key": public,
            "generated": {name: generate(kind) for name, kind in self.generate},
        }
        write_private(state.folder / BUILD_SECRETS, json.dumps(content, indent=2).encode())
        scope.put(_load(scope, content))
        yield


@dataclass(frozen=True, slots=True)
class LoadBuildSecrets(Step):
    """Reads what the installation made, so that a later build can go on with its layer."""

    needs: ClassVar[tuple[type, ...]] = (MachineState, Redactor)
    provides: ClassVar[tuple[type, ...]] = (BuildSecrets,)

    @property
    def title(self) -> str:
        return "take up the build key"

    def enter(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._enter(scope)

    @asynccontextmanager
    async def _enter(self, scope: Scope) -> AsyncIterator[None]:
        path = scope.get(MachineState).folder / BUILD_SECRETS
        scope.put(_load(scope, json.loads(await asyncio.to_thread(path.read_text))))
        yield


def generate(kind: str) -> str:
    """A new random value. *kind* is a ``Variable.generate`` of the template."""
    match kind:
        case "password":
            return "".join(secrets.choice(_PASSWORD_ALPHABET) for _ in range(PASSWORD_LENGTH))
        case "uuid":
            return str(uuid.uuid4())
        case "hex":
            return secrets.token_hex(16)
    raise ValueError(f"nothing can be generated as {kind!r}")


def write_private(path: Path, content: bytes) -> None:
    """Writes a file that only its owner may read, from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)


def _load(scope: Scope, content: Mapping[str, object]) -> BuildSecrets:
    redactor = scope.get(Redactor)
    private = str(content["private_key"])
    redactor.add(private)
    generated = content["generated"]
    assert isinstance(generated, dict)
    for value in generated.values():
        redactor.add(value)
    # ssh and ansible want a file: it lies with the sockets, and goes with them.
    key_file = scope.runtime_dir / "build-key"
    write_private(key_file, private.encode())
    return BuildSecrets(key_file, str(content["public_key"]), {k: Secret(v) for k, v in generated.items()})
