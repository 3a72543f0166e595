"""Typing with open eyes, at prompts that are made up: when Enter is pressed, and when it must not be."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from factory.drivers.screen.masking import mask_lines
from factory.drivers.screen.typed_secrets import TypedSecrets
from factory.errors import UnexpectedScreen
from factory.secret import Redactor
from tests.drivers.keyboard.prompts import Prompt, type_at

pytestmark = pytest.mark.unit

SEED = "install seed=http://10.0.2.2:41679/8GksuX-ndNvQppqk/seed"
LINE = f"{SEED} and so on and so forth quiet"


@pytest.mark.parametrize("text", [SEED, "192.168.100.200", "yaz"])
def test_another_layout_ends_it_before_enter(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = Prompt("us", lambda line: line)
    with pytest.raises(UnexpectedScreen, match="as the layout 'us' has it") as caught:
        type_at(prompt, text, "fr", monkeypatch)
    assert "set `keyboard: us`" in caught.value.hint
    assert (prompt.entered, prompt.wiped) == (False, 0)


def test_layouts_that_begin_alike_are_told_apart_by_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = Prompt("de", lambda line: line)
    with pytest.raises(UnexpectedScreen, match="as the layout 'de' has it") as caught:
        type_at(prompt, SEED, "fr", monkeypatch)
    assert "set `keyboard: de`" in caught.value.hint
    assert (prompt.entered, prompt.wiped) == (False, 0)


@pytest.mark.parametrize("shows", [lambda line: "*" * len(line), lambda line: ""])
@pytest.mark.parametrize("reads", ["us", "fr"])
def test_a_password_is_typed_once_and_entered(
    shows: Callable[[str], str], reads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = Prompt(reads, shows, "Password:")
    assert type_at(prompt, "correct-horse-battery-staple-and-more", "us", monkeypatch).retyped == 0
    assert (prompt.entered, prompt.wiped) == (True, 0)


def test_what_was_wrong_and_is_not_shown_again_is_not_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = Prompt("us", lambda line: "" if prompt.wiped else line.replace("s", ""))
    with pytest.raises(UnexpectedScreen, match=r"typed '.*' again, but the screen does not show it"):
        type_at(prompt, "install quiet", "us", monkeypatch)
    assert not prompt.entered


def test_what_shows_late_and_wrong_is_not_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest so slow that nothing stands there when the rest is typed."""

    def shows(line: str) -> str:
        return "" if prompt.now < 4 else line.replace("http", "")

    prompt = Prompt("us", shows)
    with pytest.raises(UnexpectedScreen, match="but the screen shows 'install seed=://"):
        type_at(prompt, f"{SEED} and so on and so forth", "us", monkeypatch)
    assert not prompt.entered


def test_what_shows_late_and_right_is_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = Prompt("us", lambda line: "" if prompt.now < 4 else line)
    assert type_at(prompt, f"{SEED} and so on and so forth", "us", monkeypatch).retyped == 0
    assert prompt.entered


