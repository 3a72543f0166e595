"""The shipped boot profiles: recognised, booted and seeded with words that hold together."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from factory.boot_command import keymap, parse
from factory.boot_command.actions import Literal
from factory.boot_command.parse import Dialect
from factory.errors import TemplateError
from factory.template.check import check_profile
from factory.template.model import Expect, Loaded, Profile, Recognise, SeedDelivery, Text
from factory.template.yaml_source import read_yaml
from tests.content.shipped import PROFILES, ROOT, TEMPLATES, URL, answers, loaded, rendered

pytestmark = pytest.mark.unit

OURS = {"tiny", "debian-quick", "debian-netboot"}
"""Profiles for ISOs that scripts of this project make: a template names them, nobody has to recognise them."""


def profile(name: str) -> Profile:
    return Profile.model_validate(read_yaml(ROOT / "boot_configs" / f"{name}.yml").plain())


def used_by(name: str) -> list[str]:
    return [t for t in TEMPLATES if (p := loaded(t).profile) and p.name == name]


USED = [(t, p.name) for t in TEMPLATES if (p := loaded(t).profile)]
LINUX = [(t, p) for t, p in USED if profile(p).direct is not None]


@pytest.mark.parametrize("name", PROFILES)
def test_it_is_valid_and_says_what_it_is(name: str) -> None:
    found, problems = check_profile(ROOT / "boot_configs" / f"{name}.yml")
    assert [str(p) for p in problems] == []
    assert found is not None
    assert found.name == name
    assert found.description
    assert found.recognise or found.name in OURS
    assert found.typed or found.direct
    first = (ROOT / "boot_configs" / f"{name}.yml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../docs/reference/profile.schema.json"


@pytest.mark.parametrize("name", PROFILES)
def test_a_template_uses_it(name: str) -> None:
    assert used_by(name)


@pytest.mark.parametrize(("template", "name"), USED)
def test_its_seed_has_the_main_file(template: str, name: str) -> None:
    seed = profile(name).seed
    assert seed is not None
    assert seed.main in answers(loaded(template))


def commands(found: Loaded) -> list[tuple[str, tuple[Text, ...]]]:
    assert found.profile is not None
    typed = found.profile.typed
    if typed is None:
        return []
    both = {"bios": typed.command, "uefi": typed.command_uefi}
    return [(word, tuple(p for p in parts if not isinstance(p, Expect))) for word, parts in both.items() if parts]


def travels_on_a_cd(found: Profile) -> bool:
    """True for profiles whose command lines have a way for a seed without a URL."""
    text = (ROOT / "boot_configs" / f"{found.name}.yml").read_text()
    return "seed is defined" in text or (found.seed is not None and found.seed.delivery is SeedDelivery.CD)


@pytest.mark.parametrize(
    ("template", "name", "seed"),
    [(t, p, URL) for t, p in USED] + [(t, p, None) for t, p in USED if travels_on_a_cd(profile(p))],
)
def test_its_boot_commands_can_be_read_and_typed(template: str, name: str, seed: str | None) -> None:
    found = loaded(template)
    assert found.profile is not None
    layout = keymap.LAYOUTS[found.profile.keyboard]
    for firmware, parts in commands(found):
        text = "".join(rendered(part, found, seed=seed) for part in parts)
        parsed = parse.parse(text, Dialect.FACTORY, origin=f"{name} {firmware}")
        assert parsed.warnings == ()
        untypable = {a.character for a in parsed.actions if isinstance(a, Literal)} - layout.characters
        assert untypable <= {"\n"}, firmware
        if seed is None:
            assert "http://" not in text.replace(str(found.variables.get("mirror", "")), "")
        elif found.profile.seed is not None and found.profile.seed.delivery is SeedDelivery.HTTP:
            assert seed in text, f"{firmware}: the installer is not told where its seed is"


def test_a_wrong_token_is_found() -> None:
    with pytest.raises(TemplateError, match="unknown token"):
        parse.parse('<waitTxt "login:" 5s>root<enter>', Dialect.FACTORY)


@pytest.mark.parametrize("template", [t for t, _ in LINUX])
def test_a_direct_boot_names_seed_and_console(template: str) -> None:
    found = loaded(template)
    assert found.profile is not None
    direct = found.profile.direct
    assert direct is not None
    line = rendered(direct.command_line, found)
    assert URL in line
    assert "console=ttyS0" in line, "without it the serial log is empty"
    assert "\n" not in line
    assert len(line) < 2048, "the kernel cuts its command line there"
    assert len(direct.kernel) == len(direct.initrd)
    assert not any(path.startswith("/") for path in (*direct.kernel, *direct.initrd))


@pytest.mark.parametrize("template", [t for t, p in LINUX if travels_on_a_cd(profile(p))])
def test_a_direct_boot_without_a_url_still_has_a_line(template: str) -> None:
    found = loaded(template)
    assert found.profile is not None
    assert found.profile.direct is not None
    line = rendered(found.profile.direct.command_line, found, seed=None)
    assert "http://10.0.2.2" not in line
    assert "console=ttyS0" in line


@pytest.mark.parametrize("name", PROFILES)
def test_its_expectations_are_expressions(name: str) -> None:
    for expect in profile(name).expect:
        assert expect.means
        assert expect.serial or expect.text or expect.branches
        re.compile(expect.serial)
        re.compile(expect.text)


@dataclass(frozen=True)
class Iso:
    """What is known of a vendor's ISO: its volume id, ``.disk/info`` or ``.treeinfo``, and files in it."""

    profile: str
    volume_id: str = ""
    disk_info: str = ""
    treeinfo: str = ""
    paths: tuple[str, ...] = ()


