from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.quantity import Duration, Size

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("512", 512), ("1 KiB", 1024), ("8 GiB", 8 * 2**30), ("40960M", 40960 * 2**20), ("1.5G", 3 * 2**29),
        ("2 GB", 2 * 10**9), (" 7 tib ", 7 * 2**40),
    ],
)  # fmt: skip
def test_sizes_are_read_as_people_write_them(text: str, value: int) -> None:
    assert Size.parse(text) == value


@pytest.mark.parametrize("text", ["", "GiB", "-1", "1 XB", "1.5", "8 GiB more", "0.3 KiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|whole number"):
        Size.parse(text)


@given(st.integers(0, 2**60))
def test_a_printed_size_is_close_to_the_size(value: int) -> None:
    printed = str(Size(value))
    number, unit = printed.split()
    factor = {"B": 0, "KiB": 1, "MiB": 2, "GiB": 3, "TiB": 4}[unit]
    assert abs(float(number) * 1024**factor - value) <= 1024**factor / 2


@pytest.mark.parametrize(
    ("text", "value"),
    [("90s", 90), ("1m20s", 80), ("300ms", 0.3), ("1.5h", 5400), ("2", 2), (3, 3), ("4m2ns", 240.000000002)],
)
def test_durations_are_read_as_go_writes_them(text: str | int, value: float) -> None:
    assert Duration.parse(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "s", "-5s", "5 minutes", "1h2", True, float("inf"), -1])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        Duration.parse(text)  # type: ignore[arg-type]


@given(st.integers(1, 10**6))
def test_a_printed_duration_reads_back_to_the_second(seconds: int) -> None:
    assert float(Duration.parse(str(Duration(seconds)))) == seconds
