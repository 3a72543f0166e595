"""What of a guest's words counts as life: a hung kernel's report does once, an installer's work every time."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from factory.drivers.qemu.news import News

pytestmark = pytest.mark.unit


def rcu_stall(seconds: int, chance: random.Random) -> str:
    """As Linux 6.1 prints it every minute on a processor that never gets out of a loop (more than 1 KiB)."""

    def word(length: int = 16) -> str:
        return "".join(chance.choice("0123456789abcdef") for _ in range(length))

    function = chance.choice(("delay_tsc", "native_queued_spin_lock_slowpath", "default_idle", "pv_native_safe_halt"))
    lines = (
        "rcu: INFO: rcu_preempt self-detected stall on CPU",
        f"rcu: \t0-....: ({seconds * 250} ticks this GP) idle={word(3)}/1/0x{word()} softirq=712/712 fqs={seconds * 9}",
        f"\t(t={seconds * 250} jiffies g=-{chance.randrange(999)} q={chance.randrange(99)} ncpus=1)",
        f"CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.1.0-{chance.randrange(9)}-amd64 #1",
        "Hardware name: QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2-debian-1.16.2-1 04/01/2014",
        f"RIP: 0010:{function}+0x{word(2)}/0x60",
        f"Code: {' '.join(word(2) for _ in range(42))}",
        f"RSP: 0018:ffff{word(12)} EFLAGS: 00000{word(3)}",
        *(f"R{name}: {word()} RBX: {word()} RCX: {word()}" for name in ("AX", "DX", "BP", "08", "11", "14")),
        f"CR2: {word()} CR3: {word()} CR4: {word()}",
        "Call Trace:",
        " <TASK>",
        *(f" {chance.choice('?_')} {function}_{part}+0x{word(3)}/0x{word(3)}" for part in ("slow", "work", "init")),
        " </TASK>",
    )
    return "".join(f"[{seconds:5}.{chance.randrange(10**6):06}] {line}\r\n" for line in lines)


def blocked_task(seconds: int, chance: random.Random) -> str:
    return (
        f"[{seconds:5}.{chance.randrange(10**6):06}] INFO: task udevd:{chance.randrange(400)} blocked for more than "
        f"{seconds // 120 * 120} seconds.\r\n"
        f'[{seconds:5}.{chance.randrange(10**6):06}] "echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this '
        f"message.\r\n"
    )


@pytest.mark.parametrize("report", [rcu_stall, blocked_task])
def test_a_report_of_a_hung_kernel_is_news_once(report: Callable[[int, random.Random], str]) -> None:
    chance, news = random.Random(5), News()
    assert news.hear(report(21, chance))
    assert [s for s in range(84, 84 + 63 * 400, 63) if news.hear(report(s, chance))] == []


def test_it_may_be_cut_anywhere() -> None:
    chance, news = random.Random(7), News()
    news.hear(rcu_stall(21, chance) + rcu_stall(84, chance))
    said = "".join(rcu_stall(s, chance) for s in range(147, 147 + 63 * 40, 63))
    alive = []
    while said:
        cut = chance.randrange(1, 300)
        alive.append(news.hear(said[:cut]))
        said = said[cut:]
    assert alive.count(True) <= len(alive) // 50  # half a number may look like half a word, once in a while


@pytest.mark.parametrize(
    "said",
    [
        ["Unpacking libc6\r\n", "Unpacking zlib1g\r\n", "Unpacking perl-base\r\n"],
        ["12%", "\r13%", "\r14%", "\r15.2%"],
        ["(1/700): bash.rpm\n", "(2/700): bash.rpm\n", "(31/700): bash.rpm\n"],
        ["#", "#", "###", "#"],
        ["\rcopying [#   ]", "\rcopying [##  ]", "\rcopying [### ]"],
        ["\x1b[5;20H 41%", "\x1b[5;20H 42%"],
        ["ETA: 00:12 bash\n", "ETA: 00:11 coreutils\n", "Code: of conduct\n"],
        ["fetched 06 of 90 files\r\n", "fetched 07 of 90 files\r\n", "fetched 08 of 90 files\r\n"],
        ["\rcopied 6/90", "\rcopied 7/90", "\rcopied 8/90"],
        ["\r 12 MiB copied", "\r 13 MiB copied", "\r 14 MiB copied"],
        ["copied 1234\n", "copied 5678\n", "copied 17342901\n"],
        ["Nov 26 13:17:35 apk[7]: fetched 06 of 90\n", "Nov 26 13:17:36 apk[7]: fetched 07 of 90\n"],
        ["retrieving base system ", "...", ".", "..... done"],
    ],
)  # fmt: skip
def test_an_installer_that_gets_on_is_alive(said: list[str]) -> None:
    news = News()
    assert [news.hear(piece) for piece in said] == [True] * len(said)


@pytest.mark.parametrize(
    "said",
    [
        ["\x1b[24;1H\x1b[7m[ installer ][ 4:51 ]", "\x1b[24;1H\x1b[7m[ installer ][ 4:52 ]\x1b[0m"],
        ["login: ", "\r\nlogin: ", "\r\nlogin: "],
        ["\x1b[31mrcu stall for 12 ticks\n", "\x1b[31mrcu stall for 24 ticks\n"],
        ["\b|", "\b/", "\b-", "\b\\"] * 4,
        ["still waiting after 10 s\n", "still waiting after 20 s\n"],
        ["A start job is running for x (12s / no limit)\r", "A start job is running for x (1min 13s / no limit)\r"],
        ["Nov 26 13:17:35 d[71]: no lease\n", "Nov 26 13:18:36 d[72]: no lease\n"],
        ["2026-11-26T13:17:35.123Z no lease\n", "2026-11-26T13:18:36.456Z no lease\n"],
        ["INFO: task a:7 blocked for more than 120 seconds.\n", "INFO: task a:7 blocked for more than 241 seconds.\n"],
        [
            "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [a:7]\n",
            "watchdog: BUG: soft lockup - CPU#1 stuck for 45s! [a:8]\n",
        ],
        ["[   12.345678] usb 1-1: device 12 not ready\n", "[   22.345679] usb 1-1: device 13 not ready\n"],
    ],
)
def test_what_is_said_again_is_no_news(said: list[str]) -> None:
    news = News()
    alive = [news.hear(piece) for piece in said]
    assert alive[0]
    assert not any(alive[len(alive) // 2 :])


def test_a_line_without_end_is_no_work() -> None:
    news = News()
    assert news.hear("." * 1000)
    assert news.hear("." * 1000)
    assert news.hear("." * 100_000)
    assert not news.hear("." * 1000)


def test_a_screen_that_scrolls_the_same_is_no_news() -> None:
    """And what stands in its last line may have been printed by half."""
    chance, news = random.Random(3), News()
    said = "".join(rcu_stall(s, chance) for s in range(21, 2100, 63)).splitlines()
    assert news.see(said[:25])
    news.see(said[20:45])
    assert not news.see(said[60:85])
    assert not news.see([*said[61:85], said[85][:40]])
    assert news.see([*said[61:85], "Unpacking libc6"])
    assert not news.see([])


def test_what_a_kernel_says_is_one_report_where_a_screen_breaks_its_lines() -> None:
    chance, news = random.Random(9), News()
    said = "".join(rcu_stall(s, chance) for s in range(21, 2100, 63)).splitlines()
    rows = [line[at : at + 80] for line in said for at in range(0, len(line), 80)]
    assert news.see(rows[:25])
    heard = [news.see(rows[at : at + 25]) for at in range(25, len(rows) - 25)]
    assert not any(heard[200:])


def test_a_screen_on_which_a_number_grows_is_news() -> None:
    news = News()
    assert all(news.see(["Copying", f"fetched {n:02} of 90 files"]) for n in range(6, 12))
