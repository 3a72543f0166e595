"""Sources, builds, local values, data sources, dynamic blocks, contextual names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from factory.errors import TemplateError
from factory.template.packer import OtherBuilder, QemuSource
from factory.template.packer.config.plugins import satisfies
from factory.template.packer.language.values import to_python
from factory.template.packer.post_processors.kinds import Checksum, Manifest
from factory.template.packer.provisioners.shell import Shell, ShellLocal
from factory.template.packer.to_template import to_template
from tests.template.packer.written import LEAST, build_with, hcl, loaded, problems_of

pytestmark = pytest.mark.unit


def test_locals_in_the_order_of_need(tmp_path: Path) -> None:
    text = (
        'locals {\n  c = "${local.b}c"\n  a = "a"\n  all = keys(local)\n}\n'
        'local "b" {\n  expression = "${local.a}b"\n  sensitive = true\n}\n'
        'data "null" "n" {\n  input = local.c\n}\nlocals {\n  d = data.null.n.output\n}\n'
    )
    config = hcl(tmp_path, text)
    assert to_python(config.locals["d"]) == "abc"
    assert config.locals["d"].sensitive
    assert to_python(config.locals["all"]) == ["a", "b", "c", "d"]
    assert "ab" in [s.reveal() for s in config.secrets]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("locals {\n  a = local.b\n  b = local.a\n}\n", "these values need one another: local.a → local.b → local.a"),
        ("locals {\n  a = 1\n}\nlocals {\n  a = 2\n}\n", "“local.a” is defined twice"),
        ("locals {\n  a = local.nope\n}\n", "there is no local value “nope”"),
        ('local "x" {}\n', "expression"),
        ('data "http" {}\n', "a data source has two labels"),
        ('locals {\n  a = env("X")\n}\n', "env() can't be called here (read it in a variable"),
        ("a = 1\n", "there can't be an argument “a” here"),
        ('provisioner "shell" {}\n', "put it inside a build"),
        ('sorce "qemu" "x" {}\n', "did you mean “source”?"),
        ('source "qemu" {}\n', "a source has two labels"),
        ('build {\n  sources = ["source.qemu.nope"]\n}\n', "there is no source “source.qemu.nope”"),
        ("build {}\n", "this build has no source"),
        ("build {\n  source = 1\n}\n", "a build has no argument “source” (did you mean “source”?)"),
        ('build {\n  sources = "x"\n}\n', "“sources” is a list"),
        ('build {\n  sources = []\n  provisoner "shell" {}\n}\n', "did you mean “provisioner”?"),
        ('packer {\n  required_version = "latest"\n}\n', "is not a version constraint"),
    ],
)
def test_messages(tmp_path: Path, text: str, message: str) -> None:
    assert message in "\n".join(map(str, problems_of(tmp_path, {"t.pkr.hcl": text})))


def test_data_sources_are_unknown_unless_a_reader_is_there(tmp_path: Path) -> None:
    text = 'data "http" "x" {\n  url = "http://example.com"\n}\nlocals {\n  a = upper(data.http.x.body)\n}\n'
    assert hcl(tmp_path, text).locals["a"].is_unknown

    def reader(kind: str, name: str, options: Any) -> dict[str, str]:
        return {"body": f"{kind} {name} {options['url']}"}

    assert hcl(tmp_path, text, data_reader=reader).locals["a"].data == "HTTP X HTTP://EXAMPLE.COM"

    def failing(kind: str, name: str, options: Any) -> None:
        raise TemplateError("no network")

    with pytest.raises(TemplateError, match=r"the data source http\.x: no network"):
        hcl(tmp_path, text, data_reader=failing)


SOURCES = f'source "qemu" "a" {{\n  {LEAST}}}\nsource qemu b {{\n  {LEAST}  vm_name = "bee"\n}}\n'


def test_names_of_builds_and_what_sources_may_look_like(tmp_path: Path) -> None:
    text = SOURCES + (
        'locals {\n  listed = ["source.qemu.a"]\n}\n'
        'build {\n  name = "one"\n  description = "first"\n  sources = ["qemu.a", "sources.qemu.b"]\n}\n'
        "build {\n  sources = [source.qemu.a]\n}\n"
        'build {\n  name = "three"\n  sources = local.listed\n}\n'
        'build {\n  source "source.qemu.a" {\n    name = "other"\n    memory = 2048\n'
        '    vm_name = "vm-${source.name}"\n'
        "  }\n}\n"
    )
    config = hcl(tmp_path, text)
    assert [b.name for b in config.builds] == [
        "one.qemu.a", "one.qemu.b", "qemu.a", "three.qemu.a", "qemu.other",
    ]  # fmt: skip
    last = config.builds[-1].source
    assert isinstance(last, QemuSource)
    assert (last.memory, last.vm_name, last.output_directory) == (2048, "vm-other", "output-a")
    assert config.description == "first"


def test_an_alias_selects_and_the_source_names_what_is_made(tmp_path: Path) -> None:
    text = f'source "qemu" "base" {{\n  {LEAST}}}\n' + (
        'build {\n  source "qemu.base" {\n    name = "one"\n  }\n  source "qemu.base" {\n    name = "two"\n  }\n'
        '  provisioner "shell" {\n    inline = ["echo ${source.name} {{ build_name }}"]\n'
        '    override = {\n      two = { inline = ["second {{ build_name }}"] }\n'
        '      base = { inline = ["never"] }\n    }\n  }\n'
        '  post-processor "manifest" {\n    only = ["qemu.two"]\n  }\n}\n'
    )
    config = hcl(tmp_path, text)
    translations = [to_template(config, b) for b in config.qemu_builds]
    deliveries = [t.loaded.delivery for t in translations]
    assert [(d.folder.name, d.file_name, d.build) for d in deliveries if d] == [
        ("output-base", "packer-base", "base")
    ] * 2  # fmt: skip
    assert [t.loaded.template.name for t in translations] == ["qemu.one", "qemu.two"]
    shells = [t.loaded.template.provision[0].shell for t in translations]
    assert [s.inline for s in shells if s] == [("echo one base",), ("second base",)]
    assert [s.env["PACKER_BUILD_NAME"] for s in shells if s] == ["base", "base"]
    assert [len(b.post_processors) for b in config.builds] == [0, 1]
    assert [b.name for b in hcl(tmp_path, text, only=["qemu.two"]).builds] == ["qemu.two"]


def test_the_iterator_of_a_dynamic_source_hides_the_source_only_in_what_it_adds(tmp_path: Path) -> None:
    text = (
        f'source "qemu" "a" {{\n  {LEAST}  output_directory = "out-${{source.type}}-${{source.name}}"\n}}\n'
        'build {\n  dynamic "source" {\n    for_each = { x = "v" }\n    labels = ["source.qemu.a"]\n    content {\n'
        "      name = source.key\n      vm_name = source.value\n    }\n  }\n}\n"
    )
    source = hcl(tmp_path, text).builds[0].source
    assert isinstance(source, QemuSource)
    assert (source.output_directory, source.vm_name) == ("out-qemu-x", "v")


def test_a_build_can_only_add_what_the_source_leaves_out(tmp_path: Path) -> None:
    text = SOURCES + 'build {\n  source "qemu.b" {\n    vm_name = "x"\n  }\n}\n'
    assert "the argument “vm_name” is set twice" in str(problems_of(tmp_path, {"t.pkr.hcl": text})[0])


def test_only_and_except(tmp_path: Path) -> None:
    text = SOURCES + 'build {\n  name = "n"\n  sources = ["qemu.a", "qemu.b"]\n}\nbuild {\n  sources = ["qemu.a"]\n}\n'
    assert [b.name for b in hcl(tmp_path, text, only=["n.*"]).builds] == ["n.qemu.a", "n.qemu.b"]
    assert [b.name for b in hcl(tmp_path, text, only=["*.b,qemu.?"]).builds] == ["n.qemu.b", "qemu.a"]
    assert [b.name for b in hcl(tmp_path, text, except_=["n.qemu.{a,x}", "qemu.a"]).builds] == ["n.qemu.b"]
    nothing = hcl(tmp_path, text, only=["nope"])
    assert nothing.builds == ()
    assert "the builds are: n.qemu.a, n.qemu.b, qemu.a" in str(nothing.warnings[0])
    assert [b.name for b in hcl(tmp_path, text, only=["n.*"], except_=["*.b"]).builds] == ["n.qemu.a"]


def test_what_is_not_selected_is_not_evaluated(tmp_path: Path) -> None:
    text = SOURCES.replace('"bee"', "local.nope") + 'build {\n  sources = ["qemu.a", "qemu.b"]\n}\n'
    assert len(hcl(tmp_path, text, only=["qemu.a"]).builds) == 1
    assert "there is no local value “nope”" in str(problems_of(tmp_path, {"t.pkr.hcl": text})[0])


def test_other_builders_are_kept_but_not_checked(tmp_path: Path) -> None:
    text = SOURCES + (
        'source "virtualbox-iso" "v" {\n  guest_os_type = "Debian_64"\n  hard = local.nope\n}\n'
        'build {\n  sources = ["qemu.a", "virtualbox-iso.v"]\n'
        '  provisioner "shell" {\n    inline = ["true"]\n    only = ["virtualbox-iso.v"]\n  }\n}\n'
    )
    config = hcl(tmp_path, text)
    assert [b.name for b in config.qemu_builds] == ["qemu.a"]
    other = config.other_builds[0]
    assert isinstance(other.source, OtherBuilder)
    assert other.source.options == {"guest_os_type": "Debian_64", "hard": None}
    assert (len(config.builds[0].provisioners), len(other.provisioners)) == (0, 1)


def test_dynamic_blocks(tmp_path: Path) -> None:
    text = SOURCES + (
        'build {\n  dynamic "source" {\n    for_each = { x = 1, y = 2 }\n    labels = ["source.qemu.a"]\n'
        "    content {\n"
        "      name = source.key\n      cpus = source.value\n    }\n  }\n"
        '  dynamic "provisioner" {\n    for_each = ["one", "two"]\n    labels = ["shell"]\n    iterator = it\n'
        '    content {\n      inline = ["${it.key} ${it.value} ${source.name} ${source.type}"]\n    }\n  }\n'
        '  dynamic "post-processors" {\n    for_each = [1]\n    content {\n      post-processor "manifest" {\n'
        '        output = "m${post-processors.value}.json"\n      }\n    }\n  }\n}\n'
    )
    config = hcl(tmp_path, text)
    assert [b.name for b in config.builds] == ["qemu.x", "qemu.y"]
    second = config.builds[1]
    assert isinstance(second.source, QemuSource)
    assert second.source.cpus == 2
    inline = [p.options.inline for p in second.provisioners if isinstance(p.options, Shell)]
    assert inline == [("0 one y qemu",), ("1 two y qemu",)]
    manifest = second.post_processors[0][0].options
    assert isinstance(manifest, Manifest)
    assert manifest.output == "m1.json"


@pytest.mark.parametrize(
    ("dynamic", "message"),
    [
        ('dynamic "provisioner" {\n    content {}\n  }', "needs “for_each”"),
        ('dynamic "provisioner" {\n    for_each = []\n  }', "exactly one block inside"),
        ('dynamic "provisioner" {\n    for_each = 1\n    content {}\n  }', "needs a list, set or map"),
        ('dynamic "provisioner" {\n    for_each = []\n    inline = []\n    content {}\n  }', "put it inside content"),
        ("dynamic {\n    for_each = []\n    content {}\n  }", "has one label"),
        ('dynamic "provisioner" {\n    for_each = [1]\n    labels = 1\n    content {}\n  }', "needs a list of texts"),
    ],
)
def test_dynamic_messages(tmp_path: Path, dynamic: str, message: str) -> None:
    text = f'{SOURCES}build {{\n  sources = ["qemu.a"]\n  {dynamic}\n}}\n'
    assert message in str(problems_of(tmp_path, {"t.pkr.hcl": text})[0])


def test_contextual_names(tmp_path: Path) -> None:
    text = build_with(
        '  name = "block"\n  provisioner "shell-local" {\n'
        '    inline = ["${path.root} ${path.cwd} ${packer.version} ${source.type} ${source.name} ${build.name}"]\n  }'
    )
    config = hcl(tmp_path, text)
    options = config.builds[0].provisioners[0].options
    assert isinstance(options, ShellLocal)
    assert options.inline == (f"{tmp_path} {tmp_path} 1.16.0 qemu vm block",)


def test_values_of_a_running_build(tmp_path: Path) -> None:
    text = build_with(
        '  provisioner "shell-local" {\n    inline = ["ssh -p ${build.Port} ${build.Host}"]\n'
        '    environment_vars = ["P=${upper(build.Password)}"]\n  }\n'
        '  post-processor "manifest" {\n    custom_data = { id = build.ID, run = "x${build.PackerRunUUID}" }\n  }'
    )
    build = hcl(tmp_path, text).builds[0]
    provisioner = build.provisioners[0]
    options = provisioner.options
    assert isinstance(options, ShellLocal)
    assert options.inline == ("ssh -p {{ build `Port` }} {{ build `Host` }}",)
    assert options.unknown == {"environment_vars"}, "a function of such a value is unknown until the build runs"
    assert provisioner.needs == {"Port", "Host", "Password"}
    resolved = provisioner.resolve({"Port": "2222", "Host": "127.0.0.1", "Password": "pw"}).options
    assert isinstance(resolved, ShellLocal)
    assert (resolved.inline, resolved.environment_vars) == (("ssh -p 2222 127.0.0.1",), ("P=PW",))
    chain = build.post_processors[0][0]
    manifest = chain.resolve({"PackerRunUUID": "u"}).options
    assert isinstance(manifest, Manifest)
    assert manifest.custom_data == {"id": "ERR_ID_NOT_IMPLEMENTED_BY_BUILDER", "run": "xu"}


def test_a_provisioner_for_some_sources_and_overrides(tmp_path: Path) -> None:
    text = SOURCES + (
        'build {\n  sources = ["qemu.a", "qemu.b"]\n'
        '  provisioner "shell" {\n    inline = ["1"]\n    only = ["qemu.a"]\n  }\n'
        '  provisioner "shell" {\n    inline = ["2"]\n    except = ["qemu.a"]\n    pause_before = "5s"\n'
        '    max_retries = 3\n    timeout = "1h"\n  }\n'
        '  provisioner "shell" {\n    inline = ["3"]\n'
        '    override = {\n      b = {\n        inline = ["3b"]\n      }\n    }\n  }\n'
        '  provisioner "shell" {\n    inline = ["4"]\n    only = ["a"]\n  }\n'
        '  error-cleanup-provisioner "shell-local" {\n    inline = ["oops"]\n  }\n}\n'
    )
    config = hcl(tmp_path, text)

    def inlines(index: int) -> list[str]:
        found = [p.options for p in config.builds[index].provisioners]
        return [o.inline[0] for o in found if isinstance(o, Shell)]

    assert (inlines(0), inlines(1)) == (["1", "3"], ["2", "3b"])
    meta = config.builds[1].provisioners[0].meta
    assert (float(meta.pause_before), meta.max_retries, str(meta.timeout)) == (5, 3, "1h")
    assert config.builds[0].error_cleanup is not None
    assert [w.message for w in config.warnings if "no source" in w.message] == ["“a” is no source here"]


def test_post_processor_chains(tmp_path: Path) -> None:
    text = build_with(
        '  post-processor "checksum" {\n    checksum_types = ["sha256"]\n    name = "sums"\n  }\n'
        '  post-processors {\n    post-processor "compress" {\n      output = "x.tar.gz"\n    }\n'
        '    post-processor "shell-local" {\n      inline = ["a"]\n      only = ["qemu.other"]\n    }\n'
        '    post-processor "manifest" {}\n  }\n'
    )

    def chains(**more: Any) -> list[list[str]]:
        return [[p.type for p in chain] for chain in hcl(tmp_path, text, **more).builds[0].post_processors]

    assert chains() == [["checksum"], ["compress", "manifest"]]
    assert chains(except_=["manifest"]) == [["checksum"], ["compress"]]
    assert chains(except_=["compress", "sums"]) == []
    first = hcl(tmp_path, text).builds[0].post_processors[0][0]
    assert isinstance(first.options, Checksum)
    assert (first.keeps_input, first.options.checksum_types) == (True, ("sha256",))


def test_the_json_form(tmp_path: Path) -> None:
    files = {
        "t.pkr.json": """{
          "//": "a comment",
          "variable": {"v": {"type": "string", "default": "x"}},
          "locals": {"l": "${var.v}-${upper(var.v)}"},
          "source": {"qemu": {"a": {"iso_url": "http://x/a.iso", "iso_checksum": "none", "ssh_username": "r",
                                    "vm_name": "${local.l}", "cpus": 2,
                                    "qemu_img_args": {"create": ["-o", "x"]}}}},
          "build": [{"sources": ["source.qemu.a"],
                     "provisioner": [{"shell": {"inline": ["echo ${build.name}"]}}, {"shell": {"script": "s.sh"}}],
                     "post-processors": {"post-processor": {"manifest": {}}}}]
        }""",
        "x.pkrvars.json": '{"v": "y"}',
    }
    config = loaded(tmp_path, files, var_files=["x.pkrvars.json"])
    source = config.builds[0].source
    assert isinstance(source, QemuSource)
    assert (source.vm_name, source.cpus) == ("y-Y", 2)
    assert source.qemu_img_args is not None
    assert source.qemu_img_args.create == ("-o", "x")
    assert [p.type for p in config.builds[0].provisioners] == ["shell", "shell"]
    assert [[p.type for p in c] for c in config.builds[0].post_processors] == [["manifest"]]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ('{"a": 1,}', (1, 9), "a comma before the closing brace"),
        ('{"a" 1}', (1, 6), "expected “:”"),
        ('{"a": [1 2]}', (1, 10), "expected “,” or “]”"),
        ("{\n  'a': 1}", (2, 3), "expected a name in double quotes"),
        ('{"a": "x\ny"}', (1, 9), "can't contain a line break"),
        ('{"a": tru}', (1, 7), "expected a value"),
        ('{"a": "\\q"}', (1, 8), "expected an escape sequence"),
        ('{"source": {"qemu": 5}}', (1, 21), "expected an object"),
        ('{"variable": {"a": {"type": "string", "type": "x"}}}', (1, 39), "is set twice"),
        ('{"source": "${x"}', (1, 12), "expected an object"),
        ('{"locals": {"a": "${nope}"}}', (1, 21), "there is no variable named “nope”"),
        # Places are those of the file, not of the text that its escapes stand for.
        ('{"locals":\n {"a": "\\n\\u00e4\\ud83d\\ude00${nope}"}}', (2, 31), "there is no variable named “nope”"),
        ('{"locals": {"a": "\\"${1 +}"}}', (1, 26), "expected a value"),
        ("[" * 500, (1, 101), "nested too deeply"),
        ("{} x", (1, 4), "expected the end of the file"),
        ('{"a": 1e99999}', (1, 7), "too large or too small"),
        ('{"a": "', (1, 7), "no closing quotation mark"),
    ],
)
def test_errors_in_json(tmp_path: Path, text: str, place: tuple[int, int], message: str) -> None:
    problem = problems_of(tmp_path, {"t.pkr.json": text})[0]
    assert problem.place is not None
    assert message in str(problem)
    assert (problem.place.line, problem.place.column) == place


def test_the_default_of_a_variable_calls_nothing_but_env(tmp_path: Path) -> None:
    text = 'variable "a" {\n  default = upper("x")\n}\nvariable "b" {\n  default = env("NOPE")\n}\n'
    (problem,) = problems_of(tmp_path, {"t.pkr.hcl": text})
    assert problem.message == "upper() can't be called here"
    assert "can only use env()" in problem.hint


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path, pattern: str) -> list[Path]:
        raise PermissionError(13, "Permission denied", "secrets")

    monkeypatch.setattr(Path, "glob", refused)
    (problem,) = problems_of(tmp_path, {"t.pkr.hcl": 'locals {\n  a = fileset(".", "*")\n}\n'})
    assert problem.message == "fileset(): “secrets” can't be read: permission denied"


def test_the_line_of_a_problem_in_json_is_that_of_the_file(tmp_path: Path) -> None:
    text = '{"locals": {\n  "a": "one\\ntwo ${nope}"\n}}'
    problem = problems_of(tmp_path, {"t.pkr.json": text})[0]
    assert problem.source_line == '  "a": "one\\ntwo ${nope}"'


def test_a_fault_far_to_the_right_is_shown_with_its_surroundings(tmp_path: Path) -> None:
    text = 'locals {\n  a = "' + "x" * 500 + "${nope}" + "y" * 500 + '"\n}\n'
    problem = problems_of(tmp_path, {"t.pkr.hcl": text})[0]
    assert problem.place is not None
    assert problem.source_line[problem.place.column - 1 :].startswith("nope}yyy")
    assert len(problem.source_line) < problem.place.column + 200


def test_files_that_are_not_there_or_not_text(tmp_path: Path) -> None:
    assert "there is no file *.pkr.hcl" in str(problems_of(tmp_path, {"a.json": "{}"})[0])
    assert "there is no file or folder" in str(problems_of(tmp_path, {}, "nope.pkr.hcl")[0])
    (tmp_path / "bad.pkr.hcl").write_bytes(b"a = 1\n# \xff\n")
    problem = problems_of(tmp_path, {}, "bad.pkr.hcl")[0]
    assert "line 2 is not a text in UTF-8" in str(problem)


def test_versions_and_plugins(tmp_path: Path) -> None:
    text = (
        'packer {\n  required_version = ">= 99.0"\n  required_plugins {\n    qemu = {\n      version = ">= 1.0"\n'
        '      source = "github.com/hashicorp/qemu"\n    }\n    old = "1.0"\n  }\n}\n'
    )
    config = hcl(tmp_path, text)
    assert [w.message for w in config.warnings] == ["the template wants Packer >= 99.0; this is compatible with 1.16.0"]
    assert config.required_plugins["qemu"]["version"] == ">= 1.0"
    assert config.required_plugins["old"] == {"version": "1.0"}


@pytest.mark.parametrize(
    ("constraint", "verdict"),
    [(">= 1.7.0, < 2.0.0", True), ("~> 1.7", True), ("~> 1.7.0", False), ("1.16.0", True), ("!= 1.16.0", False),
     ("> 1.16", False), ("<= 1.16", True), ("v1.16.0", True), ("x", None), (">= 1.7.0-beta1", True), ("~> 1", True)],
)  # fmt: skip
def test_version_constraints(constraint: str, verdict: bool | None) -> None:
    assert satisfies("1.16.0", constraint) is verdict


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    files = {"a.pkr.hcl": "a = \n", "b.pkr.hcl": "b {\n"}
    assert len(problems_of(tmp_path, files)) == 2
    text = SOURCES + 'build {\n  sources = ["qemu.a"]\n  provisioner "shell" {}\n  provisioner "file" {}\n}\n'
    assert [p.severity for p in problems_of(tmp_path / "x", {"t.pkr.hcl": text})] == ["error", "error", "warning"]


def test_a_second_error_cleanup_provisioner_is_refused(tmp_path: Path) -> None:
    block = '  error-cleanup-provisioner "shell-local" {\n    inline = ["oops"]\n  }'
    problems = problems_of(tmp_path, {"t.pkr.hcl": build_with(f"{block}\n{block}")})
    assert [p.message for p in problems if p.severity == "error"] == [
        "a build has one error-cleanup-provisioner at most"
    ]


def test_only_what_is_sensitive_is_masked(tmp_path: Path) -> None:
    steps = """
      provisioner "shell" {
        environment_vars = concat(["MODE=install"], ["PW=${var.pw}"])
        inline = ["true", "echo ${var.pw}", upper(join("", ["a", var.pw]))]
      }
    """
    text = 'variable "pw" {\n  sensitive = true\n  default = "geheim"\n}\n'
    text += 'locals {\n  both = ["public", var.pw, {a = "open", b = "x${var.pw}"}]\n}\n'
    config = hcl(tmp_path, text + build_with(steps))
    assert {s.reveal() for s in config.secrets} == {"geheim", "PW=geheim", "echo geheim", "AGEHEIM", "xgeheim"}


def test_what_blocks_take_out_of_a_sensitive_value_is_masked(tmp_path: Path) -> None:
    steps = """
      dynamic "provisioner" {
        for_each = var.pws
        labels = ["shell"]
        content { inline = ["echo ${upper(provisioner.value)}"] }
      }
      provisioner "shell" {
        inline = ["true"]
        override = var.over
      }
    """
    text = 'variable "pws" {\n  type = list(string)\n  sensitive = true\n  default = ["geheim"]\n}\n'
    text += 'variable "over" {\n  sensitive = true\n  default = { vm = { inline = ["leise"] } }\n}\n'
    config = hcl(tmp_path, text + build_with(steps))
    assert {s.reveal() for s in config.secrets} == {"geheim", "echo GEHEIM", "leise"}


def test_beside_a_syntax_error_nothing_else_is_told(tmp_path: Path) -> None:
    files = {"a.pkr.hcl": 'variable "n" {\n  default = \n}\n', "b.pkr.hcl": "x {\n", "c.pkr.hcl": "unknown {}\n"}
    with pytest.raises(TemplateError) as caught:
        loaded(tmp_path, files, "", variables={"n": "1"})
    assert [p.place.file.rpartition("/")[2] for p in caught.value.problems if p.place] == ["a.pkr.hcl", "b.pkr.hcl"]
    files = {"a.pkr.hcl": 'variable "n" {}\n', "b.auto.pkrvars.hcl": "n = \n"}
    with pytest.raises(TemplateError) as caught:
        loaded(tmp_path, files, "")
    assert len(caught.value.problems) == 1


def test_a_local_value_that_names_a_source_is_an_error_where_it_is_used(tmp_path: Path) -> None:
    text = 'locals {\n  z = "v-${source.name}"\n}\n'
    config = hcl(tmp_path, text + build_with(""))
    assert [(p.severity, p.message) for p in config.warnings if "source" in p.message] == [
        ("warning", "there is no variable named “source”")
    ]
    (problem,) = problems_of(tmp_path, {"t.pkr.hcl": text + build_with("", "  vm_name = local.z\n")}, "t.pkr.hcl")
    assert (problem.severity, problem.message) == ("error", "there is no variable named “source”")
    assert problem.hint == "what “source” is only a build knows: it can be used inside of build { … } alone"
