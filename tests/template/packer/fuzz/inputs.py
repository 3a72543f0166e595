"""Inputs for fuzzing: pieces of the languages, joined at random, and mutations of what is right.

Used by the property tests (few) and by ``scripts/dev/fuzz`` (a million).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import suppress

from factory.boot_command.parse import Dialect
from factory.boot_command.parse import parse as parse_boot_command
from factory.errors import TemplateError
from factory.template.packer.gotemplate import Context, Surroundings, packer_functions, render, render_known
from factory.template.packer.hcl import NOWHERE, Source, parse_body, parse_expression, parse_template
from factory.template.packer.hcl.json_form import parse_json_body
from factory.template.packer.hcl.json_parser import parse_json
from factory.template.packer.language.evaluator import evaluate
from factory.template.packer.language.functions import FUNCTIONS
from factory.template.packer.language.scope import Scope, World
from factory.template.packer.language.values import from_python

HCL_PIECES = [
    "a",
    "b-c",
    "é",
    "_x",
    "1",
    "0.5",
    "1e9",
    "1e-3",
    '"t"',
    '"${',
    "}",
    '"',
    "%{",
    "${",
    "~}",
    "${~",
    "%{~",
    "if ",
    "for ",
    "in ",
    "else",
    "endif",
    "endfor",
    "\n",
    "\r\n",
    " ",
    "\t",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "=",
    "==",
    "!=",
    "=>",
    "<=",
    ">",
    "&&",
    "||",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    "?",
    ":",
    ",",
    ".",
    "...",
    ".*",
    "[*]",
    "::",
    "#c\n",
    "//c\n",
    "/*c*/",
    "/*",
    "<<EOT\n",
    "<<-EOT\n",
    "EOT\n",
    "\nEOT\n",
    "true",
    "false",
    "null",
    "$${",
    "%%{",
    "\\n",
    "\\u00e9",
    "\\",
    "$",
    "var.x",
    "local.y",
    "upper(",
    'join(",",',
    "try(",
    "can(",
    'format("%5d",',
    "[for x in l : x]",
    "{a=1}",
    "\ufeff",
    "\x00",
    "😀",
    'source "qemu" "x" {\n',
    "build {\n",
    "variable v {",
    'dynamic "p" {',
    "l",
    "o",
    "n",
    "s",
    "z",
]
GO_PIECES = [
    "{{",
    "}}",
    "{{-",
    " -}}",
    "{{ ",
    " }}",
    "if ",
    "else",
    "end",
    "range ",
    "with ",
    "$x",
    ":=",
    "=",
    ",",
    "|",
    ".",
    ".A",
    ".B.C",
    '"q"',
    "`r`",
    "'c'",
    "1",
    "-2.5",
    "0x1F",
    "1e3",
    "true",
    "nil",
    "(",
    ")",
    "user ",
    "env ",
    "isotime ",
    "upper ",
    'printf "%05d %q %v" ',
    "index ",
    "split ",
    "eq ",
    "and ",
    "or ",
    "not ",
    "len ",
    "text",
    "\n",
    " ",
    "/*",
    "*/",
    "é",
    "break",
    "continue",
    'template "x"',
    "{{ .A }}",
    "{{ if .A }}",
    "{{ end }}",
    "{{ range .L }}",
    "\x00",
    "\\",
]
JSON_PIECES = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    '"a"',
    '"',
    '"variable"',
    '"builders"',
    '"source"',
    "1",
    "-0.5e3",
    "true",
    "null",
    " ",
    "\n",
    "\\",
    '"\\u00e9"',
    '"\\ud800"',
    '"${1+',
    '1}"',
    '"{{ user `x` }}"',
    "1e99999",
    "\x00",
    "é",
    "//",
    "'",
    "nul",
]
BOOT_PIECES = [
    "<",
    ">",
    "<enter>",
    "<ENTER>",
    "<lt>",
    "<wait>",
    "<wait5>",
    "<wait1m30s>",
    "<wait-5>",
    "<wait0>",
    "<wait5x>",
    "<wait1e9s>",
    "<wait99999999999h>",
    "<leftShiftOn>",
    "<leftShiftOff>",
    "<f12>",
    "<f13>",
    "<aOn>",
    "<éOn>",
    "<<on>",
    "<>>on>",
    "<wa\x69t>",
    '<waitText "x" 60s>',
    '<waitText "x',
    "<waitText /a(/ 5s>",
    "<waitText /(a+)+$/>",
    "<waitText>",
    "<waitSerial /x/i 0s>",
    "<waitStill 2s 3s>",
    "<waitSeed ../x 1s>",
    "{{ .HTTPIP }}",
    "é",
    "\u0130",
    "\ud800",
    "\x00",
    "\n",
    "\t",
    '"',
    "/",
    " ",
    "wait",
    "a",
]
SEEDS = {
    "boot": [
        '<esc><wait5>auto url=http://10.0.2.2/preseed.cfg<leftShiftOn>a<leftShiftOff><enter><waitText "login:" 60s>',
        "c<waitSerial /grub> ?/i 1m><f10><wait><waitStill 2s><waitSeed preseed.cfg 60s><lt>x>",
    ],
    "hcl": [
        'source "qemu" "x" {\n  a = "b ${var.x} %{ if true }y%{ endif }"\n  c = [1, 2, {d = 3}]\n}\n',
        'a = <<-EOT\n  x ${"y"}\n    %{ for i in [1] ~}\n z\n %{ endfor }\n  EOT\n'
        "b = [for k, v in {a = 1} : k => v... if v > 0]\n",
        "x = a ? b[*].c : d.*.e[0].1\ny = f(1, g...)\nz = !(-1 + 2 * 3 % 4 >= 5 && true || null == null)\n",
    ],
    "expression": [
        'join(",", [for x in [1, 2, 3] : format("%03d", x) if x % 2 == 1])',
        '{ for k, v in o : "${k}x" => v }',
        'try(o.a.b.c, lookup(o, "z", "d"), [])',
        'regex_replace("abc", "([a-c])", "$1$1")',
        '"${s}-${n + 1}" == "x"',
        "slice(reverse(range(10)), 2, 5)[0]",
        'jsonencode({a = l, b = yamldecode("x: [1, 2]")})',
        'cidrsubnet("10.0.0.0/8", 8, n)',
        'formatdate("YYYY-MM-DD", "2024-01-02T03:04:05Z")',
        "substr(s, -2, -1)",
        "setproduct(l, [true, false])",
    ],
    "go": [
        "a {{ if .A }}{{ .A | upper }}{{ else }}b{{ end }} {{ range $i, $v := .L }}{{ $v }}{{ end }}",
        '{{ printf "%d" 3 }}',
    ],
    "json": ['{"variables": {"a": "{{ env `X` }}"}, "builders": [{"type": "qemu", "boot_command": ["<enter>"]}]}'],
}

SCOPE = Scope(
    {
        k: from_python(v)
        for k, v in {"s": "text", "n": 3, "l": ["a", "b"], "o": {"a": 1, "b": [None]}, "z": None}.items()
    },
    FUNCTIONS,
    World(),
)
GO_CONTEXT = Context(
    {"A": "a", "B": {"C": 1}, "L": [1, "x"]},
    packer_functions(Surroundings(World(), "1", {"x": "y"}, in_variables=True)),
)


def _hcl(text: str) -> None:
    parse_body(Source.of("f", text))


def _expression(text: str) -> None:
    evaluate(parse_expression(Source.of("f", text)), SCOPE)


def _template(text: str) -> None:
    evaluate(parse_template(Source.of("f", text)), SCOPE)


def _json(text: str) -> None:
    parse_json(Source.of("f", text))
    parse_json_body(Source.of("f", text), {})


def _boot(text: str) -> None:
    with suppress(TemplateError):
        parse_boot_command(text, Dialect.PACKER)
    parse_boot_command(text)


def _go(text: str) -> None:
    render_known(text, Context({}, GO_CONTEXT.functions, None), NOWHERE)
    render(text, GO_CONTEXT, NOWHERE)


TARGETS: Mapping[str, tuple[Callable[[str], None], list[str], list[str]]] = {
    "hcl": (_hcl, HCL_PIECES, SEEDS["hcl"]),
    "expression": (_expression, HCL_PIECES, SEEDS["expression"]),
    "template": (_template, HCL_PIECES, SEEDS["hcl"]),
    "json": (_json, JSON_PIECES, SEEDS["json"]),
    "go": (_go, GO_PIECES, SEEDS["go"]),
    "boot": (_boot, BOOT_PIECES, SEEDS["boot"]),
}


def random_input(target: str, chance: random.Random) -> str:
    """Pieces in a row, or something right with a few changes."""
    _, pieces, seeds = TARGETS[target]
    if chance.random() < 0.5:
        return "".join(chance.choice(pieces) for _ in range(chance.randint(1, 24)))
    text = chance.choice(seeds)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice((0, 0, 1, 2, 8)))
        text = text[:start] + chance.choice(pieces) * chance.choice((1, 1, 1, 3)) + text[end:]
    return text
