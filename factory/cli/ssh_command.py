"""``factory ssh``."""

from __future__ import annotations

import os
import shutil

import click

from factory.cli.live_runs import KnownRun


@click.command("ssh", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("run", default="")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND]...")
def command(run: str, words: tuple[str, ...]) -> None:
    """Log in to the guest of a running build, or run COMMAND in it.

    \b
    RUN is a run's name or folder, or the name of a template: its newest run. One running build needs no name;
    with a COMMAND write "" in its place. Uses this computer's ssh and the build's own key. The words of COMMAND
    are joined and read by the guest's shell, as ssh does it. Ends with the exit status of COMMAND, or 255.
    """
    from factory.cli.live_runs import find_run
    from factory.cli.places import places

    given = words[1:] if words[:1] == ("--",) else words
    arguments = ssh_arguments(find_run(places().runs, run), given)
    os.execv(arguments[0], arguments)


def ssh_arguments(run: KnownRun, words: tuple[str, ...]) -> list[str]:
    """The command line of ssh. Raises: StepError, HostError."""
    from factory.cli.live_runs import living_machine
    from factory.errors import HostError, StepError

    living_machine(run)
    guest = run.control.guest
    name = run.path.name
    if guest is None:
        raise StepError(
            f"{name} is not so far yet: nobody knows how to log in to its guest",
            hint=f"`factory screen {name}` and `factory attach {name}` show what it does",
        )
    if guest.kind != "SSH":
        raise StepError(f"the guest of {name} is reached by {guest.kind}, not by SSH",
                        hint=f"it listens on {guest.host}:{guest.port}, user {guest.user}")  # fmt: skip
    program = shutil.which("ssh")
    if program is None:
        raise HostError("this computer has no ssh", hint="install openssh-client")
    # The host key is as new as the guest, and the way there is this computer's own loopback.
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "GlobalKnownHostsFile=/dev/null",
               "LogLevel=ERROR", "ConnectTimeout=20")  # fmt: skip
    key = ["-i", guest.key, "-o", "IdentitiesOnly=yes"] if guest.key else []
    return [
        program, "-F", "none", *(word for option in options for word in ("-o", option)), *key,
        "-p", str(guest.port), "-l", guest.user, guest.host, *(["--", *words] if words else []),
    ]  # fmt: skip
