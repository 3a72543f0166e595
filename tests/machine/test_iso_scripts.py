"""The scripts that assemble installer ISOs and what travels with them, run for real on this computer's packages."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import jinja2
import pycdlib
import pytest

pytestmark = pytest.mark.machine

SCRIPTS = Path(__file__).parents[2] / "scripts" / "iso"
SEEDS = Path(__file__).parents[2] / "http_seed"
BUILDERS = ("tiny", "debian-netboot", "debian-rootfs", "debian-toolbox")
NETBOOT = Path("/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/initrd.gz")
EFI_PLATFORM = 0xEF

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def run(scratch: Path) -> Run:
    """Runs a script with its temporary files below ``scratch``, where what it leaves behind can be seen."""

    def call(name: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPTS / name, *arguments],
            env={**os.environ, "TMPDIR": str(scratch), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return call


def opened(path: Path) -> pycdlib.PyCdlib:
    iso = pycdlib.PyCdlib()
    iso.open(str(path))
    return iso


def content(iso: pycdlib.PyCdlib, path: str) -> bytes:
    buffer = io.BytesIO()
    iso.get_file_from_iso_fp(buffer, rr_path=path)
    return buffer.getvalue()


def boot_platforms(iso: pycdlib.PyCdlib) -> list[int]:
    """Platform ids of the El Torito catalogue: 0 is BIOS, 0xEF is UEFI."""
    catalogue = iso.eltorito_boot_catalog
    assert catalogue is not None
    return [catalogue.validation_entry.platform_id, *(section.platform_id for section in catalogue.sections)]


def efi_files(image: bytes, folder: Path) -> str:
    path = folder / "efi.img"
    path.write_bytes(image)
    return subprocess.run(["mdir", "-/", "-b", "-i", path, "::/"], capture_output=True, text=True, check=True).stdout


def newest_cloud_kernel() -> Path | None:
    kernels = [path for path in Path("/boot").glob("vmlinuz-*cloud*") if os.access(path, os.R_OK)]
    return max(kernels, default=None)


# --- tiny ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny_iso(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("tiny") / "tiny.iso"
    subprocess.run([SCRIPTS / "tiny", output], check=True, stdin=subprocess.DEVNULL)
    return output


def test_tiny_boots_by_bios_and_by_uefi(tiny_iso: Path, tmp_path: Path) -> None:
    iso = opened(tiny_iso)
    assert boot_platforms(iso) == [0, EFI_PLATFORM]
    assert iso.pvd.volume_identifier.decode().strip() == "TINYOS"
    assert "prompt 1" in content(iso, "/isolinux/isolinux.cfg").decode()
    assert 'echo -n "boot: "' in content(iso, "/boot/grub/grub.cfg").decode()
    assert "::/EFI/BOOT/BOOTX64.EFI" in efi_files(content(iso, "/boot/efi.img"), tmp_path)


def test_tiny_carries_the_kernel_twice_and_the_installer(tiny_iso: Path, tmp_path: Path) -> None:
    iso = opened(tiny_iso)
    initrd = content(iso, "/boot/initrd.img")
    kernel = content(iso, "/boot/vmlinuz")
    expected = newest_cloud_kernel()
    if expected is not None:
        assert kernel == expected.read_bytes()
    # First a stored archive with what becomes the new system's /boot, then a compressed one with the installer.
    end = re.search(rb"TRAILER!!!\x00+(?=\x02\x21\x4c\x18)", initrd)  # what follows is lz4's magic number
    assert end is not None
    start = end.end()
    stored, compressed = initrd[:start], tmp_path / "root.cpio.lz4"
    assert stored.startswith(b"070701")
    assert kernel in stored
    assert b"payload/initrd.img" in stored
    compressed.write_bytes(initrd[start:])
    unpacked = subprocess.run(["lz4", "-dc", compressed], capture_output=True, check=True).stdout
    listed = subprocess.run(["cpio", "-t", "--quiet"], input=unpacked, capture_output=True, check=True).stdout.decode()
    names = set(listed.splitlines())
    assert {"init", "installer/install", "installer/core.img", "installer/BOOTX64.EFI", "usr/sbin/dropbear"} <= names
    assert any(name.endswith("/virtio_blk.ko") for name in names)


def test_tiny_is_the_same_every_time(tiny_iso: Path, run: Run, tmp_path: Path) -> None:
    again = tmp_path / "again.iso"
    assert run("tiny", again).returncode == 0
    assert again.read_bytes() == tiny_iso.read_bytes()


def test_tiny_takes_a_kernel_package_that_was_only_unpacked(tiny_iso: Path, run: Run, tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked"
    for folder in ("boot", "lib"):
        (unpacked / folder).mkdir(parents=True)
    subprocess.run(
        ["sh", "-c", f"cp -as /boot/vmlinuz-* {unpacked}/boot && cp -as /lib/modules {unpacked}/lib"], check=True
    )
    for index in unpacked.glob("lib/modules/*/modules.dep*"):  # made when a package is installed
        index.unlink()
    built = run("tiny", tmp_path / "other.iso", KERNEL_ROOT=str(unpacked))
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "other.iso").read_bytes() == tiny_iso.read_bytes()
    lacking = run("tiny", tmp_path / "none.iso", KERNEL_ROOT=str(tmp_path))
    assert lacking.returncode == 1
    assert lacking.stderr == f"tiny: there is no folder {tmp_path}/lib/modules\n"


def test_tiny_takes_a_label(run: Run, tmp_path: Path) -> None:
    output = tmp_path / "other.iso"
    result = run("tiny", output, VOLUME_ID="OTHER_1")
    assert result.returncode == 0, result.stderr
    iso = opened(output)
    assert iso.pvd.volume_identifier.decode().strip() == "OTHER_1"
    # GRUB finds its configuration by the same label.
    assert b"--label OTHER_1" in content(iso, "/boot/efi.img")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"KERNEL": "9.9.9-none"}, "KERNEL=9.9.9-none: no such folder: /lib/modules/9.9.9-none"),
        ({"KERNEL_IMAGE": "/nowhere/vmlinuz"}, "no such kernel: /nowhere/vmlinuz"),
        ({"VOLUME_ID": "lower case"}, "VOLUME_ID=lower case: must be 1 to 32 of A-Z, 0-9 and _"),
        ({"SOURCE_DATE_EPOCH": "yesterday"}, "SOURCE_DATE_EPOCH=yesterday: must be a number of seconds"),
        ({"EXTRA_MODULES": "no_such_driver"}, "has no module no_such_driver"),
        ({"PATH": "/nonexistent"}, "missing packages: "),
    ],
)
def test_tiny_says_what_is_wrong(
    run: Run, tmp_path: Path, scratch: Path, environment: Mapping[str, str], message: str
) -> None:
    if "PATH" in environment:
        environment = {"PATH": str(_path_without("xorriso", tmp_path))}
        message = "missing packages: xorriso (apt-get install xorriso)"
    result = run("tiny", tmp_path / "out.iso", **environment)
    assert result.returncode == 1
    assert message in result.stderr
    assert not list(tmp_path.glob("out.iso*"))
    assert not list(scratch.iterdir())


def _path_without(program: str, folder: Path) -> Path:
    """A PATH folder with every program of this computer but one."""
    place = folder / "bin"
    place.mkdir()
    for source in ("/usr/bin", "/usr/sbin"):
        for file in Path(source).iterdir():
            if file.name != program and not (place / file.name).exists():
                (place / file.name).symlink_to(file)
    return place


# --- debian-netboot -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(not NETBOOT.exists(), reason="debian-installer-12-netboot-amd64 is not installed")
def test_debian_netboot_has_debians_kernel_initrd_and_menus(run: Run, tmp_path: Path, scratch: Path) -> None:
    output = tmp_path / "debian.iso"
    result = run("debian-netboot", output)
    assert result.returncode == 0, result.stderr
    assert not list(scratch.iterdir())
    iso = opened(output)
    assert boot_platforms(iso) == [0, EFI_PLATFORM]
    assert content(iso, "/debian-installer/amd64/initrd.gz") == NETBOOT.read_bytes()
    assert content(iso, "/debian-installer/amd64/linux") == (NETBOOT.parent / "linux").read_bytes()
    menu = content(iso, "/debian-installer/amd64/boot-screens/adtxt.cfg").decode()
    assert "label auto" in menu
    assert "initrd=/debian-installer/amd64/initrd.gz" in menu
    assert "menuentry 'Install'" in content(iso, "/boot/grub/grub.cfg").decode()
    assert "::/EFI/BOOT/BOOTX64.EFI" in efi_files(content(iso, "/boot/efi.img"), tmp_path)


def test_debian_netboot_names_the_package_it_lacks(run: Run, tmp_path: Path) -> None:
    result = run("debian-netboot", tmp_path / "out.iso", DI_IMAGES="/nowhere")
    assert result.returncode == 1
    assert "missing packages: debian-installer-12-netboot-amd64" in result.stderr
    assert not list(tmp_path.glob("out.iso*"))


# --- mirrors ------------------------------------------------------------------------------------------------------

DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://first.example/debian/
Suites: bookworm
 bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main
"""
ONE_LINE = """\
deb [arch=amd64 signed-by=/x.gpg] https://second.example/debian trixie main non-free # the newer one
# deb http://commented.example/debian trixie main
deb cdrom:[Debian]/ trixie main
deb http://tools.example/apt stable main
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "apt"
    (folder / "sources.list.d").mkdir(parents=True)
    (folder / "sources.list").write_text(ONE_LINE)
    (folder / "sources.list.d" / "debian.sources").write_text(DEB822)
    return folder


def test_the_hosts_mirror_is_read_from_both_formats(run: Run, sources: Path) -> None:
    lines = run("debian-mirror", "bookworm", SOURCES_DIR=str(sources)).stdout.splitlines()
    assert lines == [
        "deb http://first.example/debian bookworm main",
        "deb http://first.example/debian bookworm-updates main",
    ]
    assert run("debian-mirror", "--url", "trixie", SOURCES_DIR=str(sources)).stdout == "https://second.example/debian\n"


def test_a_suite_that_no_source_has_is_a_failure(run: Run, sources: Path) -> None:
    result = run("debian-mirror", "--url", "sid", SOURCES_DIR=str(sources))
    assert (result.returncode, result.stdout) == (1, "")


def test_an_archive_without_components_is_told(run: Run, tmp_path: Path, scratch: Path) -> None:
    if not Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists():
        pytest.skip("debian-archive-keyring is not installed")
    (tmp_path / "empty").mkdir()
    result = run("mirror-has-udebs", f"file:{tmp_path}/empty", "bookworm")
    assert result.returncode == 1
    assert "has no installer components for bookworm" in result.stderr
    assert not list(scratch.iterdir())


@pytest.mark.skipif(not NETBOOT.exists(), reason="debian-installer-12-netboot-amd64 is not installed")
def test_a_plain_toolbox_only_names_the_mirror(run: Run, tmp_path: Path) -> None:
    output = tmp_path / "toolbox.tar"
    result = run("debian-toolbox", output, METHOD="plain", MIRROR="http://mirror.example/debian/")
    assert result.returncode == 0, result.stderr
    shutil.unpack_archive(output, tmp_path / "unpacked")
    tools = tmp_path / "unpacked" / "tools"
    assert {file.name: file.read_text() for file in tools.iterdir()} == {
        "method": "plain\n",
        "mirror": "http://mirror.example/debian\n",
        "suite": "bookworm\n",
    }


def test_a_toolbox_knows_its_methods_only(run: Run, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (images / "initrd.gz").write_bytes(b"")
    result = run(
        "debian-toolbox", tmp_path / "out.tar", METHOD="magic", MIRROR="http://mirror.example", DI_IMAGES=str(images)
    )
    assert result.returncode == 1
    assert "METHOD=magic: must be plain or toolbox" in result.stderr


# --- all of them --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUILDERS)
def test_wrong_calls_are_told_how_it_goes(run: Run, name: str, tmp_path: Path) -> None:
    for arguments in ((), ("--help",), (tmp_path / "a", tmp_path / "b")):
        result = run(name, *arguments)
        assert result.returncode == 1
        assert result.stderr == f"{name}: usage: scripts/iso/{name} OUTPUT_FILE\n"
    result = run(name, tmp_path / "no" / "folder" / "x.iso")
    assert result.returncode == 1
    assert f"{name}: no such folder: {tmp_path}/no/folder" in result.stderr


def test_an_unknown_suite_is_refused_before_anything_is_fetched(run: Run, tmp_path: Path) -> None:
    result = run("debian-rootfs", tmp_path / "out.tar", SUITE="not a suite")
    assert result.returncode == 1
    assert "SUITE=not a suite: must be the name of a Debian release" in result.stderr


def rendered(seed: Path) -> str:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    environment.filters["sha512_crypt"] = lambda text: f"$6$salt$of-{text}"
    return environment.from_string(seed.read_text()).render(
        seed={"url": "http://10.0.2.2:1/token"},
        build={"name": "demo", "ssh_public_key": "ssh-ed25519 AAAA build"},
        vars={"root_password": "secret"},
        install={},
    )


@pytest.mark.parametrize("seed", ["tiny/seed.j2", "debian-quick/seed.j2", "debian-netboot/install.j2"])
def test_shell_seeds_are_shell(seed: str, tmp_path: Path) -> None:
    script = tmp_path / "seed"
    script.write_text(rendered(SEEDS / seed))
    subprocess.run(["sh", "-n", script], check=True)
    assert "ssh-ed25519 AAAA build" in script.read_text()
    assert "$6$salt$of-secret" in script.read_text()


def test_shellcheck_has_nothing_to_say() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    scripts = [
        path
        for path in sorted(SCRIPTS.rglob("*"))
        if path.is_file() and path.read_bytes()[:2] == b"#!" and b"sh" in path.read_bytes().split(b"\n", 1)[0]
    ]
    assert len(scripts) >= 8
    result = subprocess.run(
        ["shellcheck", *scripts], cwd=SCRIPTS.parents[1], capture_output=True, text=True, check=False
    )
    assert result.stdout == ""
