"""Rules for installers: the tiny installer, booted directly, with answers and lines that break it."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.dossier.verdict import expected_address
from factory.drivers.machine_spec import Bus, CpuSpec, DiskSpec, Forward, NicSpec
from factory.drivers.protocols import ApplianceDriver
from factory.plan.resources import KernelFiles
from factory.plan.step import Step
from factory.quantity import Duration, Size
from factory.steps.await_installer import AwaitPowerOff, AwaitSeedFetch
from factory.steps.create_disks import CreateDisks
from factory.steps.installation import command_line
from factory.steps.seed import ServeSeed
from factory.steps.start_machine import Role, StartMachine
from factory.template.model import Disk, Finished, LateText, Loaded
from tests.dossier.broken_build import Bench, Broken, Given, Heard
from tests.dossier.test_boot_failures import connect
from tests.drivers.qemu.guests import CLI, HANG, say

pytestmark = [pytest.mark.machine, pytest.mark.timeout(300)]

SOON = Duration(2)
PATIENCE = Duration(240)


def fetched(stall: Duration = Duration(0)) -> AwaitSeedFetch:
    return AwaitSeedFetch("seed", PATIENCE, stall)


FINISHED = AwaitPowerOff(Finished.RESET, PATIENCE, SOON)


def serve(loaded: Loaded) -> ServeSeed:
    return ServeSeed(loaded, loaded.seed_directory)


def install(
    bench: Bench, kernel: KernelFiles, seed: str | None, *steps: Step, typed: tuple[str, str] = ("", ""), disk: str = ""
) -> Broken:
    """An installation with *seed* for its answers; *typed* replaces a part of the kernel's command line."""
    loaded = bench.template(seed)
    line = command_line(loaded)
    assert isinstance(line, LateText)
    line = LateText(line.source.replace(*typed), line.variables) if typed[0] else line
    disks = (CreateDisks((Disk(id="main", size=Size.parse(disk)),)),) if disk else ()
    spec = bench.spec(
        memory="512 MiB",
        cpu=CpuSpec("max", 2),
        disks=(DiskSpec("main", Path("unplaced"), bus=Bus.VIRTIO),) if disk else (),
        nics=(NicSpec("net0", forwards=(Forward(22),)),),
    )
    start = StartMachine(spec, Role.INSTALL, 22, line)
    return bench.fails(*disks, serve(loaded), Given((kernel,)), start, *steps)


def test_a_seed_under_another_name(bench: Bench, tiny_kernel: KernelFiles) -> None:
    found = install(bench, tiny_kernel, None, Heard("FAILED"), fetched(SOON), typed=("/seed", "/sead"))
    assert found.verdict.rule == "seed-not-found"
    assert found.verdict.sentence == (
        "The installer asked the seed server for /sead and got 404: there is no such file."
    )
    assert "`seed`" in found.verdict.advice[0]
    assert "GET /sead → 404" in found.quoted


def test_a_seed_that_is_never_asked_for(bench: Bench) -> None:
    """What was typed, and reached the boot prompt, names another place."""
    spec = bench.spec(CLI, say("boot: install seed=http://10.0.2.2:9/seed\n"), HANG)
    found = bench.fails(serve(bench.template()), StartMachine(spec, Role.INSTALL), fetched(SOON))
    assert found.verdict.rule == "seed-never-requested"
    address = expected_address(found.record)
    assert found.verdict.sentence == (
        f"The installer never asked for its seed at {address}: what reached it does not name {address}."
    )
    assert "install seed=http://10.0.2.2:9/seed" in found.quoted


def test_a_seed_with_an_error_in_its_template(bench: Bench) -> None:
    found = bench.fails(serve(bench.template("HOSTNAME={{ 1 // 0 }}\n")))
    assert found.verdict.rule == "seed-template-error"
    assert found.verdict.sentence.startswith("The seed has an error in its template: can't render ")
    assert found.verdict.sentence.endswith("ZeroDivisionError: integer division or modulo by zero.")


def test_an_installer_that_asks(bench: Bench) -> None:
    spec = bench.spec(CLI, say("Partition disks\n\nWrite the changes to the disk? [y/n] "), HANG)
    found = bench.fails(StartMachine(spec, Role.INSTALL), FINISHED)
    assert found.verdict.rule == "installer-asks"
    assert found.verdict.sentence == (
        "The installer is asking a question that its seed does not answer: “Write the changes to the disk? [y/n]”"
    )


