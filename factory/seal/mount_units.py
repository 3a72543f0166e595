"""systemd's mount units: what they mount where, and which of them a guest starts at boot."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping, Sequence

from factory.seal.mounts import FstabEntry

UNIT_FOLDERS = (
    *("/etc/systemd/system", "/usr/local/lib/systemd/system"),
    *("/usr/lib/systemd/system", "/lib/systemd/system"),
)
"""Where units are, by precedence (systemd.unit(5)); what a run makes for itself is on no disk."""
_DROP_INS, _LINKS = ".mount.d", (".wants", ".requires", ".upholds")
FOLDERS_OF_UNITS = (_DROP_INS, *_LINKS)
"""How the names of the folders in these end that hold drop-ins, and links to the units that another one starts."""
UNIT_GLOBS = tuple(
    f"{folder}/{names}" for folder in UNIT_FOLDERS for names in ("*.mount", *(f"*{f}/*" for f in FOLDERS_OF_UNITS))
)


def files_of_units(paths: Sequence[str]) -> dict[str, list[str]]:
    """Of *paths*, by precedence: each mount unit's name → its file and its drop-ins, as systemd reads them."""
    units: dict[str, str] = {}
    drop_ins: dict[str, dict[str, str]] = {}
    for path in paths:
        folder, name = posixpath.split(path)
        if folder in UNIT_FOLDERS and name.endswith(".mount"):
            units.setdefault(name, path)
        elif folder.endswith(_DROP_INS) and name.endswith(".conf"):
            drop_ins.setdefault(posixpath.basename(folder)[: -len(".d")], {}).setdefault(name, path)
    return {unit: [path, *(p for _, p in sorted(drop_ins.get(unit, {}).items()))] for unit, path in units.items()}


def enabled_units(paths: Sequence[str]) -> set[str]:
    """The mount units that a link makes another unit start; that of their automount counts as theirs."""
    found = set()
    for path in paths:
        folder, name = posixpath.split(path)
        stem, kind = posixpath.splitext(name)
        if folder.endswith(_LINKS) and kind in {".mount", ".automount"}:
            found.add(f"{stem}.mount")
    return found


def entries_of_units(texts: Mapping[str, Sequence[str]], enabled: Collection[str]) -> list[FstabEntry]:
    """What units mount (name → the text of each of its files), as lines of fstab: ``noauto`` what is not *enabled*."""
    entries = []
    for unit, (text, *drop_ins) in texts.items():
        entry = parse_mount_unit("\n".join([text, *drop_ins])) if text.strip() else None  # an empty one is masked
        if entry is not None:
            # In a unit's own options the word means nothing.
            options = [option for option in entry.options if option != "noauto"]
            options += [] if unit in enabled else ["noauto"]
            entries.append(FstabEntry(entry.source, entry.point, entry.type, tuple(options)))
    return entries


def parse_mount_unit(text: str) -> FstabEntry | None:
    """What a ``*.mount`` unit mounts (systemd.mount(5)); None for what is no device: a share, an image."""
    lines = text.replace("\\\n", " ").splitlines()
    values = {key.strip(): _unquoted(value.strip()) for key, _, value in (line.partition("=") for line in lines)}
    source, point = values.get("What", ""), values.get("Where", "")
    is_device = source.startswith("/dev/") or re.match(r"(?:PART)?(?:UUID|LABEL)=", source)
    if not is_device or not point.startswith("/"):
        return None
    options = tuple(filter(None, values.get("Options", "").split(",")))
    return FstabEntry(source, point, values.get("Type", "auto"), options)


def _unquoted(value: str) -> str:
    quoted = re.fullmatch(r"([\"'])(.*)\1", value)
    return quoted[2] if quoted is not None else value


def with_units(fstab: Sequence[FstabEntry], units: Sequence[FstabEntry]) -> list[FstabEntry]:
    """What *units* mount beside *fstab*."""
    points = {posixpath.normpath(entry.point) for entry in fstab}
    return [*fstab, *(e for e in units if posixpath.normpath(e.point) not in points)]
