"""Judging what the screen shows for a typed text, on screens written by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from factory.drivers.keyboard_echo import Echo, Judgement, judge, left_over, way_out

pytestmark = pytest.mark.unit
TOP = ["tinyOS installer", ""]


def screen(*lines: str) -> Sequence[str]:
    return [*TOP, *lines]


def test_right() -> None:
    assert judge(screen("boot: "), screen("boot: install"), "", "install").echo is Echo.RIGHT
    assert judge(screen("boot: install"), screen("boot: install seed=x"), "install", " seed=x").echo is Echo.RIGHT


def test_a_trailing_blank_cannot_be_seen_and_does_not_matter() -> None:
    assert judge(screen("boot: "), screen("boot: install"), "", "install ").echo is Echo.RIGHT


def test_what_was_there_before_does_not_count() -> None:
    assert judge(screen("install", "boot:"), screen("install", "boot:"), "", "install").echo is Echo.UNSEEN
    assert judge(screen("install", "boot:"), screen("install", "boot: insall"), "", "install").echo is Echo.WRONG


@pytest.mark.parametrize("shown", ["instal", "insttall", "ibstall", "nstall", "install "[:6] + "k"])
def test_wrong(shown: str) -> None:
    assert judge(screen("boot: "), screen(f"boot: {shown}"), "", "install") == Judgement(Echo.WRONG, shown)


TYPED = "install auto=true priority=critical url=http://10.0.2.2:8000/seed"


@pytest.mark.parametrize(
    ("shown", "typed"),
    [
        ("install aucal url=http://10.0.2.2:8000/seed", TYPED),  # many lost at once
        (TYPED[::3], TYPED),  # one key of three arrives
        ("INSTALL AUTO=TRUE", "install auto=true"),  # Caps Lock is on
        ("roott", "root"), ("rroot", "root"), ("rroooott", "root"), ("rrrooottt", "rot"),
    ],
)  # fmt: skip
def test_keys_that_are_lost_or_come_twice_are_no_password(shown: str, typed: str) -> None:
    assert judge(screen("boot: "), screen(f"boot: {shown}"), "", typed) == Judgement(Echo.WRONG, shown)


def test_a_prompt_that_ends_like_the_text_begins_is_no_key_that_came_twice() -> None:
    assert judge(screen("grub>> "), screen("grub>> >x"), "", ">x").echo is Echo.RIGHT
    assert judge(screen("boot:i"), screen("boot:iinstall"), "", "install").echo is Echo.RIGHT
    assert judge(screen("a b"), screen("a xb"), "", "x").echo is Echo.RIGHT


def test_wrong_behind_what_is_known() -> None:
    got = judge(screen("boot: install"), screen("boot: install sed=x"), "install", " seed=x")
    assert got == Judgement(Echo.WRONG, " sed=x")


@pytest.mark.parametrize("after", ["Password: ", "Password: *******", "Password: :-)"])
def test_unseen(after: str) -> None:
    assert judge(screen("Password: "), screen(after), "", "install").echo is Echo.UNSEEN


def test_a_countdown_beside_it_does_not_hide_what_is_wrong() -> None:
    before = ["boot in 10 s", "", "boot: "]
    assert judge(before, ["boot in 9 s", "", "boot: instal"], "", "install") == Judgement(Echo.WRONG, "instal")
    assert judge(before, ["boot in 9 s", "", "boot: install"], "", "install").echo is Echo.RIGHT
    assert judge(before, ["boot in 9 s", "", "boot: "], "", "install").echo is Echo.UNSEEN


def test_wrapped_at_the_edge() -> None:
    start = "boot: " + "x" * 70
    assert judge(screen(start), screen(start + " vga", "=normal"), "x" * 70, " vga=normal").echo is Echo.RIGHT
    wrong = judge(screen(start), screen(start + " vga", "=norml"), "x" * 70, " vga=normal")
    assert wrong == Judgement(Echo.WRONG, " vga=norml")


def test_wrapped_as_grub_does() -> None:
    before = screen("|linux /vmlinuz " + "y" * 58 + "    |", "|" + " " * 77 + "|")
    after = screen("|linux /vmlinuz " + "y" * 58 + " con\\|", "|sole=ttyS0" + " " * 66 + "|")
    assert judge(before, after, "y" * 58, " console=ttyS0").echo is Echo.RIGHT


def test_wrapped_as_isolinux_does() -> None:
    """A new row after 80 typed characters, of which six fewer are in the first one because of the prompt."""
    typed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,:;-+/=!?_()[]{}<>0123456789"[:80]
    before = screen("boot: " + typed[:60])
    after = screen("boot: " + typed[:74], typed[74:78], typed[78:] + " vga")
    assert judge(before, after, typed[:60], typed[60:] + " vga").echo is Echo.RIGHT
    # The blank at the end of a row can't be seen.
    after = screen("boot: " + typed[:74], typed[74:], "vga=normal")
    assert judge(before, after, typed[:60], typed[60:] + " vga=normal").echo is Echo.RIGHT
    # After Ctrl-U it leaves a row blank besides.
    after = screen("boot: " + typed[:74], "", typed[74:], "", "vga=normal")
    assert judge(before, after, typed[:60], typed[60:] + " vga=normal").echo is Echo.RIGHT
    wrong = judge(
        before, screen("boot: " + typed[:74], typed[74:], "vga=norml"), typed[:60], typed[60:] + " vga=normal"
    )
    assert wrong == Judgement(Echo.WRONG, typed[60:] + "vga=norml")


def test_scrolled() -> None:
    before = ["a", "b", "boot: " + "z" * 70]
    after = ["b", "boot: " + "z" * 70 + " vga", "=normal"]
    assert judge(before, after, "z" * 70, " vga=normal").echo is Echo.RIGHT


def test_left_over_after_wiping() -> None:
    assert left_over(screen("boot: install"), screen("boot: install"), "install") == ""
    assert left_over(screen("boot: install"), screen("boot: install s"), "install") == " s"
    assert left_over(screen("boot: "), screen("boot: in"), "") == "in"


@pytest.mark.parametrize(
    ("shown", "typed", "hint"),
    [
        ("instal", "install", "keys were lost: wait for the prompt"),
        ("", "install", "keys were lost"),
        ("innstall", "install", "keys came twice"),
        ("install/", "install-", "is `keyboard:` the layout"),
        ("yes", "zes", "is `keyboard:` the layout"),
    ],
)
def test_what_to_try_is_told_by_what_went_wrong(shown: str, typed: str, hint: str) -> None:
    assert way_out(shown, typed).startswith(hint)
