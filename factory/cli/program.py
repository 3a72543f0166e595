"""The command line. Each command's module is imported when it is used, so that ``factory --version`` stays quick."""

from __future__ import annotations

import importlib
import os
import sys

import click

from factory import __version__
from factory.cli.single_dash import double_dashes
from factory.errors import INTERNAL_ERROR_EXIT_CODE, INTERRUPTED_EXIT_CODE, FactoryError

COMMANDS = {
    "build": "Build images from templates.",
    "validate": "Check templates: every problem at once, with its place.",
    "plan": "Show what a build would do, and why.",
    "inspect": "Show a template's variables and outputs, or what is in a disk image.",
    "seal": "Take what belongs to one machine or its build out of a disk image, and prove it.",
    "lint": "Judge OVAs by the rules of VMware, VirtualBox and virt-v2v, and mend them.",
    "console": "Try expressions of a Packer template.",
    "fmt": "Rewrite HCL files in their canonical form.",
    "verify": "Prove an artifact again: checksums, formats, boots.",
    "convert": "Write a disk image or OVA in other formats.",
    "init": "Recognise an installer ISO and write a template for it.",
    "schema": "Print the JSON Schema of templates or boot profiles.",
    "doctor": "Say what this computer can do, and what to install.",
    "runs": "List the builds that run, and those whose machine is kept.",
    "screen": "Read the screen of a running build.",
    "ssh": "Log in to the guest of a running build.",
    "attach": "Sit down at the serial line of a running build.",
    "release": "Let a machine go that --on-error keeps.",
    "record": "Make a film of what a build's machines have shown.",
    "cache": "Look at, check and empty the layer store.",
    "report": "Explain a failed build again, from its journal.",
    "clean": "Remove what dead runs have left.",
}


class LazyGroup(click.Group):
    """A group whose commands are modules ``factory.cli.<name>_command`` with an attribute ``command``."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"factory.cli.{name.replace('-', '_')}_command")
        command: click.Command = module.command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(context, args)
        except click.UsageError as error:
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(f"{error.message}{hint}", context) from None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "--version", "-V", message="factory %(version)s")
def cli() -> None:
    """Turns an installer ISO and one declarative file into machine images that are proven to boot, proven clean, and
    ready for every platform."""


def long_options(command: str) -> list[str]:
    """Names of a command's options, without their dashes."""
    found = cli.get_command(click.Context(cli), command)
    options = [o for parameter in (found.params if found else ()) for o in parameter.opts]
    return [o.removeprefix("--") for o in options if o.startswith("--")]


def run() -> None:
    """Runs the command line and exits with the codes of ``factory.errors``.

    With NO_COLOR in the environment nothing is coloured (https://no-color.org): click asks the context that it is in.
    """
    colour = False if os.environ.get("NO_COLOR") else None
    with click.Context(cli, color=colour):  # for what is said when the command's own context has ended
        _run(colour)


def _run(colour: bool | None) -> None:
    try:
        cli.main(double_dashes(sys.argv[1:], long_options), prog_name="factory", standalone_mode=False, color=colour)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED_EXIT_CODE)
    except FactoryError as error:
        from factory.cli.report.failure import show_failure

        show_failure(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output is gone: nobody is left to be told
        sys.exit(0)
    except Exception as error:
        from factory.cli.report.failure import show_bug

        show_bug(error)
        sys.exit(INTERNAL_ERROR_EXIT_CODE)
