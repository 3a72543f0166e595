"""``factory seal``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click


def _words(context: click.Context, option: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    """Repeated, or separated by commas, or both. An empty value is a variable that was not set: it means nothing."""
    words = tuple(word.strip() for value in values for word in value.split(",") if word.strip())
    if values and not words:
        raise click.BadParameter("names nothing: leave it out, or name what you mean", context, option)
    return words


@click.command("seal")
@click.argument("images", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--list", "as_list", is_flag=True, help="Print every operation: what it does, for which guests, why.")
@click.option("--only", metavar="NAME[,NAME…]", multiple=True, callback=_words,
              help="These operations and no others; +NAME adds one that is off by default.")  # fmt: skip
@click.option("--except", "except_", metavar="NAME[,NAME…]", multiple=True, callback=_words,
              help="All operations that are on, without these.")  # fmt: skip
@click.option("--allow", metavar="FINDING", multiple=True,
              help="A finding that is meant to be there: NAME, or NAME:PATH (with * and ?); unseen:PATH is a part of "
                   "the guest that is on none of IMAGES. Repeatable.")  # fmt: skip
@click.option("--remove-user", "users", metavar="USER", multiple=True, help="Remove this user and its home, too.")
@click.option("--shrink", is_flag=True, help="Cut the last partition and the disk; it grows again on first boot.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed, emptied or rewritten.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=None,
              help="Write the sealed image here and leave IMAGE alone: a folder, or a file (of several: a folder). "
                   "No file is replaced but IMAGE itself. "
                   "Its suffix says the format: .qcow2, .raw, .img, .vmdk, .vhd, .vhdx, .ova.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-v", "--verbose", count=True, help="Show the commands that run, too.")
def command(
    images: tuple[Path, ...], as_list: bool, only: tuple[str, ...], except_: tuple[str, ...], allow: tuple[str, ...],
    users: tuple[str, ...], shrink: bool, dry_run: bool, output: Path | None, as_json: bool, verbose: int,
) -> None:  # fmt: skip
    """Take out of IMAGES what belongs to one machine or its build, give back free space, and prove both.

    \b
    Several IMAGES are the disks of one machine, the one that boots first. Work is done beside them, and an
    image is replaced by one rename, only once it is proven clean; else it stays as it was, and the exit
    code is 8. The report appears as <image>.seal.json and <image>.seal.html.
    """
    from factory.cli.seal_listing import preview_images, show_operations
    from factory.cli.sealing_images import seal_images
    from factory.seal.findings import FINDINGS, check_allow
    from factory.seal.model import SealOptions
    from factory.seal.operations import check_names
    from factory.seal.operations.accounts import check_users

    check_names((*only, *except_))
    check_users(users)
    check_allow(allow, FINDINGS)
    if as_list:
        show_operations(as_json=as_json)
        return
    if not images:
        raise click.UsageError("name an image to seal, or use --list")
    options = SealOptions(only=only, except_=except_, allow=allow, remove_users=users, shrink=shrink)
    if dry_run:
        preview_images(images, options, as_json=as_json, verbosity=verbose * 2)
    else:
        seal_images(images, options, output, as_json=as_json, verbosity=verbose * 2)
