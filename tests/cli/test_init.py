"""``factory init`` on ISOs with the layouts of their vendors."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pykickstart.parser import KickstartParser
from pykickstart.version import makeVersion

from factory.cli.program import cli
from factory.errors import FactoryError, Problem, StepError, TemplateError
from factory.template.check import check, check_profile
from factory.template.model import Firmware, Loaded
from tests.content.shipped import ROOT, answers
from tests.iso_layouts import (
    ALMA,
    ALPINE_VIRT,
    ARCH,
    DEBIAN,
    FREEBSD,
    LAYOUTS,
    LEAP_15,
    PXEBOOT,
    ROCKY,
    UBUNTU,
    WINDOWS,
    Layout,
    kernel,
    treeinfo,
    wim,
)

pytestmark = pytest.mark.unit

WAYS = {
    "debian-installer": "http, floppy or initrd",
    "anaconda-el9": "http, cd, floppy or initrd",
    "anaconda-fedora": "http, cd, floppy or initrd",
    "autoyast": "http, cd, floppy or initrd",
    "ubuntu-autoinstall": "http, cd or floppy",
    "agama": "http, cd or floppy",
    "alpine": "http",
    "freebsd-bsdinstall": "http",
    "windows-server": "cd or floppy",
}
"""By which answers reach an installer, for each profile."""
HOST = {"mirror": "http://mirror.example/debian", "timezone": "UTC"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is where the user is; the ISO lies elsewhere."""
    monkeypatch.setattr("factory.cli.initialising.template_names", lambda: HOST)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def init(iso: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["init", str(iso), *arguments], catch_exceptions=False)


def refused(iso: Path, *arguments: str) -> tuple[FactoryError, str]:
    """The error, and what was printed before it."""
    result = CliRunner().invoke(cli, ["init", str(iso), *arguments])
    assert isinstance(result.exception, FactoryError), result.output
    return result.exception, result.output


def said(error: FactoryError) -> str:
    """The one problem, without its hint."""
    assert isinstance(error, TemplateError)
    (problem,) = error.problems
    return problem.message


def valid(path: Path) -> Loaded:
    """As `factory validate` sees it: without errors and without warnings."""
    loaded, problems = check(path, host=HOST)
    assert [str(p) for p in problems] == []
    assert loaded is not None
    return loaded


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.volume_id)
def test_every_vendors_iso_gets_a_valid_template(layout: Layout, folder: Path) -> None:
    iso = layout.make(folder.parent / "some file.iso")
    result = init(iso)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[0].startswith(f"some file.iso: {layout.words} (by ")
    assert f"boot profile {layout.profile}: it" in result.output
    assert [p.name for p in folder.iterdir()] == [f"{layout.name}.yml"]
    path = folder / f"{layout.name}.yml"
    text = path.read_text()
    assert text.startswith("# yaml-language-server: $schema=")
    assert max(map(len, text.splitlines())) <= 200
    loaded = valid(path)
    template = loaded.template
    assert template.name == layout.name
    assert template.source.iso is not None
    assert template.source.iso.path == str(iso)
    assert template.source.iso.checksum == f"sha256:{hashlib.sha256(iso.read_bytes()).hexdigest()}"
    assert template.install is not None
    assert template.install.profile == layout.profile
    assert template.install.boot == ("direct" if layout.kernel else "auto")
    assert template.outputs
    assert template.verify is not None
    for section in ("source:", "machine:", "install:", "access:", "seal:", "outputs:", "verify:"):
        assert f"\n{section}" in text, "a complete template shows what there is to change"
    if layout.kernel:
        assert f"starts {layout.kernel} and {layout.initrd}" in text
    assert f"how the answers travel: {WAYS[layout.profile]}; now" in text


def test_the_tiny_installers_cd_is_not_offered_where_its_kernel_finds_none(folder: Path) -> None:
    files = {"boot/vmlinuz": kernel(), "boot/initrd.img": b"i", "isolinux/isolinux.cfg": b""}
    text = init(Layout("tiny", "TINYOS", files, "", "").make(folder.parent / "a.iso"), "-o", "-").stdout
    assert "how the answers travel: http or initrd; now over HTTP" in text