@pytest.mark.parametrize("late", [0, 1.4, 2.8, 3.2, 3.9])
@pytest.mark.parametrize("per_second", [2, 12, 40])
def test_a_slow_echo_is_waited_for_as_long_as_it_goes_on(
    late: float, per_second: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = Prompt("us", lambda line: line[: max(0, int((prompt.now - late) * per_second))])
    report = type_at(prompt, LINE, "us", monkeypatch)
    assert (prompt.entered, prompt.wiped, prompt.line) == (True, 0, LINE)
    assert (report.retyped, report.verified) == (0, len(LINE))


@pytest.mark.parametrize("first_seen", [3, 20, 70])
def test_an_echo_may_stop_and_go_on(first_seen: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest that is busy for some seconds in the middle of a line, or in the middle of what it shows late."""
    prompt = Prompt("us", lambda line: "" if prompt.now < 4 else line[:first_seen] if prompt.now < 8 else line)
    assert type_at(prompt, LINE, "us", monkeypatch).retyped == 0
    assert (prompt.entered, prompt.wiped, prompt.line) == (True, 0, LINE)


def test_what_came_out_wrong_while_nothing_was_seen_is_typed_again_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first keys were typed before there was a prompt, and are not there when the next ones are seen."""
    prompt = Prompt("us", lambda line: line)
    taken = prompt._press
    monkeypatch.setattr(prompt, "_press", lambda key: taken(key) if prompt.now >= 1.5 else None)
    assert type_at(prompt, LINE, "us", monkeypatch).retyped
    assert (prompt.entered, prompt.line) == (True, LINE)


@pytest.mark.parametrize("width", [12, 16, 17, 24, 30, 39, 40, 50, 60])
@pytest.mark.parametrize("frame", [("", ""), ("| ", " |"), ("[", "]"), ("│", "│▒▒  a menu")])
def test_a_field_may_scroll_at_its_left_edge(
    width: int, frame: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = Prompt("us", lambda line: frame[0] + line[-width:].ljust(width) + frame[1])
    report = type_at(prompt, LINE, "us", monkeypatch)
    assert (prompt.entered, prompt.wiped, prompt.line) == (True, 0, LINE)
    assert (report.retyped, report.verified) == (0, len(LINE))


@pytest.mark.parametrize("width", [12, 30, 40, 60])
@pytest.mark.parametrize("lost", [3, 11, 25, 47, 80])
@pytest.mark.parametrize("field", ["scrolls back", "scrolls back at its edge"])
def test_a_key_that_is_lost_in_such_a_field_is_typed_again(
    width: int, lost: int, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = Prompt("us", lambda line: line)
    left = [0]

    def shows(line: str) -> str:
        if field == "scrolls back":
            return f"| {line[-width:].ljust(width)} |"
        left[0] = max(min(left[0], len(line)), len(line) - width)
        return f"| {line[left[0] :].ljust(width)} |"

    taken, keys = prompt._press, [0]

    def press(key: str) -> None:
        keys[0] += key != "backspace"
        if keys[0] != lost or key == "backspace":
            taken(key)
        shows(prompt.line)

    monkeypatch.setattr(prompt, "_shows", shows)
    monkeypatch.setattr(prompt, "_press", press)
    report = type_at(prompt, LINE, "us", monkeypatch)
    assert (prompt.entered, prompt.line) == (True, LINE)
    assert 0 < report.retyped <= 32


def test_what_stands_in_a_secrets_place_is_told_to_who_masks_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of so many lost keys nobody would know the secret, and yet half of it stands there."""
    said: list[str] = []

    class Secrets:
        def held_by(self, text: str) -> bool:
            return "Hunter2Secretzyx9" in text

        def typing(self, text: str) -> None:
            assert prompt.line == ""
            said.append(text)

        def instead(self, shown: str) -> None:
            said.append(shown)

    prompt, keys = Prompt("us", str), [0]
    taken = prompt._press

    def press(key: str) -> None:
        keys[0] += 1
        if key == "backspace" or keys[0] % 2:
            taken(key)

    monkeypatch.setattr(prompt, "_press", press)
    with pytest.raises(UnexpectedScreen, match="that hold a secret") as caught:
        type_at(
            prompt, "set a=Hunter2Secretzyx9", "us", monkeypatch,
            redact=lambda text: text.replace("Hunter2Secretzyx9", "********"), secrets=Secrets(),
        )  # fmt: skip
    assert said[0] == "set a=Hunter2Secretzyx9"
    assert "staH" in said, "the first chunk, with the first letter of the secret"
    assert not caught.value.evidence.screen


def test_a_word_of_a_secret_hides_no_ordinary_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the screen shows of it is masked, and the rest is told."""
    redactor = Redactor()
    redactor.add("debian123")
    secrets = TypedSecrets(redactor)

    def masked(text: str) -> str:
        lines = text.split("\n")
        return "\n".join(mask_lines(lines, secrets.spans(lines)))

    prompt = Prompt("us", lambda line: line.replace("p", ""))
    with pytest.raises(UnexpectedScreen, match="but the screen shows") as caught:
        type_at(
            prompt, "auto url=http://x/preseed.cfg hostname=debian", "us", monkeypatch, redact=masked, secrets=secrets
        )
    assert "a boot loader" in caught.value.evidence.screen
