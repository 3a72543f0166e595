"""Templates of HCL: quoted texts, heredocs and whole files with ``${ }`` and ``%{ }`` sequences.

A template is read in four passes: a flat list of parts (a literal part never reaches past the end of its line, which
is what ``~`` trims), trimming, taking off the common indent of ``<<-``, and building the tree of directives.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from factory.template.packer.hcl.source import Source, Span
from factory.template.packer.hcl.syntax import Directive, Expression, Literal, Loop, Template, Wrapped
from factory.template.packer.hcl.tokens import Kind, Token


class ExpressionReader(Protocol):
    """What the template reader needs of the parser."""

    source: Source
    position: int

    def peek(self) -> Token: ...
    def take(self) -> Token: ...
    def expression(self) -> Expression: ...
    def ignore_newlines(self) -> None: ...
    def restore_newlines(self) -> None: ...


@dataclass(slots=True)
class _Text:
    span: Span
    value: str


@dataclass(frozen=True, slots=True)
class _Interpolation:
    span: Span
    expression: Expression


@dataclass(frozen=True, slots=True)
class _If:
    span: Span
    condition: Expression


@dataclass(frozen=True, slots=True)
class _For:
    span: Span
    key: str
    value: str
    collection: Expression


@dataclass(frozen=True, slots=True)
class _Keyword:
    """``else``, ``endif`` or ``endfor``."""

    span: Span
    word: str


_Part = _Text | _Interpolation | _If | _For | _Keyword

_QUOTED_TEXT = re.compile(r'(?:[^$%"\\\r\n]+|\\[^\r\n]|\$\$\{|%%\{|\$(?!\{)|%(?!\{))+')
_LINE_TEXT = re.compile(r"(?:[^$%\n]+|\$\$\{|%%\{|\$(?!\{)|%(?!\{))*\n?")
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.|\Z)|\$\$\{|%%\{", re.DOTALL)
_SIMPLE_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_HEREDOC_START = re.compile(r"<<(-?)([^\W\d][\w-]*)\r?\n")
_FOREIGN_HINT = "if this belongs to another language, such as a shell, write $${ instead of ${"


def read_quoted(reader: ExpressionReader, start: int) -> Expression:
    """Reads the quoted template whose opening quote is at *start*; leaves the reader behind the closing one."""
    source = reader.source
    parts: list[_Part] = []
    reader.position = start + 1
    trim = False
    while True:
        here = reader.position
        character = source.text[here : here + 1]
        if character == '"':
            break
        if character in ("", "\n", "\r"):
            raise source.span(start, here).error(
                "this text has no closing quotation mark on its line",
                hint='close it with ", or write a longer text as a heredoc (<<EOT … EOT)',
            )
        match = _QUOTED_TEXT.match(source.text, here)
        if match:
            reader.position = match.end()
            text = _unescape(source, here, match[0])
            parts.append(_Text(source.span(here, match.end()), text.lstrip() if trim else text))
            trim = False
        else:
            trim = _sequence(reader, parts, start)
    reader.position += 1
    return _build(source.span(start, reader.position), parts)


def read_heredoc(reader: ExpressionReader, start: int) -> Expression:
    """Reads the heredoc that begins with ``<<`` at *start*; leaves the reader at the newline after its end mark."""
    source = reader.source
    parts: list[_Part] = []
    match = _HEREDOC_START.match(source.text, start)
    if match is None:
        raise source.span(start, start + 2).error(
            "a heredoc begins with << or <<-, a word, and a new line", hint="write <<EOT and end the line there"
        )
    marker, reader.position = match[2], match.end()
    trim = False
    while True:
        here = reader.position
        if here >= len(source.text):
            raise source.span(start, match.end()).error(
                f"this heredoc never ends: no line consists of “{marker}” alone",
                hint=f"put {marker} on a line of its own after the text",
            )
        line = _LINE_TEXT.match(source.text, here)
        text = line[0] if line else ""
        whole = text.endswith("\n") or here + len(text) == len(source.text)
        if whole and source.text[here - 1] == "\n" and text.strip() == marker:
            reader.position = here + len(text.rstrip("\r\n"))
            break
        if text:
            reader.position = here + len(text)
            text = _unescape_dollars(text)
            parts.append(_Text(source.span(here, reader.position), text.lstrip() if trim else text))
            trim = False
        else:
            trim = _sequence(reader, parts, start)
    if match[1]:
        _take_off_indent(parts)
    return _build(source.span(start, reader.position), parts, heredoc=True)


def read_bare(reader: ExpressionReader) -> Expression:
    """Reads the whole source as one template."""
    source = reader.source
    parts: list[_Part] = []
    trim = False
    while (here := reader.position) < len(source.text):
        match = _LINE_TEXT.match(source.text, here)
        if match and match[0]:
            reader.position = match.end()
            text = _unescape_dollars(match[0])
            parts.append(_Text(source.span(here, match.end()), text.lstrip() if trim else text))
            trim = False
        else:
            trim = _sequence(reader, parts, here)
    return _build(source.span(0, len(source.text)), parts)


def _sequence(reader: ExpressionReader, parts: list[_Part], template_start: int) -> bool:
    """Reads one ``${ }`` or ``%{ }`` into *parts*. Says whether the text that follows is to be trimmed.

    Trimming touches one literal part only, so it never reaches further than the end or the start of one line.
    """
    source, start = reader.source, reader.position
    control = source.text[start] == "%"
    reader.position += 2
    if source.text.startswith("~", reader.position):
        reader.position += 1
        if parts and isinstance(previous := parts[-1], _Text):
            previous.value = previous.value.rstrip()
    reader.ignore_newlines()
    if control:
        part = _control(reader, start)
        trim = _close(reader, start, template_start)
    else:
        expression = reader.expression()
        trim = _close(reader, start, template_start)
        part = _Interpolation(source.span(start, reader.position), expression)
    reader.restore_newlines()
    parts.append(part)
    return trim


def _control(reader: ExpressionReader, start: int) -> _Part:
    source, word = reader.source, reader.take()
    span = source.span(start, word.end)
    if word.is_name("if"):
        return _If(span, reader.expression())
    if word.is_name("else", "endif", "endfor"):
        return _Keyword(span, word.text)
    if word.is_name("for"):
        names = [_loop_name(reader)]
        if reader.peek().is_symbol(","):
            reader.take()
            names.append(_loop_name(reader))
        into = reader.take()
        if not into.is_name("in"):
            raise source.span(into.start, into.end).error(f"expected “in” after the name of the loop, found {into}")
        return _For(span, names[0] if len(names) == 2 else "", names[-1], reader.expression())
    raise source.span(start, word.end).error(
        f"expected if, else, endif, for or endfor after %{{, found {word}", hint="write %%{ for a literal %{"
    )


def _loop_name(reader: ExpressionReader) -> str:
    name = reader.take()
    if name.kind is not Kind.NAME:
        raise reader.source.span(name.start, name.end).error(f"expected the name of a loop variable, found {name}")
    return name.text


def _close(reader: ExpressionReader, start: int, template_start: int) -> bool:
    """Passes over the closing brace. Says whether it trims what follows."""
    source, token = reader.source, reader.take()
    if token.is_symbol("~"):
        following = source.text[token.end : token.end + 1]
        if following == "}":
            reader.position = token.end + 1
            return True
    if token.is_symbol("}"):
        return False
    if token.kind is Kind.END or (token.kind is Kind.QUOTE and source.text[template_start : template_start + 1] == '"'):
        raise source.span(start, start + 2).error("this template sequence has no closing brace", hint=_FOREIGN_HINT)
    raise source.span(token.start, token.end).error(
        f"expected a closing brace that ends the template sequence, found {token}", hint=_FOREIGN_HINT
    )


def _unescape(source: Source, start: int, text: str) -> str:
    if "\\" not in text and "{" not in text:
        return text

    def replace(match: re.Match[str]) -> str:
        found = match[0]
        if found[0] != "\\":
            return found[1:]
        if found[1:] in _SIMPLE_ESCAPES:
            return _SIMPLE_ESCAPES[found[1:]]
        if len(found) > 2 and (code := int(found[2:], 16)) < 0x110000 and not 0xD800 <= code < 0xE000:
            return chr(code)  # a half of a surrogate pair is no character
        raise source.span(start + match.start(), start + match.end()).error(
            f"“{found}” is not an escape sequence",
            hint=r"known are \n \r \t \" \\ \uNNNN \UNNNNNNNN; a single backslash is written \\",
        )

    return _ESCAPE.sub(replace, text)


def _unescape_dollars(text: str) -> str:
    return text.replace("$${", "${").replace("%%{", "%{") if "{" in text else text


def _take_off_indent(parts: list[_Part]) -> None:
    """Takes the least indent of all lines off every line. A line of blanks alone does not count."""
    least, starts, line_starts = -1, [], True
    for part in parts:
        if line_starts:
            line_starts = False
            indent = 0
            if isinstance(part, _Text):
                stripped = part.value.lstrip()
                if not stripped and part.value.endswith("\n"):
                    indent = -1
                else:
                    indent = len(part.value) - len(stripped)
                    starts.append(part)
            if indent >= 0:
                least = indent if least < 0 else min(least, indent)
        if isinstance(part, _Text) and part.value.endswith("\n"):
            line_starts = True
    for text in starts:
        text.value = text.value[max(least, 0) :]


def _build(span: Span, parts: list[_Part], *, heredoc: bool = False) -> Expression:
    merged = list(_merge(parts))
    if not heredoc and len(merged) == 1 and isinstance(merged[0], _Interpolation):
        return Wrapped(span, merged[0].expression)
    if not merged:
        return Literal(span, "")
    if len(merged) == 1 and isinstance(only := merged[0], _Text):
        return Literal(span, only.value)
    return _branch(_Stream(merged), span, ())


def _merge(parts: list[_Part]) -> Iterator[_Part]:
    pending: _Text | None = None
    for part in parts:
        if isinstance(part, _Text):
            pending = _Text(pending.span.to(part.span), pending.value + part.value) if pending else part
        else:
            if pending:
                yield pending
                pending = None
            yield part
    if pending:
        yield pending


@dataclass(slots=True)
class _Stream:
    parts: list[_Part]
    index: int = 0

    def next(self) -> _Part | None:
        self.index += 1
        return self.parts[self.index - 1] if self.index <= len(self.parts) else None


def _branch(stream: _Stream, opened: Span, ends: tuple[str, ...]) -> Template:
    """Reads up to the keyword that ends this branch, which the caller finds just before the stream's index."""
    items: list[Expression] = []
    while (part := stream.next()) is not None:
        if isinstance(part, _Text):
            items.append(Literal(part.span, part.value))
        elif isinstance(part, _Interpolation):
            items.append(part.expression)
        elif isinstance(part, _If):
            then = _branch(stream, part.span, ("else", "endif"))
            otherwise = Template(part.span, ())
            if _last_word(stream) == "else":
                otherwise = _branch(stream, part.span, ("endif",))
            items.append(Directive(part.span, part.condition, then, otherwise))
        elif isinstance(part, _For):
            body = _branch(stream, part.span, ("endfor",))
            items.append(Loop(part.span, part.key, part.value, part.collection, body))
        elif part.word in ends:
            return Template(opened, tuple(items))
        else:
            expected = " or ".join(ends) or "the end of the text"
            raise part.span.error(f"unexpected %{{ {part.word} }}: expected {expected}")
    if ends:
        raise opened.error(f"this directive has no %{{ {ends[-1]} }}")
    return Template(opened, tuple(items))


def _last_word(stream: _Stream) -> str:
    part = stream.parts[stream.index - 1]
    return part.word if isinstance(part, _Keyword) else ""
