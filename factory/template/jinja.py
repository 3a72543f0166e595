"""The one template language: Jinja2 in a sandbox where an unknown name is an error.

What differs from plain Jinja2, and why:

- ``map.key`` looks at the key first, so that a variable may be called ``items``;
- ``true``, ``false`` are printed as such; a list, a mapping or null can't be put into a text by accident;
- no randomness (a plan must come out the same twice) and bounds on what a text can grow to: a guard against
  accidents; who writes templates can run scripts anyway;
- in values of YAML there are no ``{# comments #}``: the shell's ``${#list[@]}`` is more common there.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache, wraps
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from factory.template.sha512_crypt import sha512_crypt

LONGEST_OUTPUT = 4 * 2**20
"""Characters that one text may grow to."""
MOST_STEPS = 200_000
"""Turns of loops and calls, all in all, that one text may take: loops in loops would hang `factory validate`."""

_COUNTED = "_counted"
_STR_METHODS_WITH_WIDTH = ("center", "ljust", "rjust", "zfill", "expandtabs")


class RenderError(Exception):
    """A template that can't be rendered. ``line`` counts from 1 in its text, 0 when unknown; ``token`` occurs there."""

    def __init__(self, message: str, *, hint: str = "", line: int = 0, token: str = "") -> None:
        super().__init__(message)
        self.message, self.hint, self.line, self.token = message, hint, line, token

    def offset(self, text: str) -> int:
        """Where in *text* it is, as well as can be told."""
        if not self.line and not self.token:
            return min((at for tag in ("{{", "{%") if (at := text.find(tag)) >= 0), default=0)
        lines = text.split("\n")
        start = sum(len(line) + 1 for line in lines[: max(self.line - 1, 0)])
        at = text.find(self.token, start) if self.token else -1
        if at < 0 and self.token:
            at = text.find(self.token)
        return at if at >= 0 else min(start, len(text))


class Undefined(jinja2.StrictUndefined):
    """Fails when it is used, with words of ours."""

    @property
    def _undefined_message(self) -> str:
        name = self._undefined_name
        if self._undefined_hint:
            return str(self._undefined_hint)
        if self._undefined_obj is not missing:
            return f"there is no '{name}' in it"
        return f"unknown name '{name}'"


