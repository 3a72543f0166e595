"""One and the same template built by Debian's ``packer`` and by ``factory``: same files, same names, both boot.

    python -m benchmarks.packer_side_by_side [--keep FOLDER]

On the tiny installer ISO, once as a JSON template and once as HCL (which Packer 1.6.6 reads in its beta form). Each
tool starts with an empty cache; ``factory`` then builds a second time with another provisioner, which is what people
do all day. Prints a table as Markdown, with the seconds of processor time that each build took (its QEMU's included),
for a computer that has other work to do, too; exit code 1 when names differ, a manifest has another shape, or an image
does not come up.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).parents[1]
FACTORY = [sys.executable, "-m", "factory"]
PASSWORD = "side-by-side"
BOOT_PATIENCE = 600.0
SEED = """HOSTNAME='tiny'
DISK='/dev/vda'
ROOT_HASH='{hash}'
"""
JSON = {
    "variables": {"greeting": "built"},
    "builders": [
        {
            "type": "qemu", "name": "tiny", "accelerator": "tcg", "headless": True, "iso_url": "tiny.iso",
            "iso_checksum": "none", "output_directory": "output-json", "vm_name": "tiny.qcow2", "disk_size": "1024M",
            "format": "qcow2", "disk_interface": "virtio", "disk_cache": "unsafe", "net_device": "virtio-net",
            "cpus": 2, "memory": 512, "http_directory": "http", "boot_wait": "3s", "boot_key_interval": "20ms",
            "boot_command": ["install seed=http://{{ .HTTPIP }}:{{ .HTTPPort }}/seed<enter>"],
            "ssh_username": "root", "ssh_password": PASSWORD, "ssh_timeout": "10m", "shutdown_command": "poweroff",
            "qemuargs": [["-cpu", "max"]],
        }
    ],
    "provisioners": [{"type": "shell", "inline": ["uname -a", "echo {{user `greeting`}} > /etc/built"]}],
    "post-processors": [
        [
            {"type": "compress", "output": "{{.BuildName}}-json.tar.gz", "keep_input_artifact": True},
            {"type": "checksum", "checksum_types": ["sha256"], "output": "{{.BuildName}}-json.{{.ChecksumType}}"},
        ],
        {"type": "manifest", "output": "manifest-json.json"},
    ],
}  # fmt: skip
HCL = """variable "greeting" {
  type    = string
  default = "built"
}

locals {
  kind = lower("HCL")
}

source "qemu" "tiny" {
  accelerator       = "tcg"
  headless          = true
  iso_url           = "tiny.iso"
  iso_checksum      = "none"
  output_directory  = "output-${local.kind}"
  vm_name           = "tiny.qcow2"
  disk_size         = "1024M"
  format            = "qcow2"
  disk_interface    = "virtio"
  disk_cache        = "unsafe"
  net_device        = "virtio-net"
  cpus              = 2
  memory            = 512
  http_directory    = "http"
  boot_wait         = "3s"
  boot_key_interval = "20ms"
  boot_command      = ["install seed=http://{{ .HTTPIP }}:{{ .HTTPPort }}/seed<enter>"]
  ssh_username      = "root"
  ssh_password      = "PASSWORD"
  ssh_timeout       = "10m"
  shutdown_command  = "poweroff"
  qemuargs          = [["-cpu", "max"]]
}

build {
  sources = ["source.qemu.tiny"]
  provisioner "shell" {
    environment_vars = ["GREETING=${var.greeting}"]
    inline           = ["uname -a", "echo $GREETING > /etc/built"]
  }
  post-processor "checksum" {
    checksum_types = ["sha256"]
    output         = "tiny-hcl.{{.ChecksumType}}"
  }
  post-processor "manifest" {
    output = "manifest-hcl.json"
  }
}
"""


def lay_out(folder: Path, iso: Path) -> Path:
    """The same input for each tool."""
    (folder / "http").mkdir(parents=True)
    crypt = subprocess.run(["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True).stdout
    (folder / "http/seed").write_text(SEED.format(hash=crypt.strip()))
    os.link(iso, folder / "tiny.iso")
    (folder / "tiny.json").write_text(json.dumps(JSON, indent=1))
    (folder / "tiny.pkr.hcl").write_text(HCL.replace("PASSWORD", PASSWORD))
    return folder


def timed(argv: list[str], folder: Path) -> tuple[float, float]:
    """Seconds that the command takes, and those of processor time; its last words are shown when it fails."""
    environment = {
        **os.environ, "PYTHONPATH": str(PROJECT), "FACTORY_CACHE": str(folder / ".cache"), "CHECKPOINT_DISABLE": "1",
        "PACKER_CACHE_DIR": str(folder / ".packer"), "PACKER_NO_COLOR": "1", "HOME": str(folder),
    }  # fmt: skip
    started, worked = time.monotonic(), processor_time()
    done = subprocess.run(
        argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return time.monotonic() - started, processor_time() - worked


def processor_time() -> float:
    """Seconds that all children that have ended, and theirs, have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def made(folder: Path) -> list[str]:
    """What a build left, without the input and the caches."""
    given = {"tiny.iso", "tiny.json", "tiny.pkr.hcl", "http/seed"}
    files = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return sorted(f for f in files if f not in given and not f.startswith("."))


