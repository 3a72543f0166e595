"""What libguestfs needs of this host: an interpreter that imports it, an environment, a way out of its errors."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from factory.deadline import Deadline
from factory.drivers import process
from factory.errors import CommandFailed, Evidence, HostError, StepError
from factory.quantity import Duration, Size

PACKAGES = "python3-guestfs libguestfs-tools supermin libguestfs-xfs zerofree linux-image-cloud-amd64"
INSTALL = f"on Debian or Ubuntu: apt-get install --no-install-recommends {PACKAGES}"


@dataclass(frozen=True, slots=True)
class ApplianceSettings:
    """How this host runs the appliance.

    ``accelerator`` is the *measured* one: anything but "kvm" forces TCG, for libguestfs would try KVM as soon as
    ``/dev/kvm`` opens. ``cache_dir`` keeps the appliance that supermin builds (some 370 MB) between builds.
    """

    interpreter: Path
    cache_dir: Path
    accelerator: str = "tcg"
    memory: Size = Size(0)
    """0 leaves libguestfs's own default."""

    def environment(self, runtime_dir: Path) -> dict[str, str]:
        """Variables for the child; *runtime_dir* takes libguestfs's temporary files."""
        variables = {
            "LIBGUESTFS_BACKEND": "direct",  # no libvirt daemon, no root
            "LIBGUESTFS_CACHEDIR": str(self.cache_dir),
            "LIBGUESTFS_TMPDIR": str(runtime_dir),
            "TMPDIR": str(runtime_dir),
            "XDG_RUNTIME_DIR": str(runtime_dir),  # sockets, unless we are root: then it insists on /tmp
            "PYTHONUNBUFFERED": "1",
        }
        if self.accelerator != "kvm":
            variables["LIBGUESTFS_BACKEND_SETTINGS"] = "force_tcg"
        return variables


def interpreters() -> tuple[Path, ...]:
    """Where to look for one that can ``import guestfs``, in order."""
    names = [sys.executable, "/usr/bin/python3"]
    names += [f"/usr/bin/python3.{minor}" for minor in range(20, 8, -1)]
    found = dict.fromkeys(Path(n) for n in names if n and os.access(n, os.X_OK))
    return tuple(found)


async def find_interpreter(candidates: Sequence[Path] | None = None) -> Path:
    """The first interpreter that can import the binding. Raises: HostError with what to install."""
    tried = tuple(candidates) if candidates is not None else interpreters()
    notes = []
    for candidate in tried:
        try:
            await process.run(
                [str(candidate), "-c", "import guestfs; guestfs.GuestFS().close()"],
                deadline=Deadline.after(Duration(30), f"{candidate} to import guestfs"),
            )
        except CommandFailed as error:
            notes.append(f"{candidate}: {(error.evidence.stderr.strip().splitlines() or [error.message])[-1]}")
        else:
            return candidate
    raise HostError(
        "no Python on this computer can import guestfs, libguestfs's binding",
        hint=INSTALL,
        evidence=Evidence(notes=tuple(notes)),
    )


@dataclass(frozen=True, slots=True)
class Remedy:
    """A pattern in what libguestfs says, what it means, and the way out."""

    pattern: str
    message: str
    hint: str


_REMEDIES = (
    Remedy(
        r"/boot/\S*: (?:open: )?Permission denied|Permission denied:? \S*/boot/|failed to find a suitable kernel"
        r"|no suitable kernels?|cannot find any suitable kernel",
        "libguestfs finds no kernel that this user may read",
        "make one readable: `sudo chmod 0644 /boot/vmlinuz-*` (Ubuntu: `sudo dpkg-statoverride --update --add root root"
        " 0644 /boot/vmlinuz-$(uname -r)`), or install one: `sudo apt-get install linux-image-cloud-amd64`",
    ),
    Remedy(
        r"supermin(?:: command)?:? not found|supermin: No such file|cannot find any suitable libguestfs supermin"
        r"|supermin exited with error",
        "libguestfs can't build its appliance",
        "install supermin and a kernel: `sudo apt-get install --no-install-recommends supermin"
        " linux-image-cloud-amd64`",
    ),
    Remedy(
        r"(?i)could not access kvm|failed to initialize kvm|kvm (?:kernel module|_vm_)|ioctl\(KVM",
        "the appliance could not use KVM",
        "measure the accelerators again with `factory doctor`; without a working KVM it runs under TCG",
    ),
    Remedy(
        r"No space left on device",
        "there is no space for libguestfs's appliance",
        "free some 500 MB below the cache folder, or set FACTORY_CACHE to a folder with space",
    ),
    Remedy(
        r"socket path too long",
        "the folder for temporary files has too long a path for sockets",
        "set TMPDIR to a shorter one, such as /tmp",
    ),
    Remedy(
        r"qemu-system-\S+: (?:command )?not found|qemu: No such file|failed to execute.*qemu",
        "libguestfs finds no QEMU",
        "on Debian or Ubuntu: apt-get install --no-install-recommends qemu-system-x86",
    ),
)


_LOCKED = re.compile(r"Failed to get (?:shared )?\"\w+\" lock(?:.*\n.*image \[(?P<image>[^\]\n]+)\])?")
"""QEMU's words, block/file-posix.c; libguestfs opens a disk as QEMU does."""


def launch_error(text: str, log: str = "") -> HostError | StepError:
    """The error for an appliance that did not come up: libguestfs's words and the command that mends it."""
    evidence = Evidence(stderr=text, serial=log)
    if locked := _LOCKED.search(f"{text}\n{log}"):
        return StepError(
            f"{Path(locked['image'] or 'the disk').name} is in use: a running machine writes to it",
            hint="shut that machine down first",
            evidence=evidence,
        )
    for remedy in _REMEDIES:
        if re.search(remedy.pattern, f"{text}\n{log}"):
            return HostError(f"{remedy.message}: {_first_line(text)}", hint=remedy.hint, evidence=evidence)
    return HostError(
        f"libguestfs's appliance does not start: {_first_line(text)}",
        hint="`factory doctor` tests it; `libguestfs-test-tool` prints what its kernel says",
        evidence=evidence,
    )


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "it gave no reason")


def remove_dead_sockets(since: float, folder: Path = Path("/tmp"), table: Path = Path("/proc/net/unix")) -> None:
    """Removes the socket folders that killed handles left in *folder*.

    As root, libguestfs puts them there whatever the environment says. Only folders of this user, younger than *since*
    (seconds since the epoch), and on whose sockets nobody listens.
    """
    try:
        listening = table.read_text(errors="replace")
    except OSError:
        return
    for candidate in folder.glob("libguestfs??????"):
        with suppress(OSError):
            status = candidate.lstat()
            alive = f"{candidate}/" in listening
            if candidate.is_symlink() or not candidate.is_dir() or status.st_uid != os.geteuid() or alive:
                continue
            members = list(candidate.iterdir())
            # One without a socket may be another program's, and about to be filled.
            if members and status.st_mtime >= since and all(m.is_socket() for m in members):
                for member in members:
                    member.unlink()
                candidate.rmdir()
