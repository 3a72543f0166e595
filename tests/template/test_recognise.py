"""Which profile an ISO is for, and what it is, by what it holds."""

from __future__ import annotations

import pytest

from factory.drivers.iso_view import IsoView
from factory.template.check import check_profile
from factory.template.identify import identify
from factory.template.model import Profile
from factory.template.recognise import near_misses, recognise
from factory.template.windows_media import windows_images
from tests.content.shipped import PROFILES, ROOT
from tests.iso_layouts import ALMA, ARCH, DEBIAN, LAYOUTS, PXEBOOT, WINDOWS, Layout, kernel, treeinfo, wim

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def profiles() -> list[Profile]:
    found = [check_profile(ROOT / "boot_configs" / f"{name}.yml")[0] for name in PROFILES]
    return [profile for profile in found if profile is not None]


def written(*rules: str, name: str = "one") -> Profile:
    return Profile.model_validate({"format": 1, "name": name, "recognise": list(rules)})


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.volume_id)
def test_every_vendors_iso_has_its_profile(layout: Layout, profiles: list[Profile]) -> None:
    matches = recognise(layout.view(), profiles)
    assert [m.profile.name for m in matches] == [layout.profile]
    assert matches[0].reasons


@pytest.mark.parametrize("layout", [x for x in LAYOUTS if x is not WINDOWS], ids=lambda layout: layout.volume_id)
def test_every_vendors_iso_says_what_it_is(layout: Layout) -> None:
    assert str(identify(layout.view())) == layout.words


def test_a_windows_iso_says_what_it_is_by_the_xml_of_its_image() -> None:
    xml = WINDOWS.files["sources/install.wim"][4096:].decode("utf-16")
    view = IsoView("X", ("sources/install.wim",), {"sources/install.wim": xml})
    assert str(identify(view)) == WINDOWS.words
    images = windows_images(view)
    assert [(i.name, i.is_server, i.drivers, i.language) for i in images] == [
        ("Windows Server 2022 SERVERSTANDARDCORE", True, "2k22", "en-US"),
        ("Windows Server 2022 SERVERSTANDARD", True, "2k22", "en-US"),
    ]


@pytest.mark.parametrize(
    ("kind", "build", "drivers"),
    [("Client", 26100, "w11"), ("Client", 19045, "w10"), ("Server", 26100, "2k25"), ("Server", 9600, "")],
)
def test_windows_drivers_go_by_the_build(kind: str, build: int, drivers: str) -> None:
    xml = wim(("Windows 11 Pro", "Professional", kind), build=build)[4096:].decode("utf-16")
    assert windows_images(IsoView(texts={"sources/install.wim": xml}))[0].drivers == drivers


@pytest.mark.parametrize("xml", ["", "<WIM>", "not xml at all"])
def test_an_image_without_xml_has_no_editions(xml: str) -> None:
    assert windows_images(IsoView(texts={"sources/install.wim": xml})) == ()


def test_reasons_quote_what_the_iso_says(profiles: list[Profile]) -> None:
    reasons = recognise(DEBIAN.view(), profiles)[0].reasons
    assert reasons == (
        """its .disk/info says 'Debian GNU/Linux 12.14.0 "Bookworm" - Official amd64 NETINST with firmware"""
        " 20260516-10:11'",
        "it holds install.amd/vmlinuz and install.amd/initrd.gz",
    )
    assert recognise(ALMA.view(), profiles)[0].reasons[0] == "its .treeinfo says 'version = 9.8'"


def test_another_iso_is_recognised_by_none(profiles: list[Profile]) -> None:
    assert recognise(ARCH.view(), profiles) == ()
    assert str(identify(ARCH.view())) == ""


def test_case_of_names_does_not_count(profiles: list[Profile]) -> None:
    view = IsoView("X", ("SOURCES/INSTALL.WIM", "SOURCES/BOOT.WIM", "BOOTMGR.EFI"))
    assert [m.profile.name for m in recognise(view, profiles)] == ["windows-server"]


