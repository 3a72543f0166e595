"""Packer builds as factory's own templates."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.drivers.machine_spec import Bus
from factory.errors import TemplateError
from factory.template.late import render_late
from factory.template.model import Firmware, LateText, SeedDelivery, Text
from factory.template.packer.to_template import Translation, to_template
from factory.template.packer.to_template.notes import Notes
from factory.template.packer.to_template.texts import BOOT, COMMAND, late_text
from tests.template.packer.written import build_with, hcl

pytestmark = pytest.mark.unit
LATE = {
    "seed": {"url": "http://10.0.2.2:8000/token", "host": "10.0.2.2", "port": 8000},
    "guest": {"host": "127.0.0.1", "port": 2222},
    "build": {"name": "vm", "ssh_public_key": "ssh-ed25519 AAAA b+c"},
}


def translated(folder: Path, source: str = "", steps: str = "") -> Translation:
    config = hcl(folder, build_with(steps, source))
    return to_template(config, config.builds[0])


def shown(text: Text | None) -> str:
    assert text is not None
    return render_late(text, LATE)


def option_notes(translation: Translation) -> set[str]:
    return {n.option for n in translation.notes if n.matters}


def test_machine(tmp_path: Path) -> None:
    machine = translated(
        tmp_path,
        '  memory = 2048\n  cpus = 1\n  cores = 4\n  machine_type = "q35"\n  disk_size = "10G"\n  efi_boot = true\n'
        '  disk_additional_size = ["2G", "500"]\n  disk_interface = "virtio-scsi"\n'
        '  vtpm = true\n  net_device = "e1000"\n'
        '  efi_firmware_code = "/x/OVMF_CODE.secboot.fd"\n  cpu_model = "host"\n',
    ).loaded.template.machine
    assert (machine.memory, machine.cpus, machine.type, machine.cpu) == (2048 * 2**20, 4, "q35", "host")
    assert [(d.id, d.size, d.bus) for d in machine.disks] == [
        ("main", 10 * 2**30, Bus.SCSI), ("disk1", 2 * 2**30, Bus.SCSI), ("disk2", 500 * 2**20, Bus.SCSI),
    ]  # fmt: skip
    assert (machine.firmware, machine.nics[0].model) == (Firmware.UEFI_SECURE, "e1000")
    assert machine.tpm is not None
    assert machine.tpm.version == "2.0"


def test_arguments(tmp_path: Path) -> None:
    result = translated(
        tmp_path,
        '  qemuargs = [["-m", "1G"], ["-smp", "cpus=3"], ["-cpu", "max"], ["-display", "none"], ["-usb"],\n'
        '    ["-device", "usb-tablet"], ["-device", "virtio-rng-pci"],\n'
        '    ["-netdev", "user,id=forward,hostfwd=tcp::{{ .SSHHostPort }}-:22"], ["-device", "e1000,netdev=forward"],\n'
        '    ["-drive", "file={{ .OutputDir }}/{{ .Name }},if=none"], ["-fw_cfg", "x={{ .HTTPIP }}"]]\n',
    )
    machine = result.loaded.template.machine
    assert (machine.memory, machine.cpus, machine.cpu) == (2**30, 3, "max")
    assert machine.extra_args == ("-usb", "-device", "usb-tablet", "-device", "virtio-rng-pci")
    assert machine.replaced_switches == ("-usb", "-device")
    assert machine.nics[0].model == "e1000"
    assert [n.message for n in result.notes if n.matters and n.option == "qemuargs"] == [
        "“-fw_cfg x={{ .HTTPIP }}” names values of a running build, which arguments can't"
    ]


def test_installation_and_seed(tmp_path: Path) -> None:
    (tmp_path / "http").mkdir()
    result = translated(
        tmp_path,
        '  boot_wait = "3s"\n  boot_command = ["<esc>url=http://{{ .HTTPIP }}:{{ .HTTPPort }}/p.cfg ",\n'
        '    "{{ .Name }} {{ .SSHPublicKey | urlquery }}"]\n  http_directory = "http"\n  cd_files = ["a"]\n',
    )
    install = result.loaded.template.install
    assert install is not None
    assert install.boot_command is not None
    assert [shown(t) for t in install.boot_command] == [
        "<esc>url=http://10.0.2.2:8000/token/p.cfg ",
        "vm ssh-ed25519%20AAAA%20b%2Bc",
    ]
    assert (install.seed, str(install.boot_wait)) == (SeedDelivery.HTTP, "3s")
    assert result.loaded.seed_directory == tmp_path / "http"
    assert option_notes(result) == {"cd_files", "shutdown_command"}


def test_seed_on_a_cd(tmp_path: Path) -> None:
    result = translated(
        tmp_path,
        '  cd_content = { "user-data" = "#cloud", "/meta-data" = "" }\n  cd_files = ["x/y", "z/*"]\n'
        '  cd_label = "cidata"\n',
    )
    install = result.loaded.template.install
    assert install is not None
    assert install.seed is SeedDelivery.CD
    assert {(f.name, f.content, f.path) for f in install.seed_files} == {
        ("meta-data", "", None),
        ("user-data", "#cloud", None),
        ("y", None, "x/y"),
    }
    assert result.loaded.profile is not None
    assert result.loaded.profile.seed is not None
    assert result.loaded.profile.seed.cd_label == "cidata"
    assert "cd_files" in option_notes(result)


def test_a_disk_image_needs_no_installation(tmp_path: Path) -> None:
    template = translated(tmp_path, "  disk_image = true\n").loaded.template
    assert template.install is None
    assert template.source.image is not None
    assert template.source.image.urls == ("http://example.com/a.iso",)


def test_access(tmp_path: Path) -> None:
    ssh = translated(
        tmp_path, '  ssh_password = "pw"\n  ssh_timeout = "1h"\n  ssh_port = 23\n'
    ).loaded.template.access.ssh
    assert ssh is not None
    assert (ssh.user, ssh.password, ssh.port, str(ssh.deadline)) == ("root", "pw", 23, "1h")
    winrm = translated(
        tmp_path, '  communicator = "winrm"\n  winrm_username = "A"\n  winrm_password = "p"\n  winrm_use_ssl = true\n'
    ).loaded.template.access.winrm
    assert winrm is not None
    assert (winrm.user, winrm.port, winrm.tls) == ("A", 5986, True)
    none = translated(tmp_path, '  communicator = "none"\n', '  provisioner "shell" {\n    inline = ["a"]\n  }\n')
    assert none.loaded.template.access.none
    assert none.loaded.template.provision == ()
    assert "provisioner" in option_notes(none)
    assert "ssh_pty" in option_notes(translated(tmp_path, "  ssh_pty = true\n"))


def test_provisioners(tmp_path: Path) -> None:
    result = translated(
        tmp_path,
        "",
        '  provisioner "shell" {\n    inline = ["echo ${build.Port}"]\n'
        '    environment_vars = ["A=1", "H=${build.Host}"]\n'
        '    execute_command = "sudo -E sh -c \'{{ .Vars }} {{ .Path }}\'"\n    pause_before = "2s"\n'
        "    max_retries = 3\n"
        '    timeout = "1m"\n    skip_clean = true\n  }\n'
        '  provisioner "file" {\n    sources = ["a", "b"]\n    destination = "/d/"\n  }\n'
        '  provisioner "file" {\n    content = "x"\n    destination = "/e"\n  }\n'
        '  provisioner "windows-restart" {\n    restart_timeout = "9m"\n  }\n'
        '  provisioner "ansible" {\n    playbook_file = "p.yml"\n    ansible_env_vars = ["X=1"]\n  }\n'
        '  provisioner "powershell" {\n    inline = ["x"]\n    elevated_password = "geheim"\n  }\n'
        '  provisioner "chef-solo" {\n    run_list = ["a"]\n  }\n'
        '  error-cleanup-provisioner "shell" {\n    inline = ["a"]\n  }\n',
    )
    steps = result.loaded.template.provision
    assert [p.kind for p in steps] == ["shell", "file", "file", "file", "reboot", "ansible", "plugin", "plugin"]
    shell = steps[0].shell
    assert shell is not None
    assert shell.inline is not None
    assert (shown(shell.inline[0]), shown(shell.env["H"]), shell.env["A"]) == ("echo 2222", "127.0.0.1", "1")
    assert isinstance(shell.execute_command, LateText)
    assert shell.execute_command.source == "sudo -E sh -c '{{ vars }} {{ path }}'"
    assert (float(steps[0].pause_before), steps[0].retries, str(steps[0].timeout)) == (2, 3, "1m")
    assert steps[6].plugin is not None
    assert steps[6].plugin.options == {"inline": ("x",), "elevated_password": "geheim"}
    assert steps[7].plugin is not None
    assert (steps[7].plugin.name, steps[7].plugin.options) == ("chef-solo", {"run_list": ["a"]})
    assert {"shell.skip_clean", "ansible.ansible_env_vars", "error-cleanup-provisioner"} <= option_notes(result)


def test_outputs_and_what_is_left_of_the_chains(tmp_path: Path) -> None:
    result = translated(
        tmp_path,
        "  disk_compression = true\n",
        '  post-processors {\n    post-processor "vagrant" {\n      compression_level = 9\n    }\n'
        '    post-processor "checksum" {}\n  }\n  post-processor "manifest" {}\n',
    )
    assert [o.kind for o in result.loaded.template.outputs] == ["qcow2", "vagrant"]
    assert [[p.type for p in c] for c in result.post_processors] == [["checksum"], ["manifest"]]
    assert (result.output_directory, result.file_name) == ("output-vm", "packer-vm")


def test_what_can_not_be_translated(tmp_path: Path) -> None:
    text = 'source "null" "n" {}\nbuild {\n  sources = ["null.n"]\n}\n'
    config = hcl(tmp_path, text)
    with pytest.raises(TemplateError, match="is for null, which factory does not have"):
        to_template(config, config.builds[0])
    data = 'data "http" "d" {\n  url = "u"\n}\n' + build_with("", "  vm_name = data.http.d.body\n")
    config = hcl(tmp_path, data)
    with pytest.raises(TemplateError, match="has no value yet for vm_name"):
        to_template(config, config.builds[0])
    assert {"qemu_binary", "machine_type"} <= option_notes(
        translated(tmp_path, '  qemu_binary = "qemu-system-aarch64"\n  machine_type = "virt"\n')
    )


def test_a_boot_command_that_can_not_be_rendered(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="boot_command: in the Go template"):
        translated(tmp_path, '  boot_command = ["{{ .HTTPIP "]\n')


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("plain {% x %}", BOOT, "plain {% x %}"),
        ("{{ .HTTPIP }}:{{.HTTPPort}}/a {{ `{{` }} {% raw %}", BOOT, "10.0.2.2:8000/token/a {{ {% raw %}"),
        ("{{ .Path }}", COMMAND, None),
        ("{{ if .Name }}x{{ end }}y{{ .Name }}", BOOT, "yvm"),
    ],
)
def test_texts(text: str, names: dict[str, str], expected: str | None) -> None:
    result = late_text(text, names, "o", Notes())
    if expected is None:
        assert result == LateText("{{ path }}")
    else:
        assert shown(result) == expected