def test_the_files_own_name_does_not_count(folder: Path) -> None:
    iso = UBUNTU.make(folder.parent / "debian-12-netinst.iso")
    assert "boot profile ubuntu-autoinstall" in init(iso, "-o", "-").output


def test_the_templates_of_a_dvd_take_packages_from_it(folder: Path) -> None:
    init(ALMA.make(folder.parent / "a.iso"))
    init(ROCKY.make(folder.parent / "b.iso"))
    assert valid(folder / "almalinux-9.yml").variables["media"] == "dvd"
    rocky = valid(folder / "rocky-9.yml")
    assert rocky.variables["media"] == "boot"
    assert rocky.variables["mirror"] == "https://download.rockylinux.org/pub/rocky"
    assert rocky.template.install is not None
    assert rocky.template.install.seed_vars["tree"] == "9/BaseOS/x86_64/os/"


def test_media_without_packages_are_told_where_they_are(folder: Path) -> None:
    init(LEAP_15.make(folder.parent / "a.iso"))
    install = valid(folder / "opensuse-leap-15.yml").template.install
    assert install is not None
    assert install.kernel_args == "install=https://download.opensuse.org/distribution/leap/15.6/repo/oss/"


def test_a_family_without_a_public_mirror_is_told(folder: Path) -> None:
    layout = Layout("", "RHEL-9-4-0-BaseOS-x86_64", ROCKY.files, "", "")
    result = init(layout.make(folder.parent / "a.iso"))
    assert "This family has no mirror for everybody" in result.output
    valid(folder / "red-hat-enterprise-9.yml")


@pytest.mark.parametrize(
    ("label", "name", "tree"),
    [
        ("Fedora-E-dvd-x86_64-41", "fedora-41", "releases/41/Everything/x86_64/os/"),
        ("Fedora-S-dvd-x86_64-rawh", "fedora-rawhide", "development/rawhide/Everything/x86_64/os/"),
        ("Fedora-S-something", "fedora", "development/rawhide/Everything/x86_64/os/"),
        ("CentOS-8-5-2111-x86_64-dvd", "centos-8", "8/BaseOS/x86_64/os/"),
        ("OL-8-whatever", "oracle-8", "8/BaseOS/x86_64/os/"),
    ],
)
def test_a_label_alone_leads_to_its_own_family_and_release(label: str, name: str, tree: str, folder: Path) -> None:
    result = init(Layout("", label, ROCKY.files, "", "").make(folder.parent / "a.iso"))
    assert result.exit_code == 0, result.output
    (path,) = folder.iterdir()
    assert path.stem == name
    install = valid(path).template.install
    assert install is not None
    assert install.seed_vars["tree"] == tree


@pytest.mark.parametrize(
    ("label", "files", "family"),
    [
        ("Fedora-WS-Live-44", {}, "netinst or Server DVD ISO of Fedora"),
        ("Fedora-KDE-Live-41-1-4", {}, "netinst or Server DVD ISO of Fedora"),
        ("Fedora-S-dvd-x86_64-44", {"LiveOS/squashfs.img": b"s"}, "netinst or Server DVD ISO of Fedora"),
        ("AlmaLinux-9-8-x86_64-Live-GNOME", {"LiveOS/squashfs.img": b"s"}, "boot, minimal or DVD ISO of AlmaLinux"),
    ],
)
def test_a_live_system_can_not_be_told_what_to_install(
    label: str, files: dict[str, bytes], family: str, folder: Path
) -> None:
    iso = Layout("", label, ROCKY.files | files, "", "").make(folder.parent / "a.iso")
    error, _ = refused(iso)
    assert said(error) == "a.iso is a live system: no answer file tells its installer what to do"
    assert error.hint.startswith(f"take the {family}")
    assert list(folder.iterdir()) == []
    assert init(iso, "--profile", "anaconda-fedora").exit_code == 0


def test_windows_editions_are_offered(folder: Path) -> None:
    init(WINDOWS.make(folder.parent / "a.iso"))
    loaded = valid(folder / "windows-server-2022.yml")
    choices = loaded.template.variables["image_name"].choices
    assert choices == ("Windows Server 2022 SERVERSTANDARDCORE", "Windows Server 2022 SERVERSTANDARD")
    assert loaded.template.access.winrm is not None
    assert loaded.template.install is not None
    assert loaded.template.install.seed_vars == {"windows": "2k22"}