def _finalize(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        raise RenderError("null can't be put into a text", hint="use | default('…', true)")
    if isinstance(value, (list, tuple, set)):
        raise RenderError("a list can't be put into a text", hint="use | join(' ')")
    if isinstance(value, Mapping):
        raise RenderError("a mapping can't be put into a text", hint="use | tojson, or name one of its keys")
    if callable(value) and not isinstance(value, jinja2.Undefined):
        raise RenderError("a function can't be put into a text", hint="call it with ()")
    return value


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Refuses the arguments that make a short text long."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if any(isinstance(a, int) and abs(a) > LONGEST_OUTPUT for a in (*args, *kwargs.values())):
            raise RenderError("the text would be too long")
        return function(*args, **kwargs)

    return call


_steps: ContextVar[list[int]] = ContextVar("_steps")
"""How many steps the text that is being rendered has taken."""


def _step(line: int = 0) -> None:
    taken = _steps.get(None)
    if taken is None:
        return
    taken[0] += 1
    if taken[0] > MOST_STEPS:
        hint = f"a text may take {MOST_STEPS} turns of its loops and calls, all in all"
        raise RenderError("this would take too long", hint=hint, line=line, token="{%" if line else "")


def _counted(items: Iterable[Any], line: int) -> Iterator[Any]:
    """What a loop goes through."""
    for item in items:
        _step(line)
        yield item


class Environment(ImmutableSandboxedEnvironment):
    """The sandbox. Two exist: for values of YAML, and for files of a seed."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, *, comments: bool) -> None:
        super().__init__(
            undefined=Undefined,
            finalize=_finalize,
            autoescape=False,
            keep_trailing_newline=True,
            optimized=False,  # constants are not computed before the bounds below are there
            trim_blocks=comments,
            lstrip_blocks=comments,
            **({} if comments else {"comment_start_string": "\x00#", "comment_end_string": "#\x00"}),
        )
        for name in ("random", "xmlattr", "urlize", "pprint"):
            self.filters.pop(name, None)
        for name in ("center", "indent", "wordwrap", "batch", "slice", "truncate", "format"):
            self.filters[name] = _bounded(self.filters[name])
        self.filters |= {"sha512_crypt": sha512_crypt, "shell_quote": shlex.quote, "b64encode": _b64encode}
        self.filters[_COUNTED] = _counted
        self.globals.pop("lipsum", None)

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        for loop in source.find_all(nodes.For):
            line = nodes.Const(loop.lineno)
            loop.iter = nodes.Filter(loop.iter, _COUNTED, [line], [], None, None, lineno=loop.lineno)
        return super()._generate(source, *args, **kwargs)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping):
            if attribute in obj:
                return obj[attribute]
            return self._missing(obj, attribute) if not hasattr(obj, attribute) else super().getattr(obj, attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping) and isinstance(argument, str) and argument not in obj:
            return self._missing(obj, argument)
        return super().getitem(obj, argument)

    def _missing(self, obj: object, name: str) -> jinja2.Undefined:
        return self.undefined(obj=obj, name=name)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "*":
            for sized, times in ((left, right), (right, left)):
                if isinstance(sized, (str, list, tuple)) and isinstance(times, int):
                    _check_length(len(sized) * times)
        elif operator == "**" and isinstance(left, int) and isinstance(right, int):
            _check_length(left.bit_length() * max(right, 0))
        elif operator == "%" and isinstance(left, str):
            raise RenderError("'%' can't format a text here", hint="use ~ to join texts")
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        _step()
        if isinstance(getattr(obj, "__self__", None), str) and obj.__name__ in _STR_METHODS_WITH_WIDTH:
            obj = _bounded(obj)
        return super().call(context, obj, *args, **kwargs)


def _check_length(length: int) -> None:
    if length > LONGEST_OUTPUT:
        raise RenderError("the text would be too long", hint=f"at most {LONGEST_OUTPUT} characters")


def _b64encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@cache
def value_environment() -> Environment:
    """For the values of YAML."""
    return Environment(comments=False)


@cache
def file_environment() -> Environment:
    """For files of a seed: with comments, and with lines that hold only a ``{% tag %}`` left out."""
    return Environment(comments=True)


def parse(text: str, environment: Environment) -> nodes.Template:
    """Raises: RenderError for a syntax error."""
    try:
        return environment.parse(text)
    except jinja2.TemplateSyntaxError as error:
        raise RenderError(_syntax_words(error), hint=_syntax_hint(error, text), line=error.lineno) from None


def render_text(text: str, names: Mapping[str, Any], environment: Environment) -> str:
    """Raises: RenderError."""
    return str(_guarded(text, lambda: _joined(environment.from_string(text), names)))


def evaluate(expression: str, names: Mapping[str, Any], environment: Environment) -> Any:
    """The value of an expression, with its own type. Raises: RenderError."""

    def run() -> Any:
        value = environment.compile_expression(expression, undefined_to_none=False)(**names)
        if isinstance(value, jinja2.Undefined):
            str(value)  # raises
        return value

    return _guarded(expression, run)


def _joined(template: jinja2.Template, names: Mapping[str, Any]) -> str:
    parts, length = [], 0
    for part in template.generate(**names):
        length += len(part)
        _check_length(length)
        parts.append(part)
    return "".join(parts)


def _guarded(text: str, run: Callable[[], Any]) -> Any:
    counting = _steps.set([0])
    try:
        return run()
    except RenderError:
        raise
    except jinja2.TemplateSyntaxError as error:
        raise RenderError(_syntax_words(error), hint=_syntax_hint(error, text), line=error.lineno) from None
    except jinja2.exceptions.SecurityError as error:
        raise RenderError(f"not allowed in a template: {error}") from None
    except jinja2.TemplateError as error:
        raise RenderError(str(error.message or error)) from None
    except RecursionError:
        raise RenderError("calls itself without end") from None
    except Exception as error:  # whatever a filter or method raises for a wrong argument
        raise RenderError(f"{type(error).__name__}: {error}") from None
    finally:
        _steps.reset(counting)


def _syntax_words(error: jinja2.TemplateSyntaxError) -> str:
    message = str(error.message).rstrip(".")
    return message[:1].lower() + message[1:]


def _syntax_hint(error: jinja2.TemplateSyntaxError, text: str) -> str:
    return "to keep {{ or {% as they are, write {% raw %}…{% endraw %} around them"
