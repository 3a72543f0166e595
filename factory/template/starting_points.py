"""What a first template for each family of installers needs besides its profile: sizes, mirrors, what proves it.

The same facts as in the templates of ``images/``, which were written by hand for one release each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from factory.drivers.iso_view import IsoView
from factory.template.identify import Identity
from factory.template.model import Profile
from factory.template.windows_media import windows_images

_OPENS_JINJA = re.compile(r"\{(?=[{%#])")
SYSTEMD = "systemctl is-system-running --wait"


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """Parts of a template, as lines of YAML where they are more than a value; a tab begins a note behind a line.

    Args:
        name: what a template for it is called, without what differs from one CD to the next.
        base: True where ``_base/linux-server`` brings what it provisions.
        firmware: those that the family can be installed with, the best first.
        clones: how many the proof starts: two show that they differ in what is theirs.
    """

    name: str
    base: bool = False
    memory: str = "2 GiB"
    memory_note: str = ""
    disk: str = "10 GiB"
    firmware: tuple[str, ...] = ("uefi", "bios")
    variables: tuple[str, ...] = ()
    machine: tuple[str, ...] = ()
    install: tuple[str, ...] = ()
    access: tuple[str, ...] = ("ssh: {user: root}\tby the key made for this build; no password",)
    provision: tuple[str, ...] = ()
    shutdown: tuple[str, ...] = ()
    seal: str = "{}"
    seal_note: str = "every operation that fits the guest"
    outputs: str = "[qcow2]"
    clones: int = 2
    verify: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def starting_point(profile: Profile, identity: Identity, view: IsoView, *, host_has_mirror: bool) -> StartingPoint:
    """For *profile*, with what is known of the ISO; for a profile that is not ours, by the guest that it installs.

    Args:
        host_has_mirror: this host can say which Debian mirror it uses (``default: auto``).
    """
    if profile.name == "debian-installer":
        return _debian(identity, host_has_mirror)
    known = _BY_PROFILE.get(profile.name)
    if known is not None:
        return known(identity, view)
    if profile.guest == "windows":
        return _windows(identity, view)
    name = identity_name(identity) or profile.name
    return StartingPoint(name, clones=1 if profile.guest == "bsd" else 2, verify=())


def identity_name(identity: Identity, parts: int = 1) -> str:
    """As ``debian-12`` or, with two parts of the release, ``ubuntu-24.04``; empty when nothing is known.

    Words that all distributions share are left out, as in the names of ``images/``.
    """
    words = re.findall(r"[a-z0-9]+", identity.family.lower())
    family = "-".join(words if words[:1] == ["windows"] else [w for w in words if w not in ("gnu", "linux", "server")])
    release = ".".join(identity.release.split(".")[:parts])
    release = re.sub(r"[^a-z0-9.]+", "-", release.lower()).strip("-.")
    return "-".join(word for word in (family, release) if word)[:60]


def text(value: str) -> str:
    """A YAML scalar in double quotes, whatever it holds; what Jinja would read stays as it is written."""
    quoted = json.dumps(_OPENS_JINJA.sub("{{ '{' }}", value), ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in quoted)


def number(release: str, otherwise: str) -> str:
    """The release where it is one that can stand in a URL; what an ISO says of itself may be anything."""
    return release if re.fullmatch(r"\d[\w.-]*", release, re.ASCII) else otherwise


# --- families ------------------------------------------------------------------------------------------------------


def _debian(identity: Identity, host_has_mirror: bool) -> StartingPoint:
    mirror = "auto" if host_has_mirror else '""'  # from the CD alone
    return StartingPoint(
        identity_name(identity) or "debian",
        base=True,
        variables=(
            'mirror: {help: "Debian mirror: a host, or a URL with its folder; auto = the one that this host uses",'
            f" default: {mirror}}}",
        ),
        verify=(SYSTEMD,),
    )


def _ubuntu(identity: Identity, view: IsoView) -> StartingPoint:
    return StartingPoint(
        identity_name(identity, 2) or "ubuntu",
        base=True,
        memory="4 GiB",
        memory_note="the live CD unpacks itself into memory",
        disk="12 GiB",
        variables=(
            'mirror: {help: "Ubuntu mirror, as a URL; empty = Ubuntu\'s own", default: ""}',
            'flavour: {help: "What the CD installs", default: ubuntu-server-minimal,'
            " choices: [ubuntu-server-minimal, ubuntu-server]}",
            'layout: {help: "How the disk is cut", default: direct, choices: [direct, lvm]}',
        ),
        verify=(SYSTEMD,),
    )


_EL_MIRRORS: Mapping[str, tuple[str, str]] = {
    "AlmaLinux": ("https://repo.almalinux.org/almalinux", "{major}"),
    "Rocky Linux": ("https://download.rockylinux.org/pub/rocky", "{major}"),
    "CentOS Stream": ("https://mirror.stream.centos.org", "{major}-stream"),
}
"""Per family: the public mirror, and the folder in it that holds ``BaseOS``."""


def _anaconda_fedora(identity: Identity, view: IsoView) -> StartingPoint:
    """Fedora, unless the ISO says that it is one of the others: the profile is for Enterprise Linux 10 as well."""
    if identity.family in ("", "Fedora"):
        return _fedora(identity, view)
    return _enterprise_linux(identity, view, "10")


def _enterprise_linux(identity: Identity, view: IsoView, release: str = "9") -> StartingPoint:
    """*release* is what the profile is made for, where the ISO does not say its own."""
    major = number(identity.release.split(".")[0], release)
    mirror, folder = _EL_MIRRORS.get(identity.family, ("https://mirror.example/el", "{major}"))
    folder = folder.format(major=major)
    media = package_media(view)
    notes = () if identity.family in _EL_MIRRORS or media != "boot" else (
        "This family has no mirror for everybody: write the one that you may use under `variables: mirror`.",
    )  # fmt: skip
    return StartingPoint(
        identity_name(identity) or f"el-{major}",
        base=True,
        memory="4 GiB",
        memory_note="the installer itself wants three",
        variables=(
            'media: {help: "boot: packages from the mirror; minimal and dvd: packages from the CD",'
            f" default: {media}, choices: [boot, minimal, dvd]}}",
            f'mirror: {{help: "Mirror: the folder that holds {folder}/BaseOS", default: {text(mirror)}}}',
        ),
        install=(
            "seed_vars:",
            "  family: el",
            *(("  release: 8",) if major == "8" else ()),
            f"  tree: {folder}/BaseOS/x86_64/os/",
            f"  repositories: {{AppStream: {folder}/AppStream/x86_64/os/}}",
        ),
        verify=(SYSTEMD,),
        notes=notes,
    )


def _fedora(identity: Identity, view: IsoView) -> StartingPoint:
    release = number(identity.release, "rawhide")
    # What is in development has no updates yet.
    tree = f"releases/{release}" if release != "rawhide" else "development/rawhide"
    updates = f"updates: updates/{release}/Everything/x86_64/" if release != "rawhide" else ""
    media = "netinst" if package_media(view) == "boot" else "dvd"
    return StartingPoint(
        identity_name(identity) or "fedora",
        base=True,
        memory="4 GiB",
        memory_note="the installer itself wants three",
        variables=(
            'media: {help: "netinst: packages from the mirror; dvd: packages from the CD",'
            f" default: {media}, choices: [netinst, dvd]}}",
            'mirror: {help: "Fedora mirror: the folder that holds releases/ and updates/",'
            ' default: "https://download.fedoraproject.org/pub/fedora/linux"}',
        ),
        install=(
            "seed_vars:",
            "  family: fedora",
            f"  tree: {tree}/Everything/x86_64/os/",
            f"  repositories: {{{updates}}}",
        ),
        verify=(SYSTEMD,),
    )


def package_media(view: IsoView) -> str:
    """What an Anaconda CD carries besides the installer: ``dvd``, ``minimal``, or ``boot`` for nothing."""
    label = view.volume_id.lower()
    folders = {name.lower().rpartition("/repodata/repomd.xml")[0] for name in view.names if name.endswith("repomd.xml")}
    if not folders:
        return "boot"
    return "minimal" if "minimal" in label or folders <= {"minimal"} else "dvd"


def _autoyast(identity: Identity, view: IsoView) -> StartingPoint:
    carries = any(n.lower().endswith((".rpm", "/repomd.xml")) for n in view.names)
    mirror = 'mirror: {help: "openSUSE mirror: the folder that holds distribution/leap", default: "https://download.opensuse.org"}'
    leap = identity.family.startswith("openSUSE") or not identity.family
    release = number(identity.release, "15.6")
    return StartingPoint(
        identity_name(identity) or "opensuse-leap-15",
        base=True,
        memory="2 GiB",
        variables=(mirror,) if leap else (),
        # Media without packages: linuxrc is told where they are.
        install=(f'kernel_args: "install={{{{ vars.mirror }}}}/distribution/leap/{release}/repo/oss/"',)
        if leap and not carries
        else (),
        verify=(SYSTEMD,),
    )


def _agama(identity: Identity, view: IsoView) -> StartingPoint:
    product = "SLES" if "SUSE Linux" in identity.family else "openSUSE_Leap"
    return StartingPoint(
        identity_name(identity) or "opensuse-leap-16",
        base=True,
        memory="4 GiB",
        memory_note="the installer is a live system",
        disk="16 GiB",
        install=(f"seed_vars: {{product: {product}}}",),
        verify=(SYSTEMD,),
    )


def _alpine(identity: Identity, view: IsoView) -> StartingPoint:
    release = re.match(r"\d+\.\d+", identity.release)
    branch = f"v{release[0]}" if release else "latest-stable"
    return StartingPoint(
        identity_name(identity, 2) or "alpine",
        base=True,
        memory="1 GiB",
        disk="2 GiB",
        variables=(
            'locale: {help: "musl knows one locale that matters", default: C.UTF-8}',
            'mirror: {help: "Alpine mirror: the folder that holds v3.x", default: "https://dl-cdn.alpinelinux.org/alpine"}',
            f"branch: {{help: \"Package branch\", default: {branch}, pattern: 'v3\\.\\d+|latest-stable|edge'}}",
        ),
        install=(
            "seed_files:",
            "  # The CD's initramfs lays this overlay over the live system: it fetches the answers and installs.",
            "  - name: factory.apkovl.tar.gz",
            "    build: {script: scripts/iso/alpine-apkovl}",
        ),
        verify=('rc-status --crashed >&2; test -z "$(rc-status --crashed)"',),
    )


def _tiny(identity: Identity, view: IsoView) -> StartingPoint:
    return StartingPoint("tiny-iso", memory="512 MiB", disk="1 GiB", firmware=("bios", "uefi"), verify=())


def _freebsd(identity: Identity, view: IsoView) -> StartingPoint:
    return StartingPoint(
        identity_name(identity) or "freebsd",
        firmware=("bios", "uefi"),
        variables=(
            'timezone: {help: "Time zone of the installed system (tz database name)", default: UTC}',
            'filesystem: {help: "Root file system", default: ufs, choices: [ufs, zfs]}',
        ),
        provision=(
            "- name: packages",
            '  shell: {script: scripts/guest/base-packages.sh, env: {PACKAGES: ""}}',
            "  timeout: 30m",
        ),
        shutdown=('command: "nohup sh /root/factory-farewell.sh >/dev/null 2>&1 &"', "deadline: 5m"),
        seal="false",
        seal_note="libguestfs can't write UFS or ZFS: the guest takes off its own identity as the last thing it does",
        clones=1,
    )


def _windows(identity: Identity, view: IsoView) -> StartingPoint:
    images = windows_images(view)
    names = [image.name for image in images] or ["Windows Server 2022 SERVERSTANDARD"]
    client = bool(images) and not images[0].is_server
    language = (images[0].language if images else "") or "en-US"
    drivers = (images[0].drivers if images else "") or "2k22"
    known = bool(images) and bool(images[0].drivers)
    notes: tuple[str, ...] = (
        "Windows needs the virtio drivers' CD: from the package virtio-win or fedorapeople.org/groups/virt/virtio-win.",
    )
    if not known:
        notes += (
            "The ISO says of no Windows that is known here: look up `image_name`, and under `install: seed_vars` the"
            f" folder of virtio drivers ({drivers} is for Windows Server 2022).",
        )
    if client:
        notes += ("The profile is made for Windows Server: look through its answers (http_seed/windows-server) first.",)
    return StartingPoint(
        identity_name(identity) or "windows",
        memory="4 GiB",
        disk="40 GiB",
        firmware=("uefi-secure", "uefi") if client else ("uefi", "bios"),
        variables=(
            'virtio_iso: {help: "virtio-win.iso on this host, an absolute path",'
            ' default: /usr/share/virtio-win/virtio-win.iso, pattern: "/[^,]+"}',
            f'image_name: {{help: "Edition, as the CD calls it", default: {text(names[0])},'
            f" choices: [{', '.join(text(n) for n in names)}]}}",
            'product_key: {help: "Empty for an evaluation", default: "", sensitive: true}',
            'administrator_password: {help: "Only while the image is built, unless you set it", generate: password,'
            " sensitive: true}",
            'timezone: {help: "Windows\' name of the time zone", default: UTC}',
            f'language: {{help: "Language of the ISO and of the system", default: {text(language)}}}',
        ),
        machine=(
            *(("tpm: true",) if client else ("# tpm: true\tBitLocker and Windows 11 want one",)),
            "extra_args:\tthe drivers' CD stays in for the whole build: guest tools are on it as well",
            "  - -drive",
            '  - "file={{ vars.virtio_iso }},media=cdrom,if=none,id=virtio,readonly=on"',
            "  - -device",
            "  - ide-cd,drive=virtio,bus=ide.5",
        ),
        install=(f"seed_vars: {{windows: {text(drivers)}}}\tthe folder of virtio drivers",),
        access=('winrm: {user: Administrator, password: "{{ vars.administrator_password }}", deadline: 2h}',),
        provision=_windows_scripts(),
        shutdown=("command: shutdown /s /t 5 /f /d p:4:1", "deadline: 30m"),
        seal_note="what can be done to a Windows disk from outside",
        clones=1,
        notes=notes,
    )


def _windows_scripts() -> tuple[str, ...]:
    lines: list[str] = []
    for name, timeout in (("guest-tools", "30m"), ("settings", "15m"), ("cleanup", "1h")):
        lines += [
            f"- name: {name}",
            "  shell:",
            f"    script: scripts/guest/windows/{name}.ps1",
            "    remote_folder: C:/Windows/Temp",
            '    execute_command: "powershell -NoProfile -ExecutionPolicy Bypass -File {{ path }}"',
            f"  timeout: {timeout}",
        ]
    return tuple(lines)


_BY_PROFILE: Mapping[str, Callable[[Identity, IsoView], StartingPoint]] = {
    "ubuntu-autoinstall": _ubuntu,
    "anaconda-el9": _enterprise_linux,
    "anaconda-fedora": _anaconda_fedora,
    "autoyast": _autoyast,
    "agama": _agama,
    "alpine": _alpine,
    "freebsd-bsdinstall": _freebsd,
    "windows-server": _windows,
    "tiny": _tiny,
}
