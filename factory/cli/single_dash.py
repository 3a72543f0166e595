"""Long options with one dash, as Packer's users write them: click reads one dash as a row of one-letter options."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import click

SINGLE_DASH = (
    "var", "var-file", "only", "except", "force", "on-error", "json", "parallel-builds", "syntax-only", "upgrade",
    "check", "diff", "write", "recursive", "config-type", "warn-on-undeclared-var", "no-warn-undeclared-var",
    "ignore-prerelease-plugins", "use-sequential-evaluation", "skip-enforcement", "evaluate-datasources", "debug",
    "color", "timestamp-ui", "machine-readable",
)  # fmt: skip
"""Long options that may be written with one dash, as Packer's users do."""
SWITCHES = frozenset(SINGLE_DASH) - {
    "var", "var-file", "only", "except", "on-error", "parallel-builds", "config-type", "color", "write"
}  # fmt: skip
"""Those that are there or not. In Go such a one takes a value all the same: ``-force=true``."""
_WITH_VALUE = (*sorted(set(SINGLE_DASH) - SWITCHES), "output")
_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")
MACHINE_READABLE = ("-machine-readable", "--machine-readable")
_WORD = re.compile(r"-([a-z][a-z-]+)([^a-z].*)?", re.DOTALL)
_ONE_LETTER = re.compile("[hvw]+")
"""Those without a value, which may stand in a row: ``-vv``."""
AS_THEY_ARE = "ssh"
"""The command whose words are for another program."""


def double_dashes(
    arguments: Sequence[str], long_options: Callable[[str], Sequence[str]] = lambda command: ()
) -> list[str]:
    """Writes ``-var x=1`` as ``--var x=1``.

    ``-force=true`` is ``--force``, ``-force=false`` is nothing, and ``-machine-readable`` may stand before the command.
    *long_options* names those of a command, for a hint. Raises: click.UsageError for any other value of a switch, and
    for a word with one dash that is none of them: ``-onyl=x`` would be the option ``-o`` with the value ``nyl=x``.
    """
    result: list[str] = []
    arguments = list(arguments)
    if len(arguments) > 1 and arguments[0] in MACHINE_READABLE:
        arguments[:2] = [arguments[1], arguments[0]]
    if arguments[:1] == [AS_THEY_ARE]:
        return arguments
    is_value = False
    for i, argument in enumerate(arguments):
        if is_value:
            result.append(argument)
            is_value = False
            continue
        if argument == "--":
            return [*result, *arguments[i:]]
        if argument == "-help":
            argument = "--help"
        name, equals, value = argument.lstrip("-").partition("=")
        is_value = not equals and (argument == "-o" or (argument[:1] == "-" and name in _WITH_VALUE))
        if not argument.startswith(("-" + name, "--" + name)) or name not in SINGLE_DASH:
            _refuse_unknown(argument, arguments[0], long_options)
            result.append(argument)
        elif not equals or name not in SWITCHES:
            result.append("--" + argument.lstrip("-"))
        elif value in _TRUE:
            result.append("--" + name)
        elif value not in _FALSE:
            raise click.UsageError(f"-{name} is true or false, not {value!r}")
    return result


def _refuse_unknown(argument: str, command: str, long_options: Callable[[str], Sequence[str]]) -> None:
    found = _WORD.fullmatch(argument)
    if found is None or _ONE_LETTER.fullmatch(found[1]):
        return
    import difflib

    known = dict.fromkeys([*SINGLE_DASH, *long_options(command)])
    close = difflib.get_close_matches(found[1], known, 1)
    if close:
        dashes = "-" if close[0] in SINGLE_DASH else "--"
        hint = f" Did you mean {dashes}{close[0]}?"
    else:
        hint = f" A value stands apart: -o {argument[2:]}" if argument.startswith("-o") else ""
    raise click.UsageError(f"No such option: -{found[1]}.{hint}")
