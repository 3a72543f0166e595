"""A build's events as a person reads them: one line each, and what repeats itself told once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from factory.dossier.boot_rules import describe_activity
from factory.dossier.record import Entry, Record, readable
from factory.quantity import Duration, Size

TELLING = frozenset(
    {
        "BLOCK_IO_ERROR", "GUEST_PANICKED", "MEMORY_FAILURE", "POWERDOWN", "RESET", "RESUME", "SHUTDOWN", "STOP",
        "SUSPEND", "WATCHDOG",
    }
)  # fmt: skip
"""QMP events that say something of the guest; the rest is in the table of all of them."""


LONGEST = 8 * 1024
"""Of one line's text: what goes on for longer is a line of its own."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line: ``kind`` is its group (for filters), ``text`` what is folded away, ``picture`` a screenshot."""

    time: float
    kind: str
    title: str
    mark: str = ""  # "good", "bad", "warn" or nothing
    text: str = ""
    picture: Path | None = None
    times: int = 1


def timeline(record: Record) -> list[Item]:
    """Every event that tells something, in order."""
    items: list[Item] = []
    for entry in record.entries:
        maker = _MAKERS.get(entry.name)
        item = maker(record, entry) if maker else None
        if item is None:
            continue
        last = items[-1] if items else None
        if last and _repeats(last, item):
            items[-1] = replace(last, text=last.text + item.text, times=last.times + 1)
        else:
            items.append(item)
    return items


def _repeats(last: Item, item: Item) -> bool:
    """The same once more: serial output goes on, an attempt fails as the one before did."""
    if item.kind != last.kind or item.picture or last.picture:
        return False
    return (item.kind == "serial" and len(last.text) < LONGEST) or (item.kind == "ssh" and item.title == last.title)


def attempts(record: Record) -> Iterator[tuple[Entry, int]]:
    """SSH attempts, those that failed alike in a row as one: (the first of them, how many)."""
    first: Entry | None = None
    count = 0
    for entry in record.named("connect_attempt"):
        key = ("address", "state", "message")
        if first and all(first.text(k) == entry.text(k) for k in key):
            count += 1
            continue
        if first:
            yield first, count
        first, count = entry, 1
    if first:
        yield first, count


def _started(record: Record, e: Entry) -> Item:
    return Item(e.time, "phase", f"phase {e.text('phase')}", text=e.text("reason"))


def _finished(record: Record, e: Entry) -> Item:
    detail = f" · {e.text('detail')}" if e.text("detail") else ""
    return Item(e.time, "step", f"{e.text('title')}{detail} · {Duration(e.amount('seconds'))}", "good")


def _failed(record: Record, e: Entry) -> Item:
    return Item(e.time, "step", f"{e.text('title')}: {e.text('message')}", "bad")


def _machine(record: Record, e: Entry) -> Item:
    title = f"machine “{e.text('name')}” started ({e.text('accelerator')}, process {e.number('pid'):.0f})"
    return Item(e.time, "machine", title)


def _machine_end(record: Record, e: Entry) -> Item:
    status = e.number("exit_status")
    mark = "" if status == 0 else "bad"
    return Item(e.time, "machine", f"machine “{e.text('name')}” ended (status {status:.0f})", mark, e.text("stderr"))


def _serial(record: Record, e: Entry) -> Item:
    return Item(e.time, "serial", "serial line", text=readable(e.text("text")))


def _screen(record: Record, e: Entry) -> Item:
    sense = e.text("sense")
    how = f"read by {sense}" if sense and sense != "none" else "a picture"
    if sense != "none" and not e.text("text").strip():
        how = "blank"
    shot = e.text("screenshot")
    return Item(
        e.time, "screen", f"screen ({how})", text=readable(e.text("text")), picture=record.file(shot) if shot else None
    )


def _seed(record: Record, e: Entry) -> Item:
    status = e.number("status")
    mark = "good" if 200 <= status < 300 else "bad" if status >= 400 else ""
    size = f" · {Size(int(e.amount('size')))}" if e.number("size") else ""
    message = f" · {e.text('message')}" if e.text("message") else ""
    return Item(e.time, "seed", f"{e.text('method')} {e.text('path')} → {status:.0f}{size}{message}", mark)


def _attempt(record: Record, e: Entry) -> Item:
    good = e.text("state") == "connected"
    return Item(e.time, "ssh", f"{e.text('state')}: {e.text('message')}", "good" if good else "warn")


def _qmp(record: Record, e: Entry) -> Item | None:
    if e.text("name") not in TELLING:
        return None
    bad = e.text("name") in ("BLOCK_IO_ERROR", "GUEST_PANICKED", "MEMORY_FAILURE", "WATCHDOG")
    return Item(e.time, "qmp", f"{e.text('name')} {_words(e.text('data'))}".rstrip(), "bad" if bad else "")


def _words(data: str) -> str:
    try:
        found = json.loads(data)
    except ValueError:
        return data
    return ", ".join(f"{k} {json.dumps(v)}" for k, v in found.items()) if isinstance(found, dict) else data


def _command(record: Record, e: Entry) -> Item | None:
    program = e.text("command").split(" ", 1)[0].rpartition("/")[2]
    if e.number("exit_status") == 0:
        return Item(e.time, "command", f"{program} · {Duration(e.amount('seconds'))}", text=e.text("command"))
    return Item(e.time, "command", f"{program} ended with {e.number('exit_status'):.0f}", "warn", e.text("command"))


def _guest_output(record: Record, e: Entry) -> Item:
    return Item(
        e.time, "output", f"{e.text('provisioner')}: {e.text('line')}", "warn" if e.text("stream") == "stderr" else ""
    )


def _activity(record: Record, e: Entry) -> Item:
    return Item(e.time, "activity", describe_activity(e))


def _typed(record: Record, e: Entry) -> Item:
    again = f", {e.number('retyped'):.0f} typed again" if e.number("retyped") else ""
    return Item(e.time, "step", f"typed {e.number('characters'):.0f} characters{again}")


def _note(record: Record, e: Entry) -> Item:
    return Item(e.time, "note", e.text("message"), "warn" if e.text("level") == "warning" else "")


def _broke(record: Record, e: Entry) -> Item:
    shot = e.text("screenshot")
    return Item(
        e.time, "error", f"{e.text('kind')}: {e.text('message')}", "bad", readable(e.text("screen")),
        record.file(shot) if shot else None,
    )  # fmt: skip


def _log(record: Record, e: Entry) -> Item:
    return Item(e.time, "log", f"read {e.text('path')} from the guest's disk ({Size(int(e.amount('size')))})")


def _ended(record: Record, e: Entry) -> Item:
    good = e.text("outcome") == "succeeded"
    return Item(
        e.time, "phase", f"build {e.text('outcome')} after {Duration(e.amount('seconds'))}", "good" if good else "bad"
    )


_MAKERS: dict[str, Callable[[Record, Entry], Item | None]] = {
    "phase_started": _started,
    "step_finished": _finished,
    "step_failed": _failed,
    "machine_started": _machine,
    "machine_ended": _machine_end,
    "serial_output": _serial,
    "screen_changed": _screen,
    "seed_requested": _seed,
    "connect_attempt": _attempt,
    "qmp_event": _qmp,
    "command_finished": _command,
    "guest_output": _guest_output,
    "machine_activity": _activity,
    "typed": _typed,
    "note": _note,
    "build_broke": _broke,
    "guest_log": _log,
    "build_finished": _ended,
}
