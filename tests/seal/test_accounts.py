"""Removed users leave nothing, wherever their homes are; what is not theirs stays."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from factory.errors import TemplateError
from factory.events import ignore
from factory.seal.model import Family, GuestInfo, Init, SealOptions, Subject
from factory.seal.operations import OPERATIONS
from factory.seal.operations.accounts import check_users, homes_of
from factory.seal.sanitise import preview, prove, sanitise
from tests.seal.dirty_disk import write_tree
from tests.seal.folder_files import FolderFiles

pytestmark = pytest.mark.unit

PASSWD = "root:x:0:0::/root:/bin/sh\nadmin:x:1000:1000::/home/admin:/bin/sh\nbuilder:x:999:999::{}:/bin/sh\n"
OPERATION = OPERATIONS["user-account"]


def remove(root: Path, *names: str) -> list[str]:
    """What the proof says after it, as a seal does it."""
    files = FolderFiles(root)
    options = SealOptions(remove_users=names)
    options = replace(options, homes=asyncio.run(homes_of(files, names)))
    subject = Subject(files, GuestInfo(Family.DEBIAN, init=Init.SYSTEMD), options)
    asyncio.run(sanitise(subject, [OPERATION], ignore))
    return [b.message for b in asyncio.run(prove(subject, [OPERATION]))]


@pytest.mark.parametrize("home", ["/var/lib/builder", "/opt/builder/", "//srv/builder", "/home/builder"])
def test_the_home_is_where_passwd_says(home: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"etc/passwd": PASSWD.format(home), f"{home.strip('/')}/.netrc": "x", "home/admin/x": "x"})
    assert remove(tmp_path, "builder") == []
    assert not (tmp_path / home.strip("/")).exists()
    assert (tmp_path / "home/admin/x").exists()


def test_a_home_that_stays_is_seen_by_the_proof(tmp_path: Path) -> None:
    write_tree(tmp_path, {"etc/passwd": "root:x:0:0::/root:/bin/sh\n", "var/lib/builder/x": "x"})
    options = SealOptions(remove_users=("builder",), homes={"builder": ("/var/lib/builder",)})
    subject = Subject(FolderFiles(tmp_path), GuestInfo(Family.DEBIAN), options)
    (broken,) = asyncio.run(prove(subject, [OPERATION]))
    assert broken.message == "/var/lib/builder of a removed user is still there"


@pytest.mark.parametrize(
    "home", ["/", "/root", "/home", "/usr/sbin", "/var/lib", "/var/www", "/home/admin", "/home/../root", "", "/etc/x"]
)
def test_a_home_of_the_system_or_of_somebody_else_stays(home: str, tmp_path: Path) -> None:
    kept = dict.fromkeys(("root/a", "home/admin/a", "usr/sbin/a", "var/lib/a", "var/www/a", "etc/x/a"), "x")
    write_tree(tmp_path, {**kept, "etc/passwd": PASSWD.format(home)})
    assert remove(tmp_path, "builder") == []
    assert [p for p in kept if not (tmp_path / p).exists()] == []
    assert "builder" not in (tmp_path / "etc/passwd").read_text()


def test_a_home_above_another_one_stays(tmp_path: Path) -> None:
    passwd = PASSWD.format("/data/people") + "other:x:5:5::/data/people/other:/bin/sh\n"
    write_tree(tmp_path, {"etc/passwd": passwd, "data/people/other/x": "x"})
    assert remove(tmp_path, "builder") == []
    assert (tmp_path / "data/people/other/x").exists()


def test_nothing_that_services_keep_for_a_user_stays(tmp_path: Path) -> None:
    own = [
        "var/mail/builder", "var/spool/mail/builder", "var/spool/cron/crontabs/builder", "var/spool/cron/builder",
        "etc/crontabs/builder", "var/lib/AccountsService/users/builder", "var/lib/AccountsService/icons/builder",
        "var/lib/systemd/linger/builder", "var/lib/sudo/lectured/builder",
    ]  # fmt: skip
    write_tree(
        tmp_path,
        dict.fromkeys(own, "x")
        | {
            "etc/passwd": PASSWD.format("/home/builder"),
            "etc/subuid": "builder:100000:65536\nadmin:165536:65536\n",
            "etc/subgid": "builder:100000:65536\n",
            "etc/group": "sudo:x:27:builder,admin\nbuilder:x:999:\nfree:x:7:",
            "etc/gshadow": "sudo:*::builder,admin\nbuilder:!::\n",
            "etc/sudoers": "root ALL=(ALL) ALL\nbuilder ALL=(ALL) NOPASSWD: ALL\n",
            "etc/sudoers.d/10-installer": "builder ALL=(ALL) NOPASSWD: ALL\nadmin ALL=(ALL) ALL\n",
            "var/mail/builders": "stays",
        },
    )
    assert remove(tmp_path, "builder") == []
    assert [p for p in own if (tmp_path / p).exists()] == []
    assert (tmp_path / "etc/subuid").read_text() == "admin:165536:65536\n"
    assert (tmp_path / "etc/group").read_text() == "sudo:x:27:admin\nfree:x:7:"
    assert (tmp_path / "etc/gshadow").read_text() == "sudo:*::admin\n"
    assert (tmp_path / "etc/sudoers").read_text() == "root ALL=(ALL) ALL\n"
    assert (tmp_path / "etc/sudoers.d/10-installer").read_text() == "admin ALL=(ALL) ALL\n"
    assert (tmp_path / "var/mail/builders").exists()


def test_the_group_of_somebody_who_stays_stays(tmp_path: Path) -> None:
    passwd = PASSWD.format("/home/builder") + "ci:x:7:999::/home/ci:/bin/sh\n"
    write_tree(
        tmp_path, {"etc/passwd": passwd, "etc/group": "builder:x:999:ci,builder\n", "etc/gshadow": "builder:!::\n"}
    )
    assert remove(tmp_path, "builder") == []
    assert (tmp_path / "etc/group").read_text() == "builder:x:999:ci\n"
    assert (tmp_path / "etc/gshadow").read_text() == "builder:!::\n"


@pytest.mark.parametrize("name", ["*", "a/b", "..", "", "ad?in", "{a,b}", "[a]", "root"])
def test_what_is_no_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"no user's name|can't be removed"):
        check_users((name,))
    write_tree(tmp_path, {"home/admin/x": "x"})
    subject = Subject(FolderFiles(tmp_path), GuestInfo(Family.DEBIAN), SealOptions(remove_users=(name,)))
    with pytest.raises(TemplateError):
        asyncio.run(preview(subject, OPERATION))
    assert (tmp_path / "home/admin/x").exists()


@pytest.mark.parametrize(
    ("home", "twin"),
    [
        ("/opt/app", "var/opt/app"), ("/opt/app", "usr/opt/app"), ("/local/app", "usr/local/app"),
        ("/www/site", "var/www/site"), ("/share/doc", "usr/share/doc"), ("/spool/cron", "var/spool/cron"),
    ],
)  # fmt: skip
def test_a_folder_of_the_same_name_elsewhere_is_not_the_users(home: str, twin: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"etc/passwd": PASSWD.format(home), f"{home.strip('/')}/x": "x", f"{twin}/y": "y"})
    assert remove(tmp_path, "builder") == []
    assert not (tmp_path / home.strip("/")).exists()
    assert (tmp_path / twin / "y").exists()


def test_the_home_of_somebody_else_behind_a_link_stays(tmp_path: Path) -> None:
    passwd = PASSWD.format("/home/bob") + "al:x:5:5::/var/home/bob:/bin/sh\n"
    write_tree(tmp_path, {"etc/passwd": passwd, "var/home/bob/x": "x"})
    (tmp_path / "home").symlink_to("var/home")
    assert remove(tmp_path, "builder") == []
    assert (tmp_path / "var/home/bob/x").exists()


@pytest.mark.parametrize(("folder", "target"), [("var/home", "var/home"), ("usr/home", "/usr/home")])
@pytest.mark.parametrize("name", ["builder", "gone"])
def test_a_home_below_a_folder_that_is_a_link_goes(folder: str, target: str, name: str, tmp_path: Path) -> None:
    """As image-based systems and BSD have it; also of a user whom passwd does not know."""
    write_tree(tmp_path, {"etc/passwd": PASSWD.format("/home/builder"), f"{folder}/{name}/x": "x", f"{folder}/a/x": ""})
    (tmp_path / "home").symlink_to(target)
    assert remove(tmp_path, name) == []
    assert [p.name for p in (tmp_path / folder).iterdir()] == ["a"]
    assert (tmp_path / "home").is_symlink()


@pytest.mark.parametrize("target", ["/data/bob", "../data/bob", "/data/link"])
def test_a_home_that_is_a_link_goes_with_what_it_leads_to(target: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"etc/passwd": PASSWD.format("/home/bob"), "data/bob/.netrc": "x", "data/al/x": "x"})
    (tmp_path / "home").mkdir()
    (tmp_path / "home/bob").symlink_to(target)
    (tmp_path / "data/link").symlink_to("bob")
    assert remove(tmp_path, "builder") == []
    left = {"al"} if target == "/data/link" else {"al", "link"}
    assert {p.name for p in (tmp_path / "data").iterdir()} == left
    assert not (tmp_path / "home/bob").is_symlink()


def test_the_proof_looks_behind_the_link_that_is_gone(tmp_path: Path) -> None:
    write_tree(tmp_path, {"etc/passwd": PASSWD.format("/home/bob"), "data/bob/.netrc": "x"})
    (tmp_path / "home").mkdir()
    (tmp_path / "home/bob").symlink_to("/data/bob")
    files = FolderFiles(tmp_path)
    options = SealOptions(remove_users=("builder",), homes=asyncio.run(homes_of(files, ["builder"])))
    (tmp_path / "home/bob").unlink()
    (tmp_path / "etc/passwd").write_text("")
    subject = Subject(files, GuestInfo(Family.DEBIAN), options)
    assert [b.message for b in asyncio.run(prove(subject, [OPERATION]))] == [
        "/data/bob of a removed user is still there"
    ]


@pytest.mark.parametrize("target", ["/etc", "/var/lib", "/usr/share/x", "/data", "admin", "..", "loop", "nothing"])
def test_a_link_to_what_is_not_the_users_goes_alone(target: str, tmp_path: Path) -> None:
    kept = dict.fromkeys(("etc/a", "var/lib/a", "usr/share/x/a", "data/al/a", "home/admin/a"), "x")
    passwd = PASSWD.format("/home/bob") + "al:x:5:5::/people/al:/bin/sh\n"
    write_tree(tmp_path, {**kept, "etc/passwd": passwd})
    (tmp_path / "people").symlink_to("data")
    (tmp_path / "home/bob").symlink_to(target)
    (tmp_path / "home/loop").symlink_to("bob")
    assert remove(tmp_path, "builder") == []
    assert [p for p in kept if not (tmp_path / p).exists()] == []
    assert not (tmp_path / "home/bob").is_symlink()


def test_a_home_in_which_the_link_to_another_home_lies_stays(tmp_path: Path) -> None:
    passwd = PASSWD.format("/home/bob") + "al:x:5:5::/home/bob/links/al:/bin/sh\n"
    write_tree(tmp_path, {"etc/passwd": passwd, "data/al/x": "x"})
    (tmp_path / "home/bob").mkdir(parents=True)
    (tmp_path / "home/bob/links").symlink_to("/data")
    assert remove(tmp_path, "builder") == []
    assert (tmp_path / "home/bob/links").is_symlink()


def test_what_services_keep_behind_a_link_goes_too(tmp_path: Path) -> None:
    write_tree(tmp_path, {"etc/passwd": PASSWD.format("/home/builder"), "data/mail/builder": "x", "data/mail/al": "x"})
    (tmp_path / "var").mkdir()
    (tmp_path / "var/mail").symlink_to("/data/mail")
    assert remove(tmp_path, "builder") == []
    assert [p.name for p in (tmp_path / "data/mail").iterdir()] == ["al"]


def test_a_users_name_that_is_a_folder_of_a_service_takes_nothing_with_it(tmp_path: Path) -> None:
    passwd = PASSWD.format("/home/builder") + "crontabs:x:5:5::/home/crontabs:/bin/sh\n"
    write_tree(tmp_path, {"etc/passwd": passwd, "var/spool/cron/crontabs/root": "x"})
    assert remove(tmp_path, "crontabs") == []
    assert (tmp_path / "var/spool/cron/crontabs/root").exists()


@pytest.mark.parametrize("home", ["/data/sys", "/data/sys/var", "/data/sys/var/lib", "/data/sys/var/log"])
def test_where_links_put_the_systems_own_folders_is_the_systems(home: str, tmp_path: Path) -> None:
    kept = dict.fromkeys(("data/sys/var/lib/dpkg/status", "data/sys/var/log/x"), "x")
    write_tree(tmp_path, {**kept, "etc/passwd": PASSWD.format(home)})
    (tmp_path / "var").symlink_to("data/sys/var")
    assert remove(tmp_path, "builder") == []
    assert [p for p in kept if not (tmp_path / p).exists()] == []
