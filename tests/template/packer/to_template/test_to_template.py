"""Packer builds as factory's own templates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factory.drivers.machine_spec import Bus, Forward
from factory.drivers.protocols import GuestAddress
from factory.errors import TemplateError
from factory.provision.shell_local import DEFAULT_COMMAND, local_scripts
from factory.quantity import Duration, Size
from factory.steps.create_disks import ImportImage
from factory.steps.machine_plan import guest_address, machine_spec
from factory.template.late import render_late
from factory.template.model import RUN_ID_MARK, Bastion, Disk, Expect, Finished, Firmware, LateText, SeedDelivery, Text
from factory.template.packer.to_template import NotMadeHere, Translation, to_template
from factory.template.packer.to_template.notes import Notes
from factory.template.packer.to_template.texts import BOOT, COMMAND, late_text
from tests.steps.test_contents import PLATFORM
from tests.template.packer.written import build_with, hcl, loaded

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


@pytest.mark.parametrize(
    ("given", "name"), [("./out/", "out"), ("{{ template_dir }}/out", "TMP/out"), ("../x/out", "../x/out")]
)
def test_files_of_the_artifact_are_named_as_the_template_names_their_folder(
    tmp_path: Path, given: str, name: str
) -> None:
    delivery = translated(tmp_path, f'  output_directory = "{given}"\n').loaded.delivery
    assert delivery is not None
    assert delivery.folder_name == name.replace("TMP", str(tmp_path))


@pytest.mark.parametrize("given", ["[[]]", '[[], ["-m", "1G"]]'])
def test_a_list_without_a_switch_is_passed_over(tmp_path: Path, given: str) -> None:
    machine = translated(tmp_path, f"  qemuargs = {given}\n").loaded.template.machine
    assert machine.extra_args == ()
    assert machine.memory == (2**30 if "1G" in given else 512 * 2**20)


@pytest.mark.parametrize(
    ("given", "model", "said"),
    [
        ("rtl8139", "rtl8139", ""),
        ("virtio-net,romfile=x", "virtio-net-pci", "“romfile=x” is left out"),
        ("a card", "virtio-net-pci", "“a card” is no device of QEMU"),
    ],
)
def test_a_card_is_a_device_of_qemu_and_nothing_else(tmp_path: Path, given: str, model: str, said: str) -> None:
    result = translated(tmp_path, f'  net_device = "{given}"\n')
    assert result.loaded.template.machine.nics[0].model == model
    assert said in " ".join(n.message for n in result.notes if n.option == "net_device")


def test_machine(tmp_path: Path) -> None:
    machine = translated(
        tmp_path,
        '  memory = 2048\n  cpus = 1\n  cores = 4\n  machine_type = "q35"\n  disk_size = "10G"\n  efi_boot = true\n'
        '  disk_additional_size = ["2G", "500"]\n  disk_interface = "virtio-scsi"\n'
        '  vtpm = true\n  net_device = "e1000"\n'
        '  efi_firmware_code = "/x/OVMF_CODE.secboot.fd"\n  cpu_model = "host"\n',
    ).loaded.template.machine
    assert (machine.memory, machine.cpus, machine.type, machine.cpu) == (2048 * 2**20, 1, "q35", "")
    assert [(d.id, d.size, d.bus) for d in machine.disks] == [
        ("main", 10 * 2**30, Bus.SCSI), ("disk1", 2 * 2**30, Bus.SCSI), ("disk2", 500 * 2**20, Bus.SCSI),
    ]  # fmt: skip
    assert (machine.firmware, machine.nics[0].model) == (Firmware.UEFI_SECURE, "e1000")
    assert machine.tpm is not None
    assert machine.tpm.version == "2.0"


@pytest.mark.parametrize(
    ("options", "cpus", "smp"),
    [
        ("", 1, ""),
        ("  cpus = 4\n", 4, ""),
        ("  cores = 4\n  sockets = 2\n", 8, "8,sockets=2,cores=4"),
        ("  cpus = 4\n  threads = 2\n", 2, "2,threads=2"),
        ("  cpus = 2\n  cores = 4\n", 2, ""),
        ('  qemuargs = [["-smp", "4,sockets=1,cores=4"]]\n', 4, "4,sockets=1,cores=4"),
        ('  cores = 2\n  qemuargs = [["-smp", "4"]]\n', 4, ""),
    ],
)
def test_processors(tmp_path: Path, options: str, cpus: int, smp: str) -> None:
    machine = translated(tmp_path, options).loaded.template.machine
    assert (machine.cpus, machine.extra_args, machine.replaced_switches) == (
        cpus, ("-smp", smp) if smp else (), ("smp",) if smp else (),
    )  # fmt: skip


def test_a_program_of_its_own_in_qemus_place(tmp_path: Path) -> None:
    notes = option_notes(translated(tmp_path, '  qemu_binary = "./wrap-qemu"\n'))
    assert notes == {"qemu_binary"}
    for binary in ("../scripts/qemu-arm64-wrapper.sh", "qemu-system-", "qemu-system-ppc64"):
        with pytest.raises(TemplateError, match="factory makes x86_64 machines"):
            translated(tmp_path, f'  qemu_binary = "{binary}"\n')
    with pytest.raises(TemplateError, match="factory makes x86_64 machines"):
        translated(tmp_path, '  qemu_binary = "./wrap-qemu"\n  machine_type = "virt,gic-version=3"\n')


def test_arguments(tmp_path: Path) -> None:
    (tmp_path / "virtio.iso").write_text("")
    result = translated(
        tmp_path,
        '  vm_name = "disk.img"\n'
        '  qemuargs = [["-m", "1G"], ["-smp", "cpus=3"], ["-cpu", "host,+vmx"], ["-display", "none"], ["-usb"],\n'
        '    ["-machine", "type=q35,accel=kvm,vmport=off"], ["-bios", "/usr/share/OVMF/OVMF_CODE.fd"],\n'
        '    ["-device", "usb-tablet"], ["-device", "virtio-rng-pci"],\n'
        '    ["-netdev", "user,id=forward,hostfwd=tcp::{{ .SSHHostPort }}-:22"], ["-device", "e1000,netdev=forward"],\n'
        '    ["-drive", "file={{ .OutputDir }}/{{ .Name }},if=none,id=root,format=qcow2"],\n'
        '    ["-device", "nvme,drive=root,serial=1"], ["-drive", "file=http://example.com/a.iso,media=cdrom"],\n'
        '    ["-drive", "file=virtio.iso,media=cdrom,index=3"], ["-boot", "once=d"], ["-rtc", "base=localtime"],\n'
        '    ["-smbios", "type=1,serial=ds=nocloud;s=http://{{ .HTTPIP }}:{{ .HTTPPort }}/"],\n'
        '    ["-chardev", "stdio,id=console"], ["-chardev", "socket,id=agent,path=/tmp/a"],\n'
        '    ["-device", "virtserialport,chardev=agent"]]\n',
    )
    machine = result.loaded.template.machine
    assert (machine.memory, machine.cpus, machine.cpu, machine.type) == (2**30, 3, "max,+vmx", "q35")
    assert (machine.firmware, machine.disks[0].bus, machine.nics[0].model) == (Firmware.UEFI, Bus.NVME, "e1000")
    assert [shown(a) for a in machine.extra_args] == [
        "-usb", "-machine", "vmport=off", "-rtc", "base=localtime",
        "-smbios", "type=1,serial=ds=nocloud;s=http://10.0.2.2:8000/", "-chardev", "socket,id=agent,path=/tmp/a",
        "-device", "usb-tablet", "-device", "virtio-rng-pci", "-device", "virtserialport,chardev=agent",
    ]  # fmt: skip
    assert machine.replaced_switches == ("rtc",)
    install = result.loaded.template.install
    assert install is not None
    assert [(m.kind, m.image) for m in install.media] == [("cd", "virtio.iso")]
    assert option_notes(result) == set()


def test_a_port_that_is_not_known_yet_can_not_be_an_argument(tmp_path: Path) -> None:
    result = translated(tmp_path, '  qemuargs = [["-fw_cfg", "x={{ .SSHHostPort }}"]]\n')
    assert [n.message for n in result.notes if n.matters] == [
        "“-fw_cfg x={{ .SSHHostPort }}” is left out: its port is not known before the machine runs"
    ]


def test_installation_and_seed(tmp_path: Path) -> None:
    (tmp_path / "http").mkdir()
    (tmp_path / "a").write_text("a")
    result = translated(
        tmp_path,
        '  boot_wait = "3s"\n  boot_command = ["<esc>url=http://{{ .HTTPIP }}:{{ .HTTPPort }}/p.cfg ",\n'
        '    "{{ .Name }} {{ .SSHPublicKey | urlquery }}"]\n  http_directory = "http"\n  cd_files = ["a"]\n'
        "  http_port_min = 8100\n  http_port_max = 8100\n",
    )
    install = result.loaded.template.install
    assert install is not None
    assert install.boot_command is not None
    assert [shown(t) for t in install.boot_command if not isinstance(t, Expect)] == [
        "<esc>url=http://10.0.2.2:8000/p.cfg ",
        "packer-vm ssh-ed25519%20AAAA%20b%2Bc",
    ]
    assert (install.seed, str(install.boot_wait), install.seed_ports) == (SeedDelivery.HTTP, "3s", (8100, 8100))
    assert result.loaded.seed_directory == tmp_path / "http"
    assert [(m.kind, m.label, [f.name for f in m.files]) for m in install.media] == [("cd", "packer", ["a"])]
    assert result.loaded.profile is not None
    assert result.loaded.profile.finished is Finished.CONNECTED
    assert option_notes(result) == set()


def test_cds_and_floppies(tmp_path: Path) -> None:
    for name in ("x/y", "z/one", "z/two", "f/answers"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    result = translated(
        tmp_path,
        '  cd_content = { "user-data" = "#cloud", "/meta-data" = "" }\n  cd_files = ["x/y", "z/*"]\n'
        '  cd_label = "cidata"\n  floppy_files = ["f/answers"]\n  floppy_dirs = ["z", "z/"]\n',
    )
    install = result.loaded.template.install
    assert install is not None
    assert install.seed is SeedDelivery.NONE
    cd, floppy = install.media
    assert cd.label == "cidata"
    assert {f.name: f.content for f in cd.files} == {
        "y": None, "one": None, "two": None, "user-data": "#cloud", "meta-data": "",
    }  # fmt: skip
    assert [f.name for f in floppy.files] == ["answers", "z", "one", "two"]


def test_a_file_for_a_cd_that_is_not_there_stops_the_build(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="no file or folder “nowhere” to put on a CD"):
        translated(tmp_path, '  cd_files = ["nowhere"]\n')


def test_a_disk_image_is_started_as_it_is(tmp_path: Path) -> None:
    template = translated(tmp_path, "  disk_image = true\n").loaded.template
    assert template.source.image is not None
    assert template.source.image.urls == ("http://example.com/a.iso",)
    assert template.install is not None
    assert template.install.boot_command == ()


def test_mirrors_and_files_of_this_host(tmp_path: Path) -> None:
    (tmp_path / "there.iso").write_text("")
    urls = '  iso_urls = ["{}", "http://example.com/b.iso"]\n'
    config = hcl(tmp_path, build_with("", urls.format("there.iso")).replace('iso_url = "http://example.com/a.iso"', ""))
    iso = to_template(config, config.builds[0]).loaded.template.source.iso
    assert iso is not None
    assert iso.path == "there.iso"
    config = hcl(tmp_path, build_with("", urls.format("gone.iso")).replace('iso_url = "http://example.com/a.iso"', ""))
    iso = to_template(config, config.builds[0]).loaded.template.source.iso
    assert iso is not None
    assert iso.urls == ("http://example.com/b.iso",)


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
    assert "ssh_clear_authorized_keys" in option_notes(translated(tmp_path, "  ssh_clear_authorized_keys = true\n"))


def test_without_a_communicator_what_needs_no_guest_runs(tmp_path: Path) -> None:
    local = (
        '  provisioner "shell-local" {\n    inline = ["a"]\n  }\n  provisioner "sleep" {\n    duration = "1s"\n  }\n'
    )
    cleanup = '  error-cleanup-provisioner "shell" {\n    inline = ["a"]\n  }\n'
    none = translated(tmp_path, '  communicator = "none"\n', local + '  provisioner "breakpoint" {}\n' + cleanup)
    assert none.loaded.template.access.none
    assert [p.type for p in none.loaded.template.provision] == ["shell-local", "sleep", "breakpoint"]
    assert none.loaded.error_cleanup is None
    assert "error-cleanup-provisioner “shell”:" in option_notes(none)
    guest = '  provisioner "shell" {\n    inline = ["a"]\n  }\n'
    guest += '  provisioner "file" {\n    content = "x"\n    destination = "/x"\n  }\n'
    with pytest.raises(NotMadeHere) as caught:
        translated(tmp_path, '  communicator = "none"\n', local + guest)
    problems = caught.value.problems
    assert [p.message.partition(" ")[0] for p in problems] == ["“shell”", "“file”"]
    assert [bool(p.place and p.place.line > 10) for p in problems] == [True, True]


def test_provisioners(tmp_path: Path) -> None:
    (tmp_path / "s.sh").write_text("")
    result = translated(
        tmp_path,
        "",
        '  provisioner "shell" {\n    inline = ["echo ${build.Port} ${build.User}"]\n'
        '    environment_vars = ["A=1", "H=${build.Host}"]\n'
        '    execute_command = "sudo -E sh -c \'{{ .Vars }} {{ .Path }}\'"\n    pause_before = "2s"\n'
        "    max_retries = 3\n"
        '    timeout = "1m"\n    skip_clean = true\n    pause_after = "4s"\n    continue_on_error = true\n  }\n'
        '  provisioner "file" {\n    sources = ["a", "b"]\n    destination = "/d/"\n  }\n'
        '  provisioner "file" {\n    content = "x"\n    destination = "/e"\n  }\n'
        '  provisioner "windows-restart" {\n    restart_timeout = "9m"\n    restart_check_command = "ver"\n  }\n'
        '  provisioner "ansible" {\n    playbook_file = "p.yml"\n    ansible_env_vars = ["X=1"]\n  }\n'
        '  provisioner "powershell" {\n    inline = ["x"]\n    elevated_password = "geheim"\n'
        '    execute_command = "powershell {{ .Path }} {{ .Vars }}"\n  }\n'
        '  provisioner "shell-local" {\n    script = "s.sh"\n    env = { B = "2" }\n  }\n'
        '  provisioner "chef-solo" {\n    run_list = ["a"]\n  }\n'
        '  error-cleanup-provisioner "shell" {\n    inline = ["a"]\n  }\n',
    )
    steps = result.loaded.template.provision
    assert [p.kind for p in steps] == [
        "shell", "file", "file", "file", "reboot", "plugin", "ansible", "plugin", "plugin", "plugin",
    ]  # fmt: skip
    shell = steps[0].shell
    assert shell is not None
    assert shell.inline is not None
    assert (shown(shell.inline[0]), shown(shell.env["H"]), shell.env["A"]) == ("echo 2222 root", "127.0.0.1", "1")
    assert (shell.env["PACKER_BUILD_NAME"], shell.env["PACKER_BUILDER_TYPE"], shell.skip_clean) == ("vm", "qemu", True)
    assert isinstance(shell.execute_command, LateText)
    assert shell.execute_command.source == "sudo -E sh -c '{{ vars }} {{ path }}'"
    assert (float(steps[0].pause_before), float(steps[0].pause_after), steps[0].retries) == (2, 4, 3)
    assert steps[0].continue_on_error
    assert steps[6].ansible is not None
    assert steps[6].ansible.env == {"X": "1"}
    powershell, local, chef = (s.plugin for s in steps[7:])
    assert powershell is not None
    assert (powershell.options["inline"], powershell.options["elevated_password"]) == (["x"], "geheim")
    assert shown(powershell.options["execute_command"]) == "powershell \ue000Path\ue001 \ue000Vars\ue001"
    assert local is not None
    assert (local.options["script"], local.files) == (str(tmp_path / "s.sh"), (str(tmp_path / "s.sh"),))
    assert local.options["environment"]["B"] == "2"
    assert chef is not None
    assert (chef.name, chef.options) == ("chef-solo", {"run_list": ["a"]})
    assert result.loaded.error_cleanup is not None
    assert option_notes(result) == set()


def test_a_windows_restart_may_ask_the_registry(tmp_path: Path) -> None:
    steps = '  provisioner "windows-restart" {\n    check_registry = true\n    KEYS\n  }\n'
    for keys, named in (("", "Servicing\\PackagesPending'"), ('registry_keys = ["HKLM:it\'s"]', "'HKLM:it''s'")):
        result = translated(tmp_path, "", steps.replace("KEYS", keys))
        reboot, check = result.loaded.template.provision
        assert reboot.reboot is not None
        assert check.plugin is not None
        assert check.plugin.name == "await-command"
        assert named in check.plugin.options["command"]
        assert option_notes(result) == set()


def test_the_name_of_the_build_decides_texts(tmp_path: Path) -> None:
    builder = {"type": "qemu", "name": "tiny-debian", "iso_url": "a", "iso_checksum": "none", "ssh_username": "r"}
    shell = {"type": "shell", "environment_vars": ['BOX={{split build_name "-" 1}}'], "inline": ["{{ build_name }}"]}
    chain = {"type": "docker-import", "repository": '{{split build_name "-" 1}}:{{ user `v` }}'}
    template = {"variables": {"v": "3"}, "builders": [builder], "provisioners": [shell], "post-processors": [chain]}
    config = loaded(tmp_path, {"t.json": json.dumps(template)}, "t.json")
    result = to_template(config, config.builds[0])
    (step,) = result.loaded.template.provision
    assert step.shell is not None
    assert (step.shell.env["BOX"], step.shell.inline) == ("debian", ("tiny-debian",))
    assert result.loaded.delivery is not None
    assert result.loaded.delivery.chains[0][0].options["repository"] == "debian:3"


def test_delivery_and_chains(tmp_path: Path) -> None:
    delivery = translated(
        tmp_path,
        "  disk_compression = true\n",
        '  post-processors {\n    post-processor "vagrant" {\n'
        '      output = "{{ .BuildName }}.{{ .Provider }}"\n    }\n'
        '    post-processor "checksum" {\n      output = "{{ .BuildName }}.{{ .ChecksumType }}"\n    }\n  }\n'
        '  post-processor "manifest" {}\n'
        '  post-processor "artifice" {\n    files = ["${build.PackerRunUUID}"]\n  }\n',
    ).loaded.delivery
    assert delivery is not None
    assert (delivery.folder, delivery.file_name, delivery.compress) == (tmp_path / "output-vm", "packer-vm", True)
    assert [[(p.kind, p.keeps_input) for p in c] for c in delivery.chains] == [
        [("vagrant", False), ("checksum", True)], [("manifest", True)], [("artifice", True)],
    ]  # fmt: skip
    assert delivery.chains[0][0].options["output"] == "vm.libvirt"
    assert delivery.chains[0][1].options["output"] == "vm.{{ .ChecksumType }}"
    assert delivery.chains[2][0].options["files"] == [RUN_ID_MARK]


def test_what_can_not_be_translated(tmp_path: Path) -> None:
    text = 'source "null" "n" {}\nbuild {\n  sources = ["null.n"]\n}\n'
    config = hcl(tmp_path, text)
    with pytest.raises(TemplateError, match="is for null, which factory does not have"):
        to_template(config, config.builds[0])
    data = 'data "http" "d" {\n  url = "u"\n}\n' + build_with("", "  vm_name = data.http.d.body\n")
    config = hcl(tmp_path, data)
    with pytest.raises(TemplateError, match="“vm_name” has no value yet"):
        to_template(config, config.builds[0])
    with pytest.raises(TemplateError, match="wants qemu-system-aarch64, and factory makes x86_64 machines"):
        translated(tmp_path, '  qemu_binary = "qemu-system-aarch64"\n')
    with pytest.raises(TemplateError, match="“ssh_proxy_host”: factory speaks to a guest through a port"):
        translated(tmp_path, '  ssh_proxy_host = "b"\n')
    assert "machine_type" in option_notes(translated(tmp_path, '  machine_type = "virt"\n'))


def test_the_way_in(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("")
    bastion = '  ssh_bastion_host = "b"\n  ssh_bastion_username = "u"\n  ssh_bastion_password = "qK3!x"\n'
    result = translated(
        tmp_path,
        f"{bastion}  ssh_bastion_port = 2022\n  ssh_agent_auth = true\n  ssh_pty = true\n"
        '  pause_before_connecting = "30s"\n  ssh_private_key_file = "key"\n  ssh_certificate_file = "cert"\n',
    )
    ssh = result.loaded.template.access.ssh
    assert ssh is not None
    assert (ssh.agent, ssh.terminal, ssh.settle, ssh.certificate) == (True, True, Duration(30), "cert")
    assert ssh.bastion == Bastion(host="b", port=2022, user="u", password="qK3!x", private_key="key")
    assert result.loaded.secrets == ("qK3!x",)
    assert option_notes(result) == set()
    winrm = translated(tmp_path, '  communicator = "winrm"\n  winrm_username = "u"\n  pause_before_connecting = "1m"\n')
    assert winrm.loaded.template.access.winrm is not None
    assert winrm.loaded.template.access.winrm.settle == Duration(60)


WINRM = '  communicator = "winrm"\n  winrm_username = "u"\n  winrm_host = "10.0.0.5"\n'


@pytest.mark.parametrize(
    ("options", "host", "port", "bridge"),
    [
        ('  ssh_host = "127.0.0.1"\n', "", 22, ""),
        ('  ssh_host = "builder.example.com"\n', "", 22, ""),
        ('  ssh_host = "10.0.0.5"\n  net_bridge = "br1"\n  ssh_port = 2022\n', "10.0.0.5", 2022, "br1"),
        (WINRM + '  net_bridge = "br1"\n', "10.0.0.5", 5985, "br1"),
        (
            '  ssh_host = "10.0.0.5"\n  skip_nat_mapping = true\n'
            '  qemuargs = [["-netdev", "bridge,id=user.0,br=br2"], ["-device", "e1000,netdev=user.0"]]\n',
            "10.0.0.5", 22, "br2",
        ),
        (
            '  ssh_port = 2222\n  skip_nat_mapping = true\n'
            '  qemuargs = [["-netdev", "user,id=n,hostfwd=tcp::2222-:22"], ["-device", "e1000,netdev=n"]]\n',
            "", 22, "",
        ),
        ('  ssh_port = 2222\n  skip_nat_mapping = true\n', "", 2222, ""),
    ],
)  # fmt: skip
def test_where_the_guest_is(tmp_path: Path, options: str, host: str, port: int, bridge: str) -> None:
    """Packer's ssh_host is the guest's own address on a bridge, and else a name of this computer."""
    template = translated(tmp_path, options).loaded.template
    way = template.access.winrm or template.access.ssh
    assert way is not None
    (card,) = template.machine.nics
    assert (way.host, way.port, card.bridge) == (host, port, bridge)
    assert guest_address(template) == (GuestAddress(host, port) if host else None)
    (nic,) = machine_spec(template, PLATFORM).nics
    own = (Forward(22, 2222),) if "hostfwd" in options else ()  # the template's, which may be used by its scripts
    assert (nic.bridge, nic.forwards) == (bridge, () if host else (Forward(port), *own))


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ('  net_bridge = "br0"\n', "nothing says at which address the guest is reached", "set ssh_host"),
        (
            '  net_bridge = "br0"\n  communicator = "none"\n  http_content = { "/a" = "b" }\n',
            "a guest on a bridge does not see",
            "cd_files",
        ),
        (
            '  ssh_host = "10.0.0.5"\n  qemuargs = [["-netdev", "tap,id=user.0"]]\n',
            "is another network than a bridge",
            "net_bridge",
        ),
    ],
)
def test_a_guest_that_can_not_be_reached_is_refused(tmp_path: Path, options: str, message: str, hint: str) -> None:
    with pytest.raises(TemplateError, match=message) as caught:
        translated(tmp_path, options)
    assert not isinstance(caught.value, NotMadeHere)
    (problem,) = caught.value.problems
    assert hint in problem.hint
    assert problem.place is not None


def test_passwords_are_masked_unless_everybody_knows_them(tmp_path: Path) -> None:
    assert translated(tmp_path, '  ssh_password = "vagrant"\n').loaded.secrets == ()
    assert translated(tmp_path, '  ssh_password = "qK3!x"\n').loaded.secrets == ("qK3!x",)


def test_a_boot_command_that_can_not_be_rendered(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="boot_command: in the Go template"):
        translated(tmp_path, '  boot_command = ["{{ .HTTPIP "]\n')


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("plain {% x %}", BOOT, "plain {% x %}"),
        ("{{ .HTTPIP }}:{{.HTTPPort}}/a {{ `{{` }} {% raw %}", BOOT, "10.0.2.2:8000/a {{ {% raw %}"),
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


def test_the_command_of_a_script_on_this_host_waits_for_the_script(tmp_path: Path) -> None:
    """``{{.Vars}} {{.Script}}`` is filled in when it runs, by marks of our own; whether it is the default or given."""
    delivery = translated(
        tmp_path,
        "",
        '  post-processor "shell-local" {\n    inline = ["true"]\n  }\n'
        '  post-processor "shell-local" {\n    inline = ["true"]\n'
        '    execute_command = ["bash", "-c", "{{ .Vars }} {{ .Script }} {{ build_name }}"]\n  }\n',
    ).loaded.delivery
    assert delivery is not None
    default, given = [local_scripts(chain[0].options).command for chain in delivery.chains]
    assert default == DEFAULT_COMMAND
    assert given == ("bash", "-c", f"{DEFAULT_COMMAND[-1]} vm")


def test_a_disk_that_is_not_resized_is_as_large_as_its_image(tmp_path: Path) -> None:
    options = '  disk_image = true\n  skip_resize_disk = true\n  disk_size = "1G"\n'
    unknown = translated(tmp_path, options)
    assert unknown.loaded.template.machine.disks[0].size == 2**20  # it only ever grows to that
    assert [n.message for n in unknown.notes if n.option == "skip_resize_disk"] == [
        "the disk keeps the image's size, which is not known yet"
    ]
    (tmp_path / "base.qcow2").write_bytes(b"QFI\xfb" + bytes(20) + (3 * 2**30).to_bytes(8))
    source = '  iso_url = "base.qcow2"\n  iso_checksum = "none"\n  ssh_username = "root"\n'
    text = f'source "qemu" "vm" {{\n{source}{options}}}\nbuild {{\n  sources = ["source.qemu.vm"]\n}}\n'
    config = hcl(tmp_path, text)
    known = to_template(config, config.builds[0])
    assert known.loaded.template.machine.disks[0].size == 3 * 2**30


def test_the_step_that_imports_an_image_names_no_size_that_it_does_not_have() -> None:
    assert ImportImage((Disk(size=Size(2**20)),)).title == "import the image into disk main"
    assert ImportImage((Disk(size=Size(2**30)),)).title == "import the image into disk main (1 GiB)"
