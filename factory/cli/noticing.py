"""Notes what the plans of a command were made from, for ``cli.unchanged``.

Python's audit events name every file that is opened and every folder that is listed, whoever does it: a new field of
the templates can't be forgotten here. What is looked for and not there is seen by the names in the folders that it
would lie in. A plan that asks the network or a program is not noted.
"""

from __future__ import annotations

import json
import os
import site
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import local
from typing import Any

from factory.cli.places import places
from factory.cli.unchanged import FOLDER, names_in, note_of, stamp
from factory.engine.delivered import MANIFEST, read_manifest
from factory.engine.filesystem import remove_temporaries, write_text
from factory.engine.scratch import PREFIX
from factory.outputs.staging import STAGING

KEPT = 64
"""Notes in a store: one for each command, in each folder, that a person repeats."""
_ASKS_SOMEBODY = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn", "socket.connect", "socket.getaddrinfo"})
_LISTS = frozenset({"os.listdir", "os.scandir"})
_TRUSTED = "factory.trusted"
"""An event of ours: a file counts, but is not opened where its digest is known from before."""
_OPENS = frozenset({"open", _TRUSTED})
_OF_THE_STORE = ("layers", "locks", "names", "checked", "media", "host", "fonts", "guestfs", "salt", FOLDER)
"""What a build reads in the cache is what others have left there; no plan is made from it."""
_HOW_IT_LOOKS = frozenset({"color", "timestamp-ui", "machine-readable"})
"""Flags of Packer's that `cli.unchanged` knows nothing of."""
_PACKAGE = str(Path(__file__).parents[1]) + os.sep
_LOOKED_THROUGH = ("images", "boot_configs", "http_seed", "scripts")
"""Folders of a project in which names are looked up: a file that appears in one of them may be found first."""
_listeners: list[Noticed] = []
_hooked: list[bool] = []
"""An audit hook can't be taken away: there is one for all listeners, and none before it is needed."""


class Noticed:
    """Files (with their stamps) and folders (with their names) that were read, outside of what is the program's own."""

    def __init__(self, output: Path) -> None:
        self.files: dict[str, list[int] | None] = {}
        self.folders: dict[str, str | None] = {}
        self.complete = True
        self.listening = True
        self.programs: list[str] = []
        """Programs that plans depend on."""
        self.downloads: set[Path] = set()
        """What builds bring out of their guests: only as long as it is there has nothing changed."""
        self.output = str(output.absolute())
        self._busy = local()
        self._temporary = tempfile.gettempdir()
        self._ignored = tuple(_ignored())

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit event. Raises nothing: that would end what is being done."""
        if event in _ASKS_SOMEBODY:
            self.complete = False
        elif (event in _OPENS or event in _LISTS) and not getattr(self._busy, "here", False):
            self._busy.here = True
            try:
                if arguments and isinstance(arguments[0], (str, bytes, os.PathLike)):
                    self._note(event, os.path.abspath(os.fsdecode(arguments[0])))
            except Exception:
                self.complete = False
            finally:
                self._busy.here = False

    def _note(self, event: str, path: str) -> None:
        listed = event in _LISTS
        if event != _TRUSTED and f"{os.path.realpath(path)}{os.sep}".startswith(self._ignored):
            return
        if listed and path == self._temporary:  # swept by every build; whose template lies there notes its names
            return
        if path.startswith(_PACKAGE) and (listed or path.endswith((".py", ".pyc"))):  # see _program
            return
        if listed:
            self.folder(path)
        elif path not in self.files:
            self.files[path] = stamp(path)
            self.folder(os.path.dirname(path))

    def folder(self, path: str) -> None:
        """Notes the names in a folder. The output folder itself may come and go."""
        if path not in self.folders:
            without = [os.path.basename(self.output)] if path == os.path.dirname(self.output) else []
            self.folders[path] = names_in(path, without)

    def _project(self, root: Path) -> None:
        """Notes the folders of a project in which names are looked up."""
        self.folder(str(root))
        for name in _LOOKED_THROUGH:
            for folder, _, _ in os.walk(root / name):
                self.folder(folder)

    def planning(self, root: Path) -> None:
        """A plan of a template in the project *root* is being made."""
        if self.listening:
            self._project(root)
        else:  # one that was mended, or one whose base had to be built before: the next time it may be noted
            self.complete = False

    def stop(self) -> None:
        """All plans are made, and what is read now is read by builds."""
        if self.listening:
            self.listening = False
            _listeners.remove(self)
            self._program()

    def _program(self) -> None:
        """Notes what plans depend on beside files that are opened: our code, plug-ins, and where programs lie."""
        loaded = [getattr(module, "__file__", None) for name, module in list(sys.modules.items()) if _is_ours(name)]
        searched = os.environ.get("PATH", "").split(os.pathsep)
        for path in (*filter(None, loaded), "/etc/localtime", *self.programs, *filter(None, searched)):
            self.files.setdefault(os.path.abspath(path), stamp(os.path.abspath(path)))
        for path in sys.path:
            if os.path.basename(path) in ("site-packages", "dist-packages"):
                self.folder(path)


def _is_ours(module: str) -> bool:
    return module == "factory" or module.startswith("factory.")


def _ignored() -> Iterator[str]:
    """Beginnings of paths that are the program's, Python's and the kernel's own."""
    where = places()
    own = [str(where.runs), *(str(where.cache / name) for name in _OF_THE_STORE)]
    libraries = [os.path.dirname(os.__file__), *site.getsitepackages()]
    if sys.prefix != sys.base_prefix:  # else it is /usr, where firmware lies, too
        libraries.append(sys.prefix)
    for path in (*own, *libraries):
        yield f"{os.path.realpath(path)}{os.sep}"
    yield os.path.join(os.path.realpath(tempfile.gettempdir()), PREFIX)
    yield from ("/proc/", "/sys/", "/dev/")