def shape(value: object) -> object:
    """A manifest without what differs from run to run."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items() if k not in ("build_time", "size", "packer_run_uuid",
                                                                   "last_run_uuid")}  # fmt: skip
    return [shape(v) for v in value] if isinstance(value, list) else value


def boot(image: Path) -> float:
    """Seconds until SSH speaks in a machine with *image*; the image itself is not written on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = ["qemu-system-x86_64", "-snapshot", "-m", "512", "-display", "none", "-cpu", "max", "-accel", "tcg",
            "-drive", f"file={image},if=virtio", "-netdev", f"user,id=n,hostfwd=tcp:127.0.0.1:{port}-:22",
            "-device", "virtio-net-pci,netdev=n"]  # fmt: skip
    started = time.monotonic()
    machine = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        while time.monotonic() - started < BOOT_PATIENCE:
            try:
                with socket.create_connection(("127.0.0.1", port), 5) as connection:
                    connection.settimeout(5)
                    if connection.recv(64).startswith(b"SSH-"):
                        return time.monotonic() - started
            except OSError:
                pass
            time.sleep(0.5)
    finally:
        machine.kill()
        machine.wait()
    sys.exit(f"{image} does not come up within {BOOT_PATIENCE:.0f} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="a new folder to leave everything in")
    options = parser.parse_args()
    if shutil.which("packer") is None:
        sys.exit("packer is not installed (Debian: apt install packer)")
    with tempfile.TemporaryDirectory(prefix="side-by-side-") as scratch:
        return compare(options.keep or Path(scratch, "work"))


def compare(root: Path) -> int:
    root.mkdir(parents=True)
    iso = root / "tiny.iso"
    subprocess.run([PROJECT / "scripts/iso/tiny", iso], check=True, stdout=subprocess.DEVNULL)
    rows, wrong = [], []
    for form, template in (("JSON", "tiny.json"), ("HCL", "tiny.pkr.hcl")):
        theirs, ours = lay_out(root / f"packer-{form}", iso), lay_out(root / f"factory-{form}", iso)
        packer = timed(["packer", "build", template], theirs)
        factory = timed([*FACTORY, "build", template], ours)
        if made(theirs) != made(ours):
            wrong.append(f"{form}: packer left {made(theirs)}, factory {made(ours)}")
        manifest = f"manifest-{form.lower()}.json"
        shapes = [shape(json.loads((folder / manifest).read_text())) for folder in (theirs, ours)]
        if shapes[0] != shapes[1]:
            wrong.append(f"{form}: the manifests differ: {shapes}")
        image = f"output-{form.lower()}/tiny.qcow2"
        boots = [boot(folder / image) for folder in (theirs, ours)]
        again = timed([*FACTORY, "build", "-force", "-var", "greeting=again", template], ours)
        rows.append((form, (packer, factory, again), boots, len(made(ours))))
    sys.stdout.write(
        "| template | packer | factory | factory, a provisioner changed | boots: packer's | factory's | equal files |\n"
        "|---|--:|--:|--:|--:|--:|--:|\n"
    )
    for form, builds, seconds, files in rows:
        cells = [f"{wall:.1f} s ({cpu:.1f} s)" for wall, cpu in builds] + [f"{s:.1f} s" for s in seconds]
        sys.stdout.write(f"| {form} | {' | '.join(cells)} | {files} |\n")
    sys.stdout.write(f"In brackets: processor time. Load of this computer at the end: {os.getloadavg()[0]:.1f}\n")
    for line in wrong:
        sys.stdout.write(f"WRONG: {line}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
