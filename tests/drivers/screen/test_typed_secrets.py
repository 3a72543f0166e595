"""What a screen shows of a secret: broken, half typed, in another layout's letters, with keys lost and doubled."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence

import pytest

from factory.boot_command.keymap import LAYOUTS, layout
from factory.drivers.screen.masking import mask_lines
from factory.drivers.screen.typed_secrets import TypedSecrets
from factory.secret import MASK, Redactor

pytestmark = pytest.mark.unit

SECRETS = ("Hunter2Secretzyx9", "Sup3rS3cretPassw0rd", "correct horse", "T0ps3cr3t!x")


@functools.cache
def knowing(*values: str) -> TypedSecrets:
    return TypedSecrets(Redactor(values))


def shown(lines: Sequence[str], *values: str) -> tuple[str, ...]:
    return mask_lines(lines, knowing(*values).spans(lines))


def told(secret: str, lines: Sequence[str]) -> str:
    """The longest piece of *secret* on the screen."""
    text = "".join("".join(lines).split())
    bare = "".join(secret.split())
    pieces = (bare[i : i + n] for n in range(len(bare), 0, -1) for i in range(len(bare) - n + 1))
    return next((piece for piece in pieces if piece in text), "")


def test_a_secret_that_a_console_breaks_and_one_that_is_being_typed() -> None:
    lines = ["boot: install pw=Hunt", "er2Secret!x quiet", "", "nothing", "pw=Hunter2S", "Hunt is on"]
    found = TypedSecrets(Redactor(["Hunter2Secret!x"])).spans(lines)
    assert found == [[(17, 21)], [(0, 11)], [], [], [(3, 11)], []]
    assert TypedSecrets(Redactor(["Hunter2Secret!x"])).spans([]) == []
    assert TypedSecrets(Redactor()).spans(["a"]) == [[]]


def editor(line: str, columns: int) -> list[str]:
    """GRUB's editor, as it shows one line."""
    rows = [line[i : i + columns - 1] for i in range(0, len(line), columns - 1)]
    marked = [row + "\\" for row in rows[:-1]] + [rows[-1]]
    body = [f" │{row:{columns}}│" for row in ["setparams 'Install'", *marked, ""]]
    return [" ┌" + "─" * columns + "┐", *body, " └" + "─" * columns + "┘", "   Press Ctrl-x to boot"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("columns", range(24, 60))
def test_a_secret_that_an_editor_breaks_in_its_frame(secret: str, columns: int) -> None:
    lines = editor(f"linux /install.amd/vmlinuz auto=true pw={secret} quiet", columns)
    masked = shown(lines, secret)
    assert len(told(secret, masked)) < 4, masked
    if columns == 40:
        assert masked[3].startswith(" │") or MASK in masked[3]
    assert "quiet" in "".join(row.strip(" │\\") for row in masked)
    assert masked[0] == lines[0]
    assert masked[-1] == lines[-1]


def test_a_frame_and_what_stands_beside_it_stay() -> None:
    lines = [
        " left │ passwd/pw=Hunter2Sec\\│ right",
        " more │ retzyx9 quiet        │ other",
    ]
    assert shown(lines, SECRETS[0]) == (
        f" left │ passwd/pw={MASK}\\│ right",
        f" more │ {MASK} quiet        │ other",
    )


@pytest.mark.parametrize("row", ["│ pw=%s      │", "pw=%s", "│ pw=%s\\│", "  pw=%s_  |", "│%s│ other │", "[ pw=%s   ]"])
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_masked_from_a_third_on_while_it_is_typed(row: str, secret: str) -> None:
    for length in range(max(4, -(-len(secret) // 3)), len(secret) + 1):
        masked = shown([row % secret[:length]], secret)
        assert masked == (row % MASK,) or secret[length - 1] == " " or "r" in secret[length - 2 : length], length
        assert len(told(secret, masked)) < 4


def test_a_secret_that_is_typed_into_the_middle_is_masked_from_two_thirds_on() -> None:
    assert shown(["linux pw=Hunter2Secret quiet"], SECRETS[0]) == (f"linux pw={MASK} quiet",)


def test_a_field_shows_the_end_of_a_secret() -> None:
    assert shown(["│   Secretzyx9   │"], SECRETS[0]) == (f"│   {MASK}   │",)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_in_the_letters_of_any_layout(secret: str) -> None:
    for typed in LAYOUTS.values():
        for read in LAYOUTS.values():
            chords = [chord for character in secret for chord in typed.chords(character)]
            appears = "".join(read.shows(chords))
            for length in range(-(-len(secret) // 3) + 1, len(secret) + 1):
                masked = shown([f"│ grub> set a)x{appears[:length]}      │"], secret)
                assert len(told(secret, masked)) < 4, (typed.name, read.name, appears[:length])
                assert len(told(appears, masked)) < 4, (typed.name, read.name, appears[:length])


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_of_which_a_key_was_lost_doubled_or_changed(secret: str) -> None:
    for at in range(len(secret)):
        for there in ("", secret[at] * 2, secret[at] * 7, "~", secret[at].swapcase(), "~" + secret[at]):
            appears = secret[:at] + there + secret[at + 1 :]
            masked = shown([f"boot: pw={appears} quiet", "and more"], secret)
            assert len(told(secret, masked)) < 4, appears
            assert MASK in masked[0]
            assert masked[0].startswith("boot: ")
            assert masked[0].endswith(" quiet")
            assert masked[1] == "and more"


@pytest.mark.parametrize("secret", SECRETS[:2])
def test_a_secret_with_several_mistakes_that_is_broken_too(secret: str) -> None:
    appears = secret[:3].lower() + secret[4:8] + secret[7] + secret[8:12] + "~" + secret[13:]
    for columns in range(24, 60, 3):
        masked = shown(editor(f"linux /install.amd/vmlinuz auto=true pw={appears} quiet", columns), secret)
        assert len(told(secret, masked)) < 4, masked


@pytest.mark.parametrize("keyboard", ["us", "de", "fr"])
def test_a_secret_that_is_being_typed_is_masked_from_its_first_character_on(keyboard: str) -> None:
    """Where other text stands behind it: GRUB's editor pushes that on."""
    for secret in SECRETS:
        secrets = TypedSecrets(Redactor([secret]))
        secrets.typing(f"linux /vmlinuz passwd/pw={secret} quiet")
        typed = ("linux /vmlinuz passwd/pw=", secret)
        chords = [[c for character in text for c in layout(keyboard).chords(character)] for text in typed]
        head, appears = ("".join(layout("us").shows(each)) for each in chords)
        for length in range(1, len(secret) + 1):
            lines = [f"│{head}{appears[:length]}setp\\│", "│arams 'Install'", "│ passwd"]
            masked = mask_lines(lines, secrets.spans(lines))
            assert masked[0].startswith(f"│{head}{MASK}"), masked
            assert len(told(appears[:length], [masked[0][len(head) + 1 :]])) < 3, masked
            assert masked[2] == lines[2]
        for line in (head, "passwd/pw=", "Hunt the correct Super T0p"):
            assert not any(secrets.spans([line]))


def test_a_secret_that_is_typed_alone_is_masked_from_a_third_on_wherever_it_stands() -> None:
    secrets = TypedSecrets(Redactor([SECRETS[0]]))
    lines = ["password Huntersetparams"]
    assert not any(secrets.spans(lines))
    secrets.typing(SECRETS[0])
    assert mask_lines(lines, secrets.spans(lines)) == (f"password {MASK}",)


def test_what_stands_in_a_secrets_place_is_masked_whatever_it_is() -> None:
    secrets = TypedSecrets(Redactor(["Hunter2Secretzyx9"]))
    lines = ["grub> set a=Hne2ertx", "grub>"]
    assert secrets.spans(lines) == [[], []]
    secrets.instead(" Hne2ertx ")
    secrets.instead(" a ")
    assert secrets.spans(lines) == [[(12, 20)], []]


def test_a_secret_that_becomes_known_later() -> None:
    redactor = Redactor()
    secrets = TypedSecrets(redactor)
    assert secrets.spans(["pw=correct horse"]) == [[]]
    redactor.add("correct horse")
    assert secrets.spans(["pw=correct horse"]) == [[(3, 16)]]


ORDINARY = """
 Please choose the password of the administrator. The correct password was not entered twice; try again.
 [!!] Set up users and passwords                                   Debian GNU/Linux 12 (bookworm)
 linux /install.amd/vmlinuz vga=788 auto=true priority=critical url=http://10.0.2.2:8000/preseed.cfg --- quiet
 Hunter, Supermicro, Secrets of a horse, top secret, a correction, secretary; hunter2, password, passwd
 root@localhost:~# systemctl status systemd-journald.service ; /usr/lib/systemd/systemd-cryptsetup-secret
 0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ qwertyuiop asdfghjkl zxcvbnm
 random: crng init done; SHA256:1f2e3d4c5b6a79880123456789abcdef 52:54:00:12:34:56
""".splitlines()


def test_ordinary_text_stays() -> None:
    values = (*SECRETS, "xK9#mQ2$vL5p", "3f9a1c7be2d84650", "vagrant-Install-77", "swordfish-lantern", "8charsXy")
    assert shown(ORDINARY, *values) == tuple(ORDINARY)


def test_the_largest_screens_take_little_time() -> None:
    """A recorder looks once a second; this is for a console of 240 × 67 characters, full of text."""
    key = "\n".join("".join(chr(97 + (i * i + 7 * j * i) % 26) for i in range(70)) for j in range(28))
    secrets = TypedSecrets(Redactor([*SECRETS, key, "3f9a1c7be2d84650" * 4]))
    rows = [(row * 4)[:240] for row in ORDINARY * 8][:67]
    secrets.spans(rows[:1])
    started = time.process_time()
    secrets.spans(rows)
    assert time.process_time() - started < 1
