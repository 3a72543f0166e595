"""The qemu builder's options: names, forms of values, defaults, derived values, rules, deprecations."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.template.packer import QemuSource
from factory.template.packer.options.declare import declared
from factory.template.packer.qemu_builder.foreign import explain
from tests.template.packer.written import LEAST, hcl, qemu, qemu_problems

pytestmark = pytest.mark.unit

USER_KEYS = """
accelerator boot_command boot_key_interval boot_keygroup_interval boot_steps boot_wait cd_content cd_files cd_label
cdrom_interface communicator cores cpu_model cpus disable_vnc disk_additional_size disk_cache disk_compression
disk_detect_zeroes disk_discard disk_image disk_interface disk_size display efi_boot efi_drop_efivars efi_firmware_code
efi_firmware_vars firmware floppy_content floppy_dirs floppy_files floppy_label format headless host_port_max
host_port_min http_bind_address http_content http_directory http_interface http_network_protocol http_port_max
http_port_min iso_checksum iso_skip_cache iso_target_extension iso_target_path iso_url iso_urls machine_type memory
net_bridge net_device output_directory pause_before_connecting qemu_binary qemu_img_args qemuargs qmp_enable
qmp_socket_path run_once shutdown_command shutdown_timeout skip_compaction skip_nat_mapping skip_resize_disk sockets
ssh_agent_auth ssh_bastion_agent_auth ssh_bastion_certificate_file ssh_bastion_host ssh_bastion_interactive
ssh_bastion_password ssh_bastion_port ssh_bastion_private_key_file ssh_bastion_username ssh_certificate_file ssh_ciphers
ssh_clear_authorized_keys ssh_disable_agent_forwarding ssh_file_transfer_method ssh_handshake_attempts ssh_host
ssh_host_port_max ssh_host_port_min ssh_keep_alive_interval ssh_key_exchange_algorithms ssh_keypair_name
ssh_local_tunnels ssh_password ssh_port ssh_private_key ssh_private_key_file ssh_proxy_host ssh_proxy_password
ssh_proxy_port ssh_proxy_username ssh_pty ssh_public_key ssh_read_write_timeout ssh_remote_tunnels ssh_timeout
ssh_username ssh_wait_timeout temporary_key_pair_bits temporary_key_pair_name temporary_key_pair_type threads
tpm_device_type use_backing_file use_default_display use_pflash use_tpm1 vga vm_name vnc_bind_address vnc_password
vnc_port_max vnc_port_min vnc_use_password vtpm winrm_host winrm_insecure winrm_no_proxy winrm_password winrm_port
winrm_timeout winrm_use_ntlm winrm_use_ssl winrm_username
"""
OLD_KEYS = {"iso_checksum_type", "iso_checksum_url", "iso_md5", "ssh_key_path", "ssh_disable_agent",
            "ssh_skip_nat_mapping"}  # fmt: skip


def test_every_key_of_the_builder_and_no_other() -> None:
    assert len(USER_KEYS.split()) == 131
    assert set(declared(QemuSource)) == set(USER_KEYS.split()) | OLD_KEYS


def test_defaults(tmp_path: Path) -> None:
    s = qemu(tmp_path)
    assert (s.vm_name, s.output_directory, s.memory, s.cpus) == ("packer-vm", "output-vm", 512, 1)
    assert (s.disk_size, s.format, s.disk_interface, s.disk_cache) == ("40960M", "qcow2", "virtio", "writeback")
    assert (s.disk_discard, s.disk_detect_zeroes, s.net_device) == ("ignore", "off", "virtio-net")
    assert (s.machine_type, s.accelerator, s.qemu_binary) == ("pc", "", "qemu-system-x86_64")
    assert (str(s.boot_wait), str(s.shutdown_timeout), s.shutdown_command.reveal()) == ("10s", "5m", "")
    assert (str(s.ssh_timeout), s.ssh_handshake_attempts, s.ssh_port, s.communicator) == ("5m", 10, 22, "ssh")
    assert (s.host_port_min, s.host_port_max, s.http_port_min, s.http_port_max) == (2222, 4444, 8000, 9000)
    assert (s.vnc_port_min, s.vnc_port_max, s.cd_label, s.winrm_port) == (5900, 6000, "packer", 5985)
    assert s.given == {"iso_url", "iso_checksum", "ssh_username"}


def test_forms_of_values(tmp_path: Path) -> None:
    s = qemu(
        tmp_path,
        'memory = "2048"\ncpus = 2\nheadless = "true"\ndisk_size = 5000\nboot_wait = "-1s"\nboot_key_interval = "5ms"\n'
        'ssh_timeout = "1h30m"\nboot_command = ["a${1 + 1}", 3]\nqemuargs = [["-m", 512], ["-cpu", "host"]]\n'
        'http_content = { "/a" = "x", "/b" = 7 }\ndisk_additional_size = ["1G", 2048]\nvm_name = null\n'
        'qemu_img_args {\n  create = ["-o", "a"]\n}\nboot_steps = []\nshutdown_timeout = ""',
    )
    assert (s.memory, s.headless, s.disk_size, float(s.boot_wait)) == (2048, True, "5000M", 0.0)
    assert (s.boot_command, s.qemuargs) == (("a2", "3"), (("-m", "512"), ("-cpu", "host")))
    assert qemu(tmp_path, 'disk_additional_size = ["1.5G"]').disk_additional_size == ("1.5G",)
    assert (dict(s.http_content), s.disk_additional_size) == ({"/a": "x", "/b": "7"}, ("1G", "2048M"))
    assert (str(s.ssh_timeout), s.ssh_handshake_attempts, s.vm_name) == ("1h30m", 0, "packer-vm")
    assert (float(s.boot_key_interval), str(s.shutdown_timeout)) == (0.005, "5m")
    assert s.qemu_img_args is not None
    assert s.qemu_img_args.create == ("-o", "a")


def test_derived_values(tmp_path: Path) -> None:
    assert qemu(tmp_path, "memory = 5").memory == 512
    assert qemu(tmp_path, "iso_skip_cache = true").iso_checksum == "none"
    assert qemu(tmp_path, 'efi_firmware_code = "/x"').efi_boot
    raw = qemu(tmp_path, 'format = "raw"\ndisk_compression = true')
    assert (raw.skip_compaction, raw.disk_compression) == (True, False)
    backed = qemu(tmp_path, "disk_image = true\nuse_backing_file = true")
    assert backed.skip_compaction
    assert qemu(tmp_path, 'net_bridge = "br0"').qmp_socket_path == "output-vm/packer-vm.monitor"
    assert qemu(tmp_path, "winrm_use_ssl = true").winrm_port == 5986
    assert not qemu(tmp_path, "ssh_handshake_attempts = 3").ssh_timeout


def test_go_templates_in_options(tmp_path: Path) -> None:
    s = qemu(
        tmp_path,
        'vm_name = "{{ build_name }}-{{ isotime \\"060102\\" }}"\n'
        'boot_command = ["http://{{ .HTTPIP }}:{{ .HTTPPort }}/{{ .Name }} {{ build_type }}"]\n'
        'qemuargs = [["-netdev", "user,hostfwd=tcp::{{ .SSHHostPort }}-:22"]]',
    )
    assert s.vm_name == "vm-240229"
    assert s.boot_command == ("http://{{ .HTTPIP }}:{{ .HTTPPort }}/{{ .Name }} qemu",)
    assert s.qemuargs[0][1] == "user,hostfwd=tcp::{{ .SSHHostPort }}-:22"
    text = f'source "qemu" "vm" {{\n{LEAST}  vm_name = "a{{{{ .Nope }}}}"\n}}\nbuild {{\n  sources = ["qemu.vm"]\n}}\n'
    config = hcl(tmp_path, text)
    assert [w.message for w in config.warnings if "no value" in w.message] == [
        "there is no value “.Nope” here, so it becomes “<no value>”, as in Packer"
    ]
    source = config.builds[0].source
    assert isinstance(source, QemuSource)
    assert source.vm_name == "a<no value>"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ('boot_command = ["{{ .HTTPipe }}"]', "did you mean “HTTPIP”?"),
        ('boot_command = ["{{ .HTTPIP "]', "has no “}}”"),
        ('qemuargs = [["-m", "{{ nofn }}"]]', "there is no function “nofn”"),
    ],
)
def test_what_packer_renders_late_is_a_warning_when_it_is_wrong(tmp_path: Path, option: str, message: str) -> None:
    text = f'source "qemu" "vm" {{\n{LEAST}  {option}\n}}\nbuild {{\n  sources = ["qemu.vm"]\n}}\n'
    config = hcl(tmp_path, text)
    assert any(message in str(w) for w in config.warnings)
    source = config.builds[0].source
    assert isinstance(source, QemuSource)
    assert "{{" in "".join((*source.boot_command, *(p for a in source.qemuargs for p in a))), "it stays as written"


def test_deprecated_options_are_carried_over_with_a_warning(tmp_path: Path) -> None:
    text = (
        'source "qemu" "vm" {\n  iso_url = "x"\n  iso_checksum = "%s"\n  iso_checksum_type = "sha256"\n'
        '  ssh_username = "r"\n  ssh_wait_timeout = "7m"\n  ssh_host_port_min = 3000\n  ssh_host_port_max = 3001\n}\n'
        'build {\n  sources = ["qemu.vm"]\n}\n'
    ) % ("a" * 64)
    config = hcl(tmp_path, text)
    s = config.builds[0].source
    assert isinstance(s, QemuSource)
    assert (s.iso_checksum, str(s.ssh_timeout)) == ("sha256:" + "a" * 64, "7m")
    assert (s.host_port_min, s.host_port_max) == (3000, 3001)
    assert {w.hint for w in config.warnings} == {
        "write “iso_checksum” instead", "write “ssh_timeout” instead", "write “host_port_min” instead",
        "write “host_port_max” instead",
    }  # fmt: skip
    assert all(w.place is not None and w.source_line for w in config.warnings)


@pytest.mark.parametrize(
    ("options", "checksum"),
    [
        ('iso_checksum_type = "none"', "none"),
        ('iso_checksum_url = "http://x/SUMS"\niso_checksum_type = "md5"', "file:http://x/SUMS"),
        ('iso_md5 = "' + "a" * 32 + '"', "md5:" + "a" * 32),
        ('iso_checksum = "sha1:' + "a" * 40 + '"\niso_checksum_type = "sha256"', "sha1:" + "a" * 40),
    ],
)
def test_old_checksums(tmp_path: Path, options: str, checksum: str) -> None:
    text = f'source "qemu" "vm" {{\n  iso_url = "x"\n  ssh_username = "r"\n  {options}\n}}\n'
    source = hcl(tmp_path, text + 'build {\n  sources = ["qemu.vm"]\n}\n').builds[0].source
    assert isinstance(source, QemuSource)
    assert source.iso_checksum == checksum


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("memry = 1", "qemu has no option “memry” (did you mean “memory”?)"),
        ("ram = 1", "did you mean “memory”?"),
        ('ami_name = "x"', "belongs to a cloud builder"),
        ('vm_size = "x"', "belongs to a cloud builder"),
        ("memory = 1e300", "“memory” counts MiB: no machine has more than 16777216"),
        ('memory = "lots"', "“memory”: a number is required"),
        ("cpus = 1.5", "“cpus”: a whole number is required"),
        ('headless = "yes"', "“headless”: a bool is required"),
        ('headless = "True"', "use lowercase “true”"),
        ('boot_command = "x"', "“boot_command”: a list is required, not a string; write [ … ]"),
        ('boot_command = ["a", null]', "an element of the list is null"),
        ("http_content = []", "“http_content”: a map is required"),
        ('http_content = { "a" = "b" }', "the path “a” must begin with “/”"),
        ('http_content = { "/a" = "b" }\nhttp_directory = "."', "exclude each other"),
        ("vm_name = []", "a text is required, not a list"),
        ("boot_wait = 10", '“10” is not a duration such as 90s, 5m or 1h30m; write "10s" for seconds'),
        ('format = "vmdk"', "“vmdk” is not one of qcow2, raw"),
        ('disk_interface = "virtoi"', "did you mean “virtio”?"),
        ('accelerator = "kwm"', "did you mean “kvm”?"),
        ('disk_size = "10 GB"', "“10 GB” is not a size of a disk"),
        ('disk_additional_size = ["x"]', "“x” is not a size of a disk"),
        ('iso_checksum = "abc"', "“abc” is not a checksum"),
        ('iso_checksum = "crc:1"', "“crc” is not a type of checksum"),
        ('iso_checksum = "sha256:abcd"', "is not a checksum"),
        ('iso_checksum = ""', "“iso_checksum” must be set"),
        ("use_backing_file = true", "needs disk_image = true"),
        ("skip_resize_disk = true", "needs disk_image = true"),
        ('boot_command = ["a"]\nboot_steps = [["a", "b"]]', "exclude each other"),
        ('boot_command = ["a"]\ndisable_vnc = true', "nothing can be typed"),
        ('boot_steps = [["a", "b", "c"]]', "a step is a command"),
        ("vnc_port_min = 5000", "must not be below 5900"),
        ("host_port_min = 5000", "is above “host_port_max”"),
        ("http_port_max = 70000", "between 0 and 65535"),
        ('iso_urls = ["a"]', "“iso_url” and “iso_urls” exclude each other"),
        ('ssh_certificate_file = "x"', "needs “ssh_private_key_file”"),
        ('ssh_bastion_host = "x"', "“ssh_bastion_username” must be set"),
        ('ssh_bastion_host = "x"\nssh_proxy_host = "y"', "exclude each other"),
        ('ssh_local_tunnels = ["x"]', "“x” is not a tunnel"),
        ('communicator = "winrm"', "“winrm_username” must be set"),
        ('communicator = "telnet"', "“telnet” is not one of ssh, winrm, none"),
        ('vnc_password = "123456789"', "at most 8 characters"),
        ("cpus = -1", "must not be negative"),
        ("cd_content {\n  a = 1\n}", "write it with “=”"),
        ("qemu_img_args = {}", "this is a block"),
        ("memory = var.nope", "there is no variable “nope”"),
    ],
)
def test_messages(tmp_path: Path, options: str, message: str) -> None:
    names = {line.split("=")[0].strip() for line in options.split("\n")}
    least = "".join(line + "\n" for line in LEAST.split("\n") if line.split("=")[0].strip() not in names)
    found = qemu_problems(tmp_path, least + options)
    assert any(message in p for p in found), found
    assert found[0].startswith(str(tmp_path / "t.pkr.hcl:"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "“iso_url” or “iso_urls” must be set"),
        ('iso_url = "x"', "“iso_checksum” must be set"),
        ('iso_url = "x"\niso_checksum = "none"', "“ssh_username” must be set"),
    ],
)
def test_what_must_be_set(tmp_path: Path, options: str, message: str) -> None:
    assert any(message in p for p in qemu_problems(tmp_path, options))


def test_an_option_of_another_local_hypervisor_is_passed_over(tmp_path: Path) -> None:
    text = f'source "qemu" "vm" {{\n{LEAST}  skip_export = true\n}}\nbuild {{\n  sources = ["qemu.vm"]\n}}\n'
    assert any("“skip_export” is an option of virtualbox-iso" in w.message for w in hcl(tmp_path, text).warnings)
    assert explain("qemu", "vmx_data") is not None
    assert explain("qemu", "prlctl") is not None
    assert explain("qemu", "xyz") is None


def test_secrets_do_not_show(tmp_path: Path) -> None:
    s = qemu(tmp_path, 'ssh_password = "hunter22"\nshutdown_command = "echo hunter22 | sudo -S poweroff"')
    assert "hunter22" not in repr(s)
    assert s.ssh_password.reveal() == "hunter22"


def test_an_unknown_value_is_named_and_not_checked(tmp_path: Path) -> None:
    text = (
        'data "http" "x" {\n  url = "u"\n}\nsource "qemu" "vm" {\n  iso_url = data.http.x.body\n'
        '  iso_checksum = "none"\n  ssh_username = "r"\n}\nbuild {\n  sources = ["qemu.vm"]\n}\n'
    )
    source = hcl(tmp_path, text).builds[0].source
    assert isinstance(source, QemuSource)
    assert source.unknown == {"iso_url"}
