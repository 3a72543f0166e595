"""Says what this computer can do, and what to install for what it can't: facts in, checks out; pure."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from factory.host import firmware, qemu_facts
from factory.host.facts import ARCHITECTURE, HostFacts
from factory.quantity import Size

LEAST_SPACE = Size.parse("3 GiB")
"""For the main job: a system of a gigabyte, once as layers and once as artifacts, and libguestfs' appliance."""
GOOD_SPACE = Size.parse("10 GiB")
LEAST_MEMORY = Size.parse("1536 MiB")
"""For one small machine, or libguestfs' appliance, beside the factory itself."""


class State(enum.StrEnum):
    OK = "ok"
    MISSING = "missing"  # and needed
    BROKEN = "broken"  # there, but does not work
    OPTIONAL = "optional"  # absent, and only some jobs need it


@dataclass(frozen=True, slots=True)
class Check:
    """One line of ``factory doctor``."""

    name: str
    state: State
    detail: str
    needed_for: str
    remedy: str = ""

    @property
    def blocks(self) -> bool:
        """Whether the main job can't run because of it."""
        return self.state in (State.MISSING, State.BROKEN)

    def to_json(self) -> dict[str, str]:
        return {
            "name": self.name,
            "state": self.state.value,
            "detail": self.detail,
            "needed_for": self.needed_for,
            "remedy": self.remedy,
        }


_PACKAGES: Mapping[str, Mapping[str, str]] = {
    "qemu": {
        "debian": "qemu-system-x86", "fedora": "qemu-system-x86", "suse": "qemu-x86", "arch": "qemu-system-x86",
    },
    "qemu-img": {"debian": "qemu-utils", "fedora": "qemu-img", "suse": "qemu-tools", "arch": "qemu-img"},
    "ovmf": {"debian": "ovmf", "fedora": "edk2-ovmf", "suse": "qemu-ovmf-x86_64", "arch": "edk2-ovmf"},
    "swtpm": {"debian": "swtpm", "fedora": "swtpm", "suse": "swtpm", "arch": "swtpm"},
    "guestfs": {
        "debian": "python3-guestfs libguestfs-tools", "fedora": "python3-libguestfs guestfs-tools",
        "suse": "python3-libguestfs guestfs-tools", "arch": "libguestfs guestfs-tools",
    },
    "supermin": {"debian": "supermin", "fedora": "supermin", "suse": "supermin", "arch": "libguestfs"},
    "kernel": {
        "debian": "linux-image-cloud-amd64", "fedora": "kernel-core", "suse": "kernel-default", "arch": "linux",
    },
    "libvirt": {
        "debian": "libvirt-daemon-system", "fedora": "libvirt-daemon-kvm", "suse": "libvirt-daemon-qemu",
        "arch": "libvirt",
    },
    "xorriso": {"debian": "xorriso", "fedora": "xorriso", "suse": "xorriso", "arch": "libisoburn"},
    "mmdebstrap": {"debian": "mmdebstrap", "fedora": "mmdebstrap", "suse": "", "arch": ""},
    "ansible-playbook": {
        "debian": "ansible-core", "fedora": "ansible-core", "suse": "ansible-core", "arch": "ansible-core",
    },
    "virt-v2v": {"debian": "virt-v2v", "fedora": "virt-v2v", "suse": "virt-v2v", "arch": "virt-v2v"},
    "bmaptool": {"debian": "bmap-tools", "fedora": "bmap-tools", "suse": "bmap-tools", "arch": "bmap-tools"},
}  # fmt: skip
_INSTALL = {
    "debian": "apt-get install --no-install-recommends", "fedora": "dnf install", "suse": "zypper install",
    "arch": "pacman -S",
}  # fmt: skip
_TOOL_USES = {
    "xorriso": "assembling installer ISOs (images/tiny, debian-quick, debian-netboot)",
    "mmdebstrap": "images/debian-quick: a Debian root file system made on the host",
    "ansible-playbook": "the ansible provisioner",
    "virt-v2v": "judging OVAs in the tests",
    "bmaptool": "judging block maps in the tests",
}


