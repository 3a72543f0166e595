"""Kernel and initrd of a direct boot, and what boot menus say of them."""

from __future__ import annotations

import pytest

from factory.drivers.iso_view import IsoView
from factory.errors import StepError
from factory.template.boot_files import BootFiles, find_boot_files, initrds, kernel_version, kernels
from factory.template.boot_menus import menu_entries
from factory.template.check import check_profile
from factory.template.model import DirectBoot
from tests.content.shipped import ROOT
from tests.iso_layouts import ARCH, LINUX, PXEBOOT, Layout, kernel, treeinfo

pytestmark = pytest.mark.unit

TREEINFO = ".treeinfo, [images-x86_64]"
PLACE = "a known place"


def shipped(name: str) -> DirectBoot:
    profile, _ = check_profile(ROOT / "boot_configs" / f"{name}.yml")
    assert profile is not None
    assert profile.direct is not None
    return profile.direct


@pytest.mark.parametrize("layout", LINUX, ids=lambda layout: layout.volume_id)
def test_every_vendors_kernel_is_found(layout: Layout) -> None:
    found = find_boot_files(shipped(layout.profile), layout.view())
    assert (found.kernel, found.initrd) == (layout.kernel, layout.initrd)
    assert found.sign == (TREEINFO if ".treeinfo" in layout.files else PLACE)


def test_treeinfo_comes_before_known_places() -> None:
    info = treeinfo("Fedora", "44", ("other/vmlinuz", "other/initrd.img")).decode()
    view = IsoView("", (*PXEBOOT, "other/vmlinuz", "other/initrd.img"), {".treeinfo": info})
    assert find_boot_files(shipped("anaconda-fedora"), view) == BootFiles("other/vmlinuz", "other/initrd.img", TREEINFO)


def test_a_treeinfo_of_files_that_are_elsewhere_is_passed_over() -> None:
    """The DVD has that of the whole tree on the mirror."""
    info = treeinfo("Fedora", "44", ("other/vmlinuz", "other/initrd.img")).decode()
    view = IsoView("", (*PXEBOOT, "other/vmlinuz"), {".treeinfo": info})
    assert find_boot_files(shipped("anaconda-fedora"), view) == BootFiles(*PXEBOOT, PLACE)


def test_a_treeinfo_for_another_machine_is_passed_over() -> None:
    info = treeinfo("Fedora", "44", ("arm/vmlinuz", "arm/initrd.img"), arch="aarch64").decode()
    view = IsoView("", (*PXEBOOT, "arm/vmlinuz", "arm/initrd.img"), {".treeinfo": info})
    assert find_boot_files(shipped("anaconda-fedora"), view).kernel == PXEBOOT[0]


def test_a_profile_may_leave_it_to_treeinfo() -> None:
    view = IsoView("", PXEBOOT, {".treeinfo": treeinfo("X", "1").decode()})
    assert find_boot_files(DirectBoot(initrd=("none",)), view) == BootFiles(*PXEBOOT, TREEINFO)


def test_kernel_and_initrd_belong_together() -> None:
    """The first kernel's initrd is not there: the second pair is taken, not a mixture."""
    direct = DirectBoot(kernel=("a/linux", "b/linux"), initrd=("a/initrd", "b/initrd"))
    view = IsoView("", ("a/linux", "b/linux", "b/initrd"))
    assert find_boot_files(direct, view) == BootFiles("b/linux", "b/initrd", PLACE)


def test_one_initrd_may_be_for_all_kernels() -> None:
    direct = DirectBoot(kernel=("a", "b"), initrd=("i",))
    assert find_boot_files(direct, IsoView("", ("b", "i"))) == BootFiles("b", "i", PLACE)


def test_the_star_of_an_initrd_is_that_of_its_kernel() -> None:
    direct = DirectBoot(kernel=("live/vmlinuz-*",), initrd=("live/initrd.img-*",))
    names = ("live/initrd.img-6.1.0-9", "live/initrd.img-6.1.0-18", "live/vmlinuz-6.1.0-18")
    assert find_boot_files(direct, IsoView("", names)) == BootFiles(names[2], names[1], PLACE)


def test_a_star_stands_for_anything_where_nothing_else_fits() -> None:
    direct = DirectBoot(kernel=("boot/vmlinuz-*",), initrd=("boot/initramfs-*",))
    view = IsoView("", ("boot/vmlinuz-lts", "boot/initramfs-generic"))
    assert find_boot_files(direct, view) == BootFiles("boot/vmlinuz-lts", "boot/initramfs-generic", PLACE)


