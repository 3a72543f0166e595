"""Work that a sealed machine must do once, on its first boot, under each init system."""

from __future__ import annotations

from dataclasses import dataclass

from factory.seal.files import read_regular
from factory.seal.model import Init, Subject

_UNIT = """\
# Written when this image was sealed.
[Unit]
Description={description}
DefaultDependencies=no
RequiresMountsFor=/etc /usr /var
After=local-fs.target systemd-remount-fs.service systemd-random-seed.service
Before={before}
Conflicts=shutdown.target
{conditions}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={command}

[Install]
WantedBy=multi-user.target
"""
_INIT_SCRIPT = """\
#!/bin/sh
### BEGIN INIT INFO
# Provides:          {name}
# Required-Start:    $local_fs
# Required-Stop:
# X-Start-Before:    ssh dropbear
# Default-Start:     2 3 4 5
# Default-Stop:
# Short-Description: {description}
### END INIT INFO
# Written when this image was sealed.
case "$1" in
start|"") {script} ;;
esac
exit 0
"""


@dataclass(frozen=True, slots=True)
class FirstBootTask:
    """A command that runs early on each boot while its conditions hold.

    ``conditions`` are systemd's (``Condition…=`` lines); ``script`` says the same and does the work, for other inits.
    """

    name: str
    description: str
    command: str
    conditions: tuple[str, ...]
    before: tuple[str, ...]
    script: str

    @property
    def unit(self) -> str:
        return f"/etc/systemd/system/{self.name}.service"

    @property
    def wanted(self) -> str:
        return f"/etc/systemd/system/multi-user.target.wants/{self.name}.service"


async def install(subject: Subject, task: FirstBootTask) -> None:
    """Makes the guest do *task* on its next boot; does nothing where no init of ours is known."""
    files, init = subject.files, subject.guest.init
    if init is Init.SYSTEMD:
        text = _UNIT.format(
            description=task.description,
            before=" ".join((*task.before, "shutdown.target")),
            conditions="\n".join(task.conditions),
            command=task.command,
        )
        await files.write(task.unit, text.encode())
        await files.link(f"../{task.name}.service", task.wanted)
    elif init is Init.SYSV:
        text = _INIT_SCRIPT.format(name=task.name, description=task.description, script=task.script)
        await files.write(f"/etc/init.d/{task.name}", text.encode(), mode=0o755)
        # S01: before ssh, which every distribution starts later than that.
        for level in "2345":
            await files.link(f"../init.d/{task.name}", f"/etc/rc{level}.d/S01{task.name}")
    elif init is Init.BUSYBOX and await files.exists("/etc/inittab"):
        path = f"/usr/lib/factory/{task.name}"
        await files.write(
            path, f"#!/bin/sh\n# Written when this image was sealed.\n{task.script}\n".encode(), mode=0o755
        )
        inittab = (await read_regular(files, "/etc/inittab") or b"").decode("utf-8", "surrogateescape")
        if path not in inittab:
            await files.write("/etc/inittab", f"::sysinit:{path}\n{inittab}".encode("utf-8", "surrogateescape"))


async def is_installed(subject: Subject, task: FirstBootTask) -> bool:
    """Whether ``install`` has left what it should."""
    files, init = subject.files, subject.guest.init
    if init is Init.SYSTEMD:
        return await files.exists(task.unit) and await files.exists(task.wanted)
    if init is Init.SYSV:
        return bool(await files.find([f"/etc/rc[2345].d/S01{task.name}"]))
    if init is Init.BUSYBOX and await files.exists("/etc/inittab"):
        return task.name.encode() in (await read_regular(files, "/etc/inittab") or b"")
    return False
