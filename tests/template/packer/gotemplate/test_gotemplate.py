"""Go templates: results as Go gives them, late values, and error messages."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from factory.errors import TemplateError
from factory.template.packer.gotemplate import Context, Surroundings, fields_of, packer_functions, render, render_known
from factory.template.packer.hcl import NOWHERE, Source
from factory.template.packer.language.scope import World

pytestmark = pytest.mark.unit
DATA = {"Name": "vm", "Vars": "A='b'", "N": 3, "L": ["a", "b"], "M": {"k": "v", "a": {"b": 1}}, "Empty": "", "F": 2.5}
WORLD = World(
    folder=Path("/t"),
    working=Path("/w"),
    environment={"HOME": "/home/u"},
    clock=lambda: datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC),
)
FUNCTIONS = packer_functions(
    Surroundings(WORLD, "1.14.0", {"x": "value", "n": "2"}, build_name="deb", build_type="qemu")
)


def done(text: str) -> str:
    return render(text, Context(DATA, FUNCTIONS), NOWHERE)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("no action", "no action"),
        ("{{ .Name }}-{{.N}}", "vm-3"),
        ("{{ .M.k }}{{ .M.a.b }}", "v1"),
        ("a  {{- .N -}}  b", "a3b"),
        ("a {{/* c }} */}} b {{- /* d */ -}} e", "a  be"),
        ('{{ "q\\"\\n" }}{{ `raw\\n` }}{{ \'a\' }}', 'q"\nraw\\n97'),
        ("{{ 0x10 }} {{ -1.5 }} {{ true }} {{ 1e3 }}", "16 -1.5 true 1000"),
        ('{{ 1e6 }} {{ 1234567.5 }} {{ printf "%g|%G" 1e6 1e6 }}', "1e+06 1.2345675e+06 1e+06|1E+06"),
        ('{{ "a b&c" | urlquery }} {{ "<a>" | html }} {{ js "\'x" }}', "a+b%26c &lt;a&gt; \\'x"),
        ('{{ printf "%s-%05d-%q-%v-%x" "a" 42 "b" .L "hi" }}', 'a-00042-"b"-[a b]-6869'),
        ('{{ printf "%d" "x" }}{{ printf "%s" }}{{ printf "a" 1 }}', "%!d(string=x)%!s(MISSING)a%!(EXTRA int=1)"),
        ('{{ printf "%.2f|%6.1f|%-6s|%t|%%|%c" .F .F "x" true 65 }}', "2.50|   2.5|x     |true|%|A"),
        ("{{ if .Empty }}x{{ else if eq .N 3 }}three{{ else }}y{{ end }}", "three"),
        ("{{ with .M }}{{ .k }}{{ $.Name }}{{ end }}{{ with .Empty }}x{{ else }}none{{ end }}", "vvmnone"),
        ("{{ range .L }}[{{ . }}]{{ end }}{{ range $i, $v := .L }}{{ $i }}={{ $v }};{{ end }}", "[a][b]0=a;1=b;"),
        ('{{ range .L }}{{ if eq . "b" }}{{ break }}{{ end }}{{ . }}{{ end }}', "a"),
        ("{{ range $k, $v := .M }}{{ $k }} {{ end }}", "a k "),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
        ('{{ and .N .Name }} {{ or .Empty "d" }} {{ not .Empty }}', "vm d true"),
        ('{{ lt 1 2 }} {{ ge "b" "a" }} {{ ne 1 1 }} {{ eq 1 2 1 }}', "true true false true"),
        ('{{ index .L 1 }}{{ index .M "k" }}{{ len .L }}{{ len "é" }}{{ slice "abcd" 1 3 }}', "bv22bc"),
        ('{{ printf "%[2]s %[1]s %[1]s|%[3]s|%[2]*[3]d" "a" 4 5 }}', "%!s(int=4) a a|%!s(int=5)|   5"),
        ('{{ printf "%[3]s" "a" }}{{ printf "%[1]d %[1]x" 10 }}', "%!s(BADINDEX)10 a"),
        ('{{ printf "%U %#U %q %c" 65 65 65 55296 }}{{ printf "%v" nil }}', "U+0041 U+0041 'A' 'A' �<nil>"),
        ('{{ strftime "%Y %j %e %L" }}', "2024 %j %e .000"),
        ('{{ (index .L 0) }}{{ print 1 2 "a" 3 }}{{ (print "x") | printf "%s!" }}', "a1 2a3x!"),
        ("{{ .M }}", "map[a:map[b:1] k:v]"),
        ('{{ user `x` }} {{user "n"}}', "value 2"),
        ('{{ isotime }} {{ isotime "060102 15:04:05" }}', "2024-02-03T04:05:06Z 240203 04:05:06"),
        ("{{ isotime | lower }}", "2024-02-03t04:05:06z"),
        ('{{ timestamp }} {{ strftime "%Y" }}', "1706933106 2024"),
        (
            "{{ build_name }} {{ build_type }} {{ packer_version }} {{ pwd }} {{ template_dir }}",
            "deb qemu 1.14.0 /w /t",
        ),
        ('{{ split "a-b-c" "-" 1 }} {{ replace "a" "b" 1 "aa" }} {{ replace_all "a" "b" "aa" }}', "b ba bb"),
        ('{{ upper "a" }}{{ lower "B" }}{{ clean_resource_name "a b" }}', "Aba-b"),
    ],
)
def test_results(text: str, result: str) -> None:
    assert done(text) == result


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ nil }}", "nil is not a command"),
        ("{{ .Nme }}", "did you mean “Name”?"),
        ("{{ nosuch 1 }}", "there is no function “nosuch”"),
        ("{{ env `HOME` }}", "env can only be used in the default of a variable"),
        ("{{ .Name ", "“{{” has no “}}”"),
        ("{{ }}", "a value is missing"),
        ("{{ if }}{{ end }}", "a value is missing"),
        ("{{ if .N }}x", "a block has no {{ end }}"),
        ("{{ end }}", "unexpected {{ end }}"),
        ('{{ template "x" }}', "is not supported"),
        ("{{ ( .N }}", "“(” has no “)”"),
        ("{{ .N ) }}", "unexpected “)”"),
        ("{{ $y }}", "the variable $y is not declared"),
        ('{{ eq 1 "a" }}', "can't be compared"),
        ('{{ lt 1 "a" }}', "can't be compared"),
        ("{{ index .L 7 }}", "out of range"),
        ('{{ split "a" "-" 4 }}', "so there is no part 4"),
        ('{{ split "a" }}', "the arguments do not fit"),
        ('{{ sed "s/a/b/" "a" }}', "sed does not exist any more"),
        ('{{ vault "a" "b" }}', "pass the secret in"),
        ('{{ "\\x" }}', "cut short"),
        ('{{ build "ID" }}', "has no value here"),
        ("{{ break }}", "inside {{ range }} only"),
        ("{{ 1 2 }}", "can't take arguments"),
        ("{{ % }}", "unexpected character"),
        ("{{if 1}}" * 100, "nested too deeply"),
        ("{{" + "(" * 100 + " }}", "nested too deeply"),
    ],
)
def test_errors_have_a_place(text: str, message: str) -> None:
    span = Source.of("x.pkr.hcl", "a\n  b = 1").span(4, 5)
    with pytest.raises(TemplateError) as caught:
        render(text, Context(DATA, FUNCTIONS), span)
    assert message in str(caught.value)
    assert str(caught.value).startswith("x.pkr.hcl:2:3")


def test_what_is_late_stays() -> None:
    context = Context({"Name": "vm"}, FUNCTIONS, late=frozenset({"HTTPIP"}))
    text = "{{ .Name }} http://{{ .HTTPIP }}/{{ if .HTTPIP }}{{ .Name }}{{ end }} {{ build `ID` | upper }} {{ `{{` }}"
    known = render_known(text, context, NOWHERE)
    assert known == ('vm http://{{ .HTTPIP }}/{{ if .HTTPIP }}{{ .Name }}{{ end }} {{ build `ID` | upper }} {{"{{"}}')
    later = Context({"Name": "vm", "HTTPIP": "10.0.2.2"}, {**FUNCTIONS, "build": lambda name: "id"})
    assert render(known, later, NOWHERE) == "vm http://10.0.2.2/vm ID {{"
    with pytest.raises(TemplateError, match="HTTPPort"):
        render_known("{{ .HTTPPort }}", context, NOWHERE)
    assert render_known("{{ .HTTPPort }}", Context(late=None), NOWHERE) == "{{ .HTTPPort }}"


def test_fields_that_a_template_uses() -> None:
    assert fields_of("{{ .A.B }}{{ if (eq .C 1) }}{{ .D }}{{ else }}{{ $.E }}{{ end }}", NOWHERE) == {"A", "C", "D"}
    assert fields_of("plain", NOWHERE) == frozenset()


def test_a_variable_that_does_not_exist_is_empty_with_a_warning() -> None:
    warnings: list[str] = []
    around = Surroundings(WORLD, "1", {"name": "v"}, warn=warnings.append)
    assert render("[{{ user `nmae` }}]", Context({}, packer_functions(around)), NOWHERE) == "[]"
    assert "did you mean “name”?" in warnings[0]


def test_env_in_variables() -> None:
    functions = packer_functions(Surroundings(WORLD, "1", {}, in_variables=True))
    assert render("{{ env `HOME` }}{{ env `NOPE` }}", Context({}, functions), NOWHERE) == "/home/u"
