# ruff: noqa: E501 (whole messages, as people read them)
"""Jinja2 as templates see it: types, names, bounds, places; and what is filled in later."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.errors import TemplateError
from factory.secret import Secret
from factory.template import jinja
from factory.template.late import late_names, render_late, render_late_value, revealed
from factory.template.model import LateText
from factory.template.names import Scope
from factory.template.render import RenderErrors, render_value
from tests.template.conftest import Project

pytestmark = pytest.mark.unit

SCOPE = Scope(
    {
        "vars": {"n": 3, "b": True, "l": ["a", "b"], "m": {"items": 4}, "s": "text", "secret": Secret("hunter2")},
        "host": {"mirror": "m.example"},
        "name": "small",
    },
    generated=frozenset({"pw"}),
    declared=frozenset({"n", "b", "l", "m", "s", "secret", "pw", "unset"}),
    failed=frozenset({"failed"}),
)


def errors(text: str) -> list[jinja.RenderError]:
    with pytest.raises((RenderErrors, jinja.RenderError)) as caught:
        render_value(text, SCOPE)
    if isinstance(caught.value, RenderErrors):
        return caught.value.errors
    assert isinstance(caught.value, jinja.RenderError)
    return [caught.value]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain ${#a[@]} {#}", "plain ${#a[@]} {#}"),
        ("{{ vars.n }}", 3),
        ("{{ vars.n * 2 + 1 }}", 7),
        ("{{- vars.n -}}", 3),
        ("{{ vars.b }}", True),
        ("{{ vars.l }}", ["a", "b"]),
        ("{{ vars.m }}", {"items": 4}),
        ("{{ vars.m.items }}", 4),
        ("{{ vars['n'] }}", 3),
        ("{{ vars.n }} ", "3 "),
        ("{{ vars.n }}{{ vars.n }}", "33"),
        ("{{ vars.b }} {{ vars.s }}", "true text"),
        ("{{ vars.l | join(' ') }}!", "a b!"),
        ("{{ host.mirror }}/x", "m.example/x"),
        ("{{ name }}", "small"),
        ("{{ vars.unset | default('d') }}", "d"),
        ("{{ vars.nowhere | default('d') }}", "d"),
        ("{% if vars.unset is defined %}{{ vars.unset }}{% else %}none{% endif %}", "none"),
        ("{% for x in vars.l %}{{ x }},{% endfor %}", "a,b,"),
        ("{% if vars.b %}{% set y = 1 %}{{ y }}{% endif %}", "1"),
        ("{% raw %}{{ .Names }}{% endraw %}", "{{ .Names }}"),
        ("x ${#a[@]} {# kept #} {{ name }}", "x ${#a[@]} {# kept #} small"),
        ("{{ vars.s }}\n", "text\n"),
        ("{{ 'a b' | shell_quote }}", "'a b'"),
        ("{{ 'ab' | b64encode }}", "YWI="),
        ("{{ none }}", None),
        ("{{ range(3) | list }}", [0, 1, 2]),
    ],
)
def test_values(text: str, value: Any) -> None:
    rendered = render_value(text, SCOPE)
    assert rendered == value
    assert type(rendered) is type(value)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("{{ nmae }}", "unknown name 'nmae'", "did you mean 'name'?"),
        ("{{ unset }}", "unknown name 'unset'", "did you mean 'vars.unset'?"),
        ("{{ nmae | default(1) }}", "unknown name 'nmae'", "did you mean 'name'?"),
        ("{{ vars.nn }}", "there is no variable 'nn'", "did you mean 'n'?"),
        ("{{ vars.unset }}", "variable 'unset' has no value", "give it a default, or -var unset=…"),
        ("{{ host.zone }}", "there is no 'host.zone'", "known: mirror"),
        ("{{ seed.ulr }}", "there is no 'seed.ulr'", "did you mean 'url'?"),
        ("{{ vars.m.nowhere }}", "there is no 'nowhere' in it", ""),
        ("{{ vars.m['nowhere'] }}", "there is no 'nowhere' in it", ""),
        ("{{ vars.l[7] }}", "there is no '7' in it", ""),
        ("{{ vars.l | jion }}", "there is no filter 'jion'", "did you mean 'join'?"),
        ("{{ vars.n | sha512crypt }}", "there is no filter 'sha512crypt'", "did you mean 'sha512_crypt'?"),
        ("{{ vars.n | b65 }}", "there is no filter 'b65'", "known: abs, attr, b64encode, batch, capitalize, center, count, d, default, dictsort, e, escape, filesizeformat, "
         "first, float, forceescape, format, groupby, indent, int, items, join, last, length, list, …"),
        ("{{ vars.n is eeven }}", "there is no test 'eeven'", "did you mean 'even'?"),
        ("{{ name }", "unexpected '}'", "to keep {{ or {% as they are, write {% raw %}…{% endraw %} around them"),
        ("x{{ none }}", "null can't be put into a text", "use | default('…', true)"),
        ("x{{ vars.l }}", "a list can't be put into a text", "use | join(' ')"),
        ("x{{ vars.m }}", "a mapping can't be put into a text", "use | tojson, or name one of its keys"),
        ("x{{ vars.l.index }}", "a function can't be put into a text", "call it with ()"),
        ("{{ vars.l.index }}", "gives a builtin_function_or_method, which is not a value of a template", ""),
        ("{{ 1 / 0 }}", "ZeroDivisionError: division by zero", ""),
        ("{{ ''.__class__ }}", "not allowed in a template: access to attribute '__class__' of 'str' object is unsafe.", ""),
        ("{{ vars.l.append(1) }}", "not allowed in a template: access to attribute 'append' of 'list' object is unsafe.",
         ""),
        ("{{ 'a' * 10**9 }}", "the text would be too long", "at most 4194304 characters"),
        ("{{ [1] * 10**9 }}", "the text would be too long", "at most 4194304 characters"),
        ("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", "this would take too long",
         "a text may take 200000 turns of its loops and calls, all in all"),
        ("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(99) }}",
         "this would take too long", "a text may take 200000 turns of its loops and calls, all in all"),
        ("{% for i in 'a' * 1000000 %}{% endfor %}", "this would take too long",
         "a text may take 200000 turns of its loops and calls, all in all"),
        ("{{ 10 ** 10000000 }}", "the text would be too long", "at most 4194304 characters"),
        ("{{ '%09999999d' % 1 }}", "'%' can't format a text here", "use ~ to join texts"),
        ("{{ 'a' | center(10**9) }}", "the text would be too long", ""),
        ("{{ 'a'.ljust(10**9) }}", "the text would be too long", ""),
        ("{% for i in range(99999) %}{% for j in range(99999) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}{% endfor %}", "the text would be too long",
         "at most 4194304 characters"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "calls itself without end", ""),
        ("{{ lipsum() }}", "unknown name 'lipsum'", "known: build, guest, host, name, seed, vars"),
    ],
)  # fmt: skip
def test_errors(text: str, message: str, hint: str) -> None:
    found = errors(text)
    assert [(e.message, e.hint) for e in found] == [(message, hint)]


def test_what_takes_too_long_has_its_place() -> None:
    text = "a\n{% for i in range(9) %}{% endfor %}\nb {% for i in range(999) %}{% for j in range(999) %}{% endfor %}{% endfor %}"
    (found,) = errors(text)
    assert text[: found.offset(text)].count("\n") == 2


def test_a_loop_knows_its_length_and_its_end() -> None:
    text = "{% for a, b in [[1, 2], [3, 4]] %}{{ a }}{{ b }}{{ loop.index }}/{{ loop.length }}{{ '' if loop.last else ' ' }}{% endfor %}"
    assert render_value(text, SCOPE) == "121/2 342/2"
    assert render_value("{% for a in [] %}x{% else %}none{% endfor %}", SCOPE) == "none"


def test_there_is_no_randomness() -> None:
    assert [e.message for e in errors("{{ ['a', 'b'] | random }}")] == ["there is no filter 'random'"]


def test_all_wrong_names_of_a_text_are_reported() -> None:
    text = "{{ a1 }}\n{{ b1 }} {{ a1 }}"
    found = errors(text)
    assert [(e.message, e.offset(text)) for e in found] == [
        ("unknown name 'a1'", 3),
        ("unknown name 'b1'", 12),
        ("unknown name 'a1'", 21),
    ]


def test_a_failed_variable_is_not_reported_again() -> None:
    assert errors("{{ vars.failed }} {{ vars.n }}") == []


@pytest.mark.parametrize(
    ("text", "carried"),
    [
        ("{{ seed.url }}/{{ name }}", {"name": "small"}),
        ("{{ build.ssh_public_key }} {{ vars.n }} {{ vars.b }}", {"vars": {"n": 3, "b": True}}),
        ("{{ vars.pw }}", {"vars": {}}),
        ("{{ vars['pw'] }}", {"vars": {}}),
        ("{{ vars.secret }}", {"vars": {"secret": Secret("hunter2")}}),
        ("{{ guest.port }}", {}),
        ("{% if seed.url is defined %}x{% endif %}", {}),
    ],
)
def test_late_names_make_a_late_text_with_what_else_it_needs(text: str, carried: dict[str, Any]) -> None:
    assert render_value(text, SCOPE) == LateText(text, carried)


def test_a_name_that_is_computed_may_be_any_variable() -> None:
    rendered = render_value("{{ vars['s' ~ name] }}", SCOPE)
    assert isinstance(rendered, LateText)
    assert rendered.variables["vars"] == SCOPE.early["vars"]


def test_late_texts_are_filled_in_with_secrets_revealed() -> None:
    late = {"seed": {"url": "http://h/t"}, "vars": {"pw": Secret("pa ss")}}
    text = LateText(
        "{{ seed.url }} {{ vars.pw | shell_quote }} {{ vars.n }} {{ name }}", {"vars": {"n": 3}, "name": "x"}
    )
    assert render_late(text, late) == "http://h/t 'pa ss' 3 x"
    assert render_late("{{ plain }}", late) == "{{ plain }}"
    assert render_late(LateText("{{ vars.t }}", {"vars": {"t": Secret("hunter2")}}), {}) == "hunter2"


def test_a_late_text_whose_name_never_came_is_an_error() -> None:
    with pytest.raises(TemplateError, match="there is no 'port' in it"):
        render_late(LateText("{{ guest.port }}"), {"guest": {}})
    with pytest.raises(TemplateError, match="unknown name 'guest'"):
        render_late(LateText("{{ guest }}"), {})


def test_late_values_are_filled_in_at_any_depth() -> None:
    value = {"a": [LateText("{{ seed.url }}"), 1, Secret("s")], "b": {"c": "x"}}
    assert render_late_value(value, {"seed": {"url": "u"}}) == {"a": ["u", 1, "s"], "b": {"c": "x"}}


def test_names_of_both_kinds_are_members_of_one() -> None:
    assert late_names({"vars": {"a": 1, "b": 1}, "n": 1}, {"vars": {"b": Secret(2)}, "seed": {}}) == {
        "vars": {"a": 1, "b": 2},
        "n": 1,
        "seed": {},
    }
    assert revealed([Secret("a"), (Secret("b"),)]) == ["a", ["b"]]


def test_numbers_become_texts_where_a_text_is_wanted(project: Project) -> None:
    loaded = project.load(
        "variables: {port: {default: 8080}, on: {default: true}, cpus: {default: 3}}\n"
        "machine: {cpus: '{{ vars.cpus }}', tpm: '{{ vars.on }}'}\n"
        "provision: [{shell: {inline: '{{ vars.on }}', env: {PORT: '{{ vars.port }}'}}}]\n"
    )
    shell = loaded.template.provision[0].shell
    assert shell is not None
    assert (shell.inline, shell.env) == (("true",), {"PORT": "8080"})
    assert loaded.template.machine.cpus == 3
    assert loaded.template.machine.tpm is not None


def test_places_in_blocks_and_quotes(project: Project) -> None:
    assert project.problems(
        """\
        provision:
          - shell:
              inline:
                - |
                  one
                    two {{ nmae }}
                - 'it''s {{ vars.nn }}'
                - >
                  folded
                  {{ x1 }}
        """
    ) == [
        "10:20: unknown name 'nmae' (did you mean 'name'?)",
        "11:21: there is no variable 'nn'",
        "12:11: unknown name 'x1' (known: build, guest, host, name, seed, vars)",
    ]


def test_execute_command_has_names_of_its_own(project: Project) -> None:
    loaded = project.load("provision: [{shell: {inline: a, execute_command: 'sudo env {{ vars }} {{ path }}'}}]\n")
    shell = loaded.template.provision[0].shell
    assert shell is not None
    assert isinstance(shell.execute_command, LateText)
    assert render_late(shell.execute_command, {"path": "/tmp/x", "vars": "A=b"}) == "sudo env A=b /tmp/x"
    assert project.problems(
        "variables: {a: {default: b}}\nprovision: [{shell: {inline: a, execute_command: '{{ vars.a }} {{ name }}'}}]\n"
    ) == [
        "6:54: 'vars' is a text here (in execute_command, `vars` is the environment of the script: put the value into "
        "`env`)",
        "6:67: unknown name 'name' (known: path, vars)",
    ]


@given(st.text(max_size=60))
def test_any_text_is_rendered_or_refused(text: str) -> None:
    try:
        render_value(text, SCOPE)
    except (RenderErrors, jinja.RenderError):
        return


@given(st.text(alphabet=st.characters(exclude_characters="{", exclude_categories=["Cs"]), max_size=60))
def test_a_text_without_braces_stays_as_it_is(text: str) -> None:
    assert render_value(text, SCOPE) == text
    rendered = render_value(text + "{{ name }}", SCOPE)
    assert rendered == text.replace("\r\n", "\n").replace("\r", "\n") + "small"
