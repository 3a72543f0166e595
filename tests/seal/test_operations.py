"""Each operation on real files: what it does, what it leaves alone, and that its proof fails when it has not run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from factory.errors import TemplateError
from factory.events import ignore
from factory.seal.files import Case
from factory.seal.model import Family, GuestInfo, Init, SealOptions, Subject
from factory.seal.operations import DEVICE_OPERATIONS, OPERATIONS, select, select_devices
from factory.seal.sanitise import preview, prove, sanitise
from factory.template.seal_operations import SEAL_OPERATIONS
from tests.seal.dirty_disk import BUILD_KEY, DEBIAN, USER_KEY, write_tree
from tests.seal.folder_files import FolderFiles

pytestmark = pytest.mark.unit

DEBIAN_12 = GuestInfo(Family.DEBIAN, "debian", "12", "Debian", Init.SYSTEMD)
ALPINE = GuestInfo(Family.ALPINE, "alpine", "3.20", "Alpine", Init.OPENRC)
FEDORA = GuestInfo(Family.REDHAT, "fedora", "40", "Fedora", Init.SYSTEMD)
TINY = GuestInfo(Family.LINUX, "tiny", "1", "tiny", Init.BUSYBOX)
WINDOWS = GuestInfo(Family.WINDOWS, "windows", name="Windows")

# One file that each operation must deal with, and the guest that it is for. An operation without an entry fails below.
DIRT: dict[str, tuple[GuestInfo, dict[str, str | bytes]]] = {
    "build-key": (DEBIAN_12, {"root/.ssh/authorized_keys": f"{BUILD_KEY}\n{USER_KEY}\n"}),
    "ssh-known-hosts": (DEBIAN_12, {"home/a/.ssh/known_hosts": "host\n"}),
    "ssh-userdir": (DEBIAN_12, {"home/a/.ssh/id_rsa": "key\n"}),
    "user-account": (DEBIAN_12, {"etc/passwd": "root:x:0:0::/root:/bin/sh\ntemp:x:1000:1000::/home/temp:/bin/sh\n"}),
    "cloud-init": (DEBIAN_12, {"var/lib/cloud/instances/i-1/sem/config": "x"}),
    "rh-subscription-manager": (FEDORA, {"etc/pki/consumer/cert.pem": "x"}),
    "rhn-systemid": (FEDORA, {"etc/sysconfig/rhn/systemid": "x"}),
    "suse-registration": (GuestInfo(Family.SUSE, "sles"), {"etc/SUSEConnect": "x"}),
    "ubuntu-pro": (DEBIAN_12, {"var/lib/ubuntu-advantage/private/machine-token.json": "x"}),
    "configuration-agents": (DEBIAN_12, {"etc/salt/pki/minion/minion.pem": "x"}),
    "kerberos-hostkeytab": (DEBIAN_12, {"etc/krb5.keytab": "x"}),
    "kerberos-data": (FEDORA, {"var/kerberos/krb5kdc/principal": "x"}),
    "ipa-client": (FEDORA, {"etc/ipa/default.conf": "x"}),
    "sssd-db-log": (FEDORA, {"var/lib/sss/db/cache.ldb": "x"}),
    "samba-db-log": (DEBIAN_12, {"var/lib/samba/private/secrets.tdb": "x"}),
    "pam-data": (FEDORA, {"var/lib/faillock/root": "x"}),
    "dovecot-data": (DEBIAN_12, {"var/lib/dovecot/ssl-parameters.dat": "x"}),
    "lvm-system-devices": (FEDORA, {"etc/lvm/devices/system.devices": "x"}),
    "container-state": (DEBIAN_12, {"var/lib/kubelet/pki/kubelet.key": "x"}),
    "apt-cache": (DEBIAN_12, {"var/lib/apt/lists/mirror_Release": "x"}),
    "rpm-cache": (FEDORA, {"var/cache/dnf/updates/x.rpm": "x"}),
    "rpm-db": (FEDORA, {"var/lib/rpm/__db.001": "x"}),
    "yum-uuid": (FEDORA, {"var/lib/yum/uuid": "x"}),
    "apk-cache": (ALPINE, {"var/cache/apk/APKINDEX.tar.gz": "x"}),
    "pacman-cache": (GuestInfo(Family.ARCH, "arch"), {"var/cache/pacman/pkg/x.pkg.tar.zst": "x"}),
    "snapd-cache": (DEBIAN_12, {"var/lib/snapd/cache/abc": "x"}),
    "other-caches": (DEBIAN_12, {"var/cache/man/de/index.db": "x"}),
    "ca-certificates": (DEBIAN_12, {"usr/local/share/ca-certificates/own.crt": "x"}),
    "dhcp-client-state": (ALPINE, {"var/lib/dhcpcd/duid": "x"}),
    "dhcp-server-state": (DEBIAN_12, {"var/lib/misc/dnsmasq.leases": "x"}),
    "net-hwaddr": (FEDORA, {"etc/sysconfig/network-scripts/ifcfg-eth0": "DEVICE=eth0\nHWADDR=52:54:00:00:00:01\n"}),
    "udev-persistent-net": (DEBIAN_12, {"etc/udev/rules.d/70-persistent-net.rules": "x"}),
    "net-hostname": (FEDORA, {"etc/sysconfig/network-scripts/ifcfg-eth0": "DEVICE=eth0\nDHCP_HOSTNAME=build\n"}),
    "net-nmconn": (FEDORA, {"etc/NetworkManager/system-connections/a.nmconnection": "x"}),
    "hostname": (DEBIAN_12, {"etc/hostname": "builder\n"}),
    "firewall-rules": (FEDORA, {"etc/sysconfig/iptables": "x"}),
    "logs": (DEBIAN_12, {"var/log/syslog": "x", "var/log/syslog.2.gz": "x", "var/log/journal/1/system.journal": "x"}),
    "utmp": (DEBIAN_12, {"var/run/utmp": "x"}),
    "pacct-log": (FEDORA, {"var/account/pacct": "x"}),
    "shell-history": (DEBIAN_12, {"home/a/.zsh_history": "x"}),
    "user-caches": (DEBIAN_12, {"root/.cache/pip/wheel": "x"}),
    "tmp-files": (DEBIAN_12, {"tmp/.hidden": "x", "var/tmp/a/b": "x"}),
    "crash-data": (DEBIAN_12, {"var/lib/systemd/coredump/core.zst": "x"}),
    "abrt-data": (FEDORA, {"var/spool/abrt/ccpp/backtrace": "x"}),
    "backup-files": (DEBIAN_12, {"etc/deep/down/hosts~": "x", "root/.a.swp": "x"}),
    "passwd-backups": (DEBIAN_12, {"etc/shadow-": "x"}),
    "installer-leftovers": (FEDORA, {"root/anaconda-ks.cfg": "rootpw secret\n"}),
    "mail-spool": (DEBIAN_12, {"var/mail/root": "x"}),
    "cron-spool": (DEBIAN_12, {"var/spool/cron/atjobs/a0001": "x"}),
    "user-crontabs": (DEBIAN_12, {"var/spool/cron/crontabs/root": "x"}),
    "blkid-tab": (DEBIAN_12, {"etc/blkid/blkid.tab": "x"}),
    "service-state": (DEBIAN_12, {"var/lib/systemd/timers/stamp-apt-daily.timer": "x"}),
    "flag-reconfiguration": (FEDORA, {"etc/os-release": "ID=fedora\n"}),
    "machine-id": (DEBIAN_12, {"etc/machine-id": "0" * 32}),
    "ssh-host-keys": (DEBIAN_12, {"etc/ssh/ssh_host_rsa_key": "x"}),
    "random-seed": (DEBIAN_12, {"var/lib/systemd/random-seed": "x"}),
    "credential-secret": (DEBIAN_12, {"var/lib/systemd/credential.secret": "x"}),
    "host-id": (DEBIAN_12, {"etc/nvme/hostid": "x"}),
    "iscsi-initiator": (DEBIAN_12, {"etc/iscsi/initiatorname.iscsi": "InitiatorName=iqn.1993-08.org.debian:01:abc\n"}),
    "snakeoil-certificate": (
        DEBIAN_12,
        {"usr/sbin/make-ssl-cert": "x", "etc/ssl/private/ssl-cert-snakeoil.key": "x"},
    ),
    "windows-memory-files": (WINDOWS, {"pagefile.sys": "x"}),
    "windows-tmp": (WINDOWS, {"Windows/Temp/x": "x"}),
    "windows-update-cache": (WINDOWS, {"windows/softwaredistribution/Download/x": "x"}),
    "windows-crash-data": (WINDOWS, {"Windows/memory.dmp": "x"}),
    "windows-installer-leftovers": (WINDOWS, {"Windows/Panther/unattend.xml": "x"}),
    "windows-ssh": (WINDOWS, {"ProgramData/ssh/ssh_host_rsa_key": "x"}),
    "windows-history": (
        WINDOWS,
        {"Users/a/AppData/Roaming/Microsoft/Windows/PowerShell/PSReadLine/ConsoleHost_history.txt": "x"},
    ),
}
OPTIONS = SealOptions(build_keys=(BUILD_KEY,), remove_users=("temp",))


def subject(root: Path, guest: GuestInfo, options: SealOptions = OPTIONS) -> Subject:
    case = Case.IGNORED if guest.family is Family.WINDOWS else Case.MATTERS
    return Subject(FolderFiles(root, case), guest, options)


def seal(root: Path, guest: GuestInfo, names: Sequence[str]) -> None:
    asyncio.run(sanitise(subject(root, guest), [OPERATIONS[n] for n in names], ignore))


def broken(root: Path, guest: GuestInfo, names: Sequence[str]) -> list[str]:
    return [str(b) for b in asyncio.run(prove(subject(root, guest), [OPERATIONS[n] for n in names]))]


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_does_its_work_and_its_proof_sees_when_it_has_not_run(name: str, tmp_path: Path) -> None:
    guest, dirt = DIRT[name]
    write_tree(tmp_path, {**dirt, "etc/motd": "stays\n", "home/a/work.txt": "stays\n"})
    assert OPERATIONS[name].fits(guest)
    assert broken(tmp_path, guest, [name]), "the proof finds nothing wrong before the operation has run"
    seal(tmp_path, guest, [name])
    assert broken(tmp_path, guest, [name]) == []
    assert (tmp_path / "etc/motd").read_text() == "stays\n"
    assert (tmp_path / "home/a/work.txt").read_text() == "stays\n"


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_says_what_and_why(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation.what
    assert operation.why
    assert operation.default or operation.why.startswith("off: "), "what is off says so"
    assert operation.remove or operation.empty or operation.strip or (operation.act and operation.check)


def test_a_whole_debian_is_clean_after_all_operations(tmp_path: Path) -> None:
    write_tree(tmp_path, DEBIAN)
    names = [o.name for o in select(DEBIAN_12, OPTIONS)]
    seal(tmp_path, DEBIAN_12, names)
    assert broken(tmp_path, DEBIAN_12, names) == []
    assert (tmp_path / "etc/machine-id").read_bytes() == b""
    assert (tmp_path / "root/.ssh/authorized_keys").read_text() == f"{USER_KEY}\n"
    assert not (tmp_path / "home/admin/.ssh/authorized_keys").exists()
    assert (tmp_path / "var/log/syslog").read_bytes() == b""
    assert (tmp_path / "usr/share/doc/readme").read_text() == "stays\n"
    netplan = (tmp_path / "etc/netplan/50-cloud-init.yaml").read_text()
    assert "dhcp4: true" in netplan
    assert "match" not in netplan
    assert "set-name" not in netplan
    assert "hwaddress" not in (tmp_path / "etc/network/interfaces").read_text()


def test_sealing_twice_changes_nothing(tmp_path: Path) -> None:
    write_tree(tmp_path, DEBIAN)
    names = [o.name for o in select(DEBIAN_12, OPTIONS)]
    seal(tmp_path, DEBIAN_12, names)
    before = snapshot(tmp_path)
    seal(tmp_path, DEBIAN_12, names)
    assert snapshot(tmp_path) == before


def snapshot(root: Path) -> Mapping[str, bytes]:
    return {str(p): p.read_bytes() for p in root.rglob("*") if p.is_file() and not p.is_symlink()}


SSHD = {"usr/sbin/sshd": "x", "usr/bin/ssh-keygen": "x", "etc/ssh/ssh_host_rsa_key": "x"}
UNIT = "etc/systemd/system/factory-ssh-host-keys.service"


def test_debian_gets_a_unit_that_makes_host_keys(tmp_path: Path) -> None:
    write_tree(tmp_path, SSHD)
    seal(tmp_path, DEBIAN_12, ["ssh-host-keys"])
    unit = (tmp_path / UNIT).read_text()
    assert "ExecStart=/usr/bin/ssh-keygen -A" in unit
    assert "Before=ssh.service" in unit
    link = tmp_path / "etc/systemd/system/multi-user.target.wants/factory-ssh-host-keys.service"
    assert link.is_symlink()
    assert link.resolve() == (tmp_path / UNIT).resolve()
    (tmp_path / UNIT).unlink()
    assert "nothing makes new SSH host keys" in broken(tmp_path, DEBIAN_12, ["ssh-host-keys"])[0]


@pytest.mark.parametrize(
    ("guest", "more"),
    [(FEDORA, {"usr/lib/systemd/system/sshd-keygen@.service": "x"}), (ALPINE, {"etc/init.d/sshd": "x"})],
)
def test_systems_that_make_host_keys_themselves_get_no_unit(
    guest: GuestInfo, more: Mapping[str, str], tmp_path: Path
) -> None:
    write_tree(tmp_path, {**SSHD, **more})
    seal(tmp_path, guest, ["ssh-host-keys"])
    assert not (tmp_path / UNIT).exists()
    assert broken(tmp_path, guest, ["ssh-host-keys"]) == []


@pytest.mark.parametrize(
    ("starter", "adds"),
    [
        ("[ -f /etc/dropbear/key ] || dropbearkey -t ed25519 -f /etc/dropbear/key\ndropbear -r /etc/dropbear/key\n", 0),
        ("/usr/sbin/dropbear -R -p 22\n", 0),
        ("# dropbearkey makes keys\n/usr/sbin/dropbear -p 22\n", 1),
    ],
)
def test_dropbear_gets_help_only_where_its_init_makes_no_keys(starter: str, adds: int, tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {"sbin/init": f"#!/bin/sh\n{starter}", "usr/sbin/dropbear": "x", "etc/inittab": "::respawn:sh\n"}
        | {"etc/dropbear/key": "x"},
    )
    seal(tmp_path, TINY, ["ssh-host-keys"])
    assert not (tmp_path / "etc/dropbear/key").exists()
    assert (tmp_path / "etc/inittab").read_text().count("::sysinit:/usr/lib/factory/") == adds
    assert (tmp_path / "usr/lib/factory/factory-dropbear-host-keys").exists() == bool(adds)


def test_the_build_key_goes_whatever_its_comment_and_options(tmp_path: Path) -> None:
    body = BUILD_KEY.split()[1]
    lines = f'command="x" ssh-ed25519 {body} other comment\n{USER_KEY}\n'
    write_tree(tmp_path, {"home/a/.ssh/authorized_keys": lines})
    seal(tmp_path, DEBIAN_12, ["build-key"])
    assert (tmp_path / "home/a/.ssh/authorized_keys").read_text() == f"{USER_KEY}\n"


def test_a_user_goes_from_groups_too(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            "etc/passwd": "root:x:0:0::/root:/bin/sh\ntemp:x:1000:1000::/home/temp:/bin/sh\n",
            "etc/group": "sudo:x:27:temp,admin\ntemp:x:1000:\n",
            "home/temp/x": "x",
            "etc/sudoers.d/90-temp": "temp ALL=(ALL) NOPASSWD:ALL\n",
        },
    )
    seal(tmp_path, DEBIAN_12, ["user-account"])
    assert (tmp_path / "etc/passwd").read_text() == "root:x:0:0::/root:/bin/sh\n"
    assert (tmp_path / "etc/group").read_text() == "sudo:x:27:admin\n"
    assert not (tmp_path / "home/temp").exists()
    assert (tmp_path / "etc/sudoers.d/90-temp").read_text() == ""


def test_preview_names_what_would_go_and_touches_nothing(tmp_path: Path) -> None:
    write_tree(tmp_path, DEBIAN)
    before = snapshot(tmp_path)
    paths = asyncio.run(preview(subject(tmp_path, DEBIAN_12), OPERATIONS["logs"]))
    assert "/var/log/syslog" in paths
    assert "/var/log/installer" in paths
    assert snapshot(tmp_path) == before


def test_selection(tmp_path: Path) -> None:
    by_default = {o.name for o in select(DEBIAN_12, SealOptions())}
    assert "logs" in by_default
    assert "hostname" not in by_default
    assert "rpm-cache" not in by_default
    assert [o.name for o in select(DEBIAN_12, SealOptions(only=("hostname",)))] == ["hostname"]
    assert "logs" not in {o.name for o in select(DEBIAN_12, SealOptions(except_=("logs",)))}
    added = {o.name for o in select(DEBIAN_12, SealOptions(only=("+hostname",)))}
    assert added == by_default | {"hostname"}
    assert select_devices(SealOptions()) == []
    assert [o.name for o in select_devices(SealOptions(only=("+lvm-uuids",)))] == ["lvm-uuids"]
    assert [o.name for o in select_devices(SealOptions(only=("fs-uuids",)))] == ["fs-uuids"]
    with pytest.raises(TemplateError, match="no seal operation 'mashine-id'") as error:
        select(DEBIAN_12, SealOptions(only=("mashine-id",)))
    assert "'machine-id'" in error.value.hint


# virt-sysprep 1.48 `--list-operations` → ours. "customize" and "script" are the template's provisioners.
SYSPREP = {
    "abrt-data": "abrt-data", "backup-files": "backup-files", "bash-history": "shell-history",
    "blkid-tab": "blkid-tab", "ca-certificates": "ca-certificates", "crash-data": "crash-data",
    "cron-spool": "cron-spool", "dhcp-client-state": "dhcp-client-state", "dhcp-server-state": "dhcp-server-state",
    "dovecot-data": "dovecot-data", "firewall-rules": "firewall-rules", "fs-uuids": "fs-uuids",
    "flag-reconfiguration": "flag-reconfiguration", "ipa-client": "ipa-client", "kerberos-data": "kerberos-data",
    "kerberos-hostkeytab": "kerberos-hostkeytab", "logfiles": "logs", "lvm-system-devices": "lvm-system-devices",
    "lvm-uuids": "lvm-uuids",
    "machine-id": "machine-id", "mail-spool": "mail-spool", "net-hostname": "net-hostname",
    "net-hwaddr": "net-hwaddr", "net-nmconn": "net-nmconn", "pacct-log": "pacct-log",
    "package-manager-cache": "apt-cache", "pam-data": "pam-data", "passwd-backups": "passwd-backups",
    "puppet-data-log": "configuration-agents", "rh-subscription-manager": "rh-subscription-manager",
    "rhn-systemid": "rhn-systemid", "rpm-db": "rpm-db", "samba-db-log": "samba-db-log", "smolt-uuid": "host-id",
    "ssh-hostkeys": "ssh-host-keys", "ssh-userdir": "ssh-userdir", "sssd-db-log": "sssd-db-log",
    "tmp-files": "tmp-files", "udev-persistent-net": "udev-persistent-net", "user-account": "user-account",
    "utmp": "utmp", "yum-uuid": "yum-uuid", "zsh-history": "shell-history",
}  # fmt: skip


def test_every_operation_of_virt_sysprep_has_its_like() -> None:
    assert not set(SYSPREP.values()) - set(OPERATIONS) - set(DEVICE_OPERATIONS)


def test_templates_know_every_operation_by_name() -> None:
    assert sorted(SEAL_OPERATIONS) == sorted([*OPERATIONS, *DEVICE_OPERATIONS])


def test_a_machine_id_that_is_a_link_is_replaced_by_an_empty_file(tmp_path: Path) -> None:
    write_tree(tmp_path, {"var/lib/dbus/machine-id": "0" * 32, "etc/motd": ""})
    (tmp_path / "etc/machine-id").symlink_to("/var/lib/dbus/machine-id")
    assert len(broken(tmp_path, DEBIAN_12, ["machine-id"])) == 2
    seal(tmp_path, DEBIAN_12, ["machine-id"])
    assert broken(tmp_path, DEBIAN_12, ["machine-id"]) == []
    assert not (tmp_path / "etc/machine-id").is_symlink()
    assert (tmp_path / "etc/machine-id").read_bytes() == b""
    assert not (tmp_path / "var/lib/dbus/machine-id").exists()


LINKED = (
    "etc/machine-id",
    "etc/hostname",
    "etc/passwd",
    "etc/group",
    "etc/inittab",
    "etc/iscsi/initiatorname.iscsi",
    "etc/netplan/a.yaml",
    "etc/os-release",
    "root/.ssh/authorized_keys",
    "etc/sudoers.d/temp",
    "etc/fstab",
)


@pytest.mark.parametrize("guest", [DEBIAN_12, ALPINE, FEDORA, TINY, WINDOWS], ids=lambda guest: guest.id)
@pytest.mark.parametrize("kind", ["link to nowhere", "bytes"])
def test_no_operation_stumbles_over_a_file_that_is_none(kind: str, guest: GuestInfo, tmp_path: Path) -> None:
    for name in LINKED:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "bytes":
            path.write_bytes(b"\tx: [\xff\0:\n")
        else:
            path.symlink_to("/nowhere/at/all")
    names = [o.name for o in OPERATIONS.values() if o.fits(guest) and o.name != "hostname"]
    seal(tmp_path, guest, names)
    assert broken(tmp_path, guest, names) == []


def test_lines_stay_gone_when_a_file_has_no_others(tmp_path: Path) -> None:
    write_tree(tmp_path, {"etc/sysconfig/network-scripts/ifcfg-eth0": "HOSTNAME=a\n"})
    seal(tmp_path, FEDORA, ["net-hostname"])
    assert (tmp_path / "etc/sysconfig/network-scripts/ifcfg-eth0").read_bytes() == b""
