"""YAML as a tree of values that know where they were written.

Reads YAML 1.2's core schema (`no` is a text, ``0o17`` and ``1e3`` are numbers, ``12:30`` is a text), refuses what
goes wrong silently elsewhere (a key written twice, tags, merge keys, several documents) and is bounded: size, depth
and the number of values after aliases are expanded.

The tree is built from libyaml's events and not by its composer, which recurses in C and crashes on deep nesting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from factory.errors import Place, Problem, TemplateError
from factory.opening import open_text
from factory.quantity import Size

LARGEST_FILE = Size(2**20)
DEEPEST = 64
MOST_VALUES = 50_000

Scalar: TypeAlias = "str | int | float | bool | None"
Loc: TypeAlias = "tuple[str | int, ...]"
"""Where a value is in a tree: keys and indexes from the root."""

_INT = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_SPECIAL: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((s + i for s in ("", "+") for i in (".inf", ".Inf", ".INF")), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_TAG = "tag:yaml.org,2002:"
_SURROGATES = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_UNQUOTED_EXPRESSION = re.compile(r"(^|[:\-,\[]\s+)\{\{")


@dataclass(frozen=True, slots=True)
class Document:
    """The text of one file. ``name`` is how problems call it."""

    name: str
    path: Path
    lines: Sequence[str] = field(repr=False)

    def line(self, number: int) -> str:
        return self.lines[number - 1] if 1 <= number <= len(self.lines) else ""

    def problem(self, message: str, line: int, column: int, hint: str = "", severity: str = "error") -> Problem:
        return Problem(message, Place(self.name, line, column), hint, self.line(line), severity)


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A value with its place. Lines and columns count from 1; ``key_line`` 0 means that it has no key.

    ``value`` is a scalar, a ``dict`` of nodes or a ``list`` of nodes; after rendering also any other value.
    ``style`` is YAML's own sign of a text: ``""`` (plain), ``'``, ``"``, ``|`` or ``>``.
    """

    value: object
    document: Document
    line: int
    column: int
    key_line: int = 0
    key_column: int = 0
    style: str = ""

    @property
    def place(self) -> Place:
        return Place(self.document.name, self.line, self.column)

    def problem(self, message: str, hint: str = "", severity: str = "error") -> Problem:
        """A problem with this value."""
        return self.document.problem(message, self.line, self.column, hint, severity)

    def key_problem(self, message: str, hint: str = "", severity: str = "error") -> Problem:
        """A problem with the key that this value stands under (or with the value, when it has none)."""
        if not self.key_line:
            return self.problem(message, hint, severity)
        return self.document.problem(message, self.key_line, self.key_column, hint, severity)

    def get(self, key: str | int) -> Node | None:
        if isinstance(self.value, dict):
            child: Node | None = self.value.get(str(key))
            return child
        if isinstance(self.value, list) and isinstance(key, int) and -1 < key < len(self.value):
            item: Node = self.value[key]
            return item
        return None

    def at(self, *loc: str | int) -> Node | None:
        """The value at *loc*, None when there is none."""
        node: Node | None = self
        for key in loc:
            node = node.get(key) if node else None
        return node

    def plain(self) -> Any:
        """The value without its places."""
        if isinstance(self.value, dict):
            return {k: v.plain() for k, v in self.value.items()}
        if isinstance(self.value, list):
            return [v.plain() for v in self.value]
        return self.value

    def leaves(self, loc: Loc = ()) -> Iterator[tuple[Loc, Node]]:
        """Every scalar below (or at) this node, in the order of the file."""
        if isinstance(self.value, dict):
            for key, child in self.value.items():
                yield from child.leaves((*loc, key))
        elif isinstance(self.value, list):
            for index, child in enumerate(self.value):
                yield from child.leaves((*loc, index))
        else:
            yield loc, self

    def text_problem(self, offset: int, message: str, hint: str = "", severity: str = "error") -> Problem:
        """A problem with the character at *offset* of this text, at its line and column where they can be told."""
        line, column = self.position(offset)
        return self.document.problem(message, line, column, hint, severity)

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of the character at *offset* of this text; of its start where YAML folded it."""
        if not isinstance(self.value, str):
            return self.line, self.column
        if self.style == "|":
            return self._literal_position(self.value, offset)
        if self.style != ">" and "\n" not in self.value:
            column = self._inline_position(self.value, offset)
            if column:
                return self.line, column
        return self.line, self.column

    def _literal_position(self, value: str, offset: int) -> tuple[int, int]:
        before = value[:offset].split("\n")
        line = self.line + len(before)
        written = value.split("\n")[len(before) - 1]
        indent = self.document.line(line).find(written) if written else 0
        return (line, indent + len(before[-1]) + 1) if indent >= 0 else (self.line, self.column)

    def _inline_position(self, value: str, offset: int) -> int:
        written = self.document.line(self.line)
        at = self.column - 1 + (self.style in ("'", '"'))
        for wanted in value[:offset]:
            if self.style == '"' and written[at : at + 1] == "\\":
                at += {"x": 4, "u": 6, "U": 10}.get(written[at + 1 : at + 2], 2)
            elif self.style == "'" and wanted == "'":
                at += 2
            elif written[at : at + 1] == wanted:
                at += 1
            else:
                return 0  # folded over several lines
        return at + 1


def shown_name(path: Path) -> str:
    """How messages call *path*: relative to where the user stands when it is below that, else whole."""
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)


def read_yaml(path: Path, doubled: list[Problem] | None = None) -> Node:
    """Reads the one document of the file at *path*; its root is a mapping.

    Args:
        doubled: takes the problems that leave the rest of the file readable (a key that is written twice or is no
            text), so that what is wrong elsewhere is told with them; without it they are raised.

    Raises: TemplateError for a file that can't be read, isn't UTF-8 or isn't YAML as described above.
    """
    name = shown_name(path)
    try:
        raw = _read_bounded(path)
    except OSError as error:
        raise TemplateError([Problem(f"can't read it: {error.strerror}", Place(name))]) from None
    if raw is None:
        raise TemplateError([Problem(f"is larger than {LARGEST_FILE}: not a file that a person wrote", Place(name))])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        problem = Problem(f"isn't UTF-8: byte 0x{raw[error.start]:02x}", Place(name, line, column))
        raise TemplateError([replace(problem, hint="save it as UTF-8")]) from None
    if path.suffix == ".json":
        # JSON writes what lies beyond 16 bits as a pair of escapes, which YAML does not know
        text = _SURROGATES.sub(lambda match: str(json.loads(f'"{match[0]}"')), text)
    return parse_yaml(text, path, name, doubled)


def _read_bounded(path: Path) -> bytes | None:
    """What is in the file, None when that is more than ``LARGEST_FILE``, also of a device that has no end."""
    with open_text(path) as stream:
        raw = stream.read(LARGEST_FILE + 1)
    return raw if len(raw) <= LARGEST_FILE else None


def parse_yaml(text: str, path: Path, name: str = "", doubled: list[Problem] | None = None) -> Node:
    """As ``read_yaml``, for a text that was read already."""
    document = Document(name or shown_name(path), path, [line.rstrip("\r") for line in text.split("\n")])
    composer = _Composer(document)
    root: Node | None = None
    try:
        root = composer.compose(text)
    except yaml.YAMLError as error:
        problem = _syntax_problem(document, error)
        told = {(p.place.line if p.place else 0) for p in composer.problems}
        if problem.place is None or problem.place.line not in told:  # else it is what that line's problem leads to
            composer.problems.append(problem)
    if root is not None and not isinstance(root.value, dict) and not composer.problems:
        empty = "it is a named pipe that nobody writes to" if path.is_fifo() else "the file is empty"
        hint = empty if root.value is None else "write `key: value` lines"
        composer.problems.append(root.problem("expected a mapping at the top", hint))
    if composer.problems or root is None or (composer.doubled and doubled is None):
        raise TemplateError(sorted([*composer.problems, *composer.doubled], key=_order))
    if doubled is not None:
        doubled += composer.doubled
    return root


def _order(problem: Problem) -> tuple[int, int]:
    return (problem.place.line, problem.place.column) if problem.place else (0, 0)


class _Stop(Exception):
    """Enough has been seen: the problem is noted."""


class _Composer:
    """Builds nodes from events, iteratively."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.doubled: list[Problem] = []
        """Keys that are written twice: the first value is taken; and those that are no texts: they are left out."""
        self._anchors: dict[str, tuple[Node, int] | None] = {}
        self._total = 0

    def compose(self, text: str) -> Node | None:
        # Any: the stubs don't know the members of events
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=yaml.CSafeLoader))
        documents: list[Node] = []
        try:
            for event in self._events:
                if isinstance(event, yaml.DocumentStartEvent) and documents:
                    self._note(event, "a second document begins here", "a template is one document: remove the `---`")
                    break
                if isinstance(event, yaml.NodeEvent):
                    documents.append(self._node(event, 0))
        except _Stop:
            return None
        return documents[0] if documents else Node(None, self.document, 1, 1)

    def _note(self, event: Any, message: str, hint: str = "") -> None:
        self.problems.append(self.document.problem(message, *_start(event), hint))

    def _node(self, event: Any, depth: int) -> Node:
        """The value that begins with *event*. Recursion is bounded by ``DEEPEST``."""
        if depth > DEEPEST:
            self._note(event, f"nested deeper than {DEEPEST} levels")
            raise _Stop
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.anchor:
            self._anchors[event.anchor] = None
        before = self._total
        node = self._content(event, depth)
        if event.anchor:
            self._anchors[event.anchor] = node, self._total - before
        return node

    def _content(self, event: Any, depth: int) -> Node:
        line, column = _start(event)
        if isinstance(event, yaml.ScalarEvent):
            self._count(event, 1)
            return Node(self._scalar(event), self.document, line, column, style=event.style or "")
        self._check_tag(event, "map" if isinstance(event, yaml.MappingStartEvent) else "seq")
        self._count(event, 1)
        if isinstance(event, yaml.MappingStartEvent):
            return Node(self._mapping(depth), self.document, line, column)
        items: list[Node] = []
        while not isinstance(following := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(following, depth + 1))
        return Node(items, self.document, line, column)

    def _mapping(self, depth: int) -> dict[str, Node]:
        values: dict[str, Node] = {}
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent):
                self._bad_key(key)
                self._skip(key)
                self._node(next(self._events), depth + 1)
                continue
            line, column = _start(key)
            value = replace(self._node(next(self._events), depth + 1), key_line=line, key_column=column)
            if key.value in values:
                first = values[key.value]
                hint = f"the first is on line {first.key_line}"
                self.doubled.append(self.document.problem(f"'{key.value}' is written twice", line, column, hint))
            elif key.value == "<<" and not key.style:
                self._note(key, "merge keys (`<<`) are not part of YAML 1.2", "share parts with `extends`")
            else:
                values[key.value] = value
        return values

    def _skip(self, event: Any) -> None:
        """Passes over the value that begins with *event*, whose problem is noted."""
        depth = 0
        while True:
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth == 0:
                return
            if depth > DEEPEST:
                raise _Stop
            event = next(self._events)

    def _bad_key(self, event: Any) -> None:
        line = self.document.line(_start(event)[0])
        if isinstance(event, yaml.MappingStartEvent) and "{{" in line:
            self._note(event, "a text that begins with {{ must be quoted", 'write key: "{{ … }}"')
        else:
            self.doubled.append(self.document.problem("a key must be a text", *_start(event)))

    def _count(self, event: Any, number: int) -> None:
        self._total += number
        if self._total > MOST_VALUES:
            self._note(event, f"more than {MOST_VALUES} values (aliases count as often as they are used)")
            raise _Stop

    def _alias(self, event: Any) -> Node:
        name = event.anchor
        target = self._anchors.get(name)
        if target is None:
            inside = name in self._anchors
            message = f"'*{name}' is used inside '&{name}' itself" if inside else f"there is no anchor '&{name}' above"
            self._note(event, message)
            return Node(None, self.document, *_start(event))
        node, size = target
        self._count(event, size)
        return node

    def _check_tag(self, event: Any, expected: str) -> None:
        if event.tag not in (None, "!", _TAG + expected):
            shown = event.tag.replace(_TAG, "!!")
            self._note(event, f"the tag {shown} is not known", "templates have no tags")

    def _scalar(self, event: Any) -> Scalar:
        text: str = event.value
        if event.tag in ("!", _TAG + "str") or event.style or not event.implicit[0]:
            self._check_tag(event, "str")
            return text
        self._check_tag(event, "str")
        if text in _SPECIAL:
            return _SPECIAL[text]
        try:
            if _INT.match(text):
                return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
            if _FLOAT.match(text):
                return float(text)
        except ValueError:  # Python refuses to read numbers of more than 4300 digits
            self._note(event, "this number is too long")
        return text


