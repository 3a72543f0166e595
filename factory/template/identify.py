"""What an ISO is, in words: family, release, architecture, edition. Never asks for the ISO's file name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from factory.drivers.iso_view import IsoView
from factory.template.boot_files import treeinfo
from factory.template.windows_media import windows_images

_DISK_INFO = re.compile(
    r"^(?P<family>[A-Za-z][A-Za-z/ +-]*?) (?P<release>\d[\d.]*\S*?)(?: LTS)?"
    r"(?: \"(?P<codename>[^\"]+)\")? - (?P<rest>.*)"
)
_ARCHITECTURES = {"amd64": "x86_64", "x86_64": "x86_64", "x64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64",
                  "i386": "i386", "i686": "i386", "ppc64le": "ppc64le", "ppc64el": "ppc64le", "s390x": "s390x",
                  "riscv64": "riscv64", "armhf": "armhf"}  # fmt: skip
_ARCH = r"(?P<arch>x86_64|aarch64|amd64|arm64|i[36]86|ppc64le|s390x|riscv64|AMD64|ARM64)"
_VOLUME_IDS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"^(?P<family>Fedora)-(?P<edition>\w+)-(?:\w+-)*{_ARCH}-(?P<release>\d+|[Rr]awh)",
        # Live ISOs name no architecture since Fedora 24: Fedora-WS-Live-41-1-4, Fedora-KDE-Live-44.
        r"^(?P<family>Fedora)-(?P<edition>\w+-Live)-(?P<release>\d+|[Rr]awh)",
        rf"^(?P<family>AlmaLinux|Rocky|CentOS-Stream|CentOS|RHEL|OL)-(?P<release>\d+(?:[-_.]\d+)*)"
        rf"(?:-(?:BaseOS-)?{_ARCH}(?:-(?P<edition>[A-Za-z]+))?|(?=-|$))",
        r"^(?P<family>DEBIAN)(?P<release>\d+)(?:_|$)",
        rf"^(?P<family>Debian|Ubuntu|Ubuntu-Server) (?P<release>\d[\d.]*)(?: LTS)? {_ARCH}",
        rf"^(?P<family>openSUSE-Leap|SLE)-(?P<release>\d+(?:\.\d+|-SP\d)?)-(?P<edition>[A-Za-z]+)-{_ARCH}",
        rf"^(?i:install)-(?P<family>[A-Za-z]+)[-_](?P<release>\d+\.\d+)[-_.]{_ARCH}",
        rf"^(?P<family>alpine)-(?P<edition>\w+) (?P<release>\d[\w.]*) {_ARCH}",
        rf"^(?P<release>\d+_\d+)_(?P<family>RELEASE)_{_ARCH}_(?P<edition>\w+)",
    )
)
_FAMILIES = {"Rocky": "Rocky Linux", "RHEL": "Red Hat Enterprise Linux", "OL": "Oracle Linux",
             "CentOS": "CentOS Linux", "CentOS-Stream": "CentOS Stream",
             "Ubuntu-Server": "Ubuntu Server", "Debian": "Debian GNU/Linux",
             "DEBIAN": "Debian GNU/Linux",
             "alpine": "Alpine Linux", "RELEASE": "FreeBSD", "openSUSE-Leap": "openSUSE Leap", "Leap": "openSUSE Leap",
             "SLE": "SUSE Linux Enterprise", "SLES": "SUSE Linux Enterprise Server"}  # fmt: skip


_ANACONDA = frozenset({"Fedora", "AlmaLinux", "Rocky Linux", "CentOS Linux", "CentOS Stream", "Oracle Linux",
                       "Red Hat Enterprise Linux"})  # fmt: skip
_LIVE = re.compile(r"(?:^|[-_ ])Live(?:[-_ ]|$)")


@dataclass(frozen=True, slots=True)
class Identity:
    """What an ISO says it is. Empty where it says nothing.

    Args:
        family: the distribution, as it calls itself.
        release: as ``12.14.0``, ``9.8``, ``44``.
        architecture: as machines are called here: ``x86_64``, ``aarch64``.
        edition: as ``NETINST``, ``dvd``, ``virt``.
        sign: what said so, in words.
    """

    family: str = ""
    release: str = ""
    codename: str = ""
    architecture: str = ""
    edition: str = ""
    sign: str = ""

    def __str__(self) -> str:
        named = " ".join(word for word in (self.family, self.release) if word)
        named += f' "{self.codename}"' if self.codename else ""
        return ", ".join(word for word in (named, self.architecture, self.edition) if word)


def identify(view: IsoView) -> Identity:
    """The first of `.treeinfo`, `.disk/info`, a Windows image and the label that says something; what it leaves open
    is taken from the others."""
    found = [one for one in _all(view) if one.family]
    if not found:
        return Identity()
    best = found[0]
    for other in found[1:]:
        best = replace(
            best,
            release=best.release or other.release,
            architecture=best.architecture or other.architecture,
            edition=best.edition or other.edition,
        )
    return best


def is_live(view: IsoView, identity: Identity) -> bool:
    """True for a live system of Anaconda's families: its installer copies what runs, and takes no kickstart for it.

    Lorax makes the ISOs that take one: with Anaconda in ``images/install.img``, with packages, or with both.
    """
    if identity.family not in _ANACONDA or view.find("images/install.img"):
        return False
    if any(name.lower().endswith("repodata/repomd.xml") for name in view.names):
        return False
    return bool(_LIVE.search(view.volume_id)) or any(name.lower().startswith("liveos/") for name in view.names)


def _all(view: IsoView) -> Iterator[Identity]:
    for one in (_by_treeinfo(view), _by_disk_info(view), _by_windows_image(view), _by_volume_id(view)):
        words = {name: _one_line(getattr(one, name)) for name in ("family", "release", "codename", "edition")}
        yield replace(one, **words)


def _one_line(text: str) -> str:
    """Without line breaks and control characters: what an ISO says of itself is shown on terminals and in YAML."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _by_treeinfo(view: IsoView) -> Identity:
    info = treeinfo(view)

    def said(section: str, key: str) -> str:
        return (info.get(section, key, fallback="") or "").strip()

    family = said("general", "family") or said("release", "name")
    architecture = _ARCHITECTURES.get(said("general", "arch") or said("tree", "arch"), "")
    release = said("general", "version") or said("release", "version")
    return Identity(family, release, architecture=architecture, sign=".treeinfo")


