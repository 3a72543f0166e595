"""What makes one machine this machine: ids, seeds, host keys. Two clones must share none of it."""

from __future__ import annotations

from factory.seal.files import read_regular
from factory.seal.model import UNIX, Family, Operation, Subject
from factory.seal.operations.host_keys import check_regeneration, install_regeneration
from factory.seal.operations.snakeoil import check_snakeoil, renew_snakeoil

_MACHINE_ID = "/etc/machine-id"
_INITIATOR = "/etc/iscsi/initiatorname.iscsi"


async def _empty_machine_id(subject: Subject) -> None:
    # A link (to D-Bus's copy, say) is replaced by a file: what it points to is removed, or belongs to somebody else.
    # Empty, not "uninitialized": the latter makes systemd treat the next boot as the very first one, which presets all
    # units anew and may ask questions on the console (machine-id(5), systemd-firstboot(1)).
    if await subject.files.exists(_MACHINE_ID):
        await subject.files.write(_MACHINE_ID, b"")


async def _check_machine_id(subject: Subject) -> list[str]:
    if not await subject.files.exists(_MACHINE_ID):
        return []
    content = await read_regular(subject.files, _MACHINE_ID)
    if content is None:
        return [f"{_MACHINE_ID} is no file, and may lead to an id"]
    return [f"{_MACHINE_ID} still holds an id"] if content.strip() else []


async def _renew_initiator(subject: Subject) -> None:
    if not await subject.files.exists(_INITIATOR):
        return
    if subject.guest.family is Family.DEBIAN:  # open-iscsi's start script there understands this line
        await subject.files.write(_INITIATOR, b"GenerateName=yes\n")
    else:  # iscsi-init.service makes the file when it is missing
        await subject.files.remove([_INITIATOR])


async def _check_initiator(subject: Subject) -> list[str]:
    content = await read_regular(subject.files, _INITIATOR) or b""
    named = any(line.startswith(b"InitiatorName=") for line in content.splitlines())
    return [f"{_INITIATOR} still names this machine"] if named else []


OPERATIONS = (
    Operation(
        "machine-id",
        "empties /etc/machine-id and removes D-Bus's copies",
        "DHCP leases, journals and licences take two machines with one id for the same",
        remove=("/var/lib/dbus/machine-id", "/var/db/dbus/machine-id", "/usr/local/var/lib/dbus/machine-id"),
        act=_empty_machine_id,
        check=_check_machine_id,
    ),
    Operation(
        "ssh-host-keys",
        "removes SSH host keys (OpenSSH's and dropbear's) and makes sure that the first boot makes new ones",
        "whoever has the image could pose as every machine made from it; Debian and Ubuntu alone don't make new ones",
        families=UNIX,
        remove=(
            "/etc/ssh/*_host_*",
            "/usr/local/etc/ssh/ssh_host_*",
            "/etc/dropbear/*key",
            "/etc/dropbear/*key.pub",
            "/etc/dropbear-initramfs/dropbear_*_host_key",
            "/etc/dropbear/initramfs/dropbear_*_host_key",
        ),
        act=install_regeneration,
        check=check_regeneration,
    ),
    Operation(
        "random-seed",
        "removes stored random seeds",
        "clones that start from the same entropy may draw the same keys",
        families=UNIX,
        remove=(
            "/var/lib/systemd/random-seed",
            "/var/lib/urandom/random-seed",
            "/var/lib/random-seed",
            "/var/lib/misc/random-seed",
            "/var/lib/seedrng/**",
            "/var/lib/urandom/urandom.*",
            "/var/db/entropy/*",
            "/entropy",
            "/boot/entropy",
            "/boot/loader/random-seed",
            "/boot/efi/loader/random-seed",
            "/efi/loader/random-seed",
        ),
    ),
    Operation(
        "credential-secret",
        "removes systemd's host credential key",
        "it decrypts every credential sealed on any clone; systemd makes a new one when it is needed",
        remove=("/var/lib/systemd/credential.secret",),
    ),
    Operation(
        "host-id",
        "removes ids of storage and cluster software: iSCSI, NVMe over fabrics, hostid, multipath, zerotier, tailscale",
        "targets and coordinators tell machines apart by them",
        remove=(
            "/etc/hostid",
            "/etc/nvme/hostnqn",
            "/etc/nvme/hostid",
            "/etc/multipath/{wwids,bindings}",
            "/var/lib/zerotier-one/{identity.public,identity.secret}",
            "/var/lib/tailscale/tailscaled.state",
            "/var/lib/tailscale/derpmap.cached.json",
            "/etc/smolt/{uuid,hw-uuid}",
            "/etc/Pegasus/*.{cnf,crt,csr,pem,srl}",
            "/etc/sysconfig/hw-uuid",
            "/etc/hw-uuid",
            "/var/lib/smolt/uuid",
            "/etc/rndc.key",
            "/etc/bind/rndc.key",
            "/etc/docker/key.json",
        ),
    ),
    Operation(
        "iscsi-initiator",
        "has the iSCSI initiator name made anew on the first boot",
        "two initiators of one name corrupt each other's sessions",
        act=_renew_initiator,
        check=_check_initiator,
    ),
    Operation(
        "snakeoil-certificate",
        "removes Debian's self-signed certificate and its key, and makes a new pair on first boot",
        "its private key is in the image: every clone, and everyone who has the image, would share it",
        act=renew_snakeoil,
        check=check_snakeoil,
    ),
)
