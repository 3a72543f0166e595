"""Anaconda's answers, judged by pykickstart for the very version that is installed."""

from __future__ import annotations

import pytest
from pykickstart.errors import KickstartError
from pykickstart.parser import KickstartParser
from pykickstart.version import makeVersion

from tests.content.shipped import KEY, answer

pytestmark = pytest.mark.unit

VERSIONS = {"almalinux-9": "RHEL9", "rocky-9": "RHEL9", "fedora-44": "F44"}
MEDIA = [
    (name, media)
    for name, all_media in {
        "almalinux-9": ("boot", "minimal", "dvd"),
        "rocky-9": ("boot", "minimal", "dvd"),
        "fedora-44": ("netinst", "dvd"),
    }.items()
    for media in all_media
]


def parsed(name: str, text: str) -> KickstartParser:
    parser = KickstartParser(makeVersion(VERSIONS[name]), errorsAreFatal=True, missingIncludeIsFatal=True)
    parser.readKickstartFromString(text)
    return parser


@pytest.mark.parametrize(("name", "media"), MEDIA)
def test_pykickstart_takes_it(name: str, media: str, recwarn: pytest.WarningsRecorder) -> None:
    handler = parsed(name, answer(name, "ks.cfg", media=media)).handler
    assert [str(w.message) for w in recwarn] == [], "deprecated words are errors to be"
    assert handler.reboot.action is not None
    assert handler.rootpw.lock is True
    assert handler.rootpw.password == ""
    (key,) = handler.sshkey.sshUserList
    assert (key.username, key.key) == ("root", KEY)


def test_pykickstart_refuses_a_wrong_word() -> None:
    with pytest.raises(KickstartError, match="Unknown command"):
        parsed("rocky-9", answer("rocky-9", "ks.cfg") + "\nrootpasswd --lock\n")


@pytest.mark.parametrize("name", VERSIONS)
def test_the_small_cd_names_its_trees_below_the_mirror(name: str) -> None:
    handler = parsed(name, answer(name, "ks.cfg", mirror="https://mirror.example/linux/")).handler
    assert handler.method.method == "url"
    assert handler.url.url.startswith("https://mirror.example/linux/")
    assert "//" not in handler.url.url.removeprefix("https://")
    (repository,) = handler.repo.repoList
    assert repository.name == ("updates" if name == "fedora-44" else "AppStream")
    assert repository.baseurl.startswith("https://mirror.example/linux/")


@pytest.mark.parametrize(("name", "media"), [(n, m) for n, m in MEDIA if m in ("minimal", "dvd")])
def test_the_large_cds_need_no_network(name: str, media: str) -> None:
    handler = parsed(name, answer(name, "ks.cfg", media=media)).handler
    assert handler.method.method == "cdrom"
    assert handler.repo.repoList == []


def test_the_minimal_cd_is_not_asked_for_what_it_lacks() -> None:
    packages = parsed("almalinux-9", answer("almalinux-9", "ks.cfg", media="minimal")).handler.packages
    assert "cloud-init" not in packages.packageList
    assert "dracut-config-generic" in packages.packageList


@pytest.mark.parametrize("name", VERSIONS)
def test_the_root_file_system_comes_last_and_grows(name: str) -> None:
    handler = parsed(name, answer(name, "ks.cfg")).handler
    (root,) = handler.partition.partitions
    assert (root.mountpoint, root.grow) == ("/", True)
    assert handler.reqpart.reqpart is True
    assert handler.reqpart.addBoot is True
    assert handler.clearpart.disklabel == "gpt"
    assert handler.zerombr.zerombr is True
    assert "console=ttyS0" in handler.bootloader.appendLine


@pytest.mark.parametrize("name", VERSIONS)
def test_the_initramfs_is_for_any_hardware(name: str) -> None:
    packages = parsed(name, answer(name, "ks.cfg")).handler.packages
    assert "dracut-config-generic" in packages.packageList
    assert packages.excludeWeakdeps is True
    assert [g.name for g in packages.groupList] == ["core"]


def test_without_cloud_init_it_is_not_installed() -> None:
    packages = parsed("rocky-9", answer("rocky-9", "ks.cfg", cloud_init="false")).handler.packages
    assert "cloud-init" not in packages.packageList


def test_one_disk_of_several_can_be_named() -> None:
    text = answer("rocky-9", "ks.cfg", more={"install": {"disk": "/dev/sdb"}})
    assert parsed("rocky-9", text).handler.ignoredisk.onlyuse == ["sdb"]


def test_a_password_for_the_console_is_hashed() -> None:
    text = answer("rocky-9", "ks.cfg", more={"vars": {"root_password": "Open sesame"}})
    handler = parsed("rocky-9", text).handler
    assert "Open sesame" not in text
    assert handler.rootpw.isCrypted is True
    assert handler.rootpw.password.startswith("$6$")
