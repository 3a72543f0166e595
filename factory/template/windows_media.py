"""The editions that a Windows ISO holds, by the XML of its image file."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree

from factory.drivers.iso_view import IsoView

_ARCHITECTURES = {"0": "i386", "5": "arm", "9": "x86_64", "12": "aarch64"}
"""``PROCESSOR_ARCHITECTURE_*`` of the Windows SDK."""

_DRIVERS = {"server": ((26100, "2k25"), (20348, "2k22"), (17763, "2k19"), (14393, "2k16")),
            "client": ((22000, "w11"), (10240, "w10"))}  # fmt: skip
"""By build, newest first: the folder of a virtio driver on the drivers' CD that fits."""


@dataclass(frozen=True, slots=True)
class WindowsImage:
    """One edition. ``name`` is what an answer file asks for (``/IMAGE/NAME``)."""

    name: str
    edition: str
    kind: str
    architecture: str
    build: int
    language: str

    @property
    def is_server(self) -> bool:
        return self.kind.startswith("Server")

    @property
    def drivers(self) -> str:
        """The folder of virtio drivers for it; empty where there is none that is known."""
        builds = _DRIVERS["server" if self.is_server else "client"]
        return next((folder for first, folder in builds if self.build >= first), "")


def windows_images(view: IsoView) -> tuple[WindowsImage, ...]:
    """Every edition on the ISO, in its order; none where nothing can be read."""
    xml = next((text for name, text in view.texts.items() if name.startswith("sources/install.") and text), "")
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return ()
    return tuple(_image(element) for element in root.iter("IMAGE"))


def _image(element: ElementTree.Element) -> WindowsImage:
    def text(path: str) -> str:
        return (element.findtext(path) or "").strip()

    build = text("WINDOWS/VERSION/BUILD")
    return WindowsImage(
        name=text("NAME"),
        edition=text("WINDOWS/EDITIONID"),
        kind=text("WINDOWS/INSTALLATIONTYPE"),
        architecture=_ARCHITECTURES.get(text("WINDOWS/ARCH"), ""),
        build=int(build) if build.isdecimal() else 0,
        language=text("WINDOWS/LANGUAGES/DEFAULT") or text("WINDOWS/LANGUAGES/LANGUAGE"),
    )
