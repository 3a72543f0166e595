"""``factory build``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from factory.cli.packer_flags import PackerFlags, packer_flags
from factory.cli.template_options import find_templates, template_options

PACKER_WORDS = {"cleanup": "clean", "abort": "abort", "run-cleanup-provisioner": "run-cleanup-provisioner"}
"""What Packer's words for ``-on-error`` mean here. None of them waits for anybody: a pipeline would wait for ever."""


@click.command("build")
@click.argument("templates", nargs=-1, required=True, type=click.Path(path_type=Path))
@template_options
@click.option("-o", "--output", default="output", show_default=True, type=click.Path(path_type=Path, file_okay=False),
              help="Folder that artifacts appear in, each in a folder of its own.")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Use no stored layer: build everything anew.")
@click.option("--from", "from_phase", metavar="PHASE", default="", help="Run PHASE and all after it, stored or not.")
@click.option("--until", metavar="PHASE", default="", help="End after PHASE.")
@click.option("--layers", type=click.Choice(["auto", "live", "off", "none"]), default=None,
              help="What is kept between phases, in place of what the template says.")  # fmt: skip
@click.option(
    "--parallel-builds",
    metavar="N",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="At most N builds at once; 0: as many as this computer has memory, processors and space for.",
)
@click.option("--on-error", type=click.Choice(["clean", "keep", "ask", "retry", *PACKER_WORDS]), default="clean",
              metavar="[clean|keep|ask|retry]", show_default=True,
              help="When a step fails: clean up; keep its machine and wait; ask on the terminal; or retry from the "
              "last layer, twice at most. Packer's words are taken too: cleanup, abort, "
              "run-cleanup-provisioner.")  # fmt: skip
@click.option("--record", is_flag=True, help="Make a film of every screen in the run's folder (see `factory record`).")
@click.option("--force", is_flag=True, help="Replace the output directory of a Packer template if it is there.")
@packer_flags
@click.option("--json", "as_json", is_flag=True, help="Print every event as a line of JSON on standard output.")
@click.option("-v", "--verbose", count=True, help="Show requests and connection attempts; twice: commands too.")
def command(
    templates: tuple[Path, ...], variables: dict[str, str], var_files: tuple[Path, ...], only: tuple[str, ...],
    except_: tuple[str, ...], output: Path, fresh: bool, from_phase: str, until: str, layers: str | None,
    parallel_builds: int, on_error: str, record: bool, force: bool, packer: PackerFlags, as_json: bool,
    verbose: int,
) -> None:  # fmt: skip
    """Build images from TEMPLATES (files, or folders of them): factory's own, or Packer's (HCL and JSON).

    \b
    Artifacts appear whole in OUTPUT/<name>/, with manifest.json and SHA256SUMS. What was built before and
    has not changed is taken from the store. Several builds run side by side; what they have in common is
    made once. Ctrl-C ends everything that was started and loses nothing that was stored.
    When a step fails, --on-error keep or ask leaves its machine for you to look into.
    A template of Packer's delivers where Packer would, under the same names; --output means nothing to it.
    """
    from factory.cli.building import build_all
    from factory.cli.on_error import OnError
    from factory.cli.one_build import BuildOptions
    from factory.cli.requests import Selection

    selection = Selection(variables, var_files, only, except_, force)
    packer.apply()
    options = BuildOptions(
        selection, output.absolute(), fresh, from_phase, until, layers, as_json, verbose, parallel_builds,
        OnError(PACKER_WORDS.get(on_error, on_error)), record, packer.machine_readable,
    )  # fmt: skip
    sys.exit(build_all(lambda: find_templates(templates), options))
