"""A Vagrant box for libvirt out of a build's disks, under the name that the template gives it."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from factory.errors import StepError
from factory.opening import other_kind, read_content
from factory.outputs.post.artifact import Artifact, Surroundings

_SETTINGS = """\
Vagrant.configure("2") do |config|
  config.vm.provider :libvirt do |libvirt|
{lines}
  end
end
"""


async def vagrant_box(artifact: Artifact, options: Mapping[str, Any], around: Surroundings) -> Artifact:
    """Raises: StepError when the artifact has no disk, or a file to include is not there."""
    options = {**options, **(options.get("override") or {}).get("libvirt", {})}
    provider = str(options.get("provider_override") or "libvirt")
    if provider != "libvirt":
        raise StepError(f"vagrant: a box for {provider} can't be made of a qemu build", hint="use `provider: libvirt`")
    disks = [around.path(name) for name in artifact.details.get("disks", artifact.files)]
    if not disks:
        raise StepError("vagrant: there is no disk to put into a box")
    extra = [around.path(name) for name in options.get("include") or ()]
    for path in extra:
        if kind := other_kind(path):
            raise StepError(f"vagrant: {path} is {kind}, and no file to include")
        if not path.is_file():
            raise StepError(f"vagrant: there is no file {path} to include")
    template = str(options.get("vagrantfile_template") or "")
    own = read_content(around.path(template)).decode() if template else ""
    name = str(options.get("output") or f"packer_{around.build}_libvirt_amd64.box")
    target = around.path(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    files = {f"box_{number}.img": disk for number, disk in enumerate(disks)}
    files |= {path.name: path for path in extra}
    texts = {
        "metadata.json": _metadata(artifact, len(disks), str(options.get("architecture") or "amd64")),
        "Vagrantfile": _vagrantfile(artifact, own),
    }
    level = options.get("compression_level")
    await asyncio.to_thread(_write, target, texts, files, 6 if level in (None, -1) else int(level))
    return Artifact((name,), provider)


def _metadata(artifact: Artifact, count: int, architecture: str) -> bytes:
    form = str(artifact.details.get("format", "qcow2"))
    size = -(-int(artifact.details.get("size", 0)) // 2**30)  # whole GiB, rounded up: what vagrant-libvirt takes
    disks = [{"path": f"box_{number}.img", "format": form} for number in range(count)]
    content = {"provider": "libvirt", "architecture": architecture, "format": form, "virtual_size": size}
    return (json.dumps({**content, "disks": disks}, indent=2) + "\n").encode()


def _vagrantfile(artifact: Artifact, own: str) -> bytes:
    hardware = artifact.details.get("hardware", {})
    lines = ['    libvirt.driver = "kvm"']
    if hardware.get("firmware", "bios") != "bios":
        lines += ['    libvirt.machine_type = "q35"', '    libvirt.loader = "/usr/share/OVMF/OVMF_CODE.fd"']
    return (_SETTINGS.format(lines="\n".join(lines)) + (f"\n{own}" if own else "")).encode()


def _write(target: Path, texts: Mapping[str, bytes], files: Mapping[str, Path], level: int) -> None:
    draft = target.with_name(f".{target.name}.part")
    try:
        mode = "w" if level == 0 else "w:gz"
        with tarfile.open(draft, mode, **({} if level == 0 else {"compresslevel": level})) as box:  # type: ignore[call-overload]
            for name, content in texts.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                box.addfile(member, io.BytesIO(content))
            for name, path in files.items():
                box.add(path, name)
        draft.rename(target)
    finally:
        draft.unlink(missing_ok=True)