def test_a_windows_that_nothing_is_known_of_is_told(folder: Path) -> None:
    files = WINDOWS.files | {"sources/install.wim": b"no XML"}
    result = init(Layout("", "X", files, "", "").make(folder.parent / "a.iso"))
    assert "(2k22 is for Windows Server 2022)" in result.output


def test_windows_for_clients_wants_a_tpm(folder: Path) -> None:
    files = WINDOWS.files | {"sources/install.wim": wim(("Windows 11 Pro", "Professional", "Client"), build=26100)}
    result = init(Layout("", "CCCOMA_X64FRE", files, "", "").make(folder.parent / "a.iso"))
    assert "made for Windows Server" in result.output
    machine = valid(folder / "windows-11.yml").template.machine
    assert machine.tpm is not None
    assert machine.firmware is Firmware.UEFI_SECURE


def test_freebsd_is_not_sealed_from_outside(folder: Path) -> None:
    init(FREEBSD.make(folder.parent / "a.iso"))
    template = valid(folder / "freebsd-14.yml").template
    assert template.seal is None
    assert template.machine.firmware is Firmware.BIOS
    assert "factory-farewell" in str(template.shutdown.command)


def test_a_debian_host_knows_its_mirror_others_name_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    iso = DEBIAN.make(folder.parent / "a.iso")
    assert "default: auto}" in init(iso, "-o", "-").stdout
    monkeypatch.setattr("factory.cli.initialising.template_names", dict)
    init(iso)
    loaded, problems = check(folder / "debian-12.yml")
    assert problems == ()
    assert loaded is not None
    assert loaded.variables["mirror"] == ""


# --- where it goes -------------------------------------------------------------------------------------------------


def test_in_a_project_it_lies_among_the_images(folder: Path) -> None:
    for name in ("images", "boot_configs", "iso"):
        (folder / name).mkdir()
    iso = ALPINE_VIRT.make(folder / "iso" / "a.iso")
    result = init(iso, "--name", "my-alpine")
    assert f"{os.path.join('images', 'my-alpine.yml')}: written" in result.output
    assert "next: factory plan images/my-alpine.yml" in result.output
    text = (folder / "images" / "my-alpine.yml").read_text()
    assert 'path: "../iso/a.iso"' in text, "the project can be moved"
    source = valid(folder / "images" / "my-alpine.yml").template.source.iso
    assert source is not None
    assert source.path == "iso/a.iso"


def test_an_output_file_or_folder_can_be_named(folder: Path) -> None:
    iso = DEBIAN.make(folder.parent / "a.iso")
    init(iso, "--output", "one.yml")
    (folder / "sub").mkdir()
    init(iso, "-o", "sub")
    assert valid(folder / "one.yml").template.name == "debian-12"
    assert valid(folder / "sub" / "debian-12.yml").template.name == "debian-12"


def test_standard_output_gets_the_template_and_nothing_else(folder: Path) -> None:
    iso = DEBIAN.make(folder.parent / "a.iso")
    result = init(iso, "-o", "-")
    assert result.stdout.startswith("# yaml-language-server")
    assert "boot profile debian-installer" in result.stderr
    assert list(folder.iterdir()) == []
    (folder / "x.yml").write_text(result.stdout)
    valid(folder / "x.yml")


def test_a_file_that_is_there_stays(folder: Path) -> None:
    iso = DEBIAN.make(folder.parent / "a.iso")
    (folder / "debian-12.yml").write_text("mine")
    error, _ = refused(iso)
    assert isinstance(error, TemplateError)
    assert "debian-12.yml is already there" in error.message
    assert "--force" in error.hint
    assert (folder / "debian-12.yml").read_text() == "mine"
    assert init(iso, "--force").exit_code == 0
    valid(folder / "debian-12.yml")
    assert [p.name for p in folder.iterdir()] == ["debian-12.yml"]


def test_a_name_that_would_be_jinja_or_yaml_is_quoted(folder: Path) -> None:
    iso = ALPINE_VIRT.make(folder.parent / 'it\'s {{ 7 * 6 }} "a" #b.iso')
    init(iso)
    source = valid(folder / "alpine-3.24.yml").template.source.iso
    assert source is not None
    assert source.path == str(iso)


