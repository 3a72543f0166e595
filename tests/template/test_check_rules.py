# ruff: noqa: E501 (whole messages, as people read them)
"""Rules that no single field can break."""

from __future__ import annotations

import pytest

from factory.template.check_rules import checksum_problem
from factory.template.output_options import Qcow2
from tests.template.conftest import Project

pytestmark = pytest.mark.unit

BASE = "format: 1\nname: small\n"
UNTYPED = "the boot command is never typed: `boot: direct` starts the kernel without the ISO's boot loader (write `boot: typed`; or `boot_command: null`, and under `kernel_args` what the kernel is to be told)"
TWO = "machine: {disks: [{id: a}, {id: b}]}\n"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("machine: {firmware: uefi-secure, type: pc}\n", ["5:11: secure boot needs the machine type q35 (`type: q35`)"]),
        ("machine: {firmware: uefi-secure}\n", []),
        ("machine: {tpm: {version: '1.2'}}\n", ["5:11: tpm-crb is a TPM 2.0 (use `model: tpm-tis`)"]),
        ("machine: {tpm: {version: '1.2', model: tpm-tis}}\n", []),
        ("machine: {memory: 1}\n", ["5:11: a machine with 1 B of memory can't start (a number alone counts bytes: write `2 GiB`)"]),
        ("machine: {memory: 1 MiB}\n", []),
        ("access: {ssh: {user: ''}}\n", ["5:16: nobody can log in without a name"]),
        ("access: {ssh: {user: a/b}}\n", ["5:16: no user has '/' in its name (a name in passwd(5) has none)"]),
        ("access: {winrm: {user: ' ', password: x}}\n", ["5:18: nobody can log in without a name"]),
        ("access: {ssh: {bastion: {host: a, user: ''}}}\n", ["5:35: nobody can log in without a name"]),
        ("provision:\n  - file: {content: x, destination: ''}\n", ["6:24: it says not where the file goes"]),
        ("provision:\n  - {timeout: 0s, reboot: {}}\n", ["6:6: in no time nothing can be done (leave it out for no limit)"]),
        ("provision:\n  - shell: {inline: x, env: {A B: x, _ok1: y, 1a: z}}\n",
         ["6:30: 'A B' is no name of a variable for a shell (it takes letters, digits and _, and begins with no digit)",
          "6:47: '1a' is no name of a variable for a shell (it takes letters, digits and _, and begins with no digit)"]),
        ("provision:\n  - ansible: {playbook: ../scripts/hello, env: {'A(x86)': x, 'A=': y}}\n",
         ["6:62: 'A=' is no name of an environment variable (it has no `=` and no spaces)"]),
        ("machine: {disks: [{size: 0}]}\n", ["5:20: a disk's size is a multiple of 512 bytes, above 0"]),
        ("machine: {disks: [{size: 1000}]}\n", ["5:20: a disk's size is a multiple of 512 bytes, above 0"]),
        ("provision:\n  - {shell: {inline: ''}}\n", ["6:14: there is nothing to run"]),
        ("shutdown: {deadline: 0s}\n", ["5:12: in no time no guest powers off"]),
        ("seal: {only: [machine-idd]}\n", ["5:15: there is no seal operation 'machine-idd' (did you mean 'machine-id'?)"]),
        ("seal: {only: [+lvm-uuids, logs], except: [+logs, x]}\n",
         ["5:43: there is no seal operation '+logs' (did you mean 'logs'?)",
          "5:50: there is no seal operation 'x' (`factory seal --list` prints all of them)"]),
        ("outputs: [qcow2, ova]\nverify: {formats: [ova, vmdk]}\n",
         ["6:25: there will be no vmdk that could be started (the outputs are ova, qcow2)"]),
        ("outputs: [{libvirt: {}}, {raw: {compress: zstd}}]\nverify: {formats: [qcow2, raw]}\n", []),
        ("outputs: [qcow2, {qcow2: {}}]\n", ["5:18: the output 'qcow2' is given twice"]),
        ("outputs: [qcow2, {qcow2: {compress: none}}]\n", []),
        ("outputs: [{qcow2: {compat: '0.10', compress: zstd}}]\n", ["5:11: qcow2 with compat 0.10 knows no zstd (use zlib)"]),
        ("machine: {nics: [{id: main}]}\n", ["5:19: a disk has the id 'main' too (give each its own, such as `id: nic0`)"]),
        ("machine: {disks: [{id: abcdefghijklmnopqrstuvwxyz}]}\n",
         ["5:20: the id 'abcdefghijklmnopqrstuvwxyz' is too long for QEMU (it takes 24 characters)"]),
        ("machine: {type: pc, disks: [" + ", ".join(f"{{id: d{i}, bus: ide}}" for i in range(5)) + "]}\n",
         ["5:109: a machine of type pc takes 4 IDE drives, with its CDs (use `bus: sata`)"]),
        ("machine: {disks: [{block_size: 4096}]}\nverify: {boot: true}\n",
         ["5:20: disks with blocks of 4096 bytes can be neither sealed nor verified (write `seal: false` and `verify: false`)"]),
        ("machine: {nics: [{bridge: br0}]}\n",
         ["5:19: nothing says at which address the guest is reached on this bridge (write it as `host` in `access`, or let the first card be one without a bridge)",
          "5:19: the seed is served on this host's loopback device, which a guest on a bridge does not see (add a card without a bridge, or bring the seed by `install: {seed: cd}`)"]),
        ("machine: {nics: [{bridge: br0}]}\naccess: {ssh: {host: 10.0.0.5}}\n",
         ["5:19: the seed is served on this host's loopback device, which a guest on a bridge does not see (add a card without a bridge, or bring the seed by `install: {seed: cd}`)"]),
        ("access: {ssh: {host: 10.0.0.5}}\nmachine: {nics: [{}]}\n",
         ["5:16: the guest's first network card is on no bridge, so it has no address of its own (leave `host` out, or name a `bridge`)"]),
        ("machine: {nics: []}\n",
         ["5:11: without a network card nobody can log in (leave `nics` out for one card, or write `access: {none: true}`)",
          "5:11: without a network card no seed can be fetched (leave `nics` out for one card, or bring the seed by `install: {seed: cd}`)"]),
        ("machine: {nics: []}\naccess: {none: true}\n",
         ["5:11: without a network card no seed can be fetched (leave `nics` out for one card, or bring the seed by `install: {seed: cd}`)"]),
        ("outputs: [{ova: {hardware_version: 7}}]\nmachine: {firmware: uefi}\n",
         ["5:18: an OVA with firmware uefi needs `hardware_version` 8 or more"]),
        ("outputs: [{ova: {hardware_version: 12}}]\nmachine: {firmware: uefi-secure}\n",
         ["5:18: an OVA with firmware uefi-secure needs `hardware_version` 13 or more"]),
        ("outputs: [ova]\nmachine: {firmware: uefi-secure}\n", []),
        ("outputs: [{ova: {controller: ide}}]\nmachine: {disks: [{id: a}, {id: b}, {id: c}, {id: d}, {id: e}]}\n",
         ["5:11: IDE takes 4 disks, the machine has 5"]),
        (f"outputs: [gce]\n{TWO}", ["5:11: the output 'gce' takes one disk, the machine has 2"]),
        (f"outputs: [containerdisk]\n{TWO}", ["5:11: the output 'containerdisk' takes one disk, the machine has 2"]),
        (f"outputs: [vagrant]\n{TWO}", ["5:11: the output 'vagrant' takes one disk, the machine has 2 (`box_format: v2` takes several)"]),
        (f"outputs: [{{vagrant: {{box_format: v2}}}}, qcow2, ova]\n{TWO}", []),
        ("access: {none: true}\nverify: {run: x}\n", ["6:10: commands can't be run for the proof: `access: {none: true}` leaves no way in"]),
        ("access: {none: true}\nverify: {boot: true}\n", []),
        ("access: {none: true}\nverify: false\n", []),
    ],
)  # fmt: skip
def test_rules(project: Project, more: str, expected: list[str]) -> None:
    assert project.problems(more) == expected


