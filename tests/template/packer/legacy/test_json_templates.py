"""JSON templates, the older form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from factory.template.packer import OtherBuilder, PackerConfig, QemuSource, load
from factory.template.packer.post_processors.kinds import Vagrant
from factory.template.packer.provisioners.ansible import AnsibleLocal
from factory.template.packer.provisioners.shell import Shell, ShellLocal
from factory.template.packer_files import is_packer
from tests.template.packer.written import loaded, problems_of

pytestmark = pytest.mark.unit
LEAST = {"type": "qemu", "iso_url": "http://x/a.iso", "iso_checksum": "none", "ssh_username": "r"}


def template(folder: Path, root: dict[str, Any] | str, **more: Any) -> PackerConfig:
    text = root if isinstance(root, str) else json.dumps(root, indent=2)
    return loaded(folder, {"t.json": text}, "t.json", **more)


def messages(folder: Path, root: dict[str, Any] | str, **more: Any) -> str:
    text = root if isinstance(root, str) else json.dumps(root, indent=2)
    return "\n".join(map(str, problems_of(folder, {"t.json": text}, "t.json", **more)))


def source_of(config: PackerConfig, index: int = 0) -> QemuSource:
    source = config.builds[index].source
    assert isinstance(source, QemuSource)
    return source


def test_old_names_of_a_provisioner_are_taken_with_a_warning(tmp_path: Path) -> None:
    step = {"type": "ansible-local", "playbook_file": "p.yml", "galaxycommand": "my-galaxy"}
    config = template(tmp_path, {"builders": [LEAST], "provisioners": [step]})
    options = config.builds[0].provisioners[0].options
    assert isinstance(options, AnsibleLocal)
    assert options.galaxy_command == "my-galaxy"
    assert "“galaxycommand” is out of date" in str(config.warnings)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"builders": ' + "[" * 3000 + "]" * 3000 + "}"])
def test_what_is_nested_too_deeply_is_said_with_its_place(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(text)
    assert is_packer(path)
    assert "t.json:1:1" in messages(tmp_path, text)
    assert "nested too deeply" in messages(tmp_path, text)


def test_weak_types_and_functions(tmp_path: Path) -> None:
    config = template(
        tmp_path,
        {
            "_comment": "x",
            "description": "what it is",
            "variables": {"name": "deb-{{ isotime \"2006\" }}", "cpus": 4,
                          "full": "{{ user `name` }}-{{ user `cpus` }}",
                          "home": "{{ env `HOME` }}", "off": False},
            "sensitive-variables": ["home"],
            "builders": [
                {**LEAST, "_comment": "y", "vm_name": "{{ user `full` }}", "cpus": "{{ user `cpus` }}", "memory": "",
                 "headless": "{{ user `off` }}", "boot_command": "<enter>", "disk_size": 1000, "boot_wait": "5s",
                 "http_content": {"/a": 1}, "boot_key_interval": "10ms", "qemuargs": [["-m", 512]]},
                {"type": "virtualbox-iso", "name": "vb", "guest_os_type": "x"},
            ],
        },
        environ={"HOME": "/home/u"},
    )  # fmt: skip
    s = source_of(config)
    assert (s.vm_name, s.cpus, s.memory, s.headless) == ("deb-2024-4", 4, 512, False)
    assert (s.boot_command, s.disk_size, dict(s.http_content)) == (("<enter>",), "1000M", {"/a": "1"})
    assert [b.name for b in config.builds] == ["qemu", "vb"]
    assert isinstance(config.builds[1].source, OtherBuilder)
    assert [x.reveal() for x in config.secrets] == ["/home/u"]
    assert config.description == "what it is"


def test_precedence_of_variables(tmp_path: Path) -> None:
    root = {
        "variables": {"a": "1", "b": None},
        "builders": [{**LEAST, "vm_name": "{{user `a`}}{{user `b`}}{{user `c`}}"}],
    }
    files = {"t.json": json.dumps(root), "v.json": '{"a": "2", "b": "x", "_c": 1}', "v.pkrvars.hcl": 'b = "z"\n'}
    config = loaded(tmp_path, files, "t.json", var_files=["v.json"], variables={"c": "3"})
    assert source_of(config).vm_name == "2x3"
    config = loaded(tmp_path, files, "t.json", var_files=["v.json", "v.pkrvars.hcl"], variables={"a": "o", "c": ""})
    assert source_of(config).vm_name == "oz"


def test_a_variable_may_hold_what_only_the_build_knows(tmp_path: Path) -> None:
    root = {
        "variables": {"boot": "url=http://{{ .HTTPIP }}:{{.HTTPPort}}/{{ user `file` }} ", "file": "{{ upper `ks` }}"},
        "builders": [{**LEAST, "boot_command": ["<tab>", "{{ user `boot` }}"]}],
    }
    assert source_of(template(tmp_path, root)).boot_command == ("<tab>", "url=http://{{ .HTTPIP }}:{{.HTTPPort}}/KS ")


def test_a_missing_variable_is_empty_with_a_warning(tmp_path: Path) -> None:
    config = template(tmp_path, {"variables": {"name": "x"}, "builders": [{**LEAST, "vm_name": "a{{ user `nmae` }}"}]})
    assert source_of(config).vm_name == "a"
    assert any("did you mean “name”?" in w.message for w in config.warnings)


def test_steps_overrides_and_selection(tmp_path: Path) -> None:
    root = {
        "builders": [{**LEAST, "name": "a"}, {**LEAST, "name": "b"}],
        "provisioners": [
            {"type": "shell", "inline": "one", "only": ["a"], "pause_before": "1s"},
            {"type": "shell", "script": "s.sh", "except": ["a"]},
            {"type": "shell", "inline": ["x"], "override": {"b": {"inline": ["y {{ build_name }}"]}}},
            {"type": "shell-local", "command": "old", "execute_command": "x"},
        ],
        "error-cleanup-provisioner": {"type": "shell-local", "inline": ["c"]},
        "post-processors": ["manifest",
                            [{"type": "compress", "only": ["a"]}, {"type": "vagrant", "virtualbox": {"output": "x"}}],
                            {"type": "checksum", "name": "sums"}],
    }  # fmt: skip
    config = template(tmp_path, root)
    first, second = config.builds
    assert [p.type for p in first.provisioners] == ["shell", "shell", "shell-local"]
    inline = second.provisioners[1].options
    assert isinstance(inline, Shell)
    assert inline.inline == ("y b",)
    local = second.provisioners[2].options
    assert isinstance(local, ShellLocal)
    assert local.execute_command == ("x",)
    assert [[p.type for p in c] for c in first.post_processors] == [["manifest"], ["compress", "vagrant"], ["checksum"]]
    assert [[p.type for p in c] for c in second.post_processors] == [["manifest"], ["vagrant"], ["checksum"]]
    vagrant = second.post_processors[1][0].options
    assert isinstance(vagrant, Vagrant)
    assert vagrant.override == {"virtualbox": {"output": "x"}}
    assert first.error_cleanup is not None
    assert [b.name for b in template(tmp_path, root, only=["b"]).builds] == ["b"]
    cut = template(tmp_path, root, except_=["a", "compress", "vagrant", "sums"]).builds
    assert [[[p.type for p in c] for c in b.post_processors] for b in cut] == [[["manifest"]]]


TRUE = {"type": "shell-local", "inline": ["true"]}


@pytest.mark.parametrize(
    ("steps", "message", "hint"),
    [
        ({"provisioners": [{**TRUE, "only": ["debain"]}]}, "“only” names “debain”, and no builder has", "“debian”?"),
        ({"provisioners": [{**TRUE, "except": "x"}]}, "“except” names “x”, and no builder has", "there is debian"),
        ({"provisioners": [{**TRUE, "override": {"debin": {}}}]}, "“override” is for “debin”", "“debian”?"),
        ({"post-processors": [{**TRUE, "only": ["x", "debian"]}]}, "“only” names “x”", "there is debian"),
        ({"post-processors": [[TRUE, {**TRUE, "except": ["qemu"]}]]}, "“except” names “qemu”", "there is debian"),
    ],
)
def test_choices_that_name_no_builder(tmp_path: Path, steps: dict[str, Any], message: str, hint: str) -> None:
    """Packer: 'only' specified builder 'debain' not found. It is an error also when another builder is chosen."""
    root = {"builders": [{**LEAST, "name": "debian"}], **steps}
    found, *others = problems_of(tmp_path, {"t.json": json.dumps(root, indent=1)}, "t.json")
    assert all(p.severity == "warning" for p in others)
    assert message in found.message
    assert hint in found.hint
    assert found.place is not None
    assert message.split("“")[-1].split("”")[0] in (found.source_line or "")


def test_choices_go_by_the_written_name(tmp_path: Path) -> None:
    """As in Packer, which resolves functions in the name of a builder later."""
    written = "{{ user `n` }}"
    root: dict[str, Any] = {"variables": {"n": "a"}, "builders": [{**LEAST, "name": written}]}
    root["provisioners"] = [{**TRUE, "only": [written], "override": {written: {"inline": ["b"]}}}]
    (build,) = template(tmp_path, root).builds
    (only,) = build.provisioners
    assert isinstance(only.options, ShellLocal)
    assert (build.name, only.options.inline) == ("a", ("b",))
    root["provisioners"] = [{**TRUE, "only": ["a"]}]
    assert "“only” names “a”" in messages(tmp_path, root)


def test_old_forms(tmp_path: Path) -> None:
    config = template(
        tmp_path,
        {"builders": [{**LEAST, "iso_checksum": "a" * 40, "iso_checksum_type": "sha1", "ssh_wait_timeout": "3m",
                       "vm_name": "x-{{.CreateTime}}", "skip_export": True, "boot_wait": 5}]},
    )  # fmt: skip
    s = source_of(config)
    assert (s.iso_checksum, str(s.ssh_timeout), s.vm_name) == ("sha1:" + "a" * 40, "3m", "x-1709210096")
    texts = "\n".join(map(str, config.warnings))
    for part in ("“iso_checksum_type” is deprecated", "“ssh_wait_timeout” is deprecated", "is out of date",
                 "option of virtualbox-iso", "means nanoseconds"):  # fmt: skip
        assert part in texts


def test_the_last_of_two_equal_keys_counts(tmp_path: Path) -> None:
    text = json.dumps({"builders": [LEAST]}).replace('"ssh_username"', '"ssh_username": "x", "ssh_username"')
    config = template(tmp_path, text)
    assert source_of(config).ssh_username == "r"
    assert any("“ssh_username” is set twice" in w.message for w in config.warnings)


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ({}, "“builders” is missing"),
        ({"builders": [LEAST], "provisoners": []}, "did you mean “provisioners”?"),
        ({"builders": [{"iso_url": "x"}]}, "a builder needs a “type”"),
        ({"builders": [LEAST, LEAST]}, "there are two builders named “qemu”"),
        ({"builders": [{**LEAST, "memry": 1}]}, "did you mean “memory”?"),
        ({"builders": ["x"]}, "a builder is an object"),
        ({"builders": 1}, "“builders” is a list"),
        ({"builders": [LEAST], "variables": {"a": None}}, "the variable “a” has no value"),
        ({"builders": [LEAST], "variables": {"a": ["x"]}}, "must be a text, number or bool"),
        (
            {"builders": [LEAST], "variables": {"a": "{{ user `b` }}", "b": "{{ user `a` }}"}},
            "there is no variable “b”",
        ),
        ({"builders": [LEAST], "provisioners": [{"inline": ["x"]}]}, "a provisioner needs a “type”"),
        ({"builders": [LEAST], "provisioners": ["x"]}, "a provisioner is an object"),
        ({"builders": [LEAST], "post-processors": [5]}, "a post-processor is a text or an object"),
        ({"builders": [LEAST], "post-processors": [{}]}, "a post-processor needs a “type”"),
        ({"builders": [{**LEAST, "vm_name": "{{ env `X` }}"}]}, "env can only be used in the default of a variable"),
        ({"builders": [{**LEAST, "name": "{{ nope }}"}]}, "there is no function “nope”"),
        ('{"builders": [}', "a comma before the closing bracket"),
        ("[]", "a template is an object"),
        ("// x", "JSON has no comments"),
    ],
)
def test_messages(tmp_path: Path, root: dict[str, Any] | str, message: str) -> None:
    assert message in messages(tmp_path, root)


def test_a_template_from_standard_input(tmp_path: Path) -> None:
    config = load(
        "-", text=json.dumps({"builders": [LEAST], "min_packer_version": "99.0"}), environ={}, working=tmp_path
    )
    assert config.builds[0].name == "qemu"
    assert any("wants Packer 99.0" in w.message for w in config.warnings)
