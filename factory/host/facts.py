"""What this computer can really do. Reads and measures; changes nothing but its own cache."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.deadline import Deadline
from factory.digest import file_digest
from factory.drivers.process import find_program, run
from factory.errors import FactoryError, HostError
from factory.host import apt_sources, firmware, qemu_facts
from factory.host.appliance import ApplianceFacts
from factory.host.appliance import survey as survey_appliance
from factory.host.firmware import Firmware
from factory.host.platform import Platform, UefiFirmware
from factory.host.qemu_facts import QemuFacts
from factory.quantity import Duration, Size

ARCHITECTURE = "x86_64"
"""Of the guests."""
TOOLS = (
    "qemu-img", "swtpm", "xorriso", "mmdebstrap", "ansible-playbook", "virt-v2v", "bmaptool", "ssh", "vagrant", "git",
)  # fmt: skip
"""Programs that some jobs need or can use."""
CPU_MODEL = "max"
"""All that the accelerator can do: guests such as EL9 need more than ``qemu64``."""


@dataclass(frozen=True, slots=True)
class Space:
    """Free space where a kind of files goes. ``folder`` is the nearest one that exists."""

    folder: Path
    free: Size
    writable: bool
    in_the_way: str = ""
    """What keeps the folder from being made, in words."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """``qemu`` is None when there is none, or ``qemu_problem`` says why it does not even start."""

    system: str  # os-release's PRETTY_NAME
    family: str  # "debian", "fedora", "suse", "arch" or "": whose package names to tell
    kernel: str
    python: str
    cpus: int
    cpu_name: str
    memory: Size
    memory_available: Size
    qemu: QemuFacts | None
    qemu_problem: str
    firmware: tuple[Firmware, ...]
    tools: Mapping[str, Path]
    spaces: Mapping[str, Space]  # "cache", "output", "tmp"
    debian_mirror: str
    timezone: str
    loopback_problem: str = ""
    appliance: ApplianceFacts | None = None
    """None: not looked at. ``collect_all`` does, ``collect`` does not: it takes a second."""
    swtpm_version: str = ""
    libvirt_version: str = ""
    libvirt_problem: str = ""

    @property
    def qemu_version(self) -> str:
        return self.qemu.version if self.qemu else ""

    @property
    def accelerator(self) -> str:
        """The measured one; empty when none works."""
        return self.qemu.accelerator if self.qemu else ""

    @property
    def platform(self) -> Platform:
        """What plans are made from. Raises: HostError when this computer can't run machines."""
        if self.qemu is None:
            raise HostError(
                f"QEMU does not start: {self.qemu_problem}" if self.qemu_problem else "QEMU is not installed",
                hint="install it (Debian, Ubuntu: qemu-system-x86), see `factory doctor`",
            )
        if not self.qemu.accelerator:
            raise HostError(
                f"QEMU runs no guest on this computer: {qemu_facts.describe(self.qemu.accelerators)}",
                hint="`factory doctor` says more",
            )
        types = {kind: name for kind in ("q35", "pc") if (name := self.qemu.newest(kind))}
        return Platform(
            qemu=str(self.qemu.binary),
            qemu_version=self.qemu.version,
            accelerator=self.qemu.accelerator,
            cpu_model=CPU_MODEL,
            machine_types=types,
            uefi=self._uefi(types),
            cpus=self.cpus,
        )

    def _uefi(self, types: Mapping[str, str]) -> Mapping[str, UefiFirmware]:
        # q35 is what everything fits; a firmware that fits pc alone does not exist any more.
        machine_type = types.get("q35") or types.get("pc", "")
        chosen = {
            "uefi": firmware.choose(self.firmware, architecture=ARCHITECTURE, machine_type=machine_type),
            "uefi-secure": firmware.choose_secure(self.firmware, architecture=ARCHITECTURE, machine_type=machine_type),
        }
        return {
            name: UefiFirmware(
                code=found.code,
                variables=found.variables,
                code_format=found.code_format,
                variables_format=found.variables_format,
                secure_boot=found.needs_smm,
                digest=file_digest(found.code),
            )
            for name, found in chosen.items()
            if found is not None
        }

    @property
    def template_names(self) -> Mapping[str, Any]:
        """What ``host.<name>`` and ``default: auto`` give in a template."""
        return template_names()

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain data."""
        plain: dict[str, Any] = _plain(self)
        return {**plain, "accelerator": self.accelerator}


async def collect(cache_dir: Path, *, output: Path = Path("output")) -> HostFacts:
    """What a build needs to know: a few milliseconds, and once per boot of the host some seconds to measure."""
    cached = cache_dir / "host" / "qemu.json"
    qemu, problem = await qemu_facts.try_qemu(qemu_facts.find_qemu(), cached)
    return await asyncio.to_thread(_read, cache_dir, output, qemu, problem)


async def collect_all(cache_dir: Path, *, output: Path = Path("output")) -> HostFacts:
    """``collect``, and what only ``factory doctor`` asks: libguestfs, swtpm, libvirt, and a port on loopback."""
    async with asyncio.TaskGroup() as group:
        facts = group.create_task(collect(cache_dir, output=output))
        appliance = group.create_task(survey_appliance())
        swtpm = group.create_task(_first_line("swtpm", "--version"))
        libvirt = group.create_task(_libvirt())
    version, problem = libvirt.result()
    return dataclasses.replace(
        facts.result(),
        appliance=appliance.result(),
        swtpm_version=swtpm.result(),
        libvirt_version=version,
        libvirt_problem=problem,
        loopback_problem=try_loopback(),
    )


def _read(cache_dir: Path, output: Path, qemu: QemuFacts | None, problem: str) -> HostFacts:
    release = _os_release()
    total, available = _memory()
    paths = {name: path for name in TOOLS if (path := find_program(name))}
    return HostFacts(
        system=release.get("PRETTY_NAME", platform.system()),
        family=_family(release),
        kernel=platform.release(),
        python=".".join(str(n) for n in sys.version_info[:3]),
        cpus=len(os.sched_getaffinity(0)),
        cpu_name=_cpu_name(),
        memory=total,
        memory_available=available,
        qemu=qemu,
        qemu_problem=problem,
        firmware=firmware.find_all(),
        tools={name: Path(path) for name, path in paths.items()},
        spaces={
            "cache": _space(cache_dir),
            "output": _space(output),
            "tmp": _space(Path(tempfile.gettempdir())),
        },
        debian_mirror=_debian_mirror(release),
        timezone=_timezone(),
    )


def _os_release() -> Mapping[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _family(release: Mapping[str, str]) -> str:
    words = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    known = {
        "debian": "debian", "ubuntu": "debian", "fedora": "fedora", "rhel": "fedora", "centos": "fedora",
        "suse": "suse", "opensuse": "suse", "arch": "arch",
    }  # fmt: skip
    return next((known[word] for word in words if word in known), "")


def _debian_mirror(release: Mapping[str, str]) -> str:
    """Only a Debian host says where Debian's archive is near; on others a person must (``-var mirror=…``)."""
    if release.get("ID") != "debian":
        return ""
    return apt_sources.main_archive(release.get("VERSION_CODENAME", "stable"))


