"""Functions that reach outside: the environment, and secrets kept elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from factory.template.packer.language.functions.registry import FunctionError, define
from factory.template.packer.language.scope import World
from factory.template.packer.language.values import Value, string


@define("env", "key:s", world=True)
def env(world: World, key: str) -> str:
    return world.environment.get(key, "")


_STORES = {
    "aws_secretsmanager": ("name:s key:s", "AWS Secrets Manager"),
    "aws_secretsmanager_raw": ("name:s", "AWS Secrets Manager"),
    "consul_key": ("key:s", "Consul"),
    "vault": ("path:s key:s", "Vault"),
}


def _reader(name: str, store: str) -> Callable[..., Value]:
    def read(world: World, *arguments: str) -> Value:
        if world.secret is None:
            raise FunctionError(
                f"there is no connection to {store} here",
                hint='read the secret outside and pass it in: variable "x" { sensitive = true }, then -var x=… or '
                "PKR_VAR_x=…",
            )
        return string(world.secret(name, arguments)).with_sensitivity(True)

    return read


for _name, (_parameters, _store) in _STORES.items():
    define(_name, _parameters, world=True)(_reader(_name, _store))
