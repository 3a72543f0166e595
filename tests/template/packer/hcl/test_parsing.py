"""The syntax of HCL: what is read, and where errors are said to be."""

from __future__ import annotations

from decimal import Decimal

import pytest

from factory.errors import TemplateError
from factory.template.packer.hcl import Source, parse_body, parse_expression, parse_template
from factory.template.packer.hcl import syntax as ast

pytestmark = pytest.mark.unit


def body(text: str) -> ast.Body:
    return parse_body(Source.of("t.pkr.hcl", text))


def literal(text: str) -> object:
    value = body(f"a = {text}\n").attributes["a"].value
    assert isinstance(value, ast.Literal)
    return value.value


def test_blocks_labels_and_arguments() -> None:
    parsed = body(
        'source "qemu" debian {\n  a = 1 # c\n  b = "x" // c\n  inner { c = true }\n  empty {}\n}\n'
        "/* long\n */ z = null"
    )
    block = parsed.blocks[0]
    assert (block.kind, block.labels) == ("source", ("qemu", "debian"))
    assert set(block.body.attributes) == {"a", "b"}
    assert [b.kind for b in block.body.blocks] == ["inner", "empty"]
    assert block.body.blocks[0].body.attributes["c"].value == ast.Literal(block.span, True)
    assert block.span.place.line == 1
    assert block.body.attributes["b"].value.span.place.column == 7
    assert "z" in parsed.attributes


def test_byte_order_mark_carriage_returns_and_other_alphabets() -> None:
    parsed = body('\ufeffname = "é"\r\nблок "x" {\r\n  ключ-1 = <<EOT\r\nline\r\nEOT\r\n}\r\n')
    assert parsed.attributes["name"].span.place.column == 1
    assert parsed.blocks[0].kind == "блок"
    assert parsed.blocks[0].body.attributes["ключ-1"].value == ast.Literal(parsed.span, "line\r\n")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a\\n\\t\\"\\\\\\u00e9\\U0001F600"', 'a\n\t"\\é😀'),
        ('"$${a} %%{b} $ % $x"', "${a} %{b} $ % $x"),
        ("1.5e3", Decimal(1500)),
        ("<<X\n  a\n X\n", "  a\n"),
        ("<<-X\n    a\n\n      b\n  X\n", "a\n\n  b\n"),
        ("<<X\nX\n", ""),
        ('<<X\na \\n "q" $${y}\nX\n', 'a \\n "q" ${y}\n'),
    ],
)
def test_literals(text: str, value: object) -> None:
    assert literal(text) == value


