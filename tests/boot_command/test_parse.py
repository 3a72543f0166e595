"""The boot command language: Packer's conformance facts, the cases Packer has no test for, and our own waits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.boot_command.actions import (
    SPECIAL_KEYS,
    Hold,
    Literal,
    PatternKind,
    Press,
    Release,
    TextPattern,
    Wait,
    WaitSeed,
    WaitSerial,
    WaitStill,
    WaitText,
    text,
)
from factory.boot_command.parse import Dialect, Parsed, parse
from factory.errors import Problem, TemplateError
from factory.quantity import Duration
from factory.secret import Redactor

pytestmark = pytest.mark.unit
BOTH = pytest.mark.parametrize("dialect", list(Dialect))


def problems(command: str, dialect: Dialect = Dialect.FACTORY) -> list[str]:
    with pytest.raises(TemplateError) as caught:
        parse(command, dialect)
    return [str(p) for p in caught.value.problems]


def warnings(command: str, dialect: Dialect) -> list[str]:
    return [p.message for p in parse(command, dialect).warnings]


def typed(command: str, dialect: Dialect) -> str:
    actions = parse(command, dialect).actions
    assert all(isinstance(a, Literal) for a in actions)
    return "".join(a.character for a in actions if isinstance(a, Literal))


# --- Packer's language ------------------------------------------------------------------------------------------------


@BOTH
def test_waits(dialect: Dialect) -> None:
    actions = parse("<wait><wait20><wait3s><wait4m2ns><wait1m20s><wait1.5h><wait300ms><wait7µs>", dialect).actions
    seconds = [float(a.duration) for a in actions if isinstance(a, Wait)]
    assert seconds == pytest.approx([1, 20, 3, 240.000000002, 80, 5400, 0.3, 7e-6], abs=1e-12)
    assert [a.column for a in actions][:4] == [1, 7, 15, 23]


@BOTH
def test_a_held_character(dialect: Dialect) -> None:
    assert parse("<fon> b<fOff>", dialect) == Parsed(
        (Hold("f", 1), Literal(" ", 6), Literal("b", 7), Release("f", 8)), ()
    )


@BOTH
def test_any_single_character_can_be_held(dialect: Dialect) -> None:
    assert parse("<<on><<OFF><\non><\nOff><界On><界off>", dialect).actions == (
        Hold("<", 1), Release("<", 6), Hold("\n", 12), Release("\n", 17), Hold("界", 23), Release("界", 28),
    )  # fmt: skip


@BOTH
def test_names_ignore_case(dialect: Dialect) -> None:
    keys = parse("<rightShift><rightshift><RIGHTSHIFT>", dialect).actions
    assert [a.key for a in keys if isinstance(a, Press)] == ["rightShift"] * 3
    for spelling in ("<delon>", "<DelOn>", "<DELON>", "<delOn>"):
        assert parse(spelling, dialect).actions == (Hold("del", 1),)


@BOTH
@pytest.mark.parametrize("name", SPECIAL_KEYS.values())
def test_every_special_key(dialect: Dialect, name: str) -> None:
    actions = parse(f"<{name}><{name}On><{name}Off>", dialect).actions
    assert actions == (Press(name, 1), Hold(name, len(name) + 3), Release(name, 2 * len(name) + 7))


@BOTH
def test_negative_and_zero_waits_are_refused(dialect: Dialect) -> None:
    found = problems("a<wait-1m><wait0s><wait1m-20s>", dialect)
    assert [p.split(": ")[0] for p in found] == [f"boot command:1:{c}" for c in (2, 11, 19)]
    assert "negative" in found[0]
    assert "does not wait" in found[1]


def test_a_lone_zero_is_no_number_in_packers_grammar() -> None:
    assert parse("<wait0>", Dialect.PACKER).actions == (Wait(Duration(1), 1),)
    assert problems("<wait0>", Dialect.FACTORY)[0].startswith("boot command:1:1: <wait0> does not wait")


@BOTH
def test_a_lone_less_than_is_typed(dialect: Dialect) -> None:
    for command in ("<", "a < b", "<<", "<>", "<5>", "</etc/x>", "x<", "<-", "< wait>"):
        assert typed(command, dialect) == command


@BOTH
def test_literals(dialect: Dialect) -> None:
    assert parse("", dialect) == Parsed((), ())
    assert typed("a>b`~ |", dialect) == "a>b`~ |"
    assert parse("ab", dialect).actions == (Literal("a", 1), Literal("b", 2))


def test_packer_types_what_it_does_not_know() -> None:
    for command in (
        "<foo>",
        "<Wait10>",
        "<wait 5>",
        "<wait-5>",
        "<ctrl>",
        "<space>",
        "<wait05>",
        "<wait1.5>",
        "<wait5",
    ):
        assert typed(command, Dialect.PACKER) == command
    assert warnings("<foo>", Dialect.PACKER) == ["<foo> is no token of Packer's: it is typed as it stands"]
    assert warnings("a <5> < b", Dialect.PACKER) == []


def test_characters_beyond_ascii() -> None:
    """Under Packer QEMU knows no key for them, so templates with line breaks work: each is left out, with a warning."""
    assert typed("界>\n\tä", Dialect.FACTORY) == "界>\n\tä"
    assert typed("a\nb\nc\tä", Dialect.PACKER) == "abc"
    assert [p.message for p in parse("a\nb\nc\tä", Dialect.PACKER).warnings] == [
        "'\\n' types nothing in QEMU under Packer: it is left out",
        "'\\t' types nothing in QEMU under Packer: it is left out",
        "'ä' types nothing in QEMU under Packer: it is left out",
    ]


def test_packer_does_not_know_our_waits() -> None:
    command = '<waitText "Install" 5s>'
    assert typed(command, Dialect.PACKER) == command
    (warning,) = parse(command, Dialect.PACKER).warnings
    assert "own templates" in warning.hint


def test_interpolation_inside_a_token_is_typed_by_packer() -> None:
    # Packer parses the text before and after interpolation; before, the braces are literals.
    assert typed("<wait{{ .N }}>", Dialect.PACKER) == "<wait{{ .N }}>"


@pytest.mark.parametrize("lookalike", ["<eſc>", "<İnsert>", "<left\N{KELVIN SIGN}>"])
def test_only_ascii_letters_fold_case(lookalike: str) -> None:
    assert typed(lookalike, Dialect.PACKER).startswith("<")


# --- held keys --------------------------------------------------------------------------------------------------------


@BOTH
def test_unreleased_keys_are_named(dialect: Dialect) -> None:
    assert warnings("<leftCtrlOn>c", dialect) == ["<leftCtrlOn> is never let go"]
    assert warnings("<leftCtrlOn>c<leftCtrlOff>", dialect) == []
    assert warnings("<leftCtrlOff>", dialect) == ["<leftCtrlOff> lets go a key that is not held"]


# --- our dialect ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "meant"),
    [
        ("<ctrlOn>", "<leftCtrlOn>"),
        ("<space>", "<spacebar>"),
        ("<Wait10>", "<wait10>"),
        ("<wait 5>", "<wait5>"),
        ("<wait05>", "<wait5>"),
        ("<wait1.5>", "<wait1.5s>"),
        ("<entr>", "<enter>"),
        ("<leftShfitOff>", "<leftShiftOff>"),
        ("<wait.5s>", "<wait0.5s>"),
        ("<wait.5>", "<wait0.5s>"),
        ("<wait1,5s>", "<wait1.5s>"),
        ("<wait 1m 030s>", "<wait1m30s>"),
        ("<wait5sec>", "<wait5s>"),
        ("<wait 2 minutes>", "<wait2m>"),
        ('<waitTxet "x">', '<waitText "x">'),
        ("<waitTxet x>", '<waitText "…">'),
        ("<waitText5>", '<waitText "…">'),
        ("<escape>", "<esc>"),
    ],
)
def test_unknown_tokens_are_errors_with_column_and_a_guess(token: str, meant: str) -> None:
    assert problems(f"ab{token}") == [f"boot command:1:3: unknown token {token} (did you mean {meant}?)"]


def test_all_problems_come_at_once() -> None:
    assert [p.split(": ")[0] for p in problems('<foo> <wait0> <waitText> <leftAltt> <waitStill "x">')] == [
        f"boot command:1:{c}" for c in (1, 7, 24, 26, 48)
    ]


@pytest.mark.parametrize("word", ["wait0", "wait00s", "wait.s", "wait1.2.3s", "wait5q", "wait-1s", "xyz"])
def test_a_guess_that_would_be_wrong_too_is_not_made(word: str) -> None:
    (problem,) = problems(f"<{word}>")
    assert f"<{word}>?" not in problem


@given(st.from_regex(r"\A(wait|Wait ?|waitText|waitStill|entre|ctrl|left|f1)[a-z0-9.,: \"/-]{0,8}\Z"))
def test_every_guess_can_be_read(word: str) -> None:
    for problem in attempt(f"<{word}>", Dialect.FACTORY)[1]:
        if problem.hint.startswith("did you mean"):
            token = problem.hint.removeprefix("did you mean ").removesuffix("?")
            assert len(parse(token).actions) == 1


def test_lt_types_less_than() -> None:
    assert typed("<lt>foo><LT>", Dialect.FACTORY) == "<foo><"
    assert typed("<lt>", Dialect.PACKER) == "<lt>"


def test_what_is_never_closed_is_an_error() -> None:
    assert "is never closed" in problems("<enter text")[0]
    assert "is never closed" in problems('<waitText "Install"')[0]
    assert "is never closed" in problems("<wait")[0]
    assert "unknown token <leftMeta>" in problems("<leftMeta>")[0]  # Packer has no such key
    assert "<leftShiftOn is never closed" in problems("a<leftShiftOn b")[0]
    assert "<wait5 is never closed" in problems("linux<wait5<enter>")[0]
    assert "<wait10s is never closed" in problems("<wait10s <enter>")[0]
    assert problems("ab<waitText5<enter>")[0].startswith("boot command:1:3: <waitText5 is never closed")
    assert problems("ab<entre<enter>")[0].startswith("boot command:1:3: <entre is never closed")
    assert typed("cat <a.txt <<EOF x<5", Dialect.FACTORY) == "cat <a.txt <<EOF x<5"


def test_sensed_waits() -> None:
    install = TextPattern("Install", PatternKind.TEXT)
    assert parse('<waitText "Install" 60s>').actions == (WaitText(install, Duration(60), 1),)
    assert parse("x<WAITTEXT /[Pp]ress\\/a b>?/i 1m30s>").actions[1] == WaitText(
        TextPattern("[Pp]ress/a b>?", PatternKind.REGEX, ignore_case=True), Duration(90), 2
    )
    assert parse('<waitSerial "a \\"b\\\\\\" >" 2s>').actions == (
        WaitSerial(TextPattern('a "b\\" >', PatternKind.TEXT), Duration(2), 1),
    )
    assert parse("<waitStill 3s 20s>").actions == (WaitStill(Duration(3), Duration(20), 1),)
    assert parse("<waitSeed /preseed.cfg 60s>").actions == (WaitSeed("preseed.cfg", Duration(60), 1),)
    assert parse('<waitSeed "a b/user data">').actions[0].path == "a b/user data"  # type: ignore[union-attr]
    assert parse('<waitSeed "10" 5s>').actions == (WaitSeed("10", Duration(5), 1),)


def test_sensed_waits_have_default_budgets() -> None:
    for command in (
        '<waitText "a">',
        "<waitSerial /b/>",
        "<waitStill>",
        "<waitStill 2s>",
        "<waitSeed>",
        "<waitSeed p>",
    ):
        (action,) = parse(command).actions
        assert isinstance(action, WaitText | WaitSerial | WaitStill | WaitSeed)
        assert action.budget >= 60
    assert parse("<waitSeed 5s>").actions == (WaitSeed("", Duration(5), 1),)
    (still,) = parse("<waitStill 90s>").actions
    assert isinstance(still, WaitStill)
    assert still.budget > still.still


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("<waitText foo>", "needs a text in quotes"),
        ('<waitText "">', "empty text"),
        ("<waitText /(/>", "not a regular expression"),
        ("<waitText /a*/>", "matches an empty screen"),
        ("<waitText /a/g>", "unknown flag 'g'"),
        ('<waitText "a" 60>', "does not understand '60'"),
        ('<waitText "a" 0s>', "does not wait"),
        ('<waitText "a" 5s 6s>', "does not understand '6s'"),
        ('<waitText "a" 60>', "a duration has a unit (write 60s; for example"),
        ("<waitSeed 10>", "does not understand '10': a duration has a unit (write 10s; a file of this name: \"10\";"),
        ("<waitSeed preseed.cfg 60>", "does not understand '60': a duration has a unit (write 60s; for example"),
        ("<waitStill 2>", "does not understand '2': a duration has a unit (write 2s; for example"),
        ("<waitStill 20s 5s>", "within 5s the screen can't stand still for 20s (the first is how long"),
        ("<waitStill 5s 5s>", "within 5s the screen can't stand still for 5s"),
        ("<waitStill 5m 10s>", "the budget: <waitStill 5m 20m>)"),
        ("<waitSeed a b>", "does not understand 'b'"),
        ('<waitText "abc', "needs a text in quotes"),
    ],
)
def test_wrong_sensed_waits(command: str, message: str) -> None:
    (problem,) = problems(command)
    assert message in problem


def test_reading_goes_on_behind_a_wrong_wait() -> None:
    assert len(problems("<waitText x>abc<foo>")) == 2


def test_patterns_search_as_they_say() -> None:
    (action,) = parse('<waitText "a.b (c)">').actions
    assert isinstance(action, WaitText)
    assert action.pattern.compiled().search("xx a.b (c)")
    assert not action.pattern.compiled().search("axb (c)")
    (action,) = parse("<waitText /^a.B/i>").actions
    assert isinstance(action, WaitText)
    assert action.pattern.compiled().search("first\nAxb")


# --- the printable form -----------------------------------------------------------------------------------------------


def test_text_is_read_back_as_the_same() -> None:
    command = "a<lt>b<enter><leftCtrlOn>c<leftCtrlOff><wait2s><waitText /x y/i 5s><waitSeed p 1m><waitStill 2s 1m>"
    parsed = parse(command)
    assert text(parsed.actions) == command
    assert parse(text(parsed.actions)) == parsed


def test_text_shows_no_secret() -> None:
    redact = Redactor(["hunter<2>pass"])
    shown = text(parse("pw=hunter<lt>2>pass<enter>").actions, redact=redact)
    assert shown == "pw=********<enter>"
    assert "hunter" not in text(parse('<waitText "hunter<2>pass">').actions, redact=redact)


def attempt(command: str, dialect: Dialect) -> tuple[Parsed | None, tuple[Problem, ...]]:
    try:
        return parse(command, dialect), ()
    except TemplateError as error:
        return None, error.problems


@given(st.text(alphabet='<>waitone5f1s/"\\ -xTeS\n', max_size=40))
def test_packer_never_fails_but_on_waits(command: str) -> None:
    """Whatever is written is either an action or typed."""
    parsed, found = attempt(command, Dialect.PACKER)
    assert all("<wait" in p.message for p in found if p.severity == "error")
    actions = parsed.actions if parsed else ()
    columns = [a.column for a in actions]
    assert columns == sorted(set(columns))
    assert all(command[a.column - 1] == a.character for a in actions if isinstance(a, Literal))


@given(st.text(alphabet='<>waitTextSl5f1s/"\\ -eno\n', max_size=40))
def test_factory_fails_with_places_or_prints_what_it_read(command: str) -> None:
    parsed, found = attempt(command, Dialect.FACTORY)
    assert all(p.place and 1 <= p.place.column <= len(command) + 1 for p in found)
    if parsed:
        # Columns may move (a typed "<" is printed as "<lt>"), nothing else.
        again = parse(text(parsed.actions)).actions
        assert [replace(a, column=0) for a in again] == [replace(a, column=0) for a in parsed.actions]