def test_every_condition_of_a_rule_must_hold() -> None:
    rule = {"volume_id": "^A$", "paths": ["a", "b"]}
    profile = Profile.model_validate({"format": 1, "name": "one", "recognise": [rule]})
    assert recognise(IsoView("A", ("a", "b")), [profile])
    assert not recognise(IsoView("A", ("a",)), [profile])
    assert not recognise(IsoView("B", ("a", "b")), [profile])


def test_a_profile_without_rules_recognises_nothing() -> None:
    assert not recognise(IsoView("A", ("a",)), [written()])


def test_a_rule_without_conditions_recognises_nothing() -> None:
    profile = Profile.model_validate({"format": 1, "name": "one", "recognise": [{}]})
    assert not recognise(IsoView("A", ("a",)), [profile])


def test_what_an_iso_says_of_itself_counts_more_than_its_label() -> None:
    view = IsoView("LABEL", ("k",), {".disk/info": "Some Linux"})
    make = Profile.model_validate
    by_label = make({"format": 1, "name": "a-label", "recognise": [{"volume_id": "LABEL", "paths": ["k"]}]})
    by_paths = make({"format": 1, "name": "b-paths", "recognise": [{"paths": ["k"]}]})
    by_info = make({"format": 1, "name": "c-info", "recognise": [{"disk_info": "Some"}]})
    found = recognise(view, [by_paths, by_label, by_info])
    assert [m.profile.name for m in found] == ["c-info", "a-label", "b-paths"]


def test_paths_may_have_stars() -> None:
    profile = Profile.model_validate({"format": 1, "name": "one", "recognise": [{"paths": ["live/vmlinuz-*"]}]})
    assert recognise(IsoView("", ("live/vmlinuz-6.1.0-18-amd64",)), [profile])
    assert not recognise(IsoView("", ("live/sub/vmlinuz-6",)), [profile])


def anaconda(family: str, version: str, label: str = "X", pair: tuple[str, str] = PXEBOOT) -> IsoView:
    return Layout(
        "", label, dict.fromkeys(pair, kernel()) | {".treeinfo": treeinfo(family, version, pair)}, "", ""
    ).view()


def test_a_near_miss_says_what_holds_and_what_does_not(profiles: list[Profile]) -> None:
    old = anaconda("AlmaLinux", "7.10")
    assert recognise(old, profiles) == ()
    misses = {m.profile.name: m for m in near_misses(old, profiles)}
    assert "it holds images/pxeboot/vmlinuz and images/pxeboot/initrd.img" in misses["anaconda-el9"].holds
    assert misses["anaconda-el9"].lacks[0].startswith("its .treeinfo does not fit")
    assert "windows-server" not in misses


@pytest.mark.parametrize(
    ("family", "version", "profile"),
    [
        ("Oracle Linux Server", "9.4", "anaconda-el9"),
        ("AlmaLinux", "8.10", "anaconda-el9"),
        ("Red Hat Enterprise Linux", "8.10", "anaconda-el9"),
        ("Red Hat Enterprise Linux", "9.8.0", "anaconda-el9"),
        ("CentOS Stream", "9", "anaconda-el9"),
        ("CentOS Stream", "10", "anaconda-fedora"),
        ("Oracle Linux Server", "10.0", "anaconda-fedora"),
        ("Fedora", "44", "anaconda-fedora"),
    ],
)
def test_enterprise_linux_goes_by_family_and_version(
    family: str, version: str, profile: str, profiles: list[Profile]
) -> None:
    (match,) = recognise(anaconda(family, version), profiles)
    assert match.profile.name == profile
    said = f"family = {family}" if family == "Fedora" else f"version = {version}"
    assert match.reasons[0] == f"its .treeinfo says '{said}'"


@pytest.mark.parametrize("version", ["8.10", "9.8", "10.2", "15"])
def test_another_product_with_such_a_version_is_none_of_theirs(version: str, profiles: list[Profile]) -> None:
    assert recognise(anaconda("Fedora Infinity", version), profiles) == ()
    assert recognise(anaconda("Qubes", version), profiles) == ()


@pytest.mark.parametrize(("family", "version"), [("Fedora", "41"), ("Rocky Linux", "9.3")])
def test_kernel_and_initrd_are_called_as_treeinfo_says(family: str, version: str, profiles: list[Profile]) -> None:
    (match,) = recognise(anaconda(family, version, pair=("boot/kern", "boot/ird.img")), profiles)
    assert match.reasons[-1] == "it holds boot/kern and boot/ird.img"


