"""The scripts that run inside guests: clean shell, right for each distribution, the same when run again."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.content.chroot import GUEST, System
from tests.content.shipped import KEY, program

pytestmark = pytest.mark.machine

SCRIPTS = sorted(path.name for path in GUEST.glob("*.sh"))
ANY: dict[str, dict[str, str]] = {  # distribution → its stand-ins
    "debian": {"apt-get": "", "systemctl": "", "update-grub": ""},
    "el": {"dnf": "", "systemctl": "", "grubby": ""},
    "opensuse": {"zypper": "", "systemctl": "", "grub2-mkconfig": ""},
    "alpine": {"apk": "", "rc-update": "", "rc-service": "", "setup-cloud-init": ""},
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_is_clean_shell(script: str) -> None:
    text = (GUEST / script).read_text()
    assert text.startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in text
    assert (GUEST / script).stat().st_mode & 0o111
    checker = program("shellcheck", "shellcheck")
    result = subprocess.run([checker, "-s", "sh", str(GUEST / script)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    for shell in (["dash", "-n"], [program("busybox", "busybox-static"), "sh", "-n"]):
        assert subprocess.run([*shell, str(GUEST / script)], check=False).returncode == 0


def twice(system: System, script: str, **env: str) -> str:
    """Runs *script* two times: the second run must succeed and change nothing. Returns what the first printed."""
    first = system.run(script, **env)
    assert first.returncode == 0, first.stderr
    before = system.fingerprint()
    second = system.run(script, **env)
    assert second.returncode == 0, second.stderr
    assert system.fingerprint() == before
    return first.stdout


@pytest.mark.parametrize("distribution", ANY)
def test_packages_are_added_by_the_distributions_own_manager(distribution: str, tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins=ANY[distribution])
    result = system.run("base-packages.sh", PACKAGES="curl htop")
    assert result.returncode == 0, result.stderr
    calls = system.calls()
    manager = next(iter(ANY[distribution]))
    assert {call.split()[0] for call in calls} == {manager}
    assert any(call.endswith("curl htop") for call in calls)
    assert any(word in call for call in calls for word in ("upgrade", "patch"))
    assert "clean" in calls[-1] or distribution == "alpine"


def test_an_upgrade_can_be_left_out(tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins=ANY["debian"])
    assert system.run("base-packages.sh", UPGRADE="no").returncode == 0
    assert not any("upgrade" in call for call in system.calls())


def test_a_failing_manager_fails_the_script(tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins={"apt-get": 'case "$*" in *nosuch*) exit 100 ;; esac'})
    assert system.run("base-packages.sh", PACKAGES="nosuch").returncode == 100


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (102, 0), (103, 0), (104, 104)])
def test_zypper_may_want_a_restart_but_not_fail(code: int, expected: int, tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins={"zypper": f'case "$*" in *install*) exit {code} ;; esac'})
    assert system.run("base-packages.sh", PACKAGES="curl").returncode == expected


def test_without_a_known_manager_it_says_so(tmp_path: Path) -> None:
    result = System(tmp_path, stand_ins={}).run("base-packages.sh")
    assert result.returncode == 1
    assert "no package manager" in result.stderr


def test_the_time_zone_is_set(tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins=ANY["debian"])
    system.write("usr/share/zoneinfo/Europe/Berlin", "TZif")
    system.write("etc/timezone", "Etc/UTC\n")
    twice(system, "base-packages.sh", TZ="Europe/Berlin")
    assert (system.root / "etc/localtime").readlink() == Path("/usr/share/zoneinfo/Europe/Berlin")
    assert system.read("etc/timezone") == "Europe/Berlin\n"
    assert system.run("base-packages.sh", TZ="Europe/Atlantis").returncode == 1


@pytest.mark.parametrize("distribution", ANY)
def test_the_table_of_time_zones_is_installed_where_it_is_missing(distribution: str, tmp_path: Path) -> None:
    manager = next(iter(ANY[distribution]))
    zone = "/usr/share/zoneinfo/Europe/Rome"
    body = f'case "$*" in *tzdata | *timezone) mkdir -p {zone[:-5]}; : > {zone} ;; esac'
    system = System(tmp_path, stand_ins={**ANY[distribution], manager: body})
    twice(system, "base-packages.sh", TZ="Europe/Rome")
    assert (system.root / "etc/localtime").readlink() == Path(zone)


@pytest.mark.parametrize("distribution", ANY)
def test_the_guest_agent_is_installed_and_not_started(distribution: str, tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins=ANY[distribution])
    twice(system, "qemu-guest-agent.sh")
    calls = system.calls()
    assert any("qemu-guest-agent" in call for call in calls)
    assert not any("start" in call.split() for call in calls)


@pytest.mark.parametrize("distribution", ANY)
def test_cloud_init_is_made_ready_for_clones(distribution: str, tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins={**ANY[distribution], "cloud-init": ""})
    installers = ["99-installer.cfg", "subiquity-disable-cloudinit-networking.cfg", "curtin-preserve-sources.cfg"]
    for name in installers:
        system.write(f"etc/cloud/cloud.cfg.d/{name}", "datasource_list: [None]\n")
    system.write("etc/cloud/cloud.cfg.d/05_logging.cfg", "keep\n")
    twice(system, "cloud-init.sh")
    left = sorted(p.name for p in (system.root / "etc/cloud/cloud.cfg.d").iterdir())
    assert left == ["05_logging.cfg", "90-factory.cfg"]
    assert "datasource_list: [ NoCloud, ConfigDrive," in system.read("etc/cloud/cloud.cfg.d/90-factory.cfg")
    assert "cloud-init clean --logs" in system.calls()


def test_the_installers_card_moves_to_the_file_that_cloud_init_writes(tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins={**ANY["debian"], "cloud-init": ""})
    head = "# The loopback\nsource /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n\n# The card\n"
    card = "allow-hotplug eth0\niface eth0 inet dhcp\n\tmetric 10\n"
    system.write("etc/network/interfaces", head + card)
    twice(system, "cloud-init.sh")
    assert system.read("etc/network/interfaces") == head
    assert system.read("etc/network/interfaces.d/50-cloud-init") == card


@pytest.mark.parametrize("text", ["auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet dhcp\n"])
def test_without_a_folder_for_it_the_card_stays(text: str, tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins={**ANY["alpine"], "cloud-init": ""})
    system.write("etc/network/interfaces", text)
    twice(system, "cloud-init.sh")
    assert system.read("etc/network/interfaces") == text


@pytest.mark.parametrize("distribution", ANY)
def test_cloud_init_is_installed_where_it_is_missing(distribution: str, tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins=ANY[distribution])
    assert system.run("cloud-init.sh").returncode == 0
    assert any("cloud-init" in call.split() for call in system.calls())


@pytest.mark.parametrize("word", ["false", "False", "no", "0"])
def test_cloud_init_is_removed_when_not_wanted(word: str, tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins={**ANY["debian"], "cloud-init": ""})
    system.write("etc/cloud/cloud.cfg", "x\n")
    system.write("var/lib/cloud/seed/x", "x\n")
    assert system.run("cloud-init.sh", CLOUD_INIT=word).returncode == 0
    assert any("purge cloud-init" in call for call in system.calls())
    assert not (system.root / "etc/cloud").exists()
    assert not (system.root / "var/lib/cloud").exists()


def test_the_serial_console_is_added_once(tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins=ANY["debian"])
    system.write("etc/default/grub", 'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="net.ifnames=0"\n')
    twice(system, "serial-console.sh")
    assert system.read("etc/default/grub") == (
        'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="net.ifnames=0 console=tty0 console=ttyS0,115200n8"\n'
    )
    assert "update-grub " in system.calls()


def test_the_serial_console_uses_grubby_where_it_is(tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins=ANY["el"])
    twice(system, "serial-console.sh")
    assert "grubby --update-kernel=ALL --args=console=tty0 console=ttyS0,115200n8" in system.calls()


def test_a_serial_console_that_is_there_is_left_alone(tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins=ANY["el"])
    system.write("proc/cmdline", "ro console=tty0 console=ttyS0,115200n8\n")
    assert "already" in twice(system, "serial-console.sh")
    assert not any("grubby" in call for call in system.calls())


@pytest.mark.parametrize("main", ["Include /etc/ssh/sshd_config.d/*.conf\n", "Port 22\n"])
def test_ssh_takes_keys_only(main: str, tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins={**ANY["debian"], "sshd": ""})
    system.write("etc/ssh/sshd_config", main)
    twice(system, "harden-ssh.sh")
    assert system.read("etc/ssh/sshd_config").count("Include") == 1
    assert system.read("etc/ssh/sshd_config").startswith("Include")
    assert "PasswordAuthentication no\n" in system.read("etc/ssh/sshd_config.d/10-factory.conf")


def test_settings_that_sshd_refuses_are_taken_back(tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins={"sshd": "exit 255"})
    system.write("etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n")
    assert system.run("harden-ssh.sh").returncode == 1
    assert not (system.root / "etc/ssh/sshd_config.d/10-factory.conf").exists()


def test_the_motd_is_written_and_the_rest_is_silent(tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins={})
    system.write("etc/update-motd.d/10-help", "#!/bin/sh\n").chmod(0o755)
    twice(system, "motd.sh", MOTD="Welcome.\nNo trespassing.")
    assert system.read("etc/motd") == "Welcome.\nNo trespassing.\n"
    assert not (system.root / "etc/update-motd.d/10-help").stat().st_mode & 0o111


def test_no_motd_leaves_the_one_that_is_there(tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins={})
    system.write("etc/motd", "theirs\n")
    twice(system, "motd.sh", MOTD="")
    assert system.read("etc/motd") == "theirs\n"


MIRRORS = {
    "etc/apt/sources.list": (
        "deb http://build.example/debian bookworm main\n"
        "deb http://security.example/debian-security bookworm-security main\n",
        "deb https://new.example/debian bookworm main\n"
        "deb http://security.example/debian-security bookworm-security main\n",
    ),
    "etc/apt/sources.list.d/debian.sources": (
        "Types: deb\nURIs: http://build.example/debian/\nSuites: trixie\nComponents: main\n",
        "Types: deb\nURIs: https://new.example/debian/\nSuites: trixie\nComponents: main\n",
    ),
    "etc/apk/repositories": (
        "#/media/cdrom/apks\nhttps://build.example/alpine/v3.24/main\nhttps://build.example/alpine/v3.24/community\n",
        "#/media/cdrom/apks\nhttps://new.example/debian/v3.24/main\nhttps://new.example/debian/v3.24/community\n",
    ),
    "etc/zypp/repos.d/repo-oss.repo": (
        "[oss]\nbaseurl=http://build.example/distribution/leap/15.6/repo/oss/\n",
        "[oss]\nbaseurl=https://new.example/debian/distribution/leap/15.6/repo/oss/\n",
    ),
}


@pytest.mark.parametrize("file", MIRRORS)
def test_the_finished_image_uses_another_mirror(file: str, tmp_path: Path) -> None:
    before, after = MIRRORS[file]
    system = System(tmp_path, stand_ins={})
    system.write(file, before)
    twice(system, "package-mirror.sh", RELEASED_MIRROR="https://new.example/debian/")
    assert system.read(file) == after


def test_a_list_of_mirrors_gives_way_to_a_fixed_one(tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins={})
    file = "etc/yum.repos.d/baseos.repo"
    system.write(
        file,
        "[baseos]\nmirrorlist=https://mirrors.example/mirrorlist/$releasever/baseos\n"
        "# baseurl=https://repo.example/almalinux/$releasever/BaseOS/$basearch/os/\n",
    )
    twice(system, "package-mirror.sh", RELEASED_MIRROR="https://new.example/almalinux")
    assert system.read(file) == (
        "[baseos]\n#mirrorlist=https://mirrors.example/mirrorlist/$releasever/baseos\n"
        "baseurl=https://new.example/almalinux/$releasever/BaseOS/$basearch/os/\n"
    )


def test_without_a_package_source_the_mirror_is_an_error(tmp_path: Path) -> None:
    result = System(tmp_path, stand_ins={}).run("package-mirror.sh", RELEASED_MIRROR="https://new.example")
    assert result.returncode == 1
    assert "found no package source" in result.stderr


def test_without_a_mirror_nothing_changes(tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins={})
    system.write("etc/apk/repositories", "https://build.example/alpine/v3.24/main\n")
    twice(system, "package-mirror.sh")
    assert system.read("etc/apk/repositories") == "https://build.example/alpine/v3.24/main\n"


SUDO = {
    "sudo": "",
    "visudo": "",
    # As busybox' own on Alpine: the account is locked. With root's numbers, because whoever runs these tests without
    # being root can't give files to anybody else.
    "adduser": """for name; do :; done