def test_a_mirror_that_nobody_answers(bench: Bench, tiny_kernel: KernelFiles) -> None:
    fetch = "wget -O /tmp/release http://10.0.2.2:9/debian/dists/stable/Release 2>/dev/ttyS0"
    found = install(bench, tiny_kernel, f"ON_START='{fetch}'\n", fetched(), Heard("FAILED"), FINISHED)
    assert found.verdict.rule == "mirror-unreachable"
    assert found.verdict.sentence == (
        "The guest could not reach its package mirror: wget: can't connect to remote host (10.0.2.2): "
        "Connection refused."
    )
    assert "mirror" in found.verdict.advice[1]


def test_ssh_that_lets_nobody_in(bench: Bench, tiny_kernel: KernelFiles) -> None:
    """A real dropbear, which takes keys only, and not ours."""
    seed = "ON_START='mkdir -p /etc/dropbear /root; dropbear -R -E -s; echo listening >/dev/ttyS0; sleep 600'\n"
    found = install(bench, tiny_kernel, seed, Heard("listening"), connect(budget=8))
    assert found.verdict.rule == "ssh-authentication"
    assert found.verdict.sentence == ("The guest's SSH server refused user 'root' with the key; it offers publickey.")
    assert "ssh_public_key" in found.verdict.advice[0]


def test_ssh_that_has_no_host_keys(bench: Bench, tiny_kernel: KernelFiles) -> None:
    """A real dropbear, which would make its keys when the first one knocks, and has no place for them."""
    seed = "ON_START='rm -rf /etc/dropbear; dropbear -R -E -s; echo listening >/dev/ttyS0; sleep 600'\n"
    found = install(bench, tiny_kernel, seed, Heard("listening"), connect(budget=8))
    assert found.verdict.rule == "ssh-key-exchange"
    assert found.verdict.sentence == (
        "The guest's SSH server broke off before anyone could log in: it has no algorithm in common with this program, "
        "or no host keys."
    )
    assert "ssh-keygen -A" in found.verdict.advice[0]


def test_ssh_of_the_installer_itself(bench: Bench, tiny_kernel: KernelFiles) -> None:
    """It takes our key, as installers with a console over the network do, and shows what only an installer has."""
    seed = (
        "ON_START='mkdir -p /etc/dropbear /root/.ssh; chmod 700 /root /root/.ssh; touch /bin/anna; "
        "cp /installer/system/etc/passwd /installer/system/etc/shadow /etc/; "
        'echo "{{ build.ssh_public_key }}" >/root/.ssh/authorized_keys; chmod 600 /root/.ssh/authorized_keys; '
        "dropbear -R -E -s; echo listening >/dev/ttyS0; sleep 600'\n"
    )
    found = install(bench, tiny_kernel, seed, Heard("listening"), connect(budget=15))
    assert found.verdict.rule == "ssh-installer"
    assert found.verdict.sentence == (
        "It was the installer's own SSH server that answered: the installation had not finished."
    )
    assert "/bin/anna" in found.quoted


def test_a_full_disk_and_the_logs_on_it(
    bench: Bench, tiny_kernel: KernelFiles, appliance_driver: ApplianceDriver
) -> None:
    """An installer that writes its log to the new system, fills the disk and gives up."""
    bench.appliances = appliance_driver
    bench.redactor_words = ("correct-horse-battery",)
    log = "partman: step 3 of 7, password correct-horse-battery"
    late = (
        f"mkdir -p /mnt/var/log/installer; echo {log} >/mnt/var/log/installer/syslog; sync; "
        "dd if=/dev/zero of=/mnt/full bs=1M 2>/dev/ttyS0; false"
    )
    found = install(
        bench, tiny_kernel, f"LATE_COMMAND='{late}'\n", fetched(), Heard("FAILED"), FINISHED, disk="128 MiB"
    )
    assert found.verdict.rule == "out-of-disk"
    assert found.verdict.sentence.startswith("A disk of the guest is full: ")
    assert "No space left on device" in found.verdict.sentence
    assert [log.text("path") for log in found.record.guest_logs] == ["/var/log/installer/syslog"]
    assert found.record.guest_logs[0].text("text") == "partman: step 3 of 7, password ********\n"
    assert "step 3 of 7" in found.html
    assert "correct-horse-battery" not in found.html
    assert "correct-horse-battery" not in (found.folder / "report.json").read_text("utf-8")