def _by_disk_info(view: IsoView) -> Identity:
    match = _DISK_INFO.match(view.disk_info)
    if match is None:
        return Identity()
    words = match["rest"].split()
    architecture = next((w for w in words if w in _ARCHITECTURES), "")
    after = words[words.index(architecture) + 1 :] if architecture else []
    return Identity(
        _FAMILIES.get(match["family"], match["family"]),
        match["release"],
        match["codename"] or "",
        _ARCHITECTURES.get(architecture, ""),
        # Debian writes what kind of CD it is there, Ubuntu the date.
        after[0] if after and after[0].isalpha() else "",
        ".disk/info",
    )


def _by_windows_image(view: IsoView) -> Identity:
    images = windows_images(view)
    if not images:
        return Identity()
    # "Windows Server 2022 SERVERSTANDARD", "Windows 11 Pro"
    match = re.match(r"(Windows(?: Server)?) (\S+)", images[0].name)
    family, release = (match[1], match[2]) if match else (images[0].name, "")
    architecture = images[0].architecture
    return Identity(family, release, architecture=architecture, sign="the XML of its Windows image")


def _by_volume_id(view: IsoView) -> Identity:
    for pattern in _VOLUME_IDS:
        match = pattern.match(view.volume_id)
        if match:
            parts = match.groupdict()
            release = re.sub(r"(?<=\d)[-_](?=\d)", ".", parts["release"])
            release = "rawhide" if release.lower() == "rawh" else release
            return Identity(
                _FAMILIES.get(parts["family"], parts["family"]),
                release,
                architecture=_ARCHITECTURES.get((parts.get("arch") or "").lower(), ""),
                edition=parts.get("edition") or "",
                sign="its label",
            )
    return Identity()
