"""The Debian installer's answers, judged by debconf and by what partman's recipes must be."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.content.shipped import KEY, answer, program

DEBIAN = ["debian-12", "debian-13"]


def questions(text: str) -> dict[str, str]:
    """``question → value`` of a preseed, lines with a backslash joined."""
    found = {}
    for line in re.sub(r"\\\n", "", text).splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\S+)[ \t]+(\S+)[ \t]+(\S+)(?:[ \t](.*))?", line)
        assert match, f"not a line of a preseed: {line!r}"
        found[match[2]] = (match[4] or "").strip()
    return found


def checked(answers: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What debconf says of *answers*, with a database of its own: this computer's may be in use."""
    checker = program("debconf-set-selections", "debconf")
    databases = "".join(
        f"\nName: {name}\nDriver: File\nFilename: {folder / name}.dat\n" for name in ("config", "templates")
    )
    (folder / "debconf.conf").write_text(f"Config: config\nTemplates: templates\n{databases}")
    (folder / "preseed.cfg").write_text(answers)
    return subprocess.run(
        [checker, "-c", "-v", str(folder / "preseed.cfg")],
        env={**os.environ, "DEBCONF_SYSTEMRC": str(folder / "debconf.conf")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.machine
@pytest.mark.parametrize("name", DEBIAN)
def test_debconf_takes_it(name: str, tmp_path: Path) -> None:
    result = checked(answer(name, "preseed.cfg"), tmp_path)
    assert result.returncode == 0, result.stderr
    assert "warning" not in result.stderr.lower(), result.stderr


@pytest.mark.machine
def test_debconf_refuses_a_broken_one(tmp_path: Path) -> None:
    result = checked(answer("debian-12", "preseed.cfg") + "d-i partman-auto/method\n", tmp_path)
    assert result.returncode != 0 or "warning" in result.stderr.lower()


@pytest.mark.unit
@pytest.mark.parametrize("name", DEBIAN)
def test_nothing_is_left_to_ask(name: str) -> None:
    said = questions(answer(name, "preseed.cfg"))
    for question, value in {
        "partman/confirm": "true",
        "partman/confirm_nooverwrite": "true",
        "partman/choose_partition": "finish",
        "partman-basicfilesystems/no_swap": "false",
        "passwd/make-user": "false",
        "passwd/root-password-crypted": "!",
        "pkgsel/update-policy": "none",
        "popularity-contest/participate": "false",
        "grub-installer/force-efi-extra-removable": "true",
        "apt-setup/cdrom/set-first": "false",
        "finish-install/reboot_in_progress": "",
    }.items():
        assert said[question] == value, question


@pytest.mark.unit
def test_the_mirror_of_the_host_is_taken_apart() -> None:
    said = questions(answer("debian-12", "preseed.cfg"))
    assert said["mirror/country"] == "manual"
    assert said["mirror/protocol"] == "http"
    assert said["mirror/http/hostname"] == "mirror.example"
    assert said["mirror/http/directory"] == "/debian"


@pytest.mark.unit
@pytest.mark.parametrize(
    ("mirror", "expected"),
    [
        ("mirror.example", ("http", "mirror.example", "/debian")),
        ("https://mirror.example:8443/a/b/debian/", ("https", "mirror.example:8443", "/a/b/debian")),
    ],
)
def test_a_mirror_may_be_a_host_or_a_url(mirror: str, expected: tuple[str, str, str]) -> None:
    said = questions(answer("debian-12", "preseed.cfg", mirror=mirror))
    protocol = said["mirror/protocol"]
    assert (protocol, said[f"mirror/{protocol}/hostname"], said[f"mirror/{protocol}/directory"]) == expected


@pytest.mark.unit
def test_without_a_mirror_the_cd_is_enough() -> None:
    said = questions(answer("debian-12", "preseed.cfg", mirror=""))
    assert said["apt-setup/use_mirror"] == "false"
    assert said["apt-setup/services-select"] == ""
    assert "mirror/http/hostname" not in said
    assert "cloud-init" not in said["pkgsel/include"], "it is not on the CD"


def recipe(text: str) -> list[str]:
    """The partitions of the recipe, as partman cuts them: from one full stop to the next."""
    words = questions(text)["partman-auto/expert_recipe"].split()
    assert words[1] == "::"
    assert words[-1] == "."
    return [part.strip() for part in " ".join(words[2:]).split(" .") if part.strip()]


@pytest.mark.unit
@pytest.mark.parametrize("name", DEBIAN)
def test_the_recipe_is_one_that_partman_reads(name: str) -> None:
    text = answer(name, "preseed.cfg")
    partitions = recipe(text)
    for part in partitions:
        assert re.fullmatch(r"\d+ \d+ -?\d+ [a-z0-9-]+( (\$?[a-z_/]+\{( [^{}]+)? \}))+", part), part
    core, esp, root = partitions
    assert "method{ biosgrub }" in core
    assert "method{ efi }" in esp
    assert "mountpoint{ / }" in root
    smallest, priority, largest = (int(n) for n in root.split()[:3])
    assert smallest < priority
    assert largest == -1, "the last one takes what is left, and can grow"
    said = questions(text)
    assert said["partman-auto/choose_recipe"] == said["partman-auto/expert_recipe"].split()[0]


@pytest.mark.unit
def test_the_recipe_follows_the_file_system() -> None:
    root = recipe(answer("debian-12", "preseed.cfg", more={"install": {"filesystem": "xfs"}}))[-1]
    assert "filesystem{ xfs }" in root
    assert " xfs $primary" in root


@pytest.mark.unit
def test_the_builds_key_opens_root_and_nothing_else_does() -> None:
    said = questions(answer("debian-13", "preseed.cfg"))
    late = said["preseed/late_command"]
    assert f"echo '{KEY}' > /target/root/.ssh/authorized_keys" in late
    assert late.index("mkdir") < late.index("echo")
    assert "passwd/user-fullname" not in said


@pytest.mark.machine
def test_the_late_command_is_shell(tmp_path: Path) -> None:
    file = tmp_path / "late.sh"
    file.write_text(questions(answer("debian-12", "preseed.cfg"))["preseed/late_command"])
    assert subprocess.run(["sh", "-n", str(file)], check=False).returncode == 0
    checked = subprocess.run([program("shellcheck", "shellcheck"), "-s", "sh", "-e", "SC2016", str(file)], check=False)
    assert checked.returncode == 0


@pytest.mark.unit
def test_a_password_for_the_console_is_hashed() -> None:
    text = answer("debian-12", "preseed.cfg", more={"vars": {"root_password": "Open sesame"}})
    assert "Open sesame" not in text
    assert questions(text)["passwd/root-password-crypted"].startswith("$6$")
