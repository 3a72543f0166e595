"""What the watchdog still has to end when its pipe closes."""

from __future__ import annotations

import pytest

from factory.drivers.watchdog import open_groups

pytestmark = pytest.mark.unit


def test_only_groups_that_were_not_closed_are_open() -> None:
    assert open_groups([b"+12\n", b"+13\n", b"-12\n", b"+14\n", b"-99\n"]) == {13, 14}


def test_a_torn_or_strange_line_names_no_group() -> None:
    # Group 0 would be the watchdog's own, and "+-1" everything: neither must ever come out of a damaged line.
    assert open_groups([b"\n", b"+\n", b"+-1\n", b"+1x\n", b"12\n", b"+ 5\n"]) == set()


def test_own_group_and_init_are_never_ended() -> None:
    assert open_groups([b"+0\n", b"+1\n"]) == set()