def install(family: str, *names: str) -> str:
    """The command that installs the packages which stand for *names* on this family of systems.

    For an unknown family: the names on Debian and Fedora.
    """
    if family in _INSTALL:
        packages = dict.fromkeys(word for name in names for word in _PACKAGES[name][family].split())
        return f"{_INSTALL[family]} {' '.join(packages)}" if packages else "not packaged for this system"
    per_family = (f"{name}: {' '.join(_PACKAGES[n][name] for n in names)}" for name in ("debian", "fedora"))
    return f"install the package (on {'; on '.join(per_family)})"


def diagnose(facts: HostFacts) -> tuple[Check, ...]:
    """Every check, what blocks the main job among them. *facts* come from ``collect_all``."""
    return (
        *_qemu(facts),
        *_firmware(facts),
        *_appliance(facts),
        *_resources(facts),
        _loopback(facts),
        _swtpm(facts),
        _libvirt(facts),
        *_tools(facts),
    )


def able(checks: Sequence[Check]) -> bool:
    """Whether the main job (ISO to sealed images) can run here."""
    return not any(check.blocks for check in checks)


def _qemu(facts: HostFacts) -> Iterator[Check]:
    use = "every build"
    remedy = install(facts.family, "qemu")
    if facts.qemu is None:
        broken = State.BROKEN if facts.qemu_problem else State.MISSING
        yield Check("qemu", broken, facts.qemu_problem or "not found", use, remedy)
    else:
        yield Check("qemu", State.OK, f"{facts.qemu.version}, {facts.qemu.binary}", use)
        missing = [kind for kind in ("q35", "pc") if not facts.qemu.newest(kind)]
        if missing:
            detail = f"this QEMU has no {' and no '.join(missing)}"
            yield Check("machine types", State.OPTIONAL, detail, f"templates with machine.type {missing[0]}", remedy)
        yield _accelerator(facts)
    if "qemu-img" in facts.tools:
        yield Check("qemu-img", State.OK, str(facts.tools["qemu-img"]), use)
    else:
        yield Check("qemu-img", State.MISSING, "not found", use, install(facts.family, "qemu-img"))


def _accelerator(facts: HostFacts) -> Check:
    assert facts.qemu is not None
    measured = facts.qemu.accelerators
    detail, chosen = qemu_facts.describe(measured), facts.qemu.accelerator
    if not chosen:
        return Check("accelerator", State.BROKEN, detail, "every build", "reinstall QEMU: not even TCG runs a guest")
    remedy = ""
    kvm = next((m for m in measured if m.accelerator == "kvm"), None)
    if kvm is not None and "may not be opened" in kvm.problem:
        remedy = "for speed: `usermod -aG kvm USER`, then log in again"
    elif kvm is not None and kvm.problem.startswith("there is no"):
        remedy = (
            "for speed: enable virtualisation in the firmware setup (or nested virtualisation), then `modprobe kvm`"
        )
    return Check("accelerator", State.OK, f"{chosen} (measured: {detail})", "every build", remedy)


def _firmware(facts: HostFacts) -> Iterator[Check]:
    machine_type = (facts.qemu.newest("q35") if facts.qemu else "") or "pc-q35-"
    wanted = {"architecture": ARCHITECTURE, "machine_type": machine_type}
    for name, found, use in (
        ("uefi", firmware.choose(facts.firmware, **wanted), "machines with firmware: uefi"),
        ("uefi with secure boot", firmware.choose_secure(facts.firmware, **wanted), "firmware: uefi-secure"),
    ):
        if found is not None:
            yield Check(name, State.OK, f"{found.code} (by {found.descriptor.name})", use)
        else:
            yield Check(name, State.OPTIONAL, "no descriptor fits", use, install(facts.family, "ovmf"))


