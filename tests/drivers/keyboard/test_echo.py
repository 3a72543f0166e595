"""Judging what the screen shows for a typed text, on screens written by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from factory.boot_command.keymap import LAYOUTS, layout
from factory.drivers.keyboard.echo import Echo, Judgement, judge, left_over
from factory.drivers.keyboard.likeness import misread_by, way_out

pytestmark = pytest.mark.unit
TOP = ["tinyOS installer", ""]


def screen(*lines: str) -> Sequence[str]:
    return [*TOP, *lines]


def wrong(shown: str, row: int = len(TOP)) -> Judgement:
    return Judgement(Echo.WRONG, shown, row)


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
    assert judge(screen("boot: "), screen(f"boot: {shown}"), "", "install") == wrong(shown)


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
    assert judge(screen("boot: "), screen(f"boot: {shown}"), "", typed) == wrong(shown)


def test_a_prompt_that_ends_like_the_text_begins_is_no_key_that_came_twice() -> None:
    assert judge(screen("grub>> "), screen("grub>> >x"), "", ">x").echo is Echo.RIGHT
    assert judge(screen("boot:i"), screen("boot:iinstall"), "", "install").echo is Echo.RIGHT
    assert judge(screen("a b"), screen("a xb"), "", "x").echo is Echo.RIGHT


def test_wrong_behind_what_is_known() -> None:
    got = judge(screen("boot: install"), screen("boot: install sed=x"), "install", " seed=x")
    assert got == wrong(" sed=x")


@pytest.mark.parametrize("after", ["Password: ", "Password: *******", "Password: :-)"])
def test_unseen(after: str) -> None:
    assert judge(screen("Password: "), screen(after), "", "install").echo is Echo.UNSEEN


def test_a_countdown_beside_it_does_not_hide_what_is_wrong() -> None:
    before = ["boot in 10 s", "", "boot: "]
    assert judge(before, ["boot in 9 s", "", "boot: instal"], "", "install") == wrong("instal")
    assert judge(before, ["boot in 9 s", "", "boot: install"], "", "install").echo is Echo.RIGHT
    assert judge(before, ["boot in 9 s", "", "boot: "], "", "install").echo is Echo.UNSEEN


def test_wrapped_at_the_edge() -> None:
    start = "boot: " + "x" * 70
    assert judge(screen(start), screen(start + " vga", "=normal"), "x" * 70, " vga=normal").echo is Echo.RIGHT
    got = judge(screen(start), screen(start + " vga", "=norml"), "x" * 70, " vga=normal")
    assert got == wrong(" vga=norml")


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
    got = judge(before, screen("boot: " + typed[:74], typed[74:], "vga=norml"), typed[:60], typed[60:] + " vga=normal")
    assert got == wrong(typed[60:] + "vga=norml")


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


# --- a guest that reads another layout --------------------------------------------------------------------------------

LINES = (
    "install seed=http://10.0.2.2:416",
    "79/8GksuX-ndNvQppqk/seed",
    "192.168.100.200",
    "/10.0.2.2:8080/",
    "ks=http://10.0.2.2:4",
    "yz",
    "2>&1",
)
PAIRS = [(a, b) for a in LAYOUTS for b in LAYOUTS if a != b]


def misread(text: str, typed_in: str, read_by: str) -> str:
    """What the guest shows; nothing for a key that has no character."""
    chords = [chord for character in text for chord in layout(typed_in).chords(character)]
    return "".join(layout(read_by).shows(chords))


@pytest.mark.parametrize(("typed_in", "read_by"), PAIRS)
@pytest.mark.parametrize("typed", LINES)
def test_another_layout_is_told(typed: str, typed_in: str, read_by: str) -> None:
    shown = misread(typed, typed_in, read_by)
    if shown == typed:
        return
    keyboard = layout(typed_in)
    got = judge(screen("boot:"), screen(f"boot: {shown}"), "", typed, keyboard)
    assert (got.echo, got.shown.strip()) == (Echo.WRONG, shown)
    # The first layout that shows exactly this is named: the two German ones differ in little.
    told = misread_by(shown, typed, keyboard)
    assert told == read_by or misread(typed, typed_in, told) == shown
    hint = way_out(shown, typed, keyboard)
    assert hint.startswith(f"the guest reads the layout '{told}' at this prompt")
    assert hint.endswith(f"set `keyboard: {told}`")


@pytest.mark.parametrize(("typed_in", "read_by"), PAIRS)
@pytest.mark.parametrize("typed", LINES)
def test_an_echo_is_one_whatever_its_letters(typed: str, typed_in: str, read_by: str) -> None:
    """Where the layouts are not known, too: it is as long as what was typed, and stands where that was typed."""
    shown = misread(typed, typed_in, read_by)
    if shown != typed and len(shown) == len(typed):
        assert judge(screen("boot:"), screen(f"boot: {shown}"), "", typed).echo is Echo.WRONG
        assert judge(screen("boot: x="), screen(f"boot: x={shown}"), "x=", typed).echo is Echo.WRONG


def test_another_layout_is_told_where_the_line_wraps_and_scrolls() -> None:
    typed, known = "quiet vga=normal", "x" * 66
    shown = misread(typed, "fr", "us")
    assert len(shown) == len(typed)
    before = ["a", "b", f"boot: {known}"]
    after = ["b", f"boot: {known} {shown[:6]}".rstrip(), shown[6:]]
    assert judge(before, after, known, f" {typed}", layout("fr")) == wrong(f" {shown.replace(' ', '')}", row=1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["Password:"], ["Password: ***************"]),
        (["Password:"], ["Password: •••••••••••••••"]),
        (["Password:", "", "at 12:00:01"], ["Password:", "", "at 12:00:02"]),
        (["boot in 10 s", "Password:"], ["boot in 9 s", "Password:"]),
        (["Password:"], ["Password:", "[    1.2] usb1"]),  # a log goes on below
        (["Password:"], ["Password: [  1.234] usb"]),  # … or on the same row
        (["Loading initrd.", "Password:"], ["Loading initrd................", "Password:"]),
        (["Checking disk", "Password:"], ["Checking disk done and clean!", "Password:"]),
        (["[         ] 10%", "Password:"], ["[##       ] 20%", "Password:"]),
        (["a menu:", "1. x", "2. y", "Choose:"], ["another: it has no echo", "3. z", "4. q", "Type it in:"]),
    ],
)
def test_a_screen_that_changes_by_itself_is_no_echo(before: list[str], after: list[str]) -> None:
    for keyboard in (None, layout("fr")):
        assert judge(before, after, "", "192.168.100.200", keyboard).echo is Echo.UNSEEN


def test_one_sign_behind_a_prompt_may_be_anything() -> None:
    assert judge(screen("Working: "), screen("Working: /"), "", "y").echo is Echo.UNSEEN
    assert judge(screen("boot: "), screen("boot: z"), "", "y", layout("de")).echo is Echo.WRONG


def test_wiping_leaves_nothing_on_a_screen_that_has_scrolled() -> None:
    assert left_over(["a", "b", "boot:"], ["b", "boot:", ""], "") == ""
    assert left_over(["a", "b", "boot:"], ["b", "boot: x", ""], "") == "x"


@pytest.mark.parametrize("width", [12, 24, 30, 40, 50, 60, 76])
@pytest.mark.parametrize("size", [8, 32])
@pytest.mark.parametrize("frame", ["| {} |", "[{}]", "boot: {}", "{}", "│{}│▒ x"])
def test_a_field_that_scrolls_at_its_left_edge(width: int, size: int, frame: str) -> None:
    """Each place of a line in which a chunk may be typed. It is right where something is seen of what stands before."""
    for at in range(1, len(TYPED) - size):
        known, chunk = TYPED[:at], TYPED[at : at + size]
        if " " in (known[-1], chunk[-1]):
            continue
        before, after = (screen(frame.format(text[-width:].ljust(width))) for text in (known, known + chunk))
        got = judge(before, after, known, chunk, layout("us"))
        assert (got.echo is Echo.RIGHT) == (at + size <= width or width >= size + 4), (known, chunk, got)
        if at > 1 and width >= 2 * size:
            lossy = screen(frame.format((known + chunk[:3] + chunk[4:])[-width:].ljust(width)))
            got = judge(before, lossy, known, chunk, layout("us"))
            if chunk[3] not in chunk[2:5:2]:
                assert got.echo is Echo.WRONG, (known, chunk)


def test_a_field_may_mark_what_it_has_scrolled_out() -> None:
    known, chunk = "install seed=http://10.0.2.2:41679", "/8GksuX-n"
    before, after = screen(f"> {known}"), screen(f"> <{(known + chunk)[-20:]}")
    assert judge(before, after, known, chunk).echo is Echo.RIGHT


@pytest.mark.parametrize("thrown_away", range(1, 16))
def test_a_line_whose_beginning_is_thrown_away_is_in_no_such_field(thrown_away: int) -> None:
    known, chunk = "install seed=htt", "p://10.0.2.2:41679/8GksuX"
    for typed in (chunk, "p " * 10, "tttttttt"):
        before, after = screen(f"boot: {known}"), screen(f"boot: {typed[thrown_away:]}")
        assert judge(before, after, known, typed).echo is not Echo.RIGHT


@pytest.mark.parametrize(("known", "lost"), [("aaaaaaaa", "aaaaaaa"), ("abababab", "ababab"), ("k=1 k=1 ", "k=1k=1 ")])
def test_a_line_that_says_the_same_again_is_in_no_such_field(known: str, lost: str) -> None:
    assert judge(screen(f"boot: {known}"), screen(f"boot: {known}{known}"), known, known).echo is Echo.RIGHT
    assert judge(screen(f"boot: {known}"), screen(f"boot: {known}{lost}"), known, known).echo is not Echo.RIGHT
    whole = known * 6
    assert judge(screen(f"boot: {whole}"), screen(f"boot: {whole}{lost}"), whole, known).echo is not Echo.RIGHT


@pytest.mark.parametrize("now", ["boot:", "", "boot: install", "Loading vmlinuz..."])
def test_a_line_that_goes_away_is_not_seen(now: str) -> None:
    before = screen("boot: install seed=http://10.")
    assert judge(before, screen(now), "install seed=http://10.", "0.2.2").echo is Echo.UNSEEN
    assert left_over(before, screen(now), "install seed=http://10.") is None


def test_a_row_that_changes_beside_the_line_is_not_left_over() -> None:
    assert left_over(screen("boot: install", ""), screen("boot: install", "[ 2.1] usb"), "install") == ""
    assert left_over(screen("boot: install", ""), screen("boot: install s", "[ 2.1] usb"), "install") == " s"
    assert left_over(["at 12:00:01", "boot: "], ["at 12:00:02", "boot:"], "", row=1) == ""
    assert left_over(["at 12:00:01", "boot: "], ["at 12:00:02", "boot: in"], "", row=1) == "in"


@pytest.mark.parametrize("width", [30, 46, 60])
def test_keys_that_are_lost_where_a_frame_is_wrapped_in_are_wrong(width: int) -> None:
    """The frame is no part of what stands there, and a help text below may be wider than its rows."""

    def box(line: str) -> Sequence[str]:
        rows = [line[i : i + width - 1] for i in range(0, len(line), width - 1)]
        shown = [row + "\\" for row in rows[:-1]] + [rows[-1].ljust(width), " " * width]
        return screen(*[f"│{row}│" for row in shown][:4], "x" * 70)

    known = TYPED[: width - 4]
    got = judge(box(known), box(known + "quet splash"), known, "quiet splash")
    assert (got.echo, got.shown.replace(" ", "")) == (Echo.WRONG, "quetsplash")
    came_twice = judge(box(known), box(known + "quiett"), known, "quiet")
    assert (came_twice.echo, came_twice.shown) == (Echo.WRONG, "quiett")


def test_what_stands_there_as_it_was_typed_is_read_in_no_other_layout() -> None:
    for name in LAYOUTS:
        assert misread_by("79/8Gks", "79/8Gks", layout(name)) == ""


def test_a_key_that_calls_up_another_screen_has_not_come_twice() -> None:
    """As GRUB's "e" does, whose editor shows words with two of them."""
    menu = ["GNU GRUB", "", "*Install", " Help", "", "Use the arrow keys, e to edit"]
    editor = ["GNU GRUB", "", "setparams 'Install'", "linux /vmlinuz", "", "Press Ctrl-x; see ee below", "eleven"]
    assert judge(menu, editor, "", "e").echo is Echo.RIGHT
    assert judge(menu, editor, "", "c").echo is not Echo.WRONG