@pytest.mark.parametrize("name", ["Upper", "a/b", "-x", ""])
def test_a_name_that_no_image_can_have(name: str, folder: Path) -> None:
    error, _ = refused(ALPINE_VIRT.make(folder.parent / "a.iso"), "--name", name or " ")
    assert "can't be the name of an image" in error.message
    assert list(folder.iterdir()) == []


def test_the_schema_of_the_project_is_named(folder: Path) -> None:
    (folder / "images").mkdir()
    (folder / "docs" / "reference").mkdir(parents=True)
    (folder / "docs" / "reference" / "template.schema.json").write_text("{}")
    init(DEBIAN.make(folder.parent / "a.iso"))
    first = (folder / "images" / "debian-12.yml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../docs/reference/template.schema.json"


# --- profiles ------------------------------------------------------------------------------------------------------


def test_the_projects_own_profile_is_found(folder: Path) -> None:
    (folder / "boot_configs").mkdir()
    (folder / "boot_configs" / "arch.yml").write_text(
        "format: 1\nname: arch\nrecognise: [{volume_id: '^ARCH_'}]\n"
        "direct:\n  kernel: [arch/boot/x86_64/vmlinuz-*]\n  initrd: [arch/boot/x86_64/initramfs-*.img]\n"
    )
    result = init(ARCH.make(folder.parent / "a.iso"))
    assert "boot profile arch: its label is 'ARCH_202611'" in result.output
    text = (folder / "arch.yml").read_text()
    assert "starts arch/boot/x86_64/vmlinuz-linux and arch/boot/x86_64/initramfs-linux.img (a known place)" in text
    valid(folder / "arch.yml")


def test_a_broken_profile_hides_no_other(folder: Path) -> None:
    (folder / "boot_configs").mkdir()
    (folder / "boot_configs" / "a.yml").write_text("format: [")
    (folder / "boot_configs" / "b.yml").write_text("format: 1\nname: b\nrecognise: 7\n")
    assert "boot profile debian-installer" in init(DEBIAN.make(folder.parent / "a.iso")).output


def test_two_profiles_that_fit_are_both_told(folder: Path) -> None:
    (folder / "boot_configs").mkdir()
    (folder / "boot_configs" / "mine.yml").write_text(
        "format: 1\nname: mine\nrecognise: [{paths: [install.amd/vmlinuz]}]\ntyped: {command: <enter>}\n"
    )
    iso = DEBIAN.make(folder.parent / "a.iso")
    output = init(iso, "-o", "x.yml").output
    assert "boot profile debian-installer: " in output
    assert "fits as well: mine (it holds install.amd/vmlinuz)" in output


def test_a_profile_can_be_asked_for(folder: Path) -> None:
    result = init(ARCH.make(folder.parent / "a.iso"), "--profile", "debian-installer", "--name", "x")
    assert "asked for by --profile" in result.output
    text = (folder / "x.yml").read_text()
    assert "boot: typed" in text
    assert "not on this ISO" in text
    valid(folder / "x.yml")


def test_a_profile_that_is_not_there_is_told(folder: Path) -> None:
    error, _ = refused(ARCH.make(folder.parent / "a.iso"), "--profile", "debian-instaler")
    assert said(error) == "there is no boot profile 'debian-instaler'"
    assert "debian-installer" in error.hint


def test_an_unknown_iso_is_described_and_nothing_written(folder: Path) -> None:
    error, output = refused(ARCH.make(folder.parent / "a.iso"))
    assert said(error) == "no boot profile is made for a.iso"
    assert "--new-profile" in error.hint
    assert output.splitlines() == [
        "a.iso: an ISO labelled 'ARCH_202611', which does not say what it is",
        "  label 'ARCH_202611', 4 files (Rock Ridge names), boots by nothing that its boot catalogue names",
        "  says of itself: nothing (.treeinfo, .disk/info, … are not there)",
        "  kernels: arch/boot/x86_64/vmlinuz-linux; initrds: arch/boot/x86_64/initramfs-linux.img",
        "  boot menu boot/syslinux/linux.cfg, 'Arch Linux install medium': arch/boot/x86_64/vmlinuz-linux"
        " initrd=arch/boot/x86_64/initramfs-linux.img archisobasedir=arch archisolabel=ARCH_202611",
    ]
    assert list(folder.iterdir()) == []


def test_an_old_release_says_what_does_not_fit(folder: Path) -> None:
    files = dict.fromkeys(PXEBOOT, kernel()) | {
        "isolinux/isolinux.cfg": b"",
        ".treeinfo": treeinfo("AlmaLinux", "7.10"),
    }
    _, output = refused(Layout("", "AlmaLinux-7-10-x86_64-dvd", files, "", "").make(folder.parent / "a.iso"))
    assert "a.iso: AlmaLinux 7.10, x86_64, dvd (by .treeinfo)" in output
    assert "not anaconda-el9: it holds images/pxeboot/vmlinuz" in output
    assert "but its .treeinfo does not fit" in output


def test_a_kernel_at_another_place_is_started_from_there(folder: Path) -> None:
    pair = ("boot/kern", "boot/ird.img")
    files = dict.fromkeys(pair, kernel()) | {".treeinfo": treeinfo("Fedora", "41", pair)}
    result = init(Layout("", "Fedora-S-dvd-x86_64-41", files, "", "").make(folder.parent / "a.iso"))
    assert result.exit_code == 0, result.output
    assert "starts boot/kern and boot/ird.img" in (folder / "fedora-41.yml").read_text()
    install = valid(folder / "fedora-41.yml").template.install
    assert install is not None
    assert install.boot == "direct"


def test_enterprise_linux_8_is_answered_in_its_own_words(folder: Path) -> None:
    files = dict.fromkeys(PXEBOOT, kernel()) | {".treeinfo": treeinfo("AlmaLinux", "8.10")}
    init(Layout("", "AlmaLinux-8-10-x86_64-dvd", files, "", "").make(folder.parent / "a.iso"))
    answer = answers(valid(folder / "almalinux-8.yml"))["ks.cfg"]
    handler = KickstartParser(makeVersion("RHEL8"), errorsAreFatal=True)
    handler.readKickstartFromString(answer)
    assert handler.handler.packages.excludeWeakdeps is True
    assert "8/AppStream/x86_64/os/" in answer


def test_skeletons_for_an_unknown_iso(folder: Path) -> None:
    (folder / "images").mkdir()
    result = init(ARCH.make(folder.parent / "a.iso"), "--new-profile", "arch-live")
    assert result.exit_code == 0, result.output
    assert "next: complete boot_configs/arch-live.yml; factory plan images/arch-live.yml" in result.output
    profile, problems = check_profile(folder / "boot_configs" / "arch-live.yml")
    assert problems == ()
    assert profile is not None
    assert profile.direct is not None
    assert profile.direct.kernel == ("arch/boot/x86_64/vmlinuz-linux",)
    assert profile.direct.initrd == ("arch/boot/x86_64/initramfs-linux.img",)
    assert profile.direct.command_line == (
        "console=tty0 console=ttyS0,115200n8 archisobasedir=arch archisolabel=ARCH_202611"
    )
    assert profile.typed is not None
    template = valid(folder / "images" / "arch-live.yml").template
    assert template.install is not None
    assert template.install.profile == "arch-live"
    # From now on it is known.
    again = init(folder.parent / "a.iso", "-o", "again.yml", "--name", "again")
    assert "boot profile arch-live: its label is 'ARCH_202611'" in again.output


def test_skeletons_for_an_iso_without_a_kernel(folder: Path) -> None:
    layout = Layout("", "MY.DATA (1)", {"readme.txt": b"x"}, "", "")
    result = init(layout.make(folder.parent / "a.iso"), "--new-profile", "data")
    assert result.exit_code == 0, result.output
    assert "kernels: none; initrds: none" in result.output
    profile, _ = check_profile(folder / "boot_configs" / "data.yml")
    assert profile is not None
    assert profile.direct is None
    assert profile.recognise[0].volume_id == r"^MY\.DATA \(1\)$"
    valid(folder / "data.yml")


def test_a_known_iso_needs_no_new_profile(folder: Path) -> None:
    result = init(DEBIAN.make(folder.parent / "a.iso"), "--new-profile", "mine")
    assert "boot profile debian-installer" in result.output
    assert [p.name for p in folder.iterdir()] == ["debian-12.yml"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("--profile", "a", "--new-profile", "b"), "give one of them"), (("--new-profile", "b", "-o", "-"), "beside the")],
)
def test_options_that_do_not_go_together(arguments: tuple[str, ...], message: str, folder: Path) -> None:
    result = CliRunner().invoke(cli, ["init", str(DEBIAN.make(folder.parent / "a.iso")), *arguments])
    assert result.exit_code == 2
    assert message in result.output


