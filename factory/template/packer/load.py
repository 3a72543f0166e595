"""Loads a Packer template of any form."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from factory.template.packer.config.load_hcl import load_hcl
from factory.template.packer.hcl import Source
from factory.template.packer.language.scope import World
from factory.template.packer.legacy.load_json import load_json
from factory.template.packer.model import PackerConfig
from factory.template.packer.selection import Selection
from factory.template.packer_files import DataReader, Purpose

HCL_SUFFIXES = (".hcl", ".pkr.json")


def load(
    path: str | Path,
    variables: Mapping[str, str] | None = None,
    var_files: Sequence[str | Path] = (),
    environ: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    except_: Sequence[str] = (),
    *,
    working: Path | None = None,
    clock: Callable[[], datetime] | None = None,
    data_reader: DataReader | None = None,
    secret_reader: Callable[[str, tuple[str, ...]], str] | None = None,
    text: str | None = None,
    purpose: Purpose = Purpose.CHECK,
) -> PackerConfig:
    """Reads, evaluates and checks the template at *path*: a file, or a folder of ``*.pkr.hcl`` and ``*.pkr.json``.

    Args:
        variables: ``-var``, by name.
        var_files: ``-var-file``, in order; later ones win.
        environ: the environment; default: that of the process. ``PKR_VAR_x`` sets the variable *x*.
        only, except_: patterns over names of builds; ``except_`` takes away from what ``only`` leaves.
        working: the folder that relative paths start from; default: that of the process.
        clock: the present; one moment holds for the whole template.
        data_reader: reads data sources; without it, what they give is unknown.
        secret_reader: reads ``vault``, ``consul_key`` and the like: function name and arguments to the secret.
        text: a JSON template instead of the file, as ``packer build -`` takes it.
        purpose: with ``Purpose.SHOW`` a variable without a value is no error: it and what uses it are unknown.

    Raises: TemplateError with every problem, each with its place.
    """
    template = Path(path)
    now = (clock or (lambda: datetime.now(UTC)))()
    is_hcl = text is None and (template.is_dir() or template.name.endswith(HCL_SUFFIXES))
    world = World(
        folder=template if template.is_dir() else template.parent,
        working=working or Path.cwd(),
        environment=os.environ if environ is None else environ,
        clock=lambda: now,
        secret=secret_reader,
    )
    selection = Selection.of(only, except_)
    files = [Path(f) for f in var_files]
    if is_hcl:
        return load_hcl(
            template,
            world,
            variables=variables or {},
            var_files=files,
            selection=selection,
            data_reader=data_reader,
            purpose=purpose,
        )
    return load_json(
        template,
        world,
        variables=variables or {},
        var_files=files,
        selection=selection,
        text=None if text is None else Source.of(str(path), text),
        purpose=purpose,
    )
