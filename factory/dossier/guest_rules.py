"""Rules for guests that run but do not let us in, and for what fails inside them."""

from __future__ import annotations

import re

from factory.dossier.record import Record
from factory.dossier.verdict import Quote, Verdict, shorten

_REFUSAL = re.compile(r"refused user '(?P<user>[^']*)' with (?P<tried>.+?); (?P<offers>it [^;(]+)")


def ssh_failed(record: Record) -> Verdict | None:
    """How far the last attempts got says what is wrong."""
    step = record.failed_step
    if record.kind not in ("GuestUnreachable", "MachineStalled", "DeadlineExpired") or not step:
        return None
    layer = record.broke.text("layer") if record.broke else ""
    attempts = record.recent("connect_attempt")
    last = attempts[-1] if attempts else None
    state = layer or (last.text("state") if last else "")
    if not state or (not layer and step.text("step") not in ("connect-guest", "run-provisioner", "verify-images")):
        return None
    said = last.text("message") if last else record.message
    address = last.text("address") if last else "the guest"
    make = _STATES.get(state)
    if make is None:
        return None
    sentence, advice = make(said, address, len(attempts))
    hint = record.broke.text("hint") if record.broke else ""
    tail = [line for line in record.serial.splitlines() if line.strip()][-3:]
    quotes = [Quote("the last attempt", shorten(said))] if said else []
    if tail:
        quotes.append(Quote("the serial line", "\n".join(map(shorten, tail))))
    if hint and hint not in advice:
        advice = (*advice, hint)
    return Verdict(f"ssh-{state}", sentence, advice, tuple(quotes))


def _refused(said: str, address: str, tries: int) -> tuple[str, tuple[str, ...]]:
    return (
        f"The guest did not answer by SSH: connections to {address} were refused, in {_times(tries)}.",
        (
            "nothing listens there: has the guest booted (look at the screen), and does it start its SSH server?",
            "is `access.ssh.port` the port that its server listens on?",
        ),
    )


def _no_banner(said: str, address: str, tries: int) -> tuple[str, tuple[str, ...]]:
    return (
        f"The guest did not answer by SSH: {address} accepted connections, but no server spoke, in {_times(tries)}.",
        (
            "look at the screen: has the guest booted at all? QEMU accepts connections in its place",
            "does its network work (DHCP on the first card), and is an SSH server installed and started?",
            "does a firewall in the guest drop port 22?",
        ),
    )


def _key_exchange(said: str, address: str, tries: int) -> tuple[str, tuple[str, ...]]:
    return (
        "The guest's SSH server broke off before anyone could log in: it has no algorithm in common with this program, "
        "or no host keys.",
        (
            "does /etc/ssh hold host keys (`ssh-keygen -A` makes them)?",
            "is its configuration too strict, or its sshd very old?",
        ),
    )


def _authentication(said: str, address: str, tries: int) -> tuple[str, tuple[str, ...]]:
    refusal = _REFUSAL.search(said)
    if refusal:
        offers = refusal["offers"].strip()
        sentence = f"The guest's SSH server refused user {refusal['user']!r} with {refusal['tried']}; {offers}."
        if "password" not in offers and "the password" in refusal["tried"]:
            advice = (
                "it takes no passwords: let the seed install the build's public key ({{ build.ssh_public_key }})",
            )
        elif "publickey" in offers and "the key" in refusal["tried"]:
            advice = (
                f"does the seed write {{{{ build.ssh_public_key }}}} into {refusal['user']}'s authorized_keys, with "
                "modes that sshd accepts (0700 and 0600)?",
            )
        else:
            advice = ("are user and password those that the seed sets?",)
        return sentence, (*advice, "may this user log in at all (PermitRootLogin, AllowUsers)?")
    return (
        "The guest's SSH server answered, but did not let this build in.",
        ("are user, key and password those that the seed sets?",),
    )


def _installer(said: str, address: str, tries: int) -> tuple[str, tuple[str, ...]]:
    return (
        "It was the installer's own SSH server that answered: the installation had not finished.",
        (
            "look at the screen for what the installer waits for",
            "is `finished` in the boot profile how it really ends?",
        ),
    )


_STATES = {
    "refused": _refused,
    "no-banner": _no_banner,
    "key-exchange": _key_exchange,
    "authentication": _authentication,
    "installer": _installer,
}


def command_failed(record: Record) -> Verdict | None:
    """A provisioner's command, or a program on this host."""
    if record.kind not in ("GuestCommandFailed", "CommandFailed", "VerificationFailed"):
        return None
    lines = [line for line in record.guest_output if line.strip()][-6:]
    stderr = record.broke.text("stderr") if record.broke else ""
    lines = lines or [line for line in stderr.splitlines() if line.strip()][-6:]
    step = record.failed_step
    title = step.text("title") if step else ""
    where = "in the guest" if record.kind == "GuestCommandFailed" else "on this computer"
    if record.kind == "VerificationFailed":
        sentence = f"The image was built, but {_sentence(record.message)}"
    else:
        sentence = f"A command {where} failed (“{title}”): {_sentence(record.message)}"
    hint = record.broke.text("hint") if record.broke else ""
    again = "`factory build --on-error ask` keeps the guest for a look, `factory ssh` goes in"
    advice = tuple(filter(None, (hint, again if record.kind == "GuestCommandFailed" else "")))
    return Verdict(
        "command-failed", sentence, advice, (Quote("its last words", "\n".join(map(shorten, lines))),) if lines else ()
    )


def killed(record: Record) -> Verdict | None:
    step = record.failed_step
    doing = f" while it was at “{step.text('title')}”" if step else ""
    if record.outcome == "killed":
        said = [line for line in record.serial.splitlines() if line.strip()][-3:]
        return Verdict(
            "killed",
            f"The build was killed{doing}: its process ended without a word.",
            (
                "look for an out-of-memory kill in `dmesg`, or a job that timed out",
                "build again: what was stored stays stored, and the build goes on from there",
            ),
            (Quote("the serial line, until then", "\n".join(map(shorten, said))),) if said else (),
        )  # fmt: skip
    if record.outcome == "interrupted":
        return Verdict(
            "interrupted",
            f"The build was interrupted{doing}.",
            ("build again: what was stored stays stored, and the build goes on from there",),
        )
    return None


def named_by_the_author(record: Record) -> Verdict | None:
    """An outcome of a wait that is marked as a failure: whoever wrote it knows what it means."""
    return in_its_own_words(record) if record.kind == "UnexpectedScreen" else None


def in_its_own_words(record: Record) -> Verdict:
    """What no rule knows: the error as it is."""
    hint = record.broke.text("hint") if record.broke else ""
    message = record.message or "no error was recorded"
    return Verdict("other", _sentence(message), tuple(filter(None, (hint,))))


def _sentence(text: str) -> str:
    """The first line; one that announces what follows is followed by the last of that."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it said nothing"]
    first = lines[0]
    if first.endswith(":"):
        first = f"{first} “{' / '.join(lines[-2:])}”" if len(lines) > 2 else f"{first} {''.join(lines[1:])}"
    first = shorten(first).rstrip(" :")
    return first if first.endswith((".", "!", "?", "…")) else f"{first}."


def _times(count: int) -> str:
    return "1 attempt" if count == 1 else f"{count} attempts"
