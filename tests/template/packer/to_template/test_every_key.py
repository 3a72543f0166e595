"""What becomes of each of the qemu builder's 131 options: none is taken and quietly dropped.

An option changes the build (the machine, the way in, what is delivered), is told about, or stands in ``WITHOUT_EFFECT``
with the reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from factory.errors import TemplateError
from factory.template.packer import load
from factory.template.packer.to_template import NotMadeHere, Translation, to_template
from tests.template.packer.options.test_qemu_source import USER_KEYS

pytestmark = pytest.mark.unit
LEAST = {"iso_url": '"http://example.com/a.iso"', "iso_checksum": '"none"', "ssh_username": '"root"'}
SHOWN = "factory has screens of its own (`factory screen`, `factory attach`)"
PORTS = "the kernel chooses a free port of the loopback device"
NO_CACHE = "media are kept by their digest, under a name of factory's own"
KEYS = "the build's own ed25519 key is made for each installation"
WITHOUT_EFFECT = {
    "boot_keygroup_interval": "Packer does not use it either",
    "boot_key_interval": "keys are typed as fast as the guest takes them, which is watched",
    "disable_vnc": "nothing is typed, then; there is no VNC to leave out",
    "display": SHOWN,
    "headless": SHOWN,
    "use_default_display": SHOWN,
    "vnc_bind_address": SHOWN,
    "vnc_password": SHOWN,
    "vnc_port_max": SHOWN,
    "vnc_port_min": SHOWN,
    "vnc_use_password": SHOWN,
    "qmp_enable": "factory always speaks QMP, over a socket that it hands to QEMU",
    "qmp_socket_path": "as qmp_enable",
    "host_port_max": PORTS,
    "host_port_min": PORTS,
    "ssh_host_port_max": PORTS,
    "ssh_host_port_min": PORTS,
    "http_bind_address": "the seed is served on the loopback device alone, which the guest sees as 10.0.2.2",
    "http_interface": "as http_bind_address; Packer's qemu builder does not use it either",
    "http_network_protocol": "as http_bind_address",
    "iso_skip_cache": NO_CACHE,
    "iso_target_extension": NO_CACHE,
    "iso_target_path": NO_CACHE,
    "run_once": "dead in Packer, too",
    "skip_compaction": "an image is always written once, compact",
    "use_backing_file": "a whole image is delivered; the base is shared by the layers while it is built",
    "use_pflash": "firmware for UEFI is always flash",
    "efi_firmware_vars": "the variables belong to the firmware that this host has",
    "ssh_ciphers": "all that paramiko has are offered",
    "ssh_key_exchange_algorithms": "all that paramiko has are offered",
    "ssh_disable_agent_forwarding": "an agent is never forwarded",
    "ssh_file_transfer_method": "SFTP where the guest has it, the shell where not",
    "ssh_handshake_attempts": "ssh_timeout alone bounds the wait",
    "ssh_keep_alive_interval": "5 s, as is the default",
    "ssh_read_write_timeout": "a dead connection is noticed by its keep-alives",
    "ssh_keypair_name": "for clouds",
    "ssh_private_key": "no string of a template's can give it",
    "ssh_public_key": "no string of a template's can give it",
    "temporary_key_pair_bits": KEYS,
    "temporary_key_pair_name": KEYS,
    "temporary_key_pair_type": KEYS,
    "winrm_insecure": "a certificate that a guest has made itself is never checked",
    "winrm_no_proxy": "the loopback device needs no proxy",
    "winrm_use_ntlm": "is negotiated",
}  # fmt: skip
REFUSED = frozenset({"ssh_bastion_interactive", "ssh_local_tunnels", "ssh_proxy_host", "ssh_remote_tunnels"})
"""A way into the guest that there is not: refused when a template is checked, for a build would surely fail."""
WINRM = {"communicator": '"winrm"', "winrm_username": '"a"'}
BASTION = {"ssh_bastion_host": '"b"', "ssh_bastion_username": '"u"', "ssh_bastion_password": '"p"'}
PROXY = {"ssh_proxy_host": '"p"'}
UEFI = {"efi_boot": "true"}
EXAMPLES: dict[str, str | tuple[str, dict[str, str]]] = {
    "accelerator": '"tcg"',
    "boot_command": '["x"]',
    "boot_key_interval": '"5ms"',
    "boot_keygroup_interval": '"1s"',
    "boot_steps": '[["x", "says x"]]',
    "boot_wait": '"1s"',
    "cd_content": '{ a = "b" }',
    "cd_files": '["file"]',
    "cd_label": ('"l"', {"cd_files": '["file"]'}),
    "cdrom_interface": '"ide"',
    "communicator": '"none"',
    "cores": "2",
    "cpu_model": '"Nehalem"',
    "cpus": "2",
    "disable_vnc": "true",
    "disk_additional_size": '["1G"]',
    "disk_cache": '"none"',
    "disk_compression": "true",
    "disk_detect_zeroes": '"on"',
    "disk_discard": '"unmap"',
    "disk_image": "true",
    "disk_interface": '"scsi"',
    "disk_size": '"1G"',
    "display": '"gtk"',
    "efi_boot": "true",
    "efi_drop_efivars": ("true", UEFI),
    "efi_firmware_code": '"OVMF_CODE.secboot.fd"',
    "efi_firmware_vars": ('"v"', UEFI),
    "firmware": '"OVMF.fd"',
    "floppy_content": '{ a = "b" }',
    "floppy_dirs": '["folder"]',
    "floppy_files": '["file"]',
    "floppy_label": ('"l"', {"floppy_files": '["file"]'}),
    "format": '"raw"',
    "headless": "true",
    "host_port_max": "3000",
    "host_port_min": "3000",
    "http_bind_address": '"0.0.0.0"',
    "http_content": '{ "/a" = "b" }',
    "http_directory": '"folder"',
    "http_interface": '"eth0"',
    "http_network_protocol": '"tcp4"',
    "http_port_max": ("8100", {"http_directory": '"folder"'}),
    "http_port_min": ("8100", {"http_directory": '"folder"'}),
    "iso_checksum": '"md5:' + "a" * 32 + '"',
    "iso_skip_cache": "true",
    "iso_target_extension": '"img"',
    "iso_target_path": '"x.iso"',
    "iso_url": '"http://example.com/b.iso"',
    "machine_type": '"q35"',
    "memory": "1024",
    "iso_urls": '["http://example.com/a.iso", "http://example.com/b.iso"]',
    "net_bridge": ('"br0"', {"ssh_host": '"10.0.0.5"'}),
    "net_device": '"e1000"',
    "output_directory": '"out"',
    "pause_before_connecting": '"9s"',
    "qemu_binary": '"./wrap-qemu"',
    "qemuargs": '[["-m", "1G"]]',
    "qmp_enable": "true",
    "qmp_socket_path": '"s"',
    "run_once": "true",
    "shutdown_command": '"halt"',
    "shutdown_timeout": '"9m"',
    "skip_compaction": "true",
    "skip_nat_mapping": "true",
    "skip_resize_disk": ("true", {"disk_image": "true"}),
    "sockets": "2",
    "ssh_agent_auth": "true",
    "ssh_bastion_agent_auth": ("true", BASTION),
    "ssh_bastion_certificate_file": ('"c"', BASTION),
    "ssh_bastion_host": ('"b2"', BASTION),
    "ssh_bastion_interactive": ("true", BASTION),
    "ssh_bastion_password": ('"p2"', BASTION),
    "ssh_bastion_port": ("23", BASTION),
    "ssh_bastion_private_key_file": ('"file"', BASTION),
    "ssh_bastion_username": ('"u2"', BASTION),
    "ssh_certificate_file": ('"c"', {"ssh_private_key_file": '"file"'}),
    "ssh_ciphers": '["x"]',
    "ssh_clear_authorized_keys": "true",
    "ssh_disable_agent_forwarding": "true",
    "ssh_file_transfer_method": '"sftp"',
    "ssh_handshake_attempts": ("3", {"ssh_timeout": '"5m"'}),
    "ssh_host": '"h"',
    "ssh_host_port_max": "3000",
    "ssh_host_port_min": "3000",
    "ssh_keep_alive_interval": '"9s"',
    "ssh_key_exchange_algorithms": '["x"]',
    "ssh_keypair_name": '"x"',
    "ssh_local_tunnels": '["1:a:2"]',
    "ssh_password": '"p"',
    "ssh_port": "23",
    "ssh_private_key": "[1]",
    "ssh_private_key_file": '"file"',
    "ssh_proxy_host": '"p"',
    "ssh_public_key": "[1]",
    "ssh_proxy_password": ('"p"', PROXY),
    "ssh_proxy_port": ("1", PROXY),
    "ssh_proxy_username": ('"u"', PROXY),
    "ssh_pty": "true",
    "ssh_read_write_timeout": '"9s"',
    "ssh_remote_tunnels": '["1:a:2"]',
    "ssh_timeout": '"9m"',
    "ssh_username": '"u"',
    "ssh_wait_timeout": '"9m"',
    "temporary_key_pair_bits": "2048",
    "temporary_key_pair_name": '"x"',
    "temporary_key_pair_type": '"ed25519"',
    "threads": "2",
    "tpm_device_type": ('"tpm-crb"', {"vtpm": "true"}),
    "use_backing_file": ("true", {"disk_image": "true"}),
    "use_default_display": "true",
    "use_pflash": ("true", {"firmware": '"OVMF.fd"'}),
    "use_tpm1": ("true", {"vtpm": "true"}),
    "vga": '"qxl"',
    "vm_name": '"n"',
    "vnc_bind_address": '"0.0.0.0"',
    "vnc_password": '"p"',
    "vnc_port_max": "5999",
    "vnc_port_min": "5901",
    "vnc_use_password": "true",
    "vtpm": "true",
    "winrm_host": ('"h"', WINRM),
    "winrm_insecure": ("true", WINRM),
    "winrm_no_proxy": ("true", WINRM),
    "winrm_password": ('"p"', WINRM),
    "winrm_port": ("1", WINRM),
    "winrm_timeout": ('"9m"', WINRM),
    "winrm_use_ntlm": ("true", WINRM),
    "winrm_use_ssl": ("true", WINRM),
    "winrm_username": ('"b"', WINRM),
}
BLOCKS = {"qemu_img_args": 'qemu_img_args {\n    convert = ["-o", "x"]\n  }'}


def translated(folder: Path, options: dict[str, str], more: str = "") -> Translation:
    lines = [f"{name} = {value}" for name, value in options.items()] + [more]
    text = 'source "qemu" "vm" {\n  ' + "\n  ".join(lines) + '\n}\nbuild {\n  sources = ["source.qemu.vm"]\n}\n'
    (folder / "t.pkr.hcl").write_text(text)
    config = load(folder / "t.pkr.hcl", environ={}, working=folder)
    return to_template(config, config.builds[0])


def content(translation: Translation) -> tuple[Any, ...]:
    """All that a build goes by."""
    loaded = translation.loaded
    assert loaded.delivery is not None
    delivery = {f: getattr(loaded.delivery, f) for f in type(loaded.delivery).__dataclass_fields__ if f != "run_id"}
    return loaded.template, loaded.profile, loaded.seed_directory, delivery


def test_there_is_an_example_of_each_and_the_docs_name_what_has_no_effect() -> None:
    assert set(EXAMPLES) | set(BLOCKS) == set(USER_KEYS.split())
    page = (Path(__file__).parents[4] / "docs/packer.md").read_text()
    assert [name for name in (*WITHOUT_EFFECT, *REFUSED) if f"`{name}`" not in page] == []


@pytest.mark.parametrize("name", sorted(USER_KEYS.split()))
def test_an_option_does_something_is_told_about_or_is_known_to_do_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a").write_text("x")
    example = EXAMPLES.get(name, "")
    value, around = (example, {}) if isinstance(example, str) else example
    without = {**LEAST, **around}
    with_it = {**without, name: value} if value else without
    if name == "iso_urls":
        del with_it["iso_url"]
    if name == "use_backing_file":
        with_it["format"] = '"qcow2"'
    before = translated_or_none(tmp_path, without)
    if before is None or name in REFUSED:
        with pytest.raises(TemplateError, match=f"“({name}|ssh_proxy_host)”") as caught:
            translated(tmp_path, with_it)
        assert not isinstance(caught.value, NotMadeHere)
        assert all(p.hint for p in caught.value.problems)
        return
    after = translated(tmp_path, with_it, BLOCKS.get(name, ""))
    changed = content(before) != content(after)
    told = name in {note.option for note in after.notes} - {note.option for note in before.notes}
    if name in WITHOUT_EFFECT:
        assert not changed, f"{name} does something: take it off the list"
    else:
        assert changed or told


def translated_or_none(folder: Path, options: dict[str, str]) -> Translation | None:
    try:
        return translated(folder, options)
    except TemplateError:
        return None