PXEBOOT = ("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img")
LOADER = ("boot/x86_64/loader/linux", "boot/x86_64/loader/initrd")
ISOS = [
    Iso("debian-installer", "Debian 12.14.0 amd64 n",
        'Debian GNU/Linux 12.14.0 "Bookworm" - Official amd64 NETINST with firmware 20260516-10:11',
        paths=("install.amd/vmlinuz", "install.amd/initrd.gz")),
    Iso("debian-installer", "Debian 13.5.0 amd64 n",
        'Debian GNU/Linux 13.5.0 "Trixie" - Official amd64 NETINST with firmware 20260516-10:11',
        paths=("install.amd/vmlinuz", "install.amd/initrd.gz")),
    Iso("ubuntu-autoinstall", "Ubuntu-Server 22.04.5 LTS amd64",
        'Ubuntu-Server 22.04.5 LTS "Jammy Jellyfish" - Release amd64 (20240911)',
        paths=("casper/vmlinuz", "casper/initrd")),
    Iso("ubuntu-autoinstall", "Ubuntu-Server 24.04.4 LTS amd64",
        'Ubuntu-Server 24.04.4 LTS "Noble Numbat" - Release amd64 (20260210)',
        paths=("casper/vmlinuz", "casper/initrd")),
    Iso("anaconda-el9", "AlmaLinux-9-8-x86_64-dvd",
        treeinfo="[general]\nfamily = AlmaLinux\nname = AlmaLinux 9.8\nversion = 9.8\n",
        paths=(*PXEBOOT, "isolinux/isolinux.cfg")),
    Iso("anaconda-el9", "Rocky-9-8-x86_64-boot",
        treeinfo="[general]\nfamily = Rocky Linux\nname = Rocky Linux 9.8\nversion = 9.8\n",
        paths=(*PXEBOOT, "isolinux/isolinux.cfg")),
    Iso("anaconda-fedora", "Fedora-S-dvd-x86_64-44",
        treeinfo="[general]\nfamily = Fedora\nname = Fedora 44\nversion = 44\n", paths=PXEBOOT),
    Iso("anaconda-fedora", "AlmaLinux-10-2-x86_64-dvd",
        treeinfo="[general]\nfamily = AlmaLinux\nname = AlmaLinux 10.2\nversion = 10.2\n", paths=PXEBOOT),
    Iso("autoyast", "openSUSE-Leap-15.6-NET-x86_64710", paths=LOADER),
    Iso("agama", "Install-Leap_16.0-x86_64", paths=(*LOADER, "LiveOS/squashfs.img")),
    Iso("alpine", "alpine-virt 3.24.1 x86_64", paths=("boot/vmlinuz-virt", "boot/initramfs-virt")),
    Iso("alpine", "alpine-std 3.24.1 x86_64", paths=("boot/vmlinuz-lts", "boot/initramfs-lts")),
    Iso("freebsd-bsdinstall", "14_4_RELEASE_AMD64_CD", paths=("boot/kernel/kernel", "etc/rc.local")),
    Iso("windows-server", "SSS_X64FREE_EN-US_DV9", paths=("sources/install.wim", "sources/boot.wim", "bootmgr.efi")),
]  # fmt: skip


def fits(rule: Recognise, iso: Iso) -> bool:
    """Every condition given must hold (``Recognise``)."""
    patterns = [(rule.volume_id, iso.volume_id), (rule.disk_info, iso.disk_info), (rule.treeinfo, iso.treeinfo)]
    return all(re.search(p, text) for p, text in patterns if p) and set(rule.paths) <= set(iso.paths)


@pytest.mark.parametrize("iso", ISOS, ids=lambda iso: iso.volume_id)
def test_an_iso_is_recognised_by_one_profile_only(iso: Iso) -> None:
    found = [name for name in PROFILES if any(fits(rule, iso) for rule in profile(name).recognise)]
    assert found == [iso.profile]


def test_every_profile_for_a_vendors_iso_has_such_an_iso() -> None:
    assert {iso.profile for iso in ISOS} == set(PROFILES) - OURS


def test_another_iso_is_recognised_by_none() -> None:
    other = Iso("", "ARCH_202611", paths=("arch/boot/x86_64/vmlinuz-linux",))
    assert not any(fits(rule, other) for name in PROFILES for rule in profile(name).recognise)
