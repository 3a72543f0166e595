"""A kernel that lists no modules may have every driver built in: nothing is claimed of it."""

from __future__ import annotations

import pytest

from factory.disk.driver_readiness import Drivers, Need, drivers_of, judge

pytestmark = pytest.mark.unit

NETWORK = Need("Hyper-V and Azure", "network", ("hv_netvsc",), early=False)


@pytest.mark.parametrize(("release", "kernel"), [("", "the kernel has"), ("6.1.0", "the kernel 6.1.0 has")])
def test_a_kernel_without_lists_is_not_known(release: str, kernel: str) -> None:
    found = drivers_of(release, None, [], [])
    assert found == Drivers(release, unknown=f"{kernel} no lists of its modules, and may have them all built in")
    judged = judge(found, [NETWORK])
    assert judged.missing == ()
    assert judged.mend == ""


def test_a_kernel_with_either_list_is_known() -> None:
    assert drivers_of("6.1.0", None, ["kernel/drivers/hv/hv_netvsc.ko"], []).meets(NETWORK)
    assert drivers_of("6.1.0", [], [], ["kernel/drivers/hv/hv_netvsc.ko.xz: x"]).meets(NETWORK)
    lacking = judge(drivers_of("6.1.0", [], [], ["kernel/x.ko:"]), [NETWORK])
    assert lacking.missing == (NETWORK,)
    assert "the kernel 6.1.0 has no hv_netvsc" in lacking.mend


def test_no_sentence_names_a_kernel_by_nothing() -> None:
    assert "the kernel has no hv_netvsc" in judge(Drivers("", frozenset(), frozenset({"x"})), [NETWORK]).mend
