"""A small system in a folder, in which guest scripts run for real: busybox, and stand-ins that note their calls."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.content.shipped import ROOT, program

GUEST = ROOT / "scripts" / "guest"


class System:
    """The folder is ``/`` for the scripts. Stand-ins append their arguments to ``/calls``."""

    def __init__(self, root: Path, *, stand_ins: Mapping[str, str]) -> None:
        self.root = root
        busybox = program("busybox", "busybox-static")
        for folder in ("bin", "etc", "root", "tmp", "run", "home", "var/lib", "proc", "usr/sbin", "dev"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(busybox, root / "bin" / "busybox")
        applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
        for applet in applets:
            # package managers of busybox' own would be taken for the distribution's
            if applet not in ("busybox", "dpkg", "rpm", "apt-get", "apk"):
                (root / "bin" / applet).symlink_to("busybox")
        (root / "dev" / "null").touch()
        self.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
        self.write("etc/group", "root:x:0:\n")
        self.write("etc/shadow", "root:*:19000:0:99999:7:::\n")
        self.write("proc/cmdline", "BOOT_IMAGE=/vmlinuz ro quiet\n")
        for name, body in stand_ins.items():
            path = self.write(f"usr/sbin/{name}", f'#!/bin/sh\necho "{name} $*" >> /calls\n{body}\n')
            path.chmod(0o755)

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def read(self, name: str) -> str:
        return (self.root / name).read_text()

    def calls(self) -> list[str]:
        """How the stand-ins were called since the last time that this was asked."""
        path = self.root / "calls"
        if not path.exists():
            return []
        lines = path.read_text().splitlines()
        path.unlink()
        return lines

    def run(self, script: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Runs a script of scripts/guest in here, as root."""
        shutil.copy(GUEST / script, self.root / "tmp" / "script.sh")
        enter = [] if os.geteuid() == 0 else [program("unshare", "util-linux"), "--map-root-user"]
        return subprocess.run(
            [*enter, shutil.which("chroot") or "/usr/sbin/chroot", str(self.root), "/bin/sh", "/tmp/script.sh"],
            env={"PATH": "/usr/sbin:/bin", "HOME": "/root", **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def fingerprint(self) -> dict[str, str]:
        """Every file with its mode and digest: equal when nothing has changed. Notes of stand-ins don't count."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            name = path.relative_to(self.root).as_posix()
            if path.is_file() and not path.is_symlink() and not name.startswith(("tmp/", "calls", "bin/")):
                found[name] = f"{path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        return found
