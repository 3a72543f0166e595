"""What a guest says is understood: that it is up, that it will never be, and who it is."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from factory.verify.guest_words import ASK, PROMPT, compare, identity, prompts, stopped
from factory.verify.model import Identity

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDlF3eacP50K2Ku9wbraXmbGSmraZ4pkmIHBmkEUTgf5"
ONE = Identity("a1", ("k1",), "c1", "s1", "web")
TWO = Identity("a2", ("k2",), "c2", "s2", "web")


@pytest.mark.unit
@pytest.mark.parametrize(
    "text",
    [
        "Begin: Running /scripts/local-block ... done.\nGave up waiting for root file system device.  Common problems:",
        "[    1.9] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
        "ALERT!  UUID=1-2 does not exist.  Dropping to a shell!",
        "init: no disk holds the root UUID=5; disks: loop0",
        "No bootable device.\n",
        "You are in emergency mode. After logging in",
        "error: no such device: 1234.\nEntering rescue mode...\ngrub rescue> ",
    ],
)
def test_a_guest_that_will_not_come_up_is_known(text: str) -> None:
    assert stopped(f"SeaBIOS\n{text}")


@pytest.mark.unit
@pytest.mark.parametrize(
    "text", ["", "Booting from Hard Disk...", "debian login: ", "panic_on_oops=1", "systemd[1]: x"]
)
def test_a_guest_that_still_works_is_left_alone(text: str) -> None:
    assert stopped(text) == ""


@pytest.mark.unit
def test_a_prompt_is_not_what_follows_a_login() -> None:
    for text in ("tinyOS 1 tiny ttyS0\n\ntiny login: ", "tiny login:", "x login: [   12.3] e1000: link up"):
        assert PROMPT.search(text), text
    for text in ("Last login: Thu Nov 26", "login: root\nPassword: x", ""):
        assert not PROMPT.search(text), text


@pytest.mark.unit
@pytest.mark.parametrize(
    "text",
    ["tiny \x1b[1mlogin\x1b[0m: \x1b[?25h\x1b[?2004h", "tiny login:\n\n", "\x1b7\x1b[999;999H\x1b[6n\x1b8tiny login: "],
)
def test_a_prompt_among_control_sequences(text: str) -> None:
    assert prompts(text)


@pytest.mark.unit
@pytest.mark.parametrize(
    "text", ["Kernel \x1b[31mpanic\x1b[0m - not syncing: x", "Shell> \x1b[1m\x1b[40m", "UEFI Interactive Shell\nShell>"]
)
def test_the_end_of_a_guest_among_control_sequences(text: str) -> None:
    assert stopped(text)


@pytest.mark.unit
def test_what_the_script_prints_is_read() -> None:
    found = identity(
        f"noise\nfactory:machine-id a1\nfactory:host-key {KEY}\nfactory:hostname web\nfactory:failed b.service\n"
        "factory:failed a.service\nfactory:root-kib 1024\nfactory:random-seed s1\nfactory:dhcp c1\nfactory:end yes\n"
    )
    body = base64.b64decode(KEY.split()[1] + "==")
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode().rstrip("=")
    key = f"ssh-ed25519 SHA256:{digest}"
    assert found == Identity("a1", (key,), "c1", "s1", "web", ("a.service", "b.service"), 2**20)
    assert identity("factory:machine-id a1\n") is None


@pytest.mark.machine
def test_the_script_runs_to_its_end_under_busybox_and_dash() -> None:
    for shell in (["sh", "-s"], ["busybox", "sh", "-s"]):
        output = subprocess.run(shell, input=ASK, capture_output=True, check=True).stdout.decode()
        found = identity(output)
        assert found is not None, (shell, output)
        assert found.root_bytes > 0
        assert found.hostname


@pytest.mark.unit
def test_different_machines_pass() -> None:
    results, problems = compare([("a", ONE), ("b", TWO)], "any")
    assert problems == []
    assert results == {
        "machine id": "differ", "SSH host keys": "differ", "DHCP identity": "differ", "random seed": "differ",
        "hostname": "same",
    }  # fmt: skip


@pytest.mark.unit
@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"machine_id": "a1"}, "machine id"),
        ({"host_keys": ("k9", "k1")}, "SSH host keys"),
        ({"dhcp": "c1"}, "DHCP identity"),
        ({"random_seed": "s1"}, "random seed"),
    ],
)
def test_each_shared_identity_is_a_problem_of_its_own(change: dict[str, Any], word: str) -> None:
    own: dict[str, Any] = {"machine_id": "a3", "host_keys": ("k3",), "dhcp": "c3", "random_seed": "s3"}
    third = replace(TWO, **{**own, **change})
    results, problems = compare([("a", ONE), ("b", TWO), ("c", third)], "any")
    assert results[word] == "same"
    assert problems == [f"a and c have the same {word}: two machines from this image would clash"]


@pytest.mark.unit
def test_a_guest_without_such_a_thing_shares_nothing() -> None:
    bare = [("a", replace(ONE, random_seed="")), ("b", replace(TWO, random_seed=""))]
    results, problems = compare(bare, "any")
    assert (results["random seed"], problems) == ("none", [])
    assert compare(bare[:1], "differs") == ({}, [])


@pytest.mark.unit
def test_names_follow_the_template_s_policy() -> None:
    same, other = [("a", ONE), ("b", TWO)], [("a", ONE), ("b", replace(TWO, hostname="db"))]
    assert compare(same, "same")[1] == []
    assert compare(other, "differs")[1] == []
    assert "says that they differ" in compare(same, "differs")[1][0]
    assert "says that they are equal" in compare(other, "same")[1][0]
