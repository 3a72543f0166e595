"""How long it takes to load a Packer template of a given size, part by part, and what ``packer validate`` takes for it.

The template is made here: FILES files with variables, local values, sources and builds with provisioners, as large
projects have them. Times are of one process on an otherwise idle machine; the best of five counts.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from factory.template.packer import load
from factory.template.packer.hcl import Source, parse_body

ROUNDS = 5
FILE = """
variable "size_{n}" {{
  type    = string
  default = "{n}G"
}}
locals {{
  name_{n} = "vm-${{upper(format("%03d", {n}))}}"
  list_{n} = [for i in range(20) : "${{local.name_{n}}}-${{i}}" if i % 2 == 0]
}}
source "qemu" "vm{n}" {{
  iso_url          = "/tmp/none-{n}.iso"
  iso_checksum     = "none"
  ssh_username     = "root"
  vm_name          = local.name_{n}
  disk_size        = var.size_{n}
  output_directory = "output-{n}"
  boot_command     = ["<esc>auto url=http://{{{{ .HTTPIP }}}}:{{{{ .HTTPPort }}}}/${{local.list_{n}[0]}}.cfg<enter>"]
}}
build {{
  name    = "b{n}"
  sources = ["source.qemu.vm{n}"]
{steps}
}}
"""
STEP = """  provisioner "shell" {
    environment_vars = ["NAME=${source.name}", "STEP=%d"]
    inline           = ["echo ${build.name}", "uname -a"]
  }
"""


def best(action: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for n in range(options.files):
            steps = "".join(STEP % i for i in range(8))
            (folder / f"f{n}.pkr.hcl").write_text(FILE.format(n=n, steps=steps))
        texts = [p.read_text() for p in sorted(folder.iterdir())]
        size = sum(map(len, texts))
        parsing = best(lambda: [parse_body(Source.of("x", t)) for t in texts])
        loading = best(lambda: load(folder, environ={}, working=folder))
        sys.stdout.write(f"{options.files} files, {size // 1024} KiB, {options.files} builds of 8 provisioners\n")
        sys.stdout.write(f"parse          {parsing * 1000:7.0f} ms   {size / parsing / 1e6:.2f} MB/s\n")
        sys.stdout.write(f"load           {loading * 1000:7.0f} ms   parse, evaluate, check\n")
        if shutil.which("packer"):
            packer = best(lambda: subprocess.run(["packer", "validate", name], capture_output=True, check=True))
            sys.stdout.write(f"packer validate{packer * 1000:7.0f} ms   a whole process\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