def test_rules_speak_even_when_another_section_is_wrong(project: Project) -> None:
    assert project.problems("machine: {firmware: uefi-secure, type: pc}\nverify: 7\n") == [
        "5:11: secure boot needs the machine type q35 (`type: q35`)",
        "6:9: `verify`: expected true, false or a mapping, got the number 7",
    ]


@pytest.mark.parametrize(
    ("checksum", "message", "hint"),
    [
        ("none", "", ""),
        ("file:https://x/SHA256SUMS", "", ""),
        ("a" * 64, "", ""),
        ("sha256:" + "A" * 64, "", ""),
        ("SHA512:" + "0" * 128, "", ""),
        ("sha256:" + "a" * 63, "a checksum of 63 digits", "sha256 has 64: was it copied whole?"),
        ("a" * 63, "a checksum of 63 digits", "sha256 has 64: was it copied whole?"),
        ("sha265:" + "a" * 64, "unknown kind of checksum 'sha265'", "did you mean 'sha256'?"),
        ("nope", "a checksum is made of the digits 0-9 and a-f", "or write file:URL, or none"),
        ("", "a checksum is made of the digits 0-9 and a-f", "or write file:URL, or none"),
    ],
)
def test_checksums(checksum: str, message: str, hint: str) -> None:
    assert checksum_problem(checksum) == (message, hint)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{image: {url: 'https://x/y', checksum: none}}", []),
        ("{image: {url: 'htps://x/y', checksum: none}}", ["3:18: 'htps://x/y' is no URL that can be fetched (known: http, https, file)"]),
        ("{image: {urls: ['https://x/y', x.iso], checksum: none}}", ["3:40: 'x.iso' is no URL that can be fetched (a file of this host goes under `path`)"]),
        ("{image: {url: 'http://[::1/x.iso', checksum: none}}", ["3:18: 'http://[::1/x.iso' is no URL that can be fetched: Invalid IPv6 URL"]),
        ("{image: {urls: ['https://x/y', 'http://x:port/y'], checksum: none}}", ["3:40: 'http://x:port/y' is no URL that can be fetched: Port could not be cast to integer value as 'port'"]),
        ("{image: {url: 'http:///x.iso', checksum: none}}", ["3:18: 'http:///x.iso' is no URL that can be fetched: it names no host"]),
        ("{image: {url: 'file:///x.iso', checksum: none}}", []),
        ("{image: {build: {script: ../scripts/hello, env: {A B: x}, timeout: 0s}}}",
         ["3:58: 'A B' is no name of an environment variable (it has no `=` and no spaces)",
          "3:67: in no time nothing can be done (leave it out for the usual time)"]),
        ("{image: {path: ../isos/small.iso, checksum: 'sha256:ab'}}", ["3:43: a checksum of 2 digits (sha256 has 64: was it copied whole?)"]),
        ("{image: {path: ../isos/small.iso, checksum: 'md5:" + "a" * 32 + "'}}", ["3:43: md5 does not protect against a forged file (use sha256)"]),
        ("{image: other}", []),
        ("{image: named}", []),
        ("{image: {template: small}}", ["3:10: 'small' can't be built from itself"]),
    ],
)  # fmt: skip
def test_sources(project: Project, source: str, expected: list[str]) -> None:
    project.write("images/other.yml", "format: 1\nname: 'named'\n")
    project.template(f"source: {source}\n", base=BASE)
    assert project.problems() == expected


