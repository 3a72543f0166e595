"""Rules for installers: seeds that are not found, questions, full disks, mirrors out of reach."""

from __future__ import annotations

import re
from collections.abc import Sequence

from factory.dossier.record import Entry, Record
from factory.dossier.verdict import (
    SEED_WAIT,
    Quote,
    Verdict,
    expected_address,
    installing,
    last_said,
    let_in,
    line_of,
    shorten,
    unframed,
    waited,
)

_OUT_OF_DISK = re.compile(
    r"\b(?:No space left on device|not enough (?:free )?(?:disk )?space|disk (?:is )?full)\b", re.IGNORECASE
)
_NOT_THE_DISK = re.compile(
    r"\b[if]notify|\bwatch(?:es|er)?\b|\befi(?:vars?|bootmgr)|\bNVRAM\b|\bboot (?:variable|entry)", re.IGNORECASE
)
"""What else Linux calls "no space": inotify's watches are used up, the firmware's variables are full."""
_LOGGED = r"^(?:\w{3} +\d+ [\d:]{8} (?:\S+ )?[\w./+-]+(?:\[\d+\])?: +)?"
"""Where a program's own line begins, in its output or in a log of syslog's form."""
_FETCHING = (
    r"Temporary failure resolving '|Could not resolve '|Could not connect to \S+:\d+ |Unable to connect to \S+:|"
    r"Cannot initiate the connection to \S+:"
)
_MIRROR = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        # the Debian installer's dialogs (choose-mirror, net-retriever), debootstrap, apt
        r"\bBad archive mirror\b|archive mirror is either not available|failed to download a file from the mirror",
        _LOGGED + r"(?:debootstrap: )?[EW]: (?:Failed getting release file|Couldn't download) [^\n]*",
        _LOGGED + r"[EW]: (?:Failed to fetch \w+:|Unable to fetch some archives|Some index files failed)[^\n]*",
        rf"^ +(?:{_FETCHING})[^\n]*",
        # wget of GNU and of busybox, curl, git
        _LOGGED + r"wget: (?:unable to resolve|bad address|can't connect|[^\n]*timed out)[^\n]*",
        r"^Connecting to [^\n]+ failed: (?:Connection (?:refused|timed out)|No route to host|Network is)[^\n]*",
        r"^Resolving [^\n]+ failed: [^\n]+",
        _LOGGED + r"curl: \((?:5|6|7|28|35|52|56)\) [^\n]*",
        _LOGGED + r"fatal: unable to access '[^\n]*(?:Could not resolve|Failed to connect)[^\n]*",
        # librepo below dnf and anaconda, anaconda's own, libzypp, pacman, apk
        r"Curl error \(\d+\): [^\n]*|Failed to download metadata for repo '[^\n]*|: All mirrors were tried",
        r"Error setting up (?:base |software )?(?:repository|source)\b",
        r"Download \(curl\) error for '[^\n]*",
        r"^error: failed retrieving file '[^\n]*",
        r"^(?:WARNING: (?:Ignoring|fetching|opening)|ERROR:) \w+://[^\n]*: (?:DNS|network|temporary|connection)[^\n]*",
    )
)
"""What these programs say of a server that is out of reach, word for word: a script may talk of such things, too."""
_ANSWERED = re.compile(r"\b40[34] +(?:Not Found|Forbidden)|(?:returned error|HTTP/1\.[01]|HTTP error):? 40\d", re.I)
"""A server that was reached, and has not got what it was asked for."""
_URL = re.compile(r"(?:https?|ftp)://[^\s'\"|│>]+|(?<=bad address ')[^']+")
_BUTTONS = re.compile(
    r"<\s*(?:Go Back|Continue|Yes|No|Ok|OK|Cancel|Retry|Abort)\s*>|\[\s*(?:Continue|Done|Back|Retry)[^\]]*\]"
)
_ASKS = re.compile(
    r"[^\n]*(?:\(yes/no\)|\(y/n\)|\[y/n\]|\(yes\|no\)|\? *(?:\[[^\]\n]*\])? *$|press (?:any key|enter|return)[^\n]*$"
    r"|Prompt: '\?' for help[^\n]*"
    r"|please (?:choose|select|enter|make a selection)[^\n]*|enter (?:your|a|the) [^\n]*: *$)",
    re.I | re.M,
)
_MENU = re.compile(r"to boot\b|to edit\b|selected (?:OS|entry)", re.I)
"""A boot menu asks nobody anything."""
_LAST_LINES = 8
_BELOW = 4
"""Lines that may stand below a dialog: its help, and a status line. Under more of them it is an old one."""