# --- what is refused -----------------------------------------------------------------------------------------------


def test_another_architecture_is_refused(folder: Path) -> None:
    files = dict.fromkeys(PXEBOOT, kernel()) | {".treeinfo": treeinfo("Fedora", "44", arch="aarch64")}
    error, output = refused(Layout("", "Fedora-S-dvd-aarch64-44", files, "", "").make(folder.parent / "a.iso"))
    assert said(error) == "a.iso is for aarch64, and machines here are x86_64"
    assert "Fedora 44, aarch64" in output
    assert list(folder.iterdir()) == []


def test_what_is_no_iso_is_told(folder: Path) -> None:
    (folder / "x.iso").write_bytes(b"<!DOCTYPE html>")
    error, _ = refused(folder / "x.iso")
    assert isinstance(error, StepError)
    assert "it looks like a web page" in error.hint


def test_an_iso_that_is_not_there_is_a_wrong_call(folder: Path) -> None:
    result = CliRunner().invoke(cli, ["init", "none.iso"])
    assert result.exit_code == 2
    assert "none.iso" in result.output


def test_no_base_fragment_leaves_a_template_that_stands_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when factory came without its templates: profile and seeds are the project's own."""
    monkeypatch.setattr("factory.template.project.shipped_root", lambda: None)
    for name in ("boot_configs", "http_seed"):
        (folder / name).symlink_to(ROOT / name)
    init(DEBIAN.make(folder.parent / "a.iso"))
    loaded = valid(folder / "debian-12.yml")
    assert loaded.template.extends == ()
    assert loaded.template.provision == ()