def _start(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _syntax_problem(document: Document, error: yaml.YAMLError) -> Problem:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        reason = str(getattr(error, "reason", error))
        position = int(getattr(error, "position", 0) or 0)
        before = "\n".join(document.lines).encode()[:position].decode(errors="replace").split("\n")
        return document.problem(f"not YAML: {reason}", len(before), len(before[-1]) + 1)
    line, column = error.problem_mark.line + 1, error.problem_mark.column + 1
    if line > len(document.lines) or (line == len(document.lines) > 1 and not document.lines[-1]):
        line = len(document.lines) - (not document.lines[-1])  # the end of the file: shown behind its last line
        column = len(document.line(line)) + 1
    written, what = document.line(line), str(error.problem)
    if "\t" in written[: len(written) - len(written.lstrip())]:
        return document.problem("a tab indents this line", line, 1, "YAML is indented with spaces only")
    if _UNQUOTED_EXPRESSION.search(written):
        return document.problem("a text that begins with {{ must be quoted", line, column, 'write key: "{{ … }}"')
    return document.problem(f"not YAML: {_reworded(what, error.context)}", line, column, _syntax_hint(written, what))


def _reworded(what: str, context: str | None) -> str:
    return {
        "mapping values are not allowed in this context": "a `:` where no mapping can begin",
        "found character that cannot start any token": "a value can't begin with this character",
        "did not find expected key": "expected a key",
        "block sequence entries are not allowed in this context": "a list can't begin on this line",
        "found unexpected end of stream": "a quote is never closed",
        "found unknown escape character": 'an escape that "…" does not know',
    }.get(what, f"{what} ({context})" if context else what)


def _syntax_hint(line: str, what: str) -> str:
    if what.startswith("mapping values"):
        return "check the indentation, and quote a text that holds ': '"
    if what.startswith("found character that"):
        return "quote it"
    if what.startswith("did not find expected key"):
        return "check the indentation and the quotes of this line and the one above"
    if what.startswith("found unknown escape"):
        return "use '…' for a text with backslashes"
    return ""