def requests(record: Record) -> tuple[Entry, ...]:
    return record.recent("seed_requested")


def seed_broken(record: Record) -> Verdict | None:
    """An answer file that can't be rendered."""
    bad = [e for e in requests(record) if e.number("status") >= 500]
    message = bad[-1].text("message") if bad else record.message if record.kind == "SeedError" else ""
    if not message or (not bad and "render" not in message.lower() and ":" not in message):
        return None
    name = bad[-1].text("path").lstrip("/") if bad else ""
    said = message.removeprefix(f"could not render {name}: ") if name else message
    what = f"The seed {name} has an error in its template" if name else "The seed has an error in its template"
    hint = record.broke.text("hint") if record.broke else ""
    advice = tuple(
        filter(None, (hint, "mend the answer file in http_seed/; `factory validate` renders every one of them"))
    )
    return Verdict("seed-template-error", f"{what}: {shorten(said.splitlines()[0].rstrip('.'))}.", advice, _told(bad))


def seed_not_found(record: Record) -> Verdict | None:
    """Asked for, but under a name or address that is not served."""
    asked = requests(record)
    missing = [e for e in asked if e.number("status") in (400, 404)]
    if (
        not waited(record)
        or not missing
        or (any(200 <= e.number("status") < 300 for e in asked) and not _seed_step(record))
    ):
        return None
    last = missing[-1]
    if last.number("status") == 400:
        sentence = f"The installer sent the seed server what it can't read: {last.text('message')}."
        advice = ["the address must be {{ seed.url }}/NAME, as it is", "fetch it by HTTP/1.0 or 1.1"]
        return Verdict("seed-not-found", sentence, tuple(advice), (*_told(missing), *_typed_line(record)))
    path = last.text("path")
    token = "token" in last.text("message")
    why = "its address is not the one that this build serves" if token else "there is no such file"
    near = re.search(r"closest: (.+)", last.text("message"))
    advice = [f"the name that is served and comes closest to it is `{near[1]}`"] if near else []
    if token:
        advice.append("the address was typed or passed on wrong: it must be {{ seed.url }}/NAME, with all of its parts")
    advice.append("compare the boot command (or `direct.command_line`) with the names in http_seed/")
    return Verdict(
        "seed-not-found",
        f"The installer asked the seed server for {path} and got 404: {why}.",
        tuple(advice),
        (*_told(missing), *_typed_line(record)),
    )


def seed_never_requested(record: Record) -> Verdict | None:
    """Nothing was asked for at all: the boot line is wrong, or the guest has no network."""
    served = expected_address(record)
    if not waited(record) or not installing(record) or not served or requests(record):
        return None
    if not _awaited_seed(record):
        return None  # it was waited for something else, so that it may not be the seed's turn yet
    typed = any(e.text("step") == "type-boot-command" for e in record.named("step_finished", "step_failed"))
    line = _typed_line(record)
    wrong = bool(line) and served not in line[0].text
    question = asked_question(record.screen)
    if question:
        why = f"it asks “{question}” instead"
    elif wrong:
        why = f"what reached it does not name {served}"
    elif typed:
        why = "the boot command was typed wrong or in the wrong place, or the guest has no network"
    else:
        why = "its command line does not name it, or the guest has no network"
    return Verdict(
        "seed-never-requested",
        f"The installer never asked for its seed at {served}: {why}.",
        (
            "look at the screen: does it show the boot prompt still, a menu, or an installer that asks?",
            *(("wait for the prompt before typing: `<waitText \"boot:\" 60s>`, not `<wait10>`",) if typed else ()),
            "does the installer's kernel have a driver for the network card (`machine.nics[].model`)?",
        ),
        (*line, *_shown(record)),
    )  # fmt: skip


