"""Unpacks an archive that comes from somebody who is not trusted.

The standard library has this since Python 3.11.4 (PEP 706, the "data" filter); Debian 12's 3.11.2 has not.
"""

from __future__ import annotations

import os
import tarfile
from pathlib import Path


def unpack(archive: Path, target: Path) -> None:
    """Writes what is in *archive* below *target*, and nothing outside of it; owners are not kept.

    Raises: tarfile.TarError for what leads out of *target* and for what is no file, folder or link; OSError.
    """
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(target, filter="data")
        else:
            extract(tar, target)


def extract(tar: tarfile.TarFile, target: Path) -> None:
    """As the "data" filter does. Each member is judged when those before it are there, for a link may lead out."""
    root = os.path.realpath(target)
    for member in tar:
        _judge(member, root)
        member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
        member.mode = (member.mode & 0o755) | (0o700 if member.isdir() else 0o600)
        tar.extract(member, root)


def _judge(member: tarfile.TarInfo, root: str) -> None:
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise tarfile.TarError(f"{member.name!r} is a special file")
    folder = os.path.dirname(os.path.join(root, member.name))
    places = [os.path.join(root, member.name)]
    if member.issym():
        places = [folder, os.path.join(folder, member.linkname)]
    elif member.islnk():
        places.append(os.path.join(root, member.linkname))
    for place in places:
        real = os.path.realpath(place)
        if real != root and not real.startswith(root + os.sep):
            raise tarfile.TarError(f"{member.name!r} would be outside the destination")
