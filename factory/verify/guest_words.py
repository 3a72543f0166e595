"""What a guest says of itself, by its screen and serial line, and by a script that is run in it. Pure."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from factory.control_sequences import plain
from factory.verify.model import Identity

PROMPT = re.compile(r"\blogin: *(?:\n|\[|\Z)")
"""A getty that waits for somebody (and not `Last login: Thu …`); the kernel may write behind it."""
_STOPPED = re.compile(
    r"Kernel panic - not syncing[^\n]*"
    r"|ALERT!  ?[^\n]*does not exist[^\n]*"
    r"|Gave up waiting for root[^\n]*"
    r"|[^\n]*dracut-initqueue[^\n]*timeout - starting timeout scripts"
    r"|Warning: /dev/[^\n]*does not exist"
    r"|Entering emergency mode[^\n]*"
    r"|You are in emergency mode[^\n]*"
    r"|init: no disk holds the root[^\n]*"
    r"|init: [^\n]* can't be mounted"
    r"|No bootable device[^\n]*"
    r"|Boot failed: not a bootable disk"
    r"|error: no such (?:device|partition)[^\n]*"
    r"|grub rescue>"
    r"|mounting [^\n]* on / failed[^\n]*"
    r"|Mounting root failed[^\n]*"
    r"|BdsDxe: No bootable option or device was found[^\n]*"
    r"|Shell>\s*\Z"
)


def stopped(text: str) -> str:
    """The line that says that this guest will not come up any more; empty while there is hope."""
    found = _STOPPED.search(plain(text))
    return found[0].strip() if found else ""


def prompts(text: str) -> bool:
    """Whether a getty waits for somebody, at the end of a screen or serial line or before what a kernel said since."""
    return bool(PROMPT.search(plain(text).rstrip("\n")))


SHELL = 'if [ "$(id -u)" = 0 ] || ! sudo -n true 2>/dev/null; then exec sh -s; else exec sudo -n sh -s; fi'
"""Runs the script as root where the user may."""

ASK = Path(__file__).with_name("ask.sh").read_bytes()
"""Prints lines ``factory:NAME VALUE``."""


ASK_SIZE = b"echo factory:root-kib $(df -P -k / | awk 'NR == 2 {print $2}'); echo factory:end yes\n"
"""Asks for the root file system's size alone."""


def identity(output: str) -> Identity | None:
    """What ``ASK`` printed; None when it did not come to its end."""
    values: dict[str, list[str]] = {}
    for line in output.splitlines():
        if line.startswith("factory:"):
            name, _, value = line.removeprefix("factory:").partition(" ")
            values.setdefault(name, []).append(value.strip())
    if "end" not in values:
        return None

    def one(name: str) -> str:
        return values.get(name, [""])[0]

    size = one("root-kib")
    return Identity(
        machine_id=one("machine-id"),
        host_keys=tuple(sorted(map(_fingerprint, values.get("host-key", ())))),
        dhcp=one("dhcp"),
        random_seed=one("random-seed"),
        hostname=one("hostname"),
        failed_units=tuple(sorted(set(values.get("failed", ())))),
        root_bytes=int(size) * 1024 if size.isdecimal() else 0,
        state=one("state"),
    )


def _fingerprint(key: str) -> str:
    """A public key as ssh-keygen shows it: ``ssh-ed25519 SHA256:…``."""
    kind, _, body = key.partition(" ")
    digest = hashlib.sha256(base64.b64decode(body + "=" * (-len(body) % 4))).digest()
    return f"{kind} SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def compare(machines: Sequence[tuple[str, Identity]], hostname: str) -> tuple[dict[str, str], list[str]]:
    """What two machines from one image share that they must not: results by name, and problems in words.

    Args:
        machines: what each is called, and its identity; fewer than two compare to nothing.
        hostname: "any", "same" or "differs".
    """
    if len(machines) < 2:
        return {}, []
    results: dict[str, str] = {}
    problems: list[str] = []
    for name, values in (
        ("machine id", [{i.machine_id} for _, i in machines]),
        ("SSH host keys", [set(i.host_keys) for _, i in machines]),
        ("DHCP identity", [{i.dhcp} for _, i in machines]),
        ("random seed", [{i.random_seed} for _, i in machines]),
    ):
        known = [(key, found - {""}) for (key, _), found in zip(machines, values, strict=True) if found - {""}]
        shared = _shared(known)
        results[name] = "none" if len(known) < 2 else "same" if shared else "differ"
        if shared:
            problems.append(f"{' and '.join(shared)} have the same {name}: two machines from this image would clash")
    names = [i.hostname for _, i in machines]
    results["hostname"] = "differ" if len(set(names)) == len(names) else "same" if len(set(names)) == 1 else "mixed"
    if hostname == "differs" and results["hostname"] != "differ":
        problems.append(f"the machines are called {', '.join(names)}, and `verify.hostname` says that they differ")
    if hostname == "same" and results["hostname"] != "same":
        problems.append(f"the machines are called {', '.join(names)}, and `verify.hostname` says that they are equal")
    return results, problems


def _shared(known: Sequence[tuple[str, set[str]]]) -> list[str]:
    """The first two that have something in common."""
    for number, (key, values) in enumerate(known):
        for other, more in known[number + 1 :]:
            if values & more:
                return [key, other]
    return []
