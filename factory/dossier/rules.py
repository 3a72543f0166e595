"""The rule engine: from everything that is known of a failed build to one sentence.

Rules are asked in order, and the first that knows the cause speaks. The order is by how certain a sign is: a machine
that died or a kernel that panicked explains everything that follows from it; silence explains nothing.
"""

from __future__ import annotations

from factory.dossier import boot_rules, guest_rules, install_rules, panic_rules
from factory.dossier.record import Record
from factory.dossier.verdict import Rule, Verdict

RULES: tuple[Rule, ...] = (
    guest_rules.killed,
    panic_rules.kernel_panic,
    panic_rules.windows_stop,
    guest_rules.named_by_the_author,
    install_rules.out_of_disk,
    boot_rules.machine_died,
    boot_rules.machine_silent,
    install_rules.seed_broken,
    boot_rules.no_bootable_device,
    boot_rules.reboot_loop,
    install_rules.seed_not_found,
    install_rules.seed_never_requested,
    install_rules.mirror_unreachable,
    install_rules.installer_asks,
    guest_rules.command_failed,
    guest_rules.ssh_failed,
    boot_rules.stalled,
    boot_rules.too_slow,
)


def judge(record: Record) -> Verdict:
    """The cause of *record*'s failure. Builds that did not fail get a sentence that says so."""
    if record.outcome in ("succeeded", "running"):
        going = "is running" if record.outcome == "running" else "succeeded"
        finished = record.last("build_finished")
        made = finished.text("message") if finished else ""
        return Verdict(record.outcome, f"The build {going}: {made or 'there is no failure to explain'}.")
    for rule in RULES:
        verdict = rule(record)
        if verdict is not None:
            return verdict
    return guest_rules.in_its_own_words(record)