def out_of_disk(record: Record) -> Verdict | None:
    for entry in record.recent("qmp_event"):
        if entry.text("name") == "BLOCK_IO_ERROR" and '"nospace": true' in entry.text("data"):
            return Verdict(
                "host-disk-full",
                "This computer's disk is full: the machine could not write to its image.",
                ("free some space where the cache lies (`factory cache`, FACTORY_CACHE), then build again",),
                (Quote("QEMU", shorten(entry.text("data"))),),
            )
    error = f"{record.message}\n{record.broke.text('stderr') if record.broke else ''}"
    if record.kind in ("StoreError", "CommandFailed", "HostError", "MachineDied"):
        if found := _OUT_OF_DISK.search(error):
            return Verdict(
                "host-disk-full",
                "This computer's disk is full.",
                ("free some space where the cache and the output lie, then build again",),
                (Quote("the host", line_of(found)),),
            )
        return None
    quote = last_said(record, (_OUT_OF_DISK,), _NOT_THE_DISK)
    if quote is None:
        return None
    return Verdict(
        "out-of-disk",
        f"A disk of the guest is full: {quote.text}" + ("" if quote.text.endswith(".") else "."),
        ("make the disk bigger (`machine.disks[].size`), or install less", "does the seed use the whole disk?"),
        (quote,),
    )


def mirror_unreachable(record: Record) -> Verdict | None:
    if waited(record) and record.phase not in ("install", "import"):
        return None
    quote = last_said(record, _MIRROR, _ANSWERED)
    if quote and any(map(_ANSWERED.search, record.last_output[-_LAST_LINES:])):
        return None
    if quote is None or _only_the_seed(record, quote):
        return None
    address = _URL.search(quote.text)
    where = address[0].rstrip(".,:;") if address else "its package mirror"
    return Verdict(
        "mirror-unreachable",
        f"The guest could not reach {where}: {quote.text.rstrip('.')}.",
        (
            "does this computer reach that address? The guest goes out by this computer's own network",
            "set another mirror (`-var mirror=HOST`); behind a proxy, give the installer its address in the seed",
        ),
        (quote,),
    )


def installer_asks(record: Record) -> Verdict | None:
    """A dialog is open that no answer file has answered."""
    if not waited(record) or let_in(record) or not (installing(record) or record.phase == "install"):
        return None
    question = asked_question(record.screen) or asked_question(
        "\n".join(record.serial.splitlines()[-_LAST_LINES * 3 :])
    )
    if not question:
        return None
    return Verdict(
        "installer-asks",
        f"The installer is asking a question that its seed does not answer: “{question}”",
        (
            "answer it in the seed (http_seed/): the installer's manual names the answer to each question",
            "was the seed read at all? A seed that was found but not understood leaves every question open",
        ),
        _shown(record),
    )


def asked_question(screen: str) -> str:
    """The question that a screen of text asks; empty when it asks none.

    A dialog shows buttons; its question is the text above them. Else a last line that ends like a question counts.
    """
    shown = screen.splitlines()
    lines = [unframed(line) for line in shown]
    buttons = [i for i, line in enumerate(lines) if _BUTTONS.search(line)]
    if buttons and sum(bool(line) for line in lines[buttons[-1] + 1 :]) <= _BELOW:
        earlier = [i for i in buttons if any(lines[i + 1 : buttons[-1]])]
        start = earlier[-1] + 1 if earlier else 0
        return "" if _is_progress(shown[start : buttons[-1] + 1]) else _dialog_text(lines[start : buttons[-1]])
    text = "\n".join(line for line in lines[-_LAST_LINES * 3 :] if line)
    last = [found for found in _ASKS.finditer(text) if not _MENU.search(found[0])]
    # A question further up has been answered: what matters is the end.
    if last and text.count("\n", last[-1].end()) <= 2:
        if last[-1][0].startswith("Prompt: "):  # the text frontend of debconf: its question stands above the choices
            above = [line for line in text[: last[-1].start()].splitlines() if line.endswith((":", "?"))]
            return shorten(above[-1]) if above else shorten(last[-1][0])
        return shorten(" ".join(last[-1][0].split()))
    return ""


