"""Makes small dirty disks on the host, without root: sfdisk, mke2fs, mkswap, mkfs.vfat."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from factory.secret import encodings

MIB = 2**20
BUILD_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0fR1Yl9pS8b7NqVd1kX3m5c2wQeT4uH6zYoLaPbKgD factory build key"
USER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBZ3vQm8xT5eWc1rYk7uJ2nHs9dLq4fPa6gCtXoEiVbM admin@example.org"
CANARIES = {f"canary{n}": f'Can\'ary-{n:02}-{n * 7919:06}/="x" é' for n in range(30)}
"""Secrets with everything in them that an encoding changes."""
GAPS = {40 * 512: "left-before-the-first-partition", -MIB + 8192: "left-behind-the-last-partition"}
"""Where text lies outside of all partitions: bytes from the start of the disk, or from its end."""

DEBIAN: Mapping[str, str | bytes] = {
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n',
    "etc/fstab": (
        "LABEL=root / ext4 errors=remount-ro 0 1\nLABEL=SWAP none swap sw 0 0\nLABEL=ESP /boot/efi vfat defaults 0 1\n"
        "/swapfile none swap sw 0 0\n"
    ),
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
    "etc/passwd-": "root:old:0:0::/root:/bin/sh\n",
    "etc/shadow-": "root:$y$j9T$old:1::::::\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "var/lib/dbus/machine-id": "0123456789abcdef0123456789abcdef\n",
    "usr/lib/systemd/systemd": b"\x7fELF\2\1\1".ljust(16, b"\0") + b"\3\0\x3e\0",
    "usr/sbin/sshd": b"\x7fELF",
    "usr/bin/ssh-keygen": b"\x7fELF",
    "usr/sbin/resize2fs": b"\x7fELF",
    "usr/bin/growpart": "#!/bin/sh\n",
    "usr/lib/systemd/system/ssh.service": "[Service]\nExecStart=/usr/sbin/sshd -D\n",
    "etc/systemd/system/multi-user.target.wants/placeholder.service": "",
    "etc/ssh/sshd_config": "PermitRootLogin yes\n",
    "etc/ssh/ssh_host_ed25519_key": "a host key\n",
    "etc/ssh/ssh_host_ed25519_key.pub": "ssh-ed25519 AAAA host\n",
    "root/.ssh/authorized_keys": f"{BUILD_KEY}\n{USER_KEY}\n",
    "home/admin/.ssh/authorized_keys": f"{BUILD_KEY}\n",
    "root/.bash_history": "export PASSWORD=secret\n",
    "root/.cache/pip/x": "x" * 100,
    "var/log/syslog": "a line of the build\n" * 50,
    "var/log/syslog.1.gz": b"\x1f\x8bold",
    "var/log/journal/0123456789abcdef0123456789abcdef/system.journal": b"LPKSHHRH" + bytes(4000),
    "var/log/wtmp": b"\1" * 384,
    "var/log/installer/cdebconf/questions.dat": "passwd/root-password: hunter2hunter2\n",
    "var/cache/debconf/passwords.dat": "Name: passwd/root-password\nValue: hunter2hunter2\n",
    "var/cache/apt/archives/bash_5.deb": b"!<arch>\n" + bytes(3000),
    "var/cache/apt/pkgcache.bin": bytes(2000),
    "var/lib/apt/lists/mirror.example_dists_bookworm_Release": "lists\n",
    "var/lib/systemd/random-seed": b"\x55" * 512,
    "var/lib/systemd/credential.secret": b"\x66" * 256,
    "var/lib/cloud/instances/i-1/user-data.txt": "#cloud-config\npassword: x\n",
    "var/lib/dhcp/dhclient.eth0.leases": "lease {}\n",
    "var/lib/NetworkManager/secret_key": b"nm",
    "etc/netplan/50-cloud-init.yaml": (
        "network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n      match:\n"
        "        macaddress: 52:54:00:12:34:56\n      set-name: eth0\n"
    ),
    "etc/network/interfaces": "auto eth0\niface eth0 inet dhcp\n  hwaddress ether 52:54:00:12:34:56\n",
    "etc/udev/rules.d/70-persistent-net.rules": "rule\n",
    "etc/hosts~": "backup\n",
    "tmp/.hidden/left": "left\n",
    "var/tmp/script.sh": "left\n",
    "var/mail/root": "From: cron\n",
    "var/crash/_usr_bin_x.crash": "dump\n",
    "etc/motd": "welcome\n",
    "usr/share/doc/readme": "stays\n",
}


@dataclass(frozen=True, slots=True)
class DirtyDisk:
    path: Path
    root_offset: int
    root_size: int
    swap_offset: int
    swap_size: int
    canaries: Mapping[str, str] = field(default_factory=dict)


def program(*argv: object, text: str | None = None) -> str:
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "MKE2FS_SYNC": "0"}
    return subprocess.run(
        [str(a) for a in argv], check=True, capture_output=True, text=True, input=text, env=environment
    ).stdout


def write_tree(root: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def make_dirty_debian(folder: Path, *, size_mib: int = 160, block_size: int = 4096) -> DirtyDisk:
    """ESP + swap + ext4 root, with a fake Debian, a swap file, freed blocks and swap full of canaries."""
    tree = folder / "tree"
    write_tree(tree, DEBIAN)
    names = list(CANARIES)
    spelled = [spelling for n in names[:10] for spelling in encodings(CANARIES[n])]
    write_tree(tree, {"var/log/secrets.log": "\n".join(spelled) + "\n", "tmp/provision.sh": "\n".join(spelled)})
    (tree / "boot" / "efi").mkdir(parents=True)
    # Deleted before the seal: these blocks are free on entry, and still hold it all.
    freed = "\n".join(s for n in names[10:20] for s in encodings(CANARIES[n]))
    write_tree(tree, {"deleted": freed.ljust(40_000, "#"), "deleted-small": freed[:900], "swapfile": ""})
    swapped = "\n".join(s for n in names[20:] for s in encodings(CANARIES[n])).encode()
    (tree / "swapfile").write_bytes(bytes(4096) + swapped.ljust(MIB - 4096, b"\0"))
    path = folder / "dirty.raw"
    with path.open("wb") as stream:
        stream.truncate(size_mib * MIB)
    program("sfdisk", "-q", path, text="label: gpt\nstart=1MiB,size=8MiB,type=uefi\nsize=16MiB,type=swap\ntype=linux\n")
    root, root_size = 25 * MIB, (size_mib - 26) * MIB
    program(
        "mke2fs", "-q", "-F", "-t", "ext4", "-b", block_size, "-L", "root", "-E", f"offset={root}", "-d", tree, path,
        root_size // block_size,
    )  # fmt: skip
    program("debugfs", "-w", "-f", "-", f"{path}?offset={root}", text="rm /deleted\nrm /deleted-small\n")
    swap, esp = folder / "swap", folder / "esp"
    for part, size in ((swap, 16 * MIB), (esp, 8 * MIB)):
        with part.open("wb") as stream:
            stream.truncate(size)
    program("mkswap", "-q", "-L", "SWAP", swap)
    program("mkfs.vfat", "-n", "ESP", esp)
    with path.open("r+b") as stream:
        stream.seek(9 * MIB)
        stream.write(swap.read_bytes()[:8192] + swapped)
        stream.seek(MIB)
        stream.write(esp.read_bytes())
        for at, text in GAPS.items():
            stream.seek(at if at > 0 else size_mib * MIB + at)
            stream.write(text.encode())
    return DirtyDisk(path, root, root_size, 9 * MIB, 16 * MIB, CANARIES)
