"""The values of late names, as far as the steps before have provided them."""

from __future__ import annotations

from typing import Any

from factory.plan.resources import BuildName, BuildSecrets, GuestAt, SeedPlace
from factory.plan.step import Scope


def late_values(scope: Scope) -> dict[str, Any]:
    """``seed``, ``build``, ``guest`` and the generated ``vars``. A name whose value is not there yet is left out, so
    that using it is an error that names it."""
    values: dict[str, Any] = {}
    if name := scope.find(BuildName):
        values["build"] = {"name": name.name, "run_id": name.run_id}
    if secrets := scope.find(BuildSecrets):
        values.setdefault("build", {})["ssh_public_key"] = secrets.public_key
        values["vars"] = {key: value.reveal() for key, value in secrets.generated.items()}
    if (place := scope.find(SeedPlace)) and place.url:
        host, _, port = place.url.split("/")[2].partition(":")
        values["seed"] = {"url": place.url, "host": host, "port": int(port or 80)}
    if guest := scope.find(GuestAt):
        values["guest"] = {"host": guest.address.host, "port": guest.address.port}
    return values
