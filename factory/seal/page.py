"""``seal.html``: the report of a seal as a page for people. One file, no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from factory.quantity import Duration, Size

_STYLE = """\
:root { color-scheme: light dark; --ink: #1c2430; --dim: #657080; --line: #d9dee5; --paper: #fff; --good: #1a7f4b;
  --bad: #b3261e; --warn: #8a5a00; --tint: #f4f6f9 }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --dim: #97a2b2; --line: #333c49; --paper: #14191f;
  --good: #58c48b; --bad: #ff8a80; --warn: #e0b050; --tint: #1b222b } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 62rem;
  margin: 2rem auto; padding: 0 1.2rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.05rem; margin: 2rem 0 .4rem }
.verdict { font-size: 1.15rem; font-weight: 600; padding: .7rem 1rem; border-left: .35rem solid;
  background: var(--tint); margin: 1rem 0 }
.good { color: var(--good) } .bad { color: var(--bad) } .warn { color: var(--warn) } .dim { color: var(--dim) }
table { border-collapse: collapse; width: 100% } th { text-align: left; font-weight: 600; color: var(--dim) }
td, th { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
td:first-child code { white-space: nowrap }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
code { font: .92em ui-monospace, monospace; overflow-wrap: anywhere } details { margin: .5rem 0 }
summary { cursor: pointer }
@media print { body { margin: 0; max-width: none } details > * { display: block } }
"""
_PAGE = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Seal of {title}</title><style>
{style}</style></head>
<body>
{body}
</body>
</html>
"""


def render_page(report: Mapping[str, Any], title: str) -> str:
    """The page for *report*, which is ``SealReport.to_json()`` or what was read from ``seal.json``."""
    parts = (
        _head(report, title),
        _operations(report["operations"]),
        _space(report),
        _findings(report),
        _list("Cut", report.get("shrunk", ()), ""),
        _list("Drivers that are missing where it goes", report.get("missing_drivers", ()), "warn"),
        _list("Not seen", [f"{u['place']}: {u['why']}" for u in report.get("unseen", ())], ""),
        _list("Notes", report.get("notes", ()), ""),
        _times(report.get("seconds", {})),
    )
    body = "\n".join(line for part in parts for line in part)
    return _PAGE.format(title=escape(title), style=_STYLE, body=body)


def _head(report: Mapping[str, Any], title: str) -> Iterator[str]:
    guest = report["guest"]
    name = guest.get("name") or " ".join(filter(None, (guest.get("id"), guest.get("version")))) or "an unknown system"
    yield f"<h1>{escape(title)}</h1><p class=dim>{escape(name)}</p>"
    if report["proven"]:
        yield "<p class='verdict good'>Proven clean: every promise was checked on the closed disk.</p>"
        return
    yield f"<p class='verdict bad'>Not clean: {len(report['problems'])} problems.</p>"
    yield "<ul class=bad>" + "".join(f"<li>{escape(p)}</li>" for p in report["problems"]) + "</ul>"


def _operations(operations: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    worked = [o for o in operations if o["paths"]]
    idle = [o for o in operations if not o["paths"]]
    yield f"<h2>Operations: {len(worked)} of {len(operations)} had something to do</h2>"
    if worked:
        yield from _table(
            ("operation", "what it does", "files"),
            [(_code(o["name"]), escape(o["what"]), str(o["paths"])) for o in worked],
        )
    if idle:
        names = ", ".join(_code(o["name"]) for o in idle)
        yield f"<details><summary>{len(idle)} found nothing, and promise that nothing is there</summary>"
        yield f"<p>{names}</p></details>"


def _space(report: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        (
            escape(f.get("volume") or f"partition {f['partition']} of disk {f['disk']}"),
            escape(f["type"]),
            str(Size(f["free"])),
            f"<span class={'bad' if f['dirty'] else 'good'}>{Size(f['dirty'])}</span>",
        )
        for f in report.get("free_space", ())
    ]
    yield "<h2>Free space and swap, read back</h2>"
    if rows:
        yield from _table(("where", "type", "free", "not zero"), rows)
    else:
        yield "<p>None could be read back by the reader that is not libguestfs.</p>"
    trimmed = [
        " ".join(filter(None, (_code(t["device"]), escape(t["method"]), escape(t["problem"]))))
        for t in report.get("trimmed", ())
    ]
    if trimmed:
        yield f"<p class=dim>Wiped: {'; '.join(trimmed)}.</p>"


def _findings(report: Mapping[str, Any]) -> Iterator[str]:
    findings = report["findings"]
    yield "<h2>Secrets</h2>"
    if not report.get("searched", True):
        yield "<p class=warn>Nobody has looked for any: the search was left out.</p>"
        return
    if not findings:
        yield "<p>None: files, free space, swap and gaps between partitions were searched.</p>"
        return
    yield from _table(
        ("finding", "where", "byte", "verdict"),
        [
            (
                f"{_code(f['name'])} <span class=dim>{escape(f['excerpt'])}</span>",
                _code(f["where"] or "not known"),
                str(f["offset"]),
                f"<span class=dim>{escape(f['reason'])}</span>" if f["allowed"] else "<b class=bad>found</b>",
            )
            for f in findings
        ],
    )
    for more in report.get("more_findings", ()):
        verdict = "allowed" if more["allowed"] else "<b class=bad>found</b>"
        yield f"<p>And {more['count']} more of {_code(more['name'])}, {verdict}.</p>"


def _list(title: str, lines: Sequence[str], kind: str) -> Iterator[str]:
    if lines:
        yield f"<h2>{title}</h2><ul class='{kind}'>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _times(seconds: Mapping[str, float]) -> Iterator[str]:
    if seconds:
        parts = ", ".join(f"{escape(name)} {Duration(value)}" for name, value in seconds.items())
        yield f"<p class=dim>Time: {parts}.</p>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Cells are HTML; a column is set as numbers when its first cell is one."""
    numbers = [cell[:1].isdigit() for cell in rows[0]]
    kinds = [" class=number" if number else "" for number in numbers]
    yield "<table><tr>" + "".join(f"<th{k}>{h}</th>" for h, k in zip(head, kinds, strict=True)) + "</tr>"
    for row in rows:
        yield "<tr>" + "".join(f"<td{k}>{c}</td>" for c, k in zip(row, kinds, strict=True)) + "</tr>"
    yield "</table>"


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"