def _is_progress(dialog: Sequence[str]) -> bool:
    """A box that shows how far something has got, and offers nothing but to end it, waits for nobody."""
    offers = {name for line in dialog for name in _BUTTONS.findall(line)}
    ends = all(re.fullmatch(r"\W*(?:Cancel|Abort)\W*", name) for name in offers)
    return ends and any(re.search(r"\b\d{1,3}(?:\.\d+)? ?%|[█▓▒░]{4}|[#=]{6}", line) for line in dialog)


def _dialog_text(lines: Sequence[str]) -> str:
    titles = [line for line in lines if re.search(r"\[[!?.]{1,2}\]", line)]
    title = re.sub(r"[┌┐─┤├]|\[[!?.]{1,2}\]", "", titles[-1]).strip() if titles else ""
    start = lines.index(titles[-1]) + 1 if titles else 0
    body = [line for line in lines[start:] if line and not re.fullmatch(r"[\W_]*", line)]
    ending = [i for i, line in enumerate(body) if line.endswith(("?", ":"))]
    if ending:
        begin = ending[-1]
        while begin > 0 and not body[begin - 1].endswith((".", "?", ":", "!")) and ending[-1] - begin < 3:
            begin -= 1
        return shorten(": ".join(filter(None, (title, " ".join(body[begin : ending[-1] + 1])))))
    return shorten(": ".join(filter(None, (title, " ".join(body[:4])))))


def _seed_step(record: Record) -> bool:
    step = record.failed_step
    return bool(step and step.text("step") == "await-seed-fetch")


def _awaited_seed(record: Record) -> bool:
    """The step that waits for it failed, or a ``<waitSeed>`` in another one, whose error begins with it."""
    step = record.failed_step
    waits = step is not None and step.text("step") in ("type-boot-command", "await-expectation")
    return _seed_step(record) or (waits and bool(SEED_WAIT.match(record.message)))


def _told(entries: Sequence[Entry]) -> tuple[Quote, ...]:
    lines = [
        f"{e.text('method')} {e.text('path')} → {e.text('status')} {e.text('message')}".rstrip() for e in entries[-3:]
    ]
    return (Quote("the seed server", "\n".join(dict.fromkeys(lines))),) if lines else ()


def _typed_line(record: Record) -> tuple[Quote, ...]:
    """The command line with which the guest's kernel was really started, or what its prompt shows."""
    for source, text in (("the serial line", record.serial), ("the screen", record.screen)):
        for pattern in (r"(?:Kernel )?[Cc]ommand line: *([^\n]+)", r"^(?:boot: ?|> ?|grub> ?)([^\n]*\S[^\n]*)$"):
            found = list(re.finditer(pattern, text, re.M))
            if found:
                return (Quote(f"{source}: what the installer was started with", shorten(found[-1][1].strip())),)
    return ()


def _shown(record: Record) -> tuple[Quote, ...]:
    lines = [line.rstrip() for line in record.screen.splitlines() if line.strip()][-6:]
    return (Quote("the screen", "\n".join(map(shorten, lines))),) if lines else ()


def _only_the_seed(record: Record, quote: Quote) -> bool:
    """The address that was out of reach is the seed server's: other rules know more about that."""
    address = expected_address(record)
    return bool(address) and (address in quote.text or ("10.0.2.2" in quote.text and not requests(record)))
