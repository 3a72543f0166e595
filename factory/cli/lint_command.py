"""``factory lint``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from factory.visible import visible

if TYPE_CHECKING:
    from factory.outputs.lint_ova import Verdict


@click.command("lint")
@click.argument("ovas", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--fix", is_flag=True, help="Mend what can be mended; what is damaged stays as it is.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), default=None,
              help="With --fix: write the mended OVA here, and leave the original alone.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(ovas: tuple[Path, ...], fix: bool, output: Path | None, as_json: bool) -> None:
    """Judge OVAS by the rules that VMware, VirtualBox and virt-v2v hold them to.

    \b
    Each rule is told: whether it holds, and what goes wrong where it does not. Exit code 8 when one is
    broken; with --fix, when one is still broken afterwards.
    """
    import json

    from factory.errors import VerificationFailed

    if output and (not fix or len(ovas) > 1):
        raise click.UsageError("--output is for one OVA, with --fix")
    if output and os.path.lexists(output):
        raise click.UsageError(f"{output} is there already: name a new file (without --output SOURCE itself is mended)")
    results, whole = [], True
    for path in ovas:
        verdicts, mended = _judged(path, output or path) if fix else (_judge(path), [])
        whole = whole and all(v.ok for v in verdicts)
        if as_json:
            results.append({"file": str(path), "mended": mended, "rules": [_json(v) for v in verdicts]})
        else:
            _show(path, verdicts, mended)
    if as_json:
        click.echo(json.dumps(results, indent=2))
    if not whole:
        sys.exit(VerificationFailed.exit_code)


def _judge(path: Path) -> list[Verdict]:
    from factory.outputs.lint_ova import lint_ova

    return lint_ova(path)


def _judged(path: Path, destination: Path) -> tuple[list[Verdict], list[str]]:
    """The verdicts on what --fix has written, and the rules that it mended; nothing is written where all hold."""
    from factory.outputs.fix_ova import fix_ova
    from factory.outputs.lint_ova import RULES

    verdicts = _judge(path)
    asked = {r.name for r in RULES if r.fixable}  # also where this package is beyond mending: then it says why
    if not any(v.rule in asked and not v.ok for v in verdicts):
        return verdicts, []
    mended = fix_ova(path, destination)
    return _judge(destination), mended


def _json(verdict: Verdict) -> dict[str, object]:
    return {
        "rule": verdict.rule,
        "ok": verdict.ok,
        "title": verdict.title,
        "why": verdict.why,
        "problems": list(verdict.problems),
        "fixable": verdict.fixable,
    }


def _show(path: Path, verdicts: list[Verdict], mended: list[str]) -> None:
    click.echo(click.style(str(path), bold=True))
    for verdict in verdicts:
        if verdict.rule in mended:
            click.echo(f"{click.style('✓', fg='green')} {verdict.rule:<18} {verdict.title} (mended)")
        elif verdict.ok:
            click.echo(f"{click.style('✓', fg='green')} {verdict.rule:<18} {verdict.title}")
        else:
            click.echo(visible(f"{click.style('✗', fg='red')} {verdict.rule:<18} {'; '.join(verdict.problems)}"))
            click.echo(f"    {click.style('why:', bold=True)} {verdict.title}; else: {verdict.why}")
    broken = [v for v in verdicts if not v.ok]
    fixable = [v for v in broken if v.fixable]
    verdict_line = f"{len(broken)} of {len(verdicts)} rules are broken" if broken else "no rule is broken"
    click.echo(verdict_line + (f"; --fix mends {len(fixable)}" if fixable else ""))