@pytest.mark.parametrize(
    ("profile", "install", "expected"),
    [
        ("typed: {command: x}", "boot: direct", ["4:27: `boot: direct`, but the profile 'small' names no kernel (use `boot: typed`)"]),
        ("direct: {kernel: [a]}", "boot: typed", ["4:27: `boot: typed`, but neither the template nor the profile 'small' has a boot command (write `boot_command`)"]),
        ("direct: {kernel: [a]}", "boot: typed, boot_command: x", []),
        ("direct: {kernel: [a]}", "boot: direct", []),
        ("direct: {kernel: [a]}", "boot: direct, boot_command: [abc]", [f"4:41: {UNTYPED}"]),
        ("direct: {kernel: [a]}", "boot: direct, boot_command: []", []),
        ("direct: {kernel: [a]}", "boot: direct, boot_command: null", []),
        ("direct: {kernel: [a]}", "boot: auto, boot_command: abc", []),
        ("typed: {command: x}\ndirect: {kernel: [a]}", "boot: direct", []),
        ("description: x", "boot: auto", ["4:11: the profile 'small' says neither what to type nor which kernel to start (write `boot_command`)"]),
        ("typed: {command: x}", "seed_files: [{name: a, content: x}, {name: a, content: y}]", ["4:63: two seed files are called 'a'"]),
        ("typed: {command: x}", "seed_files: [{name: ../a, content: x}]", ["4:41: '../a' leads out of the seed"]),
        ("typed: {command: x}\nseed: {directory: small, main: anwers}", "boot: auto",
         ["boot_configs/small.yml:4:32: there is no 'anwers' in http_seed/small (did you mean 'answers'?)"]),
        ("typed: {command: x}\nseed: {directory: small, main: more}", "seed_files: [{name: more, content: x}]", []),
        ("typed: {command: x}\nseed: {directory: small, main: none}", "seed: none", []),
    ],
)  # fmt: skip
def test_installations(project: Project, profile: str, install: str, expected: list[str]) -> None:
    project.write("boot_configs/small.yml", f"format: 1\nname: small\n{profile}\n")
    project.template(
        f"source: {{iso: {{path: ../isos/small.iso, checksum: none}}}}\ninstall: {{profile: small, {install}}}\n",
        base=BASE,
    )
    assert project.problems() == expected


