"""``factory verify``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("verify")
@click.argument("artifact", type=click.Path(exists=True, path_type=Path))
@click.option("--formats", metavar="all|first|FORMAT[,FORMAT…]", default="",
              help="Which files to boot, in place of what the manifest asks for.")  # fmt: skip
@click.option("--clones", type=click.IntRange(1, 4), default=None, help="As how many machines the first is booted.")
@click.option("--no-boot", "boot", flag_value="none", help="Only checksums and formats: nothing is started.")
@click.option("--no-login", "boot", flag_value="prompt",
              help="Boot up to the SSH banner or login prompt only: needs no libguestfs.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-v", "--verbose", count=True, help="Show connection attempts; twice: commands too.")
def command(
    artifact: Path, formats: str, clones: int | None, boot: str | None, as_json: bool, verbose: int
) -> None:  # fmt: skip
    """Prove ARTIFACT (a folder with a manifest.json) again, from its manifest alone.

    \b
    Every file must have its checksum and be whole in its format; then the files are booted as they were
    when they were built, on throw-away overlays. ARTIFACT is only read. What does not hold gives exit code 8.
    """
    from factory.cli.verifying import Wish, verify_artifact

    folder = artifact if artifact.is_dir() else artifact.parent
    wish = Wish(folder, formats, clones, boot or "login")
    verify_artifact(wish, as_json=as_json, verbosity=verbose)