def test_what_treeinfo_names_must_be_there(profiles: list[Profile]) -> None:
    view = IsoView("X", ("boot/kern",), {".treeinfo": treeinfo("Fedora", "41", ("boot/kern", "boot/i")).decode()})
    assert recognise(view, profiles) == ()


def test_what_fits_is_no_near_miss(profiles: list[Profile]) -> None:
    assert "debian-installer" not in {m.profile.name for m in near_misses(DEBIAN.view(), profiles)}


@pytest.mark.parametrize(
    ("volume_id", "words"),
    [
        ("Debian 13.5.0 amd64 n", "Debian GNU/Linux 13.5.0, x86_64"),
        ("DEBIAN12", "Debian GNU/Linux 12"),
        ("RHEL-9-4-0-BaseOS-x86_64", "Red Hat Enterprise Linux 9.4.0, x86_64"),
        ("CentOS-Stream-9-BaseOS-x86_64", "CentOS Stream 9, x86_64"),
        ("Fedora-E-dvd-x86_64-44", "Fedora 44, x86_64, E"),
        ("Fedora-S-dvd-x86_64-41", "Fedora 41, x86_64, S"),
        ("Fedora-S-dvd-x86_64-42_B", "Fedora 42, x86_64, S"),
        ("Fedora-S-dvd-x86_64-rawh", "Fedora rawhide, x86_64, S"),
        ("Fedora-SB-ostree-x86_64-41", "Fedora 41, x86_64, SB"),
        ("Fedora-WS-Live-41-1-4", "Fedora 41, WS-Live"),
        ("Fedora-WS-Live-44", "Fedora 44, WS-Live"),
        ("Fedora-WS-Live-42_B-1-4", "Fedora 42, WS-Live"),
        ("Fedora-WS-Live-rawh-n-2", "Fedora rawhide, WS-Live"),
        ("Fedora-KDE-Live-44", "Fedora 44, KDE-Live"),
        ("Fedora-Live-WS-x86_64-22-3", "Fedora 22, x86_64, Live"),
        ("CentOS-8-5-2111-x86_64-dvd", "CentOS Linux 8.5.2111, x86_64, dvd"),
        ("SLE-15-SP6-Full-x86_64321.1", "SUSE Linux Enterprise 15-SP6, x86_64, Full"),
        ("alpine-ext 3.24.1 aarch64", "Alpine Linux 3.24.1, aarch64, ext"),
        ("15_0_RELEASE_ARM64_DVD", "FreeBSD 15.0, aarch64, DVD"),
        ("Ubuntu 24.04.4 LTS amd64", "Ubuntu 24.04.4, x86_64"),
        ("CDROM", ""),
        ("", ""),
    ],
)
def test_a_label_says_what_it_can(volume_id: str, words: str) -> None:
    assert str(identify(IsoView(volume_id))) == words


def test_the_label_fills_in_what_treeinfo_leaves_open() -> None:
    view = IsoView("AlmaLinux-9-8-x86_64-minimal", (), {".treeinfo": "[general]\nfamily = AlmaLinux\nversion = 9.8\n"})
    found = identify(view)
    assert (found.architecture, found.edition, found.sign) == ("x86_64", "minimal", ".treeinfo")


@pytest.mark.parametrize("text", ["no section\n", "[general\n", "\0\0\0"])
def test_a_broken_treeinfo_says_nothing(text: str) -> None:
    assert str(identify(IsoView("X", (), {".treeinfo": text}))) == ""


def test_what_an_iso_says_of_itself_is_one_line_of_printable_text() -> None:
    info = 'Debian GNU/Linux 12.5.0 "\x1b[31mBook\nworm" - Official amd64 NETINST'
    view = IsoView("X", texts={".disk/info": info})
    assert str(identify(view)).isprintable()
    view = IsoView("X", texts={".treeinfo": "[general]\nfamily = Alma\x1b[31mLinux\nversion = 9\narch = x86_64\n"})
    assert str(identify(view)) == "Alma [31mLinux 9, x86_64"
