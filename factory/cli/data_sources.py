"""Reads the data sources of Packer's templates for the commands that plan and build."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from factory.cli.places import places

if TYPE_CHECKING:
    from factory.drivers.data_sources import DataSources


@functools.cache
def _sources() -> DataSources:
    from factory.drivers.data_sources import DataSources  # not before a template has one

    return DataSources(places().cache)


def read_data_source(kind: str, name: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """A ``template.packer_files.DataReader``. Raises: TemplateError."""
    return _sources()(kind, name, options)
