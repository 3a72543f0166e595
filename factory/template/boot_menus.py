"""The boot menus of an ISO: which kernels it starts, with which initrds and words. For ISOs that no profile knows."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from factory.drivers.iso_view import IsoView

_START = re.compile(r"^(?:label|menuentry|title)\b\s*(.*)", re.IGNORECASE)
_TITLE = re.compile(r"^menu label\s+(.*)", re.IGNORECASE)
_KERNEL = re.compile(r"^(?:linux(?:efi|16)?|kernel|\$linux)\s+(\S+)\s*(.*)", re.IGNORECASE)
_INITRD = re.compile(r"^(?:initrd(?:efi|16)?|\$initrd)\s+(\S+)", re.IGNORECASE)
_WORDS = re.compile(r"^(?:append|options)\s+(.*)", re.IGNORECASE)
_PREFIX = re.compile(r"^(?:\([^)]*\)|\$\{?\w+\}?)+(?=/)")
"""GRUB's ``(cd0)/…`` and ``$root/…``."""


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """One line of a menu. ``initrd`` is empty where there is none; ``words`` are the kernel's, without the initrd."""

    menu: str
    title: str
    kernel: str
    initrd: str
    words: str


@dataclass(slots=True)
class _Draft:
    title: str = ""
    kernel: str = ""
    initrd: str = ""
    words: str = ""


def menu_entries(view: IsoView) -> tuple[MenuEntry, ...]:
    """Every way to start a kernel that the ISO really holds, in the order of the menus; each once."""
    found: dict[tuple[str, str, str], MenuEntry] = {}
    for menu, text in sorted(view.texts.items()):
        if not menu.endswith((".cfg", ".conf")):
            continue
        for draft in _drafts(text):
            entry = _entry(draft, menu, view)
            if entry is not None:
                found.setdefault((entry.kernel, entry.initrd, entry.words), entry)
    return tuple(found.values())


def _drafts(text: str) -> Iterator[_Draft]:
    draft = _Draft()
    for line in text.splitlines():
        words = line.strip()
        if start := _START.match(words):
            yield draft
            draft = _Draft(_title(start[1]))
        elif title := _TITLE.match(words):
            draft.title = _title(title[1])
        elif kernel := _KERNEL.match(words):
            draft.kernel, draft.words = kernel[1], f"{kernel[2]} {draft.words}"
        elif initrd := _INITRD.match(words):
            draft.initrd = initrd[1].split(",")[0]
        elif more := _WORDS.match(words):
            draft.words = f"{draft.words} {more[1]}"
    yield draft


def _title(text: str) -> str:
    """GRUB's in quotes, before its options; isolinux' with the mark of its hot key."""
    quoted = re.search(r"(['\"])(.*?)\1", text)
    return (quoted[2] if quoted else text).replace("^", "").strip()


def _entry(draft: _Draft, menu: str, view: IsoView) -> MenuEntry | None:
    words = draft.words.split()
    inline = next((w.partition("=")[2].split(",")[0] for w in words if w.startswith("initrd=")), "")
    kernel = _in_iso(draft.kernel, menu, view)
    if not kernel or kernel.lower().endswith((".c32", ".bin", ".0", ".efi")):
        return None
    initrd = _in_iso(draft.initrd or inline, menu, view)
    # What a menu leaves to its boot loader's variables, nobody here knows.
    kept = [w for w in words if not w.startswith("initrd=") and "$" not in w]
    return MenuEntry(menu, draft.title, kernel, initrd, " ".join(kept))


def _in_iso(path: str, menu: str, view: IsoView) -> str:
    """The file that *path* means, read from the ISO's root or beside the menu; empty when there is none."""
    if not path:
        return ""
    plain = _PREFIX.sub("", path)
    beside = posixpath.normpath(posixpath.join(posixpath.dirname(menu), plain.lstrip("/")))
    return view.find(plain) or view.find(beside) or ""
