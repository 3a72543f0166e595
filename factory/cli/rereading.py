"""A template that was mended while its build had failed: read again, where that is safe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from factory.cli.requests import Request, stamps
from factory.errors import FactoryError, in_one_line
from factory.template.bases import base_name, check_fit


class StaysAsItWas(Exception):
    """Says why a build goes on with its template as it was read before."""


def read_again(request: Request, builds: Mapping[str, Request]) -> Request:
    """*request* with its template as it is now; the same object when nothing has changed.

    Args:
        builds: all of the command, for what *request* starts from.

    Raises: StaysAsItWas where the template as it is now can't be gone on with: the error that the person is about to
    retry is worth more than one of a line that is half written.
    """
    loaded = request.loaded
    if loaded.delivery:
        if request.written == stamps(loaded.path):
            return request
        raise StaysAsItWas(
            "its time and its random names would be new ones, and every layer with them; end this build and start it "
            "again to use the template as it is now"
        )
    try:
        found = {build.template.name: build for build in request.load(loaded.path)}
        fresh = found.get(request.name)
        if fresh is None:
            raise StaysAsItWas(f"the template makes no build called '{request.name}' any more")
        if base_name(fresh) != request.base:
            raise StaysAsItWas("it starts from another image now: end this build and start it again")
        if request.base:
            check_fit(fresh, builds[request.base].loaded)
    except FactoryError as error:
        raise StaysAsItWas(in_one_line(error)) from error
    return request if fresh == loaded else replace(request, loaded=fresh)
