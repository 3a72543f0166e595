"""A wait with several outcomes on real guests: which one shows decides what is typed."""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import yaml

from factory.cli.adapters import GuestTypist, MachineScreens
from factory.deadline import Deadline
from factory.drivers.machine_spec import Bus, DiskSpec, MachineSpec
from factory.drivers.protocols import Machine, ScreenReader, Typist
from factory.drivers.qemu.driver import QemuDriver
from factory.engine.scope import StepScope
from factory.errors import DeadlineExpired, StepError, UnexpectedScreen
from factory.events import ignore
from factory.plan.step import Step
from factory.quantity import Duration, Size
from factory.steps.expectation import AwaitExpectation
from factory.steps.type_boot_command import TypeBootCommand
from factory.template.model import Expect
from factory.template.model.profile import Profile
from tests.drivers.qemu import guests
from tests.drivers.screen.boot_sectors import echo

pytestmark = pytest.mark.machine


def expecting(expect: Expect, boot_sector: bytes, then: str = "") -> str:
    return doing(AwaitExpectation(expect), boot_sector, then)


def doing(step: Step, boot_sector: bytes, then: str = "") -> str:
    return doing_all((step,), boot_sector, then)


def doing_all(steps: Sequence[Step], boot_sector: bytes, then: str = "") -> str:
    """Boots *boot_sector*, does *steps* and then waits for the screen to show *then*. Returns the steps' details."""

    async def run(folder: Path) -> str:
        (folder / "disk.raw").write_bytes(boot_sector)
        spec = MachineSpec(
            "outcomes", "qemu-system-x86_64", "pc", "tcg", Size(64 * 2**20),
            disks=(DiskSpec("main", folder / "disk.raw", "raw", Bus.IDE, 0),),
        )  # fmt: skip
        async with QemuDriver().start(spec, runtime_dir=folder / "r", log_dir=folder / "l", emit=ignore) as machine:
            await machine.resume()
            screens = MachineScreens(folder / "fonts")
            scope = StepScope(ignore, "install", folder, folder, folder)
            scope.put_as(Machine, machine)
            scope.put_as(ScreenReader, screens)
            scope.put_as(Typist, GuestTypist(screens))
            async with AsyncExitStack() as entered:
                for step in steps:
                    await entered.enter_async_context(step.enter(scope))
                if then:
                    deadline = Deadline.after(Duration(60), f"{then} to be typed")
                    await screens.wait_for_text(machine, re.compile(re.escape(then)), deadline)
            return "; ".join(scope.details)

    with tempfile.TemporaryDirectory(prefix="out") as name:
        return asyncio.run(run(Path(name)))


SAYS_READY = guests.sector(guests.CLI, guests.say("ready\r\n"), guests.HANG)


def test_the_outcome_that_shows_is_typed_at() -> None:
    expect = Expect(
        on={"Press any key": ["wrong"], "/booting from hard disk/i": ["right<wait1ms>", "!"], "Kernel panic": "fail"},
        deadline=Duration(120),
    )
    detail = expecting(expect, echo(), "right!")
    assert detail == "the screen shows '/booting from hard disk/i'"


def test_an_outcome_on_the_serial_line_needs_nothing_typed() -> None:
    expect = Expect(on={"Kernel panic": "fail"}, on_serial={"ready": []}, deadline=Duration(120))
    assert expecting(expect, SAYS_READY) == "the serial line shows 'ready'"


def test_a_fatal_outcome_wins_and_is_quoted() -> None:
    expect = Expect(on={"Booting from Hard Disk": [], "/SeaBIOS/": "fail"}, deadline=Duration(120), means="the menu")
    with pytest.raises(UnexpectedScreen) as failure:
        expecting(expect, SAYS_READY)
    assert str(failure.value).startswith("while waiting for the menu, the screen showed '/SeaBIOS/': SeaBIOS (version ")
    assert "Booting from Hard Disk" in failure.value.evidence.screen


def test_when_none_shows_the_error_says_what_did() -> None:
    expect = Expect(on={"Install": [], "Press any key": []}, on_serial={"login:": []}, deadline=Duration(15))
    with pytest.raises(DeadlineExpired) as failure:
        expecting(expect, SAYS_READY)
    message = str(failure.value)
    assert message.startswith("waited 15s for 'Install', 'Press any key' or 'login:'; the screen shows:\n")
    assert "Booting from Hard Disk" in message
    assert message.endswith("the serial line said last: ready")


def test_a_still_screen_is_waited_for() -> None:
    expect = Expect(still=Duration(1), deadline=Duration(120))
    assert AwaitExpectation(expect).title == "wait for the screen to stand still for 1s"
    assert expecting(expect, SAYS_READY) == ""


def test_a_boot_command_branches_and_goes_on_behind_the_branch() -> None:
    menu = Expect(
        on={"Press any key": ["wrong"], "Booting from": ["a", "b"], "Kernel panic": "fail"}, deadline=Duration(120)
    )
    command = (menu, '<waitText "ab" 60s>c', "d", Expect(text="abcd", deadline=Duration(60)), "e")
    detail = doing(TypeBootCommand(command), echo(), "abcde")
    assert detail.startswith("the screen shows 'Booting from'; 5 characters in ")


def test_a_boot_command_ends_at_a_fatal_outcome() -> None:
    command = (Expect(on={"Install": [], "/No bootable|Booting from/": "fail"}, deadline=Duration(120)), "never typed")
    with pytest.raises(UnexpectedScreen, match=r"the screen showed '/No bootable\|Booting from/': Booting from Hard"):
        doing(TypeBootCommand(command), echo())


PROFILES = Path(__file__).parents[2] / "boot_configs"


def last_wait(profile: str) -> Expect:
    return Profile.model_validate(yaml.safe_load((PROFILES / f"{profile}.yml").read_text())).expect[-1]


@pytest.mark.parametrize("profile", ["tiny", "debian-quick"])
def test_the_tiny_installer_s_own_words_end_the_build_at_once(profile: str) -> None:
    fails = guests.sector(guests.CLI, guests.say("tiny-installer: FAILED: no seed: no CD\r\n"), guests.HANG)
    with pytest.raises(UnexpectedScreen, match="tiny-installer: FAILED: no seed: no CD"):
        expecting(last_wait(profile), fails)


def test_the_last_words_before_a_reset_are_heard() -> None:
    done = guests.sector(guests.CLI, guests.say("tiny-installer: done, rebooting\r\n"), guests.RESET)
    assert expecting(last_wait("tiny"), done) == "the serial line shows 'tiny-installer: done, rebooting'"


RESETS = guests.sector(guests.CLI, guests.say("starting\n"), guests.RESET)


@pytest.mark.parametrize(
    ("step", "during"),
    [
        (TypeBootCommand((Expect(text="never shown", deadline=Duration(300)),)), "its boot command was typed"),
        (AwaitExpectation(Expect(serial="never said", deadline=Duration(300))), "this was awaited: never said"),
    ],
)
def test_a_guest_that_resets_ends_the_wait_at_once(step: Step, during: str) -> None:
    """QEMU pauses it there, and nothing that is waited for can come any more."""
    started = time.monotonic()
    with pytest.raises(StepError, match=f"the installer reset the machine while {during}"):
        doing(step, RESETS)
    assert time.monotonic() - started < 200


def test_what_the_boot_command_waited_for_is_there_for_what_is_expected() -> None:
    ready = Expect(serial="ready", deadline=Duration(60))
    assert doing_all((TypeBootCommand(('<waitSerial "ready" 60s>',)), AwaitExpectation(ready)), SAYS_READY)