def template_names() -> Mapping[str, Any]:
    """What ``host.<name>`` and ``default: auto`` give in a template; read in a millisecond, without QEMU."""
    names = {"mirror": _debian_mirror(_os_release()), "timezone": _timezone(), "cpus": len(os.sched_getaffinity(0))}
    return {name: value for name, value in names.items() if value}


def _memory() -> tuple[Size, Size]:
    """Total and available; a container's limit (cgroup 2) counts as the total when it is less."""
    fields = {}
    for line in _text(Path("/proc/meminfo")).splitlines():
        name, _, value = line.partition(":")
        fields[name] = int(value.split()[0]) * 1024
    total, available = fields.get("MemTotal", 0), fields.get("MemAvailable", 0)
    limit = _text(Path("/sys/fs/cgroup/memory.max")).strip()
    if limit.isdigit() and int(limit) < total:
        total = int(limit)
        used = _text(Path("/sys/fs/cgroup/memory.current")).strip()
        available = min(available, total - int(used or 0))
    return Size(total), Size(max(available, 0))


def _cpu_name() -> str:
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _timezone() -> str:
    """The IANA name: from ``/etc/timezone`` (Debian), or where ``/etc/localtime`` points (systemd)."""
    name = _text(Path("/etc/timezone")).strip()
    target = os.path.realpath("/etc/localtime")
    if not name and "/zoneinfo/" in target:
        name = target.partition("/zoneinfo/")[2]
    return name.removeprefix("Etc/") or "UTC"


def _space(folder: Path) -> Space:
    above = folder.absolute()
    while not os.path.lexists(above) and above != above.parent:
        above = above.parent
    existing = above
    while not os.path.isdir(existing) and existing != existing.parent:
        existing = existing.parent
    in_the_way = _in_the_way(above)
    writable = not in_the_way and os.access(existing, os.W_OK | os.X_OK)
    return Space(existing, Size(shutil.disk_usage(existing).free), writable, in_the_way)


def _in_the_way(path: Path) -> str:
    """Why no folder can be at *path*, which is there, nor below it."""
    if os.path.isdir(path):
        return ""
    if os.path.islink(path) and not os.path.exists(path):
        return f"{path} is a link to {os.readlink(path)}, which is not there"
    return f"{path} is a file"


def try_loopback() -> str:
    """Why no port can be opened on 127.0.0.1; empty when one can."""
    try:
        with socket.socket() as server, socket.socket() as client:
            server.bind(("127.0.0.1", 0))
            server.listen(1)
            client.settimeout(5)
            client.connect(server.getsockname())
    except OSError as error:
        return str(error)
    return ""


async def _first_line(*argv: str) -> str:
    if find_program(argv[0]) is None:
        return ""
    try:
        result = await run(list(argv), deadline=Deadline.after(Duration(30), " ".join(argv)))
    except FactoryError:
        return ""
    return next(iter(result.stdout.splitlines()), "")


_LIBVIRT = """
import libvirt
libvirt.registerErrorHandler(lambda *_: None, None)
n = libvirt.openReadOnly("qemu:///system").getLibVersion()
print("%d.%d.%d" % (n // 1000000, n // 1000 % 1000, n % 1000))
"""


async def _libvirt() -> tuple[str, str]:
    """The version of the system's libvirt daemon, or why it can't be reached. In a child: connecting may hang."""
    deadline = Deadline.after(Duration(20), "libvirt to answer")
    try:
        result = await run([sys.executable, "-c", _LIBVIRT], deadline=deadline, ok=None)
    except FactoryError as error:
        return "", error.message
    if result.exit_status:
        said = [line for line in result.stderr.splitlines() if line.strip()]
        return "", said[-1].removeprefix("libvirt.libvirtError: ") if said else "it does not answer"
    return result.stdout.strip(), ""


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if isinstance(value, frozenset):
        return sorted(_plain(v) for v in value)
    return str(value) if isinstance(value, Path) else value