def test_a_boot_command_of_a_fragment_that_is_never_typed_is_told_there(project: Project) -> None:
    project.write("boot_configs/small.yml", "format: 1\nname: small\ndirect: {kernel: [a]}\n")
    project.write("images/_base/typed.yml", "install:\n  boot_command: [abc]\n")
    base = "format: 1\nname: small\nextends: [_base/typed]\nsource: {iso: {path: ../isos/small.iso, checksum: none}}\n"
    project.template("install: {profile: small, boot: direct}\n", base=base)
    assert project.problems() == [f"images/_base/typed.yml:2:3: {UNTYPED}"]
    project.template("install: {profile: small, boot: direct, boot_command: null}\n", base=base)
    assert project.problems() == []


@pytest.mark.parametrize(
    ("reads", "machine", "install", "expected"),
    [
        ("", "", "seed: cd", []),
        ("", "", "seed: floppy", []),
        (", reads: [http]", "", "seed: http", []),
        (", reads: [http]", "", "seed: none", []),
        (", reads: [http]", "", "boot: auto", []),
        (", reads: [http]", "", "seed: cd", ["4:27: the installer of 'small' does not find its seed by `cd` (it does by `seed: http` or `seed: initrd`)"]),
        (", reads: [http, cd]", "", "seed: floppy", ["4:27: the installer of 'small' does not find its seed by `floppy` (it does by `seed: http` or `seed: cd` or `seed: initrd`)"]),
        (", cd_on: [pc]", "", "seed: cd",
         ["4:27: the installer of 'small' does not find its seed by `cd` on a machine of type q35 (it does by `seed: http` or `seed: floppy` or `seed: initrd`, and on a machine with `type: pc`)"]),
        (", cd_on: [pc]", "machine: {type: pc}\n", "seed: cd", []),
        (", cd_on: [pc], reads: [cd]", "", "seed: initrd", []),
    ],
)  # fmt: skip
def test_ways_by_which_an_installer_finds_no_seed(
    project: Project, reads: str, machine: str, install: str, expected: list[str]
) -> None:
    profile = "typed: {command: x}\ndirect: {kernel: [a], seed_in_initrd: ''}\n"
    seed = f"seed: {{directory: small, main: answers{reads}}}"
    project.write("boot_configs/small.yml", f"format: 1\nname: small\n{profile}{seed}\n")
    source = "source: {iso: {path: ../isos/small.iso, checksum: none}}\n"
    project.template(f"{source}install: {{profile: small, {install}}}\n{machine}", base=BASE)
    found = project.check()[1]
    assert [str(p).removeprefix("images/small.yml:") for p in found] == expected
    assert {p.severity for p in found} <= {"warning"}


def test_a_way_without_network_is_one_that_the_installer_can_take(project: Project) -> None:
    seed = "seed: {directory: small, main: answers, cd_on: [pc], reads: [http, cd]}\n"
    project.write("boot_configs/small.yml", f"format: 1\nname: small\ntyped: {{command: x}}\n{seed}")
    no_card = "5:11: without a network card no seed can be fetched (leave `nics` out for one card"
    assert project.problems("machine: {nics: []}\naccess: {none: true}\n") == [f"{no_card})"]
    (problem,) = project.problems("machine: {nics: [], type: pc}\naccess: {none: true}\n")
    assert problem == f"{no_card}, or bring the seed by `install: {{seed: cd}}`)"