def framed(text: str) -> Sequence[str]:
    return screen("┌" + "─" * 70 + "┐", f"│{text.ljust(70)}│", "└" + "─" * 70 + "┘")


@pytest.mark.parametrize(
    ("before", "after", "typed"),
    [
        ("linux /v ro --- quiet", "linux /v ro sigle --- quiet", " single"),
        ("linux /v quiet quiet splash", "linux /v quiet quiett quiet splash", " quiet"),
        ("linux /v ro --- quiet", "linux /v ro ---- --- quiet", " ---"),
        ("linux /v console=tty0", "linux /v console=tty0console=ttyS0,115200n8", " console=ttyS0,115200n8"),
        ("linux /v quiet", "linux /v quietquiet", " quiet"),
        ("Host: ", "Host: rroot", "root"),
    ],
)
def test_what_stands_there_already_hides_nothing_that_came_out_wrong(before: str, after: str, typed: str) -> None:
    assert judge(framed(before), framed(after), "", typed).echo is not Echo.RIGHT


@pytest.mark.parametrize("typed", ["auto=true", "install url=http://10.0.2.2/p.cfg", "linux /vmlinuz console=tty0"])
def test_a_key_that_was_lost_is_no_other_layout(typed: str) -> None:
    """It may be one that has no character in some layout."""
    assert misread_by(typed.replace("=", ""), typed, layout("us")) == ""