def test_a_heredoc_ends_only_at_a_line_of_its_own() -> None:
    text = 'a = <<EOT\nnot EOT\n${"EOT"}\nEOT2\n%{ if true ~}\nEOT\n%{ endif }\nEOT\nb = 1\n'
    with pytest.raises(TemplateError, match=r"no %\{ endif \}"):
        body(text)
    parsed = body(text.replace("EOT\n%{ endif", "x\n%{ endif"))
    assert set(parsed.attributes) == {"a", "b"}


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a = \n", (1, 5), "expected a value, found the end of the line"),
        ("a 1\n", (1, 3), "expected “=” and a value, or “{” and a block"),
        ("a: 1\n", (1, 2), "with an equals sign, not a colon"),
        ("a = 1, b = 2\n", (1, 6), "separated by new lines"),
        ("a = 'x'\n", (1, 5), "texts stand in double quotes"),
        ("a = “x”\n", (1, 5), "a curly quotation mark"),
        ('a = "x\nb = 1\n', (1, 5), "no closing quotation mark"),
        ('a = "${x"\n', (1, 6), "no closing brace"),
        ('a = "${x:-y}"\n', (1, 9), "another language"),
        ('a = "\\q"\n', (1, 6), "is not an escape sequence"),
        ("a = <<EOT\nx\n", (1, 5), "this heredoc never ends"),
        ("a = <<\n", (1, 5), "expected a value"),
        ("b {\n  a = 1\n", (3, 1), "a closing brace “}” is missing"),
        ("}\n", (1, 1), "has no opening one"),
        # A block is on one line with one argument at most, or its braces stand at the ends of lines.
        ("b { a = 1\n}\n", (1, 10), "expected “}” after the only argument of “b”, found the end of the line"),
        ("b { a = 1, c = 2 }\n", (1, 10), "expected “}” after the only argument of “b”"),
        ("b {\na = 1 }\n", (2, 7), "expected a new line after the argument “a”"),
        ("b { c {} }\n", (1, 5), "expected one argument or “}” on the line that opens “b”"),
        ("b {\n  c {} }\n", (2, 8), "expected a new line after the block “c”"),
        ("a = [1, 2\nb = 3\n", (2, 1), "“,” or “]” in the list"),
        ("a = {b.c = 1}\n", (1, 6), "has two meanings"),
        ("a = {b 1}\n", (1, 8), "“=” or “:” after the key"),
        ("a = f(1 2)\n", (1, 9), "in the call of f"),
        ("a = 1 ? 2\n", (1, 10), "the other result of the conditional"),
        ("a = [for x of y: x]\n", (1, 12), "“in”"),
        ("a = {for x in y: x}\n", (1, 19), "“=>”"),
        ("a = 10G\n", (1, 5), "a number can't be followed by letters"),
        ("a = 1e99999\n", (1, 5), "too large"),
        ('a "${x}" {}\n', (1, 3), "a label is a fixed text"),
        ('"a" = 1\n', (1, 1), "names of arguments stand without quotes"),
        ("a = x.\n", (1, 7), "the name of an attribute after the dot"),
        ('a = "%{ when x }"\n', (1, 6), "expected if, else, endif, for or endfor"),
        ('a = "%{ endif }"\n', (1, 6), "unexpected %{ endif }"),
        ('a = "%{ for x in y }"\n', (1, 6), "has no %{ endfor }"),
        ("a = 1 & 2\n", (1, 7), "“&&”"),
        ("a = \x00\n", (1, 5), "expected a value"),
    ],
)
def test_syntax_errors(text: str, place: tuple[int, int], message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        body(text)
    problem = caught.value.problems[0]
    assert problem.place is not None
    assert ((problem.place.line, problem.place.column), message in str(problem)) == (place, True), str(problem)
    assert problem.source_line == text.split("\n")[place[0] - 1] if place[0] <= text.count("\n") else True


def test_every_argument_that_is_set_twice_is_named() -> None:
    with pytest.raises(TemplateError) as caught:
        body("a = 1\na = 2\nb {\n  c = 1\n  c = 2\n}\n")
    assert [p.place.line for p in caught.value.problems if p.place] == [2, 5]
    assert "t.pkr.hcl:1:1" in caught.value.problems[0].hint


@pytest.mark.parametrize(
    "text", ["(" * 5000, "[" * 5000, "{a=" * 5000, "!" * 5000 + "x", '"${' * 5000, "a " + "b {" * 5000]
)
def test_depth_is_limited(text: str) -> None:
    for parse in (parse_expression, parse_template, parse_body):
        try:
            parse(Source.of("t", text))
        except TemplateError:
            continue


def test_precedence() -> None:
    def shape(node: ast.Expression) -> str:
        if isinstance(node, ast.Binary):
            return f"({shape(node.left)}{node.operator}{shape(node.right)})"
        if isinstance(node, ast.Unary):
            return f"({node.operator}{shape(node.operand)})"
        if isinstance(node, ast.Conditional):
            return f"({shape(node.condition)}?{shape(node.then)}:{shape(node.otherwise)})"
        return node.span.text

    text = "a || b && c == d < e + f * -g ? h : i ? j : k"
    tree = parse_expression(Source.of("t", text))
    assert shape(tree) == "((a||(b&&(c==(d<(e+(f*(-g)))))))?h:(i?j:k))"
    assert shape(parse_expression(Source.of("t", "a - b - c"))) == "((a-b)-c)"


def test_references_and_splats() -> None:
    assert isinstance(parse_expression(Source.of("t", "a.b[0].c")), ast.GetAttribute)
    assert isinstance(parse_expression(Source.of("t", "a[*].b[1]")), ast.Splat)
    assert isinstance(parse_expression(Source.of("t", "a.*.b.c")), ast.Splat)
    legacy = parse_expression(Source.of("t", "a.0[1]"))
    assert isinstance(legacy, ast.Index)
    assert isinstance(legacy.target, ast.Index)
    assert isinstance(parse_expression(Source.of("t", "(\na\n.b\n)")), ast.Parenthesised)


def test_for_as_a_key() -> None:
    node = parse_expression(Source.of("t", "{ for = 1 }"))
    assert isinstance(node, ast.Object)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ('upper ("x")', 'upper("x")'),
        ('(\n upper\n ("x")\n)', '(upper("x"))'),
        ('"${\n upper\n ("x") }"', '"${upper("x")}"'),
        ("max([1]\n ...)", "max([1]...)"),
        ("(a\n [0]\n .b\n [ * ] . c)", "(a[0].b[*].c)"),
        ("{\n for\n x in y : x => x\n}", "{for x in y : x => x}"),
    ],
)
def test_blanks_between_tokens_mean_nothing(written: str, plain: str) -> None:
    assert body(f"a = {written}\n").attributes["a"].value == body(f"a = {plain}\n").attributes["a"].value