def test_answer_files_are_checked_without_rendering_them(project: Project) -> None:
    project.write(
        "http_seed/small/answers.j2",
        "{{ vars.x }} {{ vars.y | default('') }} {{ install.a }} {{ install.b }}\n{{ seed.ulr }} {{ build.name }}\n",
    )
    project.write("http_seed/small/broken.j2", "{% if %}\n")
    project.write("http_seed/small/raw", "{{ not looked at }}")
    project.template(
        "install: {profile: small, seed_vars: {a: 1}}\n",
        base=f"{BASE}source: {{iso: {{path: ../isos/small.iso, checksum: none}}}}\n",
    )
    assert project.problems() == [
        "http_seed/small/answers.j2:1:4: there is no variable 'x'",
        "http_seed/small/answers.j2:1:60: there is no 'install.b' (known: a)",
        "http_seed/small/answers.j2:2:4: there is no 'seed.ulr' (did you mean 'url'?)",
        "http_seed/small/broken.j2:1: expected an expression, got 'end of statement block' (to keep {{ or {% as they are, write {% raw %}…{% endraw %} around them)",
    ]
    project.write("http_seed/small/answers", "twice")
    assert project.problems() == [
        "http_seed/small: http_seed/small/answers.j2 and answers would both be served as 'answers'"
    ]


def test_warnings_come_with_what_was_loaded(project: Project) -> None:
    loaded, problems = project.check("outputs: [qcow2, qcow2]\n")
    assert loaded is not None
    assert loaded.warnings == problems
    assert [p.severity for p in problems] == ["warning"]


def test_scripts_from_windows(project: Project) -> None:
    project.write("scripts/dos", b"#!/bin/sh\r\necho\r\n")
    loaded, problems = project.check("provision: [{shell: {script: ../scripts/dos}}]\n")
    assert loaded is not None
    assert [(str(p), p.severity) for p in problems] == [
        (
            "images/small.yml:5:30: 'scripts/dos' has line ends of Windows (CR LF) (sed -i 's/\\r$//' takes them away)",
            "warning",
        )
    ]


@pytest.mark.parametrize(
    ("nics", "names"),
    [
        ("[{}, {model: e1000}]", ["net0", "net1"]),
        ("[{}, {id: net1}, {}]", ["net0", "net1", "net2"]),
        ("[{id: net1}, {}, {}]", ["net1", "net0", "net2"]),
        ("[{id: lan}, {}]", ["lan", "net0"]),
    ],
)
def test_network_cards_without_a_name_are_numbered(project: Project, nics: str, names: list[str]) -> None:
    loaded, problems = project.check(f"machine: {{nics: {nics}}}\n")
    assert problems == ()
    assert loaded is not None
    assert [nic.id for nic in loaded.template.machine.nics] == names


def test_an_old_qcow2_is_compressed_by_what_it_knows() -> None:
    assert (Qcow2().compression, Qcow2(compat="0.10").compression) == ("zstd", "zlib")
    assert (Qcow2(compress="none").compression, Qcow2(compress="zlib").compression) == ("none", "zlib")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("machine: {disks: [{id: a, size: much}, {id: a}], cpus: x}\n",
         ["5:33: 'much' is not a size", "5:41: two disks have the id 'a'", "5:56: `cpus`"]),
        ("provision:\n  - {shell: {inline: [x], env: {A B: x}}, timout: 1s}\n  - {file: {destination: '', content: x, mode: 9}}\n",
         ["6:33: 'A B' is no name", "6:43: unknown field 'timout'", "7:13: it says not where", "7:48: `mode`"]),
        ("verify: {formats: [vmdk], clones: many}\noutputs: [{qcow2: {compress: 3}}, ova, ova]\n",
         ["5:20: there will be no vmdk", "5:35: `clones`", "6:30: `compress`", "6:40: the output 'ova' is given twice"]),
    ],
)  # fmt: skip
def test_a_wrong_field_hides_nothing_of_what_stands_beside_it(project: Project, more: str, expected: list[str]) -> None:
    found = project.problems(more)
    assert [f[: len(e)] for f, e in zip(found, expected, strict=False)] == expected, found
