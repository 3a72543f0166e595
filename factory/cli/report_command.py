"""``factory report``."""

from __future__ import annotations

import json

import click

from factory.errors import StoreError


@click.command("report")
@click.argument("run", default="")
@click.option("--json", "as_json", is_flag=True, help="Print report.json on standard output.")
def command(run: str, as_json: bool) -> None:
    """Explain the build RUN again: write report.html and report.json into its run directory, from its journal.

    Of a build that went well it says so, and where its artifact is; nothing is written then.

    \b
    RUN is a run's name or directory, or a template's name (its newest run); nothing means the newest run of all.
    Works for builds that were killed, too.
    """
    from factory.cli.live_runs import find_run, known_runs
    from factory.cli.places import places
    from factory.dossier.collector import write_report
    from factory.dossier.record import read_record
    from factory.dossier.report_json import report_json
    from factory.visible import visible, visible_json

    root = places().runs
    known = [] if run else known_runs(root)
    if not run and not known:
        raise click.UsageError(f"there are no runs in {root}")
    found = find_run(root, run) if run else known[0]
    try:
        verdict, page = write_report(found.path, alive=found.alive)
    except FileNotFoundError as error:
        message = f"{found.path} has no journal: its build ended before it began"
        raise StoreError(message, hint="name another run: `factory runs --all` lists them") from error
    except OSError as error:
        message = f"the report can't be written: {error}"
        raise StoreError(message, hint="is there space in the run directory, and may you write there?") from error
    if as_json:
        report = report_json(read_record(found.path, alive=found.alive), verdict)
        click.echo(visible_json(json.dumps(json.loads(report), ensure_ascii=False)))
        return
    click.echo(click.style(f"{found.path.name}: ", bold=True) + visible(verdict.sentence))
    for advice in verdict.advice:
        click.echo(f"  {click.style('try:', bold=True)} {visible(advice)}")
    if page:
        click.echo(f"  {click.style('report:', bold=True)} {page}")