@pytest.mark.parametrize(
    "version",
    [
        '9.3", default: "http://evil.example/rocky"} # ',
        '9.3 "Blue"',
        "{{ 7*7 }}\"'",
        "9.3 {% raw %}{%",
        "9 {% endraw %} {{ vars.mirror }}",
        "9.3: [x",
        "9}",
        "9 # a",
        "9'\\",
        "9\x85x\u2028y",
    ],
)
@pytest.mark.parametrize(("family", "profile"), [("Fedora", "anaconda-fedora"), ("Rocky {{x}}", "anaconda-el9")])
def test_what_an_iso_says_of_itself_can_break_no_template(
    family: str, profile: str, version: str, folder: Path
) -> None:
    files = dict.fromkeys(PXEBOOT, kernel()) | {".treeinfo": treeinfo(family, version)}
    iso = Layout("", "Rocky-9-3-x86_64-dvd", files, "", "").make(folder.parent / "{{ an }} 'iso'.iso")
    result = init(iso, "--profile", profile)
    assert result.exit_code == 0, result.output
    (path,) = folder.iterdir()
    template = valid(path).template
    assert template.description == f"{identify_words(family, version)} from {iso.name}"
    assert "evil" not in str(template.install)
    assert template.source.iso is not None
    assert template.source.iso.path == str(iso)


def identify_words(family: str, version: str) -> str:
    return f"{family} {' '.join(''.join(c if c.isprintable() else ' ' for c in version).split())}, x86_64, dvd"


@pytest.mark.parametrize("before", [None, "mine\n"])
def test_a_template_that_is_wrong_is_not_left_behind(
    before: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = Problem("not as it should be")
    monkeypatch.setattr("factory.cli.initialising.check", lambda *_, **__: (None, (problem,)))
    (folder / "images").mkdir()
    (folder / "boot_configs").mkdir()
    path = folder / "images" / "arch-live.yml"
    if before:
        path.write_text(before)
    error, output = refused(ARCH.make(folder.parent / "a.iso"), "--new-profile", "arch-live", "--force")
    assert said(error) == problem.message
    assert "next:" not in output
    assert list((folder / "boot_configs").iterdir()) == []
    assert (path.read_text() if path.exists() else None) == before
