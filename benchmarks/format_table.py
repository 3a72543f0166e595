"""Exports an artifact's qcow2 in every format, and lets others judge: qemu-img, virt-v2v, bmaptool, skopeo, vagrant.

The first argument is the folder of a built image with a qcow2 among its outputs; the second, where there is room for
all formats. Prints a row for each: size, what independent readers say, how it booted, whether its machines differ.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from factory.drivers.qemu.disk_image import QemuImg
from factory.events import ignore
from factory.outputs.export import export_all, parse_request
from factory.outputs.manifest import MANIFEST, exports_of, write_manifest
from factory.outputs.manifest_model import Manifest, read_manifest
from factory.outputs.model import Exported, Exports
from factory.outputs.unpack import unpack
from factory.plan.resources import SealedDisk

RUNS: tuple[tuple[tuple[str, dict[str, Any]], ...], ...] = (
    (
        ("qcow2", {"compress": "zstd"}), ("vmdk", {}), ("ova", {}), ("raw", {"bmap": True}),
        ("raw", {"compress": "gz"}), ("raw", {"compress": "xz"}), ("raw", {"compress": "zstd"}), ("vagrant", {}),
        ("vagrant", {"provider": "virtualbox"}), ("vhd", {}), ("vhdx", {}), ("gce", {}), ("containerdisk", {}),
    ),
    (("qcow2", {"compat": "0.10"}), ("vmdk", {"subformat": "monolithicSparse"}), ("vagrant", {"box_format": "v2"}),
     ("ova", {"controller": "pvscsi", "network": "vmxnet3", "manifest": "sha1"})),
)  # fmt: skip
"""Two exports, for two outputs of one kind would be written to one file."""


def main() -> int:
    source = Path(sys.argv[1])
    manifest = read_manifest(source / MANIFEST)
    qcow2 = next(f for f in exports_of(manifest).files if f.format == "qcow2")
    if len(sys.argv) > 2:
        Path(sys.argv[2]).mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="formats-", dir=sys.argv[2] if len(sys.argv) > 2 else None))
    click.echo(f"{manifest.name}: {qcow2.path} ({qcow2.virtual_size})\n", err=True)
    click.echo("| format | size | independent readers | boots | clones |\n|---|---|---|---|---|")
    failed = 0
    try:
        for number, requests in enumerate(RUNS):
            folder = work / str(number) / manifest.name
            folder.mkdir(parents=True)
            exports = export(source / qcow2.path, manifest, requests, folder)
            booted = boot(folder)
            for file in exports.files:
                if file.sidecar or not file.parts:
                    continue
                words, good = judge(file, folder, source / qcow2.path, work)
                seen = [b for b in booted if b["path"] == str(file.path)]
                good &= bool(seen) and all(b["passed"] for b in seen)
                failed += not good
                click.echo(
                    f"| {label(file, number)} | {file.size} | {words} | {boots(seen)} | {clones(booted, file)} |"
                )
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 1 if failed else 0


def label(file: Exported, number: int) -> str:
    kind = {"qcow2": ("qcow2, zstd", "qcow2, compat 0.10"), "vmdk": ("VMDK, streamOptimized", "VMDK, monolithicSparse"),
            "ova": ("OVA, lsilogic", "OVA, pvscsi, SHA1")}.get(file.format)  # fmt: skip
    return kind[number] if kind else file.path.name + (" (v2)" if number else "")


def export(qcow2: Path, manifest: Manifest, requests: tuple[tuple[str, dict[str, Any]], ...], folder: Path) -> Exports:
    disk = SealedDisk("main", qcow2, "qcow2", asyncio.run(QemuImg().info(qcow2, format="qcow2")).virtual_size)
    variables = next((qcow2.with_name(f.path) for f in manifest.files if f.format == "uefi-variables"), None)
    exports = asyncio.run(
        export_all(
            [disk], [parse_request(kind, options) for kind, options in requests], name=manifest.name,
            hardware=exports_of(manifest).hardware, uefi_variables=variables, staging=folder, images=QemuImg(),
            emit=ignore,
        )
    )  # fmt: skip
    about = {"drivers": manifest.drivers.model_dump() if manifest.drivers else None}
    verify = {"passed": False, "request": manifest.verify.request.model_dump(mode="json")} if manifest.verify else None
    write_manifest(folder, exports, about=about, verify=verify)
    return exports


def boot(folder: Path) -> list[dict[str, Any]]:
    argv = [sys.executable, "-m", "factory", "verify", str(folder), "--formats", "all", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if not done.stdout:
        click.echo(done.stderr, err=True)
        return []
    result = json.loads(done.stdout)
    for problem in (*result["checksums"], *result["formats"]):
        click.echo(problem, err=True)
    return list((result["verify"] or {}).get("booted", []))


def boots(seen: list[dict[str, Any]]) -> str:
    if not seen:
        return "not booted"
    words = []
    for result in seen[:1]:
        hardware = result["hardware"]
        on = f"{hardware['machine']}, {hardware['bus']}, {hardware['nic']}"
        words.append(
            f"{result['by']} after {result['up_after_seconds']} s on {on}" if result["passed"] else result["error"]
        )
        if hardware["instead"]:
            words.append(f"({hardware['instead']})")
    return " ".join(words)


def clones(booted: list[dict[str, Any]], file: Exported) -> str:
    """Whether this file's machine shares nothing with any other that was booted."""
    own = [b["identity"] for b in booted if b["path"] == str(file.path) and b["identity"]]
    others = [b["identity"] for b in booted if b["identity"]]
    if not own:
        return "not asked"
    for name in ("machine_id", "dhcp", "random_seed"):
        values = [i[name] for i in others if i[name]]
        if any(i[name] and values.count(i[name]) > 1 for i in own):
            return f"same {name}"
    keys = [key for i in others for key in i["host_keys"]]
    return (
        "same host key" if any(keys.count(k) > 1 for i in own for k in i["host_keys"]) else f"differ (of {len(others)})"
    )