@contextmanager
def noticing(output: Path) -> Iterator[Noticed]:
    """Listens until the body ends, or until ``stop``."""
    noticed = Noticed(output)
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_hook)
    _listeners.append(noticed)
    try:
        yield noticed
    finally:
        noticed.stop()


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    for noticed in _listeners:
        noticed.hear(event, arguments)


def remember(arguments: Sequence[str], noticed: Noticed, artifacts: Mapping[str, Path], *, json_lines: bool) -> None:
    """Notes that ``factory build ARGUMENTS`` has delivered *artifacts*. A store that can't be written is no error."""
    if not noticed.complete or any(a.lstrip("-").partition("=")[0] in _HOW_IT_LOOKS for a in arguments):
        return
    own = tuple(f"{path}{os.sep}" for path in (*artifacts.values(), Path(noticed.output) / STAGING))
    files = {path: known for path, known in noticed.files.items() if not path.startswith(own)}
    folders = {path: known for path, known in noticed.folders.items() if not f"{path}{os.sep}".startswith(own)}
    for artifact in artifacts.values():
        manifest = read_manifest(artifact) or {}
        for name in (MANIFEST, *(entry["path"] for entry in manifest.get("files", ()))):
            files[str(artifact / name)] = stamp(str(artifact / name))
    for path in noticed.downloads:
        files[str(path.absolute())] = stamp(str(path.absolute()))
    note = {
        "files": files, "folders": folders, "output": noticed.output, "json": json_lines,
        "builds": {name: str(path) for name, path in artifacts.items()},
    }  # fmt: skip
    with suppress(OSError, ValueError):
        path = Path(note_of(arguments))
        path.parent.mkdir(mode=0o700, exist_ok=True)
        remove_temporaries(path.parent)
        write_text(path, json.dumps(note))
        for old in sorted(path.parent.glob("*.json"), key=lambda p: p.stat().st_mtime)[:-KEPT]:
            old.unlink()