def test_a_star_does_not_cross_folders() -> None:
    with pytest.raises(StepError):
        find_boot_files(DirectBoot(kernel=("boot/*",)), IsoView("", ("boot/grub/vmlinuz",)))


def test_a_kernel_may_be_without_an_initrd() -> None:
    assert find_boot_files(DirectBoot(kernel=("linux",)), IsoView("", ("LINUX",))) == BootFiles("LINUX", None, PLACE)


def test_nothing_found_says_what_is_there() -> None:
    with pytest.raises(StepError) as caught:
        find_boot_files(shipped("debian-installer"), ARCH.view())
    assert "none of install.amd/vmlinuz with install.amd/initrd.gz, " in caught.value.message
    assert "there are arch/boot/x86_64/vmlinuz-linux, arch/boot/x86_64/initramfs-linux.img" in caught.value.message
    assert "`boot: typed`" in caught.value.hint


def test_nothing_found_where_nothing_is() -> None:
    with pytest.raises(StepError, match="it has 1 files, none that is called like a kernel"):
        find_boot_files(DirectBoot(kernel=("vmlinuz",)), IsoView("", ("readme.txt",)))


def test_files_called_like_kernels() -> None:
    names = (
        "boot/vmlinuz",
        "boot/vmlinuz.sig",
        "boot/initrd.gz",
        "linux",
        "pool/linux-image.deb",
        "isolinux/linux.c32",
    )
    view = IsoView("", names)
    assert kernels(view) == ("linux", "boot/vmlinuz")
    assert initrds(view) == ("boot/initrd.gz",)


def test_a_kernels_version() -> None:
    assert kernel_version(kernel("6.1.0-40-amd64")) == "6.1.0-40-amd64"
    assert kernel_version(b"MZ" + bytes(4096)) is None
    assert kernel_version(b"") is None


# --- boot menus ----------------------------------------------------------------------------------------------------


def menus(**texts: str) -> IsoView:
    names = ("boot/vmlinuz", "boot/initrd.img", "isolinux/linux", "isolinux/initrd")
    return IsoView("", names, {name.replace("_", "/", 1) + ".cfg": text for name, text in texts.items()})


def test_isolinux_names_its_initrd_among_the_words() -> None:
    text = (
        "default vesamenu.c32\nlabel install\n  menu label ^Install now\n  kernel linux\n  append initrd=initrd quiet\n"
    )
    (entry,) = menu_entries(menus(isolinux_isolinux=text))
    assert (entry.title, entry.kernel, entry.initrd) == ("Install now", "isolinux/linux", "isolinux/initrd")
    assert entry.words == "quiet"


def test_grub_has_its_words_behind_the_kernel() -> None:
    text = (
        'menuentry --hotkey=i "Install it" --class x {\n\tset gfxpayload=keep\n'
        "\tlinux\t(cd0)/boot/vmlinuz $extra root=live ---\n\tinitrd\t$root/boot/initrd.img\n}\n"
    )
    (entry,) = menu_entries(menus(boot_grub=text))
    assert (entry.title, entry.kernel, entry.initrd) == ("Install it", "boot/vmlinuz", "boot/initrd.img")
    assert entry.words == "root=live ---"


def test_a_menu_of_systemd_boot() -> None:
    view = IsoView("", ("boot/vmlinuz", "boot/initrd.img"), {
        "loader/entries/01.conf": "title Live\nlinux /boot/vmlinuz\ninitrd /boot/initrd.img\noptions a=b\n"
    })  # fmt: skip
    (entry,) = menu_entries(view)
    assert (entry.title, entry.kernel, entry.initrd, entry.words) == ("Live", "boot/vmlinuz", "boot/initrd.img", "a=b")


def test_the_same_entry_counts_once_and_what_is_not_there_not_at_all() -> None:
    text = "label a\n kernel linux\nlabel b\n kernel linux\nlabel c\n kernel gone\nlabel d\n kernel vesamenu.c32\n"
    assert [e.title for e in menu_entries(menus(isolinux_isolinux=text))] == ["a"]


def test_no_menu_has_no_entries() -> None:
    assert menu_entries(IsoView("", ("a",), {".treeinfo": "kernel a"})) == ()