def judge(file: Exported, folder: Path, sealed: Path, work: Path) -> tuple[str, bool]:
    """What other programs say, and whether all of it is good."""
    path, words, good = folder / file.path, [], True

    def ask(name: str, *argv: str, env: dict[str, str] | None = None) -> None:
        nonlocal good
        if shutil.which(argv[0]) is None:
            words.append(f"{name}: not installed")
            return
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})})
        said = (done.stderr or done.stdout).strip().splitlines()
        words.append(f"{name}: ok" if done.returncode == 0 else f"{name}: {(said or ['failed'])[-1]}")
        good &= done.returncode == 0

    image = work / "image"
    part = file.parts[0]
    unpack(path, part, image)
    if part.format in ("qcow2", "vmdk", "vhdx"):
        ask("qemu-img check", "qemu-img", "check", "-q", "-f", part.format, str(image))
    ask("qemu-img compare", "qemu-img", "compare", "-q", "-f", "qcow2", "-F", part.format, str(sealed), str(image))
    image.unlink()
    if file.format == "ova":
        ask(
            "virt-v2v",
            "virt-v2v",
            "-i",
            "ova",
            "-o",
            "null",
            "--print-source",
            str(path),
            env={"LIBGUESTFS_BACKEND": "direct"},
        )
    if file.format == "raw" and path.suffix == ".raw":
        bmap = path.with_suffix(".bmap")
        ask("bmaptool copy", "bmaptool", "copy", "--bmap", str(bmap), str(path), str(work / "device"))
        (work / "device").unlink(missing_ok=True)
    if file.format == "containerdisk":
        ask(
            "skopeo copy",
            "skopeo",
            "copy",
            "--quiet",
            "--insecure-policy",
            f"oci-archive:{path}:latest",
            f"dir:{work / 'oci'}",
        )
        shutil.rmtree(work / "oci", ignore_errors=True)
    if file.format == "vagrant":
        home = {"VAGRANT_HOME": str(work / "vagrant"), "VAGRANT_CHECKPOINT_DISABLE": "1", "VAGRANT_CWD": str(work)}
        ask("vagrant box add", "vagrant", "box", "add", "--name", file.path.stem, str(path), env=home)
        shutil.rmtree(work / "vagrant", ignore_errors=True)
    return "; ".join(words), good


if __name__ == "__main__":
    sys.exit(main())
