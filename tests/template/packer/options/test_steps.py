"""Options of provisioners and post-processors."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.template.packer.post_processors import POST_PROCESSORS, OtherPostProcessor
from factory.template.packer.post_processors.kinds import Checksum, Compress, Vagrant
from factory.template.packer.provisioners import PROVISIONERS, OtherProvisioner
from factory.template.packer.provisioners.ansible import Ansible
from factory.template.packer.provisioners.shell import Powershell, Shell, ShellLocal, WindowsRestart
from factory.template.packer.provisioners.simple import File
from tests.template.packer.written import build_with, hcl, problems_of

pytestmark = pytest.mark.unit


def provisioner(folder: Path, kind: str, body: str) -> object:
    return hcl(folder, build_with(f'  provisioner "{kind}" {{\n{body}\n  }}')).builds[0].provisioners[0].options


def post_processor(folder: Path, kind: str, body: str) -> object:
    return (
        hcl(folder, build_with(f'  post-processor "{kind}" {{\n{body}\n  }}')).builds[0].post_processors[0][0].options
    )


def messages(folder: Path, block: str) -> str:
    return "\n".join(map(str, problems_of(folder, {"t.pkr.hcl": build_with(block)})))


def test_shell(tmp_path: Path) -> None:
    s = provisioner(
        tmp_path,
        "shell",
        'inline = ["a", "b {{ build_name }}"]\nenvironment_vars = ["A=1", "B="]\nenv = { C = 2 }\n'
        'execute_command = "sudo {{ .Vars }} {{ .Path }}"\nvalid_exit_codes = [0, 3]\nexpect_disconnect = true\n'
        'start_retry_timeout = "10m"\npause_after = "3s"',
    )
    assert isinstance(s, Shell)
    assert (s.inline, s.environment_vars, dict(s.env)) == (("a", "b vm"), ("A=1", "B="), {"C": "2"})
    assert s.execute_command == "sudo {{ .Vars }} {{ .Path }}"
    assert (s.valid_exit_codes, s.expect_disconnect, s.inline_shebang) == ((0, 3), True, "/bin/sh -e")
    assert (str(s.start_retry_timeout), str(s.pause_after), s.remote_folder) == ("10m", "3s", "/tmp")


def test_other_kinds(tmp_path: Path) -> None:
    f = provisioner(tmp_path, "file", 'source = "a/"\ndestination = "/b"\ndirection = "download"\ngenerated = true')
    assert isinstance(f, File)
    assert (f.source, f.direction, f.generated) == ("a/", "download", True)
    local = provisioner(tmp_path, "shell-local", 'script = "s.sh"\nonly_on = ["linux"]')
    assert isinstance(local, ShellLocal)
    assert local.execute_command == ("/bin/sh", "-c", "{{.Vars}} {{.Script}}")
    power = provisioner(
        tmp_path, "powershell", 'inline = ["x"]\nelevated_user = "u"\nelevated_password = build.Password\n'
    )
    assert isinstance(power, Powershell)
    assert power.elevated_password.reveal() == "{{ build `Password` }}"
    restart = provisioner(tmp_path, "windows-restart", 'restart_timeout = "30m"')
    assert isinstance(restart, WindowsRestart)
    assert str(restart.restart_timeout) == "30m"
    ansible = provisioner(tmp_path, "ansible", 'playbook_file = "p.yml"\nuse_proxy = false\nextra_arguments = ["-v"]')
    assert isinstance(ansible, Ansible)
    assert (ansible.use_proxy, ansible.extra_arguments) == (False, ("-v",))
    for kind, body in (
        ("breakpoint", 'note = "n"'), ("sleep", 'duration = "1s"'), ("windows-shell", 'inline = ["x"]'),
        ("windows-update", "update_limit = 5"), ("ansible-local", 'playbook_file = "p"'), ("goss", 'tests = ["g.yml"]'),
        ("hcp-sbom", 'source = "x"'),
    ):  # fmt: skip
        assert isinstance(provisioner(tmp_path, kind, body), PROVISIONERS[kind])


def test_kinds_of_plugins_are_kept_as_they_are(tmp_path: Path) -> None:
    chef = provisioner(tmp_path, "chef-solo", 'run_list = ["a"]\nexecute_command = "{{ .Sudo }} x"')
    assert isinstance(chef, OtherProvisioner)
    assert chef.options == {"run_list": ["a"], "execute_command": "{{ .Sudo }} x"}
    push = post_processor(tmp_path, "docker-push", "login = true\nkeep_input_artifact = true")
    assert isinstance(push, OtherPostProcessor)
    assert push.options == {"login": True}


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ('provisioner "shell" {}', "shell: one of “inline”, “script” and “scripts” must be set"),
        ('provisioner "shell" {\n    inline = ["a"]\n    script = "b"\n  }', "exclude one another"),
        ('provisioner "shell" {\n    inlin = ["a"]\n  }', "did you mean “inline”?"),
        (
            'provisioner "shell" {\n    inline = ["a"]\n    environment_vars = ["A"]\n  }',
            "“A” is not of the form NAME=value",
        ),
        ('provisioner "shell" {\n    inline = ["{{ nofn }}"]\n  }', "there is no function “nofn”"),
        ('provisioner "shell" {\n    inline = ["a"]\n    only = ["a"]\n    except = ["b"]\n  }', "exclude each other"),
        (
            'provisioner "shell" {\n    inline = ["a"]\n    pause_before = "soon"\n  }',
            "“pause_before”: “soon” is not a",
        ),
        ('provisioner "file" {\n    source = "a"\n  }', "file: “destination” must be set"),
        ('provisioner "file" {\n    destination = "a"\n  }', "one of “source”, “sources” and “content”"),
        ('provisioner "file" {\n    source = "a"\n    content = "x"\n    destination = "a"\n  }', "exclude each other"),
        ('provisioner "ansible" {}', "ansible: “playbook_file” must be set"),
        ('provisioner "ansible-local" {}', "“playbook_file” or “playbook_files” must be set"),
        ("provisioner {}", "has one label, its type"),
        ('post-processor "shell-local" {}', "shell-local: one of “inline”"),
        ('post-processor "shell-local" {\n    inline = ["a"]\n    script = "b"\n  }', "exclude one another"),
        ('post-processor "vagrant" {\n    compression_level = 12\n  }', "compression level 12 is above 9"),
        ('post-processor "checksum" {\n    checksum_types = ["sha265"]\n  }', "did you mean “sha256”?"),
        ('post-processor "artifice" {}', "artifice: “files” must be set"),
        ('post-processor "manifest" {\n    outptu = "x"\n  }', "did you mean “output”?"),
        ('post-processors {\n    provisioner "shell" {}\n  }', "contains post-processor blocks only"),
    ],
)
def test_messages(tmp_path: Path, block: str, message: str) -> None:
    assert message in messages(tmp_path, "  " + block)


def test_post_processors(tmp_path: Path) -> None:
    compress = post_processor(tmp_path, "compress", 'output = "{{.BuildName}}.tar.gz"\ncompression_level = 9')
    assert isinstance(compress, Compress)
    assert compress.output == "{{.BuildName}}.tar.gz"
    assert isinstance(post_processor(tmp_path, "compress", "compression_level = 12"), Compress)
    checksum = post_processor(tmp_path, "checksum", "")
    assert isinstance(checksum, Checksum)
    assert checksum.checksum_types == ("md5",)
    vagrant = post_processor(
        tmp_path,
        "vagrant",
        'include = ["a"]\noutput = "{{ .Provider }}.box"\noverride = {\n libvirt = {\n compression_level = 1\n }\n}',
    )
    assert isinstance(vagrant, Vagrant)
    assert vagrant.override == {"libvirt": {"compression_level": 1}}
    for kind in ("vagrant-cloud", "vagrant-registry", "hcp-vagrant-registry", "provenance", "manifest"):
        assert isinstance(post_processor(tmp_path, kind, ""), POST_PROCESSORS[kind])