echo "$name:x:0:0::/home/$name:/bin/sh" >> /etc/passwd
echo "$name:!:19000:0:99999:7:::" >> /etc/shadow
mkdir -p "/home/$name" """,
}


def test_the_administrator_has_a_key_and_no_password(tmp_path: Path) -> None:
    system = System(tmp_path, stand_ins=SUDO)
    (system.root / "etc/sudoers.d").mkdir()
    twice(system, "admin-user.sh", ADMIN_USER="ada", ADMIN_KEY=KEY)
    home = system.root / "home/ada"
    assert (home / ".ssh/authorized_keys").read_text() == KEY + "\n"
    assert (home / ".ssh/authorized_keys").stat().st_mode & 0o777 == 0o600
    assert (home / ".ssh").stat().st_mode & 0o777 == 0o700
    assert "ada:*:" in system.read("etc/shadow"), "`!` would keep OpenSSH without PAM from taking the key"
    assert system.read("etc/sudoers.d/90-ada") == "ada ALL=(ALL:ALL) NOPASSWD: ALL\n"
    assert any(call.startswith("visudo -c") for call in system.calls())


@pytest.mark.parametrize("missing", ["ADMIN_USER", "ADMIN_KEY"])
def test_an_administrator_without_name_or_key_is_an_error(missing: str, tmp_path: Path) -> None:
    given = {"ADMIN_USER": "ada", "ADMIN_KEY": KEY}
    del given[missing]
    result = System(tmp_path, stand_ins=SUDO).run("admin-user.sh", **given)
    assert result.returncode != 0
    assert missing in result.stderr


def test_vagrants_user_is_the_one_that_vagrant_expects(tmp_path: Path) -> None:
    system = System(tmp_path / "root", stand_ins=SUDO)
    (system.root / "etc/sudoers.d").mkdir()
    twice(system, "vagrant-user.sh")
    keys = system.root / "home/vagrant/.ssh/authorized_keys"
    result = subprocess.run(
        [program("ssh-keygen", "openssh-client"), "-l", "-f", str(keys)], capture_output=True, text=True, check=True
    )
    kinds = sorted(line.rsplit(" ", 1)[1] for line in result.stdout.splitlines())
    assert kinds == ["(RSA)"], "the one that every Vagrant replaces"
    assert system.read("etc/sudoers.d/vagrant") == "vagrant ALL=(ALL:ALL) NOPASSWD: ALL\n"