def _appliance(facts: HostFacts) -> Iterator[Check]:
    found, use = facts.appliance, "sealing images"
    if found is None:
        return
    if found.interpreter is None:
        detail = "no Python here can import guestfs"
        yield Check("libguestfs", State.MISSING, detail, use, install(facts.family, "guestfs"))
    else:
        yield Check("libguestfs", State.OK, f"{found.version}, by {found.interpreter}", use)
    if found.supermin is None:
        detail = "not found: libguestfs can't build its appliance"
        yield Check("supermin", State.MISSING, detail, use, install(facts.family, "supermin"))
    else:
        yield Check("supermin", State.OK, str(found.supermin), use)
    if found.kernel is not None:
        yield Check("appliance kernel", State.OK, str(found.kernel), use)
    elif found.unreadable_kernels:
        names = " ".join(str(path) for path in found.unreadable_kernels)
        detail = f"this user may not read {names}"
        yield Check("appliance kernel", State.BROKEN, detail, use, f"chmod 0644 {names}")
    else:
        detail = "there is none with its modules"
        yield Check("appliance kernel", State.MISSING, detail, use, install(facts.family, "kernel"))


def _resources(facts: HostFacts) -> Iterator[Check]:
    for name, space in facts.spaces.items():
        variable = {"cache": "FACTORY_CACHE", "output": "--output", "tmp": "TMPDIR"}[name]
        detail, use = f"{space.free} free in {space.folder}", f"{name} files"
        least = LEAST_SPACE if name != "tmp" else Size.parse("256 MiB")
        if not space.writable:
            detail = space.in_the_way or f"{space.folder} is not writable"
            yield Check(f"space: {name}", State.BROKEN, detail, use, f"set {variable} to a folder of yours")
        elif space.free < least:
            detail += f", and {least} are needed"
            yield Check(f"space: {name}", State.BROKEN, detail, use, f"free some, or set {variable} to a larger disk")
        elif name != "tmp" and space.free < GOOD_SPACE:
            detail += f": enough for small images; {GOOD_SPACE} are better"
            yield Check(f"space: {name}", State.OK, detail, use, f"set {variable} to a larger disk")
        else:
            yield Check(f"space: {name}", State.OK, detail, use)
    detail = f"{facts.memory_available} of {facts.memory} available, {facts.cpus} CPUs"
    if facts.memory_available < LEAST_MEMORY:
        detail += f"; one machine needs {LEAST_MEMORY}"
        yield Check("memory", State.BROKEN, detail, "every build", "end other programs, or add memory")
    else:
        yield Check("memory", State.OK, detail, "every build")


def _loopback(facts: HostFacts) -> Check:
    use = "answer files and SSH, on 127.0.0.1"
    if facts.loopback_problem:
        remedy = "allow this user to listen on 127.0.0.1 (`ip link set lo up`; firewall and sandbox rules)"
        return Check("ports", State.BROKEN, facts.loopback_problem, use, remedy)
    return Check("ports", State.OK, "ports can be opened on 127.0.0.1", use)


def _swtpm(facts: HostFacts) -> Check:
    use = "machines with a TPM"
    if "swtpm" not in facts.tools:
        return Check("swtpm", State.OPTIONAL, "not found", use, install(facts.family, "swtpm"))
    return Check("swtpm", State.OK, facts.swtpm_version.partition(", ")[0] or str(facts.tools["swtpm"]), use)


def _libvirt(facts: HostFacts) -> Check:
    use = "publishing into libvirt"
    if facts.libvirt_version:
        return Check("libvirt", State.OK, f"{facts.libvirt_version}, qemu:///system", use)
    remedy = install(facts.family, "libvirt") + "; then start libvirtd, and add the user to the group libvirt"
    return Check("libvirt", State.OPTIONAL, facts.libvirt_problem or "not found", use, remedy)


def _tools(facts: HostFacts) -> Iterator[Check]:
    for name, use in _TOOL_USES.items():
        if name in facts.tools:
            yield Check(name, State.OK, str(facts.tools[name]), use)
        else:
            yield Check(name, State.OPTIONAL, "not found", use, install(facts.family, name))
