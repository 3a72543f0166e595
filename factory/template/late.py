"""Fills in the names that exist only while a build runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from factory.errors import TemplateError
from factory.secret import Secret
from factory.template.model import LateText, Text


def render_late(text: Text, late: Mapping[str, Any]) -> str:
    """*text* with everything filled in.

    Args:
        late: ``{"seed": {"url": …}, "build": {…}, "vars": {generated variables}, …}``; secrets are revealed here.

    Raises: TemplateError when a name is still missing.
    """
    if isinstance(text, str):
        return text
    from factory.template import jinja  # takes 80 ms: only where there is something to render

    try:
        return jinja.render_text(text.source, late_names(text.variables, late), jinja.value_environment())
    except jinja.RenderError as error:
        message = f"can't fill in {text.source!r}: {error.message}"
        raise TemplateError(message, hint=error.hint) from None


def render_late_value(value: Any, late: Mapping[str, Any]) -> Any:
    """As ``render_late``, for the texts inside lists and mappings (``seed_vars``, ``extra_vars``)."""
    if isinstance(value, LateText):
        return render_late(value, late)
    if isinstance(value, Mapping):
        return {k: render_late_value(v, late) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [render_late_value(v, late) for v in value]
    return revealed(value)


def late_names(early: Mapping[str, Any], late: Mapping[str, Any]) -> dict[str, Any]:
    """*late* over *early*, one level deep: ``vars`` has members of both kinds."""
    names = dict(revealed(early))
    for name, value in revealed(late).items():
        below = names.get(name)
        names[name] = {**below, **value} if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return names


def revealed(value: Any) -> Any:
    """*value* with the content of its secrets in their place: for rendering at the moment of use only."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {k: revealed(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [revealed(v) for v in value]
    return value
