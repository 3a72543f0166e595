"""Alpine's and FreeBSD's answers: shell, judged by shells."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.content.shipped import KEY, ROOT, answer, program

ALPINE = ["answers", "install"]


def parses(text: str, tmp_path: Path) -> bool:
    file = tmp_path / "answers"
    file.write_text(text)
    return subprocess.run(["sh", "-n", str(file)], capture_output=True, check=False).returncode == 0


def sourced(text: str, names: list[str], tmp_path: Path) -> dict[str, str]:
    """The values that *text* gives to *names* when a shell reads it."""
    file = tmp_path / "answers"
    file.write_text(text)
    script = f". {file}; " + "; ".join(f'printf "%s\\0" "${name}"' for name in names)
    result = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=True)
    return dict(zip(names, result.stdout.split("\0"), strict=False))


@pytest.mark.machine
@pytest.mark.parametrize("file", ALPINE)
def test_alpines_answers_are_shell(file: str, tmp_path: Path) -> None:
    text = answer("alpine-3", file, more={"vars": {"root_password": "Open sesame"}})
    assert parses(text, tmp_path)
    assert not parses(text + "\nif true; then\n", tmp_path), "the checker finds nothing"


@pytest.mark.machine
def test_alpines_installer_is_clean_shell(tmp_path: Path) -> None:
    path = tmp_path / "install"
    path.write_text(answer("alpine-3", "install"))
    checker = program("shellcheck", "shellcheck")
    result = subprocess.run(
        [checker, "-s", "sh", "-e", "SC2016", "-x", str(path)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout


@pytest.mark.machine
def test_alpines_answers_say_everything_that_setup_alpine_asks(tmp_path: Path) -> None:
    # setup-alpine asks where a variable is empty (alpine-conf, setup-alpine.in)
    asked = [
        "KEYMAPOPTS", "HOSTNAMEOPTS", "DEVDOPTS", "INTERFACESOPTS", "TIMEZONEOPTS", "PROXYOPTS", "NTPOPTS",
        "APKREPOSOPTS", "USEROPTS", "SSHDOPTS", "ROOTSSHKEY", "DISKOPTS", "ERASE_DISKS", "LBUOPTS", "APKCACHEOPTS",
    ]  # fmt: skip
    said = sourced(answer("alpine-3", "answers"), asked, tmp_path)
    assert [name for name, value in said.items() if not value] == []
    assert said["ROOTSSHKEY"] == KEY
    assert said["DISKOPTS"].split()[-1] == said["ERASE_DISKS"], "the disk that may be erased is the one installed on"
    assert said["APKREPOSOPTS"].split() == [
        "https://dl-cdn.alpinelinux.org/alpine/v3.24/main",
        "https://dl-cdn.alpinelinux.org/alpine/v3.24/community",
    ]
    assert said["PROXYOPTS"] == "none"


@pytest.mark.machine
def test_alpines_overlay_is_the_same_every_time(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "iso" / "alpine-apkovl"
    first, second = tmp_path / "1", tmp_path / "2"
    for output in (first, second):
        subprocess.run([str(script), str(output)], check=True)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.machine
def test_alpines_overlay_runs_the_installer(tmp_path: Path) -> None:
    output = tmp_path / "overlay"
    subprocess.run([str(ROOT / "scripts" / "iso" / "alpine-apkovl"), str(output)], check=True)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(output.read_bytes()))) as archive:
        members = {m.name: m for m in archive.getmembers()}
        start = archive.extractfile("etc/local.d/factory.start")
        assert start is not None
        text = start.read().decode()
        world = archive.extractfile("etc/apk/world")
        assert world is not None
        assert world.read() == b"alpine-base\n"
    assert members["etc/local.d/factory.start"].mode & 0o111
    assert members["etc/runlevels/default/local"].linkname == "/etc/init.d/local"
    assert {m.uid for m in members.values()} == {0}
    assert '"$FACTORY_SEED/install"' in text
    assert parses(text, tmp_path)


def parts_of(installerconfig: str) -> list[str]:
    """bsdinstall cuts the file at lines that begin with ``#!`` (usr.sbin/bsdinstall/scripts/script)."""
    parts = [""]
    for line in installerconfig.splitlines(keepends=True):
        if line.startswith("#!"):
            parts.append("")
        parts[-1] += line
    return parts


FREEBSD = [(fs, pw) for fs in ("ufs", "zfs") for pw in (None, "Open sesame")]


def freebsd(filesystem: str, password: str | None) -> list[str]:
    more = {"vars": {"root_password": password}} if password else None
    return parts_of(answer("freebsd-14", "installerconfig", more=more, filesystem=filesystem))


@pytest.mark.unit
@pytest.mark.parametrize(("filesystem", "password"), FREEBSD)
def test_freebsds_answers_have_two_parts(filesystem: str, password: str | None) -> None:
    preamble, setup = freebsd(filesystem, password)
    assert 'DISTRIBUTIONS="kernel.txz base.txz"' in preamble
    assert ("ZFSBOOT_DISKS" in preamble) is (filesystem == "zfs")
    assert ("PARTITIONS" in preamble) is (filesystem == "ufs")
    assert KEY in setup
    assert "PermitRootLogin prohibit-password" in setup
    assert ("pw usermod root -h -" in setup) is (password is None)
    assert "Open sesame" not in setup


@pytest.mark.unit
def test_a_third_part_would_be_lost() -> None:
    assert len(parts_of("a=1\n#!/bin/sh\ncat > x <<E\n#!/bin/sh\nE\n")) == 3


@pytest.mark.machine
@pytest.mark.parametrize(("filesystem", "password"), FREEBSD)
def test_freebsds_answers_are_shell(filesystem: str, password: str | None, tmp_path: Path) -> None:
    parts = freebsd(filesystem, password)
    for part in parts:
        assert parses(part, tmp_path)
    path = tmp_path / "setup"
    path.write_text(parts[1])
    checker = program("shellcheck", "shellcheck")
    result = subprocess.run(
        [checker, "-s", "sh", "-e", "SC2016", str(path)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout


@pytest.mark.machine
def test_the_farewell_that_freebsd_writes_is_shell(tmp_path: Path) -> None:
    setup = freebsd("ufs", None)[1]
    farewell = setup.split("<<'FAREWELL'\n")[1].split("FAREWELL\n")[0]
    assert parses(farewell, tmp_path)
    assert farewell.rstrip().endswith("shutdown -p now")
    for trace in ("/root/.ssh", "ssh_host_", "/etc/hostid"):
        assert trace in farewell
