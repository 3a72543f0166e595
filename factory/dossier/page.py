"""The dossier for people: one HTML page that needs nothing but itself, in light and dark, on a desk and on a phone."""

from __future__ import annotations

import base64
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

from factory.dossier.record import Entry, Record, readable
from factory.dossier.timeline import Item, attempts, timeline
from factory.dossier.verdict import Verdict
from factory.quantity import Duration, Size
from factory.visible import UNSEEN

PICTURES = Size(6 * 2**20)
"""Of all screenshots in a page; the newest are kept."""
SERIAL = 256 * 1024
LINES = 1500
"""Of the timeline; the middle of a longer one is left out."""
_HIDDEN = ("command", "activity")
"""Groups of the timeline that are folded away at first."""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_NO_TEXT = re.compile(f"[{UNSEEN}]")
"""What a guest may have said, and a page must not do: turn the direction of writing around, say."""


def page(record: Record, verdict: Verdict) -> str:
    """The whole page."""
    return _NO_TEXT.sub("\ufffd", "".join(_Page(record, verdict).parts()))


class _Page:
    def __init__(self, record: Record, verdict: Verdict) -> None:
        self.record, self.verdict = record, verdict
        self.items = timeline(record)
        self.pictures = _Pictures(item.picture for item in reversed(self.items) if item.picture)

    def parts(self) -> Iterator[str]:
        title = f"{self.record.template}: {self.verdict.sentence}"
        yield "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
        yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        yield '<meta name=viewport content="width=device-width, initial-scale=1">\n'
        yield f"<title>{escape(title)}</title>\n<style>\n{_part('page.css')}</style>\n</head>\n<body>\n"
        yield from self._header()
        sections = [
            ("timeline", "Timeline", len(self.items), self._timeline),
            ("serial", "Serial line", 0, self._serial),
            ("seed", "Seed requests", len(self.record.named("seed_requested")), self._seed),
            ("ssh", "SSH attempts", len(self.record.named("connect_attempt")), self._ssh),
            ("qmp", "QMP events", len(self.record.named("qmp_event")), self._qmp),
            ("logs", "Guest's logs", len(self.record.guest_logs), self._logs),
            ("qemu", "QEMU", 0, self._qemu),
        ]
        yield "<nav><div>"
        for name, label, count, _ in sections:
            yield f'<a href="#{name}">{escape(label)}{_count(count)}</a>'
        yield "</div></nav>\n<main>\n"
        yield from self._overview()
        for name, label, count, make in sections:
            yield f'<section class=card id="{name}"><h2>{escape(label)}{_count(count)}</h2>\n'
            yield from make()
            yield "</section>\n"
        run = escape(self.record.folder.name)
        yield f"<footer>{run} · made by <code>factory report</code> from journal.jsonl</footer>\n"
        yield f"</main>\n<script>\n{_part('page.js')}</script>\n</body>\n</html>\n"

    def _header(self) -> Iterator[str]:
        record, verdict = self.record, self.verdict
        began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.began)) if record.began else ""
        took = Duration(max(0.0, round(record.ended - record.began, 1)))
        yield f"<header>\n<div class=top><b>{escape(record.template)}</b>"
        yield f'<span class="pill {escape(record.outcome)}">{escape(record.outcome)}</span>'
        yield f"<span>{escape(began)}</span><span>after {took}</span>"
        yield f"<span>run {escape(record.folder.name)}</span></div>\n"
        yield f'<div class="cause {escape(record.outcome)}"><h1>{_prose(verdict.sentence)}</h1>\n'
        if verdict.advice:
            yield "<h3>What to try</h3><ol>"
            yield "".join(f"<li>{_prose(text)}</li>" for text in verdict.advice)
            yield "</ol>\n"
        if verdict.quotes:
            yield "<h3>What says so</h3>"
        for quote in verdict.quotes:
            words = escape(readable(quote.text))
            yield f"<figure><figcaption>{escape(quote.source)}</figcaption><pre>{words}</pre></figure>"
        yield "</div>\n</header>\n"

    def _overview(self) -> Iterator[str]:
        record = self.record
        yield "<div class=cols><section class=card><h2>The last screen</h2>\n"
        shot = record.screenshot
        picture = self.pictures.address(shot) if shot else ""
        if picture:
            yield f'<img class=shot src="{picture}" alt="the guest\'s screen when the build failed">'
        if record.screen.strip():
            opened = "" if picture else " open"
            text = escape(_trimmed(record.screen))
            yield f"<details{opened}><summary>as text</summary><pre class=screen>{text}</pre></details>"
        elif not picture:
            yield "<p class=none>No screen was seen: the machine was gone, or has no display.</p>"
        yield "</section>\n<section class=card><h2>The build</h2>\n<dl>"
        for term, words in self._facts():
            yield f"<dt>{escape(term)}</dt><dd>{_prose(words)}</dd>"
        yield "</dl>"
        notes = "\n".join(record.broke.texts("notes")) if record.broke else ""
        if notes.strip():
            yield f"<h3>It said besides</h3><pre>{escape(readable(notes))}</pre>"
        yield "</section></div>\n"

    def _facts(self) -> Iterator[tuple[str, str]]:
        record = self.record
        step, broke = record.failed_step, record.broke
        if record.phase:
            yield "phase", record.phase
        if step:
            yield "step", step.text("title")
        if record.message:
            yield "error", record.message
        if broke:
            yield "kind", broke.text("kind")
        if record.accelerator:
            yield "accelerator", record.accelerator
        facts = record.plan.get("facts", {})
        for name in ("machine_type", "firmware", "layers") if isinstance(facts, dict) else ():
            if facts.get(name):
                yield name.replace("_", " "), str(facts[name])
        versions = facts.get("versions", {}) if isinstance(facts, dict) else {}
        if isinstance(versions, dict) and versions:
            yield "versions", ", ".join(f"{k} {v}" for k, v in versions.items())

    # --- sections --------------------------------------------------------------------------------------------------

    def _timeline(self) -> Iterator[str]:
        kinds = Counter(item.kind for item in self.items)
        if len(kinds) > 1:
            yield "<div class=filters hidden>"
            for kind, count in kinds.items():
                shown = "false" if kind in _HIDDEN else "true"
                yield f'<button data-kind="{kind}" aria-pressed={shown}>{kind}{_count(count)}</button>'
            yield "</div>\n"
        yield "<ol class=time>\n"
        items = self.items
        skipped = len(items) - LINES
        for number, item in enumerate(items):
            if skipped > 0 and LINES // 2 <= number < LINES // 2 + skipped:
                if number == LINES // 2:
                    more = f"{skipped} more: see journal.jsonl"
                    yield f"<li><span class=t>…</span><span class=k></span><span class=e>{more}</span></li>\n"
                continue
            yield self._line(item)
        yield "</ol>\n"

    def _line(self, item: Item) -> str:
        hidden = " hidden" if item.kind in _HIDDEN and not item.mark else ""
        times = f" <span class=n>× {item.times}</span>" if item.times > 1 and item.kind != "serial" else ""
        more = ""
        if item.kind == "serial":
            lines = [line for line in item.text.splitlines() if line.strip()]
            title = escape(lines[-1][:200]) if lines else "…"
            if len(lines) > 1:
                more = f"<details><summary>{len(lines)} lines</summary><pre>{escape(item.text.strip())}</pre></details>"
        else:
            title = _prose(item.title)
            if item.text.strip():
                kind = " class=screen" if item.kind in ("screen", "error") else ""
                more = f"<details><summary>text</summary><pre{kind}>{escape(_trimmed(item.text))}</pre></details>"
        picture = self.pictures.address(item.picture) if item.picture else ""
        image = f'<img class=shot loading=lazy src="{picture}" alt="screen">' if picture else ""
        since = item.time - self.record.began
        return (
            f'<li class="{item.kind} {item.mark}"{hidden}><span class=t>{_clock(since)}</span>'
            f"<span class=k>{item.kind}</span><span class=e>{title}{times}{image}{more}</span></li>\n"
        )

    def _serial(self) -> Iterator[str]:
        text = "".join(e.text("text") for e in self.record.named("serial_output")) or self.record.serial
        if not text.strip():
            yield "<p class=none>The guest wrote nothing to its serial line.</p>"
            return
        if len(text) > SERIAL:
            yield f"<p class=none>The last {Size(SERIAL)}; the whole is in serial.log.</p>"
        yield f"{_copy('serial-text')}<pre id=serial-text>{escape(readable(text[-SERIAL:]).strip())}</pre>\n"

    def _seed(self) -> Iterator[str]:
        rows = self.record.named("seed_requested")
        if not rows:
            yield "<p class=none>The guest asked for nothing.</p>"
            return
        yield "<div class=table><table><tr><th>at<th>request<th>status<th>size<th></tr>\n"
        for e in rows:
            status = e.number("status")
            mark = "good" if 200 <= status < 300 else "bad"
            yield (
                f"<tr><td class=num>{self._at(e)}<td>{escape(e.text('method'))} {escape(e.text('path'))}"
                f"<td class={mark}>{status:.0f}<td class=num>{Size(int(e.amount('size')))}"
                f"<td>{escape(e.text('message'))}</tr>\n"
            )
        yield "</table></div>\n"

    def _ssh(self) -> Iterator[str]:
        rows = list(attempts(self.record))
        if not rows:
            yield "<p class=none>Nobody knocked at the guest's door.</p>"
            return
        yield "<div class=table><table><tr><th>from<th>times<th>address<th>got as far as<th></tr>\n"
        for e, count in rows:
            mark = "good" if e.text("state") == "connected" else "bad"
            yield (
                f"<tr><td class=num>{self._at(e)}<td class=num>{count}<td class=num>{escape(e.text('address'))}"
                f"<td class={mark}>{escape(e.text('state'))}<td>{escape(e.text('message'))}</tr>\n"
            )
        yield "</table></div>\n"

    def _qmp(self) -> Iterator[str]:
        rows = self.record.named("qmp_event")
        if not rows:
            yield "<p class=none>None.</p>"
            return
        yield f"<details{' open' if len(rows) <= 30 else ''}><summary class=none>all of them</summary>"
        yield "<div class=table><table><tr><th>at<th>event<th>data</tr>\n"
        for e in rows[-300:]:
            yield f"<tr><td class=num>{self._at(e)}<td>{escape(e.text('name'))}"
            yield f"<td class=num>{escape(e.text('data'))}</tr>\n"
        yield "</table></div></details>\n"

    def _logs(self) -> Iterator[str]:
        if not self.record.guest_logs:
            yield "<p class=none>No logs were read from the guest's disk.</p>"
        for e in self.record.guest_logs:
            size = Size(int(e.amount("size")))
            yield f"<details class=log><summary>{escape(e.text('path'))} <span class=n>{size}</span></summary>"
            yield f"<pre>{escape(readable(e.text('text')).strip())}</pre></details>\n"

    def _qemu(self) -> Iterator[str]:
        machine, ended = self.record.machine, self.record.last("machine_ended")
        broke = self.record.broke
        stderr = (broke.text("stderr") if broke else "") or (ended.text("stderr") if ended else "")
        yield "<h3>What it said</h3>"
        yield f"<pre>{escape(readable(stderr).strip())}</pre>\n" if stderr.strip() else "<p class=none>Nothing.</p>"
        command = (machine.text("command") if machine else "") or (broke.text("command") if broke else "")
        if command:
            yield f"<h3>Its command line</h3>{_copy('command')}<pre id=command>{escape(command)}</pre>\n"

    def _at(self, entry: Entry) -> str:
        return _clock(entry.time - self.record.began)


class _Pictures:
    """Screenshots as ``data:`` addresses, the newest first, as many as fit ``PICTURES``."""

    def __init__(self, newest_first: Iterable[Path]) -> None:
        self._addresses: dict[Path, str] = {}
        left = int(PICTURES)
        for path in newest_first:
            if path in self._addresses:
                continue
            try:
                data = path.read_bytes()
            except OSError:
                continue
            left -= len(data)
            if left < 0:
                break
            self._addresses[path] = f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"

    def address(self, path: Path) -> str:
        return self._addresses.get(path, "")


def _part(name: str) -> str:
    """A file beside this one."""
    return (Path(__file__).parent / name).read_text("utf-8")


def _prose(text: str) -> str:
    """Escaped, with ``backticks`` as code."""
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", escape(text))


def _count(count: int) -> str:
    return f" <span class=n>{count}</span>" if count else ""


def _copy(name: str) -> str:
    return f'<button class=copy data-of="{name}" hidden>copy</button>'


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(0.0, seconds), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def _trimmed(text: str) -> str:
    """Without blank lines at either end; blanks before text stay, for a screen has columns."""
    lines = [line.rstrip() for line in text.splitlines()]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(lines)
