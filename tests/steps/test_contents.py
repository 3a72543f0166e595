"""The table of contents of a build: phases, and what their keys count."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from factory.cli.given import GIVEN
from factory.errors import HostError, PluginError, TemplateError
from factory.host.platform import Platform, UefiFirmware
from factory.plan.model import Keeps, Plan
from factory.plan.wiring import check_wiring
from factory.steps.contents import PlanInputs, make_plan
from factory.template.load import load
from factory.template.model import Layers
from factory.template.output_options import OWN_KINDS

pytestmark = pytest.mark.unit

PROJECT = Path(__file__).parents[2]
UEFI = UefiFirmware(Path("code.fd"), Path("vars.fd"), "raw", "raw", secure_boot=False, digest="f" * 64)
PLATFORM = Platform(
    qemu="qemu-system-x86_64",
    qemu_version="7.2.22",
    accelerator="tcg",
    cpu_model="max",
    machine_types={"q35": "pc-q35-7.2", "pc": "pc-i440fx-7.2"},
    uefi={"uefi": UEFI, "uefi-secure": UEFI},
    cpus=2,
)
HOST = {"mirror": "http://mirror.example/debian", "timezone": "UTC", "cpus": 2}


def plan(
    template: Path, *, variables: Mapping[str, str] | None = None, platform: Platform = PLATFORM,
    layers: Layers | None = None, salt: bytes = b"salt",
) -> Plan:  # fmt: skip
    loaded = load(template, variables=variables or {}, host=HOST)
    install = loaded.template.install
    built = {f.name: "built:1" for f in (install.seed_files if install else ()) if f.build}
    return make_plan(PlanInputs(loaded, platform, "sha256:1", built, Path("output"), salt, layers))


def edited(template: Path, old: str, new: str) -> Path:
    template.write_text(template.read_text().replace(old, new))
    return template


def keys(found: Plan) -> dict[str, str]:
    return {phase.name: phase.key for phase in found.phases}


@pytest.fixture
def template(tmp_path: Path) -> Path:
    for name in ("boot_configs", "http_seed"):
        (tmp_path / name).symlink_to(PROJECT / name)
    (tmp_path / "images").mkdir()
    (tmp_path / "first.sh").write_text("echo first\n")
    path = tmp_path / "images" / "web.yml"
    path.write_text(
        """
format: 1
name: web
variables:
  cpus: {default: 2}
  size: {default: 1 GiB}
  token: {default: "hunter22hunter", sensitive: true}
  hostname: {default: web}
source: {iso: {path: ../installer.iso}}
machine: {cpus: "{{ vars.cpus }}", memory: 512 MiB, disks: [{id: main, size: "{{ vars.size }}"}]}
install: {profile: tiny}
provision:
  - shell: {script: ../first.sh, env: {TOKEN: "{{ vars.token }}"}}
  - shell: {inline: "echo second"}
    timeout: 5m
outputs: [qcow2]
"""
    )
    (tmp_path / "installer.iso").write_bytes(b"iso")
    return path


def test_live_layers_keep_memory_after_boot_and_each_provisioner(template: Path) -> None:
    found = plan(template, layers=Layers.LIVE)
    assert [(p.name, p.keeps) for p in found.phases] == [
        ("install", Keeps.DISKS), ("boot", Keeps.MEMORY), ("provision-1", Keeps.MEMORY), ("provision-2", Keeps.MEMORY),
        ("seal", Keeps.DISKS), ("export", Keeps.ARTIFACT),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("{id: main,", "{id: main, bus: nvme,", "the disk main is an NVMe disk: QEMU can't keep its memory"),
        ("memory: 512 MiB", "memory: 8 GiB", "the machine has 8 GiB of memory, more than 4 GiB"),
        ("memory: 512 MiB", "memory: 1 GiB, extra_args: [-device, ivshmem-plain]", "there is a device ivshmem"),
    ],
)
def test_a_machine_whose_memory_is_not_kept_is_kept_switched_off(template: Path, old: str, new: str, why: str) -> None:
    assert "layers because" not in plan(template).facts
    found = plan(edited(template, old, new))
    assert Keeps.MEMORY not in {p.keeps for p in found.phases}
    assert str(found.facts["layers because"]).startswith(why)


def test_memory_that_can_not_be_kept_is_refused_before_anything_runs(template: Path) -> None:
    with pytest.raises(TemplateError, match="NVMe disk: QEMU can't keep the memory"):
        plan(edited(template, "{id: main,", "{id: main, bus: nvme,"), layers=Layers.LIVE)


def test_off_layers_keep_the_last_provisioner_and_none_keeps_nothing(template: Path) -> None:
    off = {p.name: p.keeps for p in plan(template, layers=Layers.OFF).phases}
    assert off == {
        "install": Keeps.DISKS, "provision-1": Keeps.NOTHING, "provision-2": Keeps.DISKS, "seal": Keeps.DISKS,
        "export": Keeps.ARTIFACT,
    }  # fmt: skip
    none = {p.keeps for p in plan(template, layers=Layers.NONE).phases}
    assert none == {Keeps.NOTHING, Keeps.ARTIFACT}


def test_what_does_not_count_changes_no_key(template: Path) -> None:
    before = keys(plan(template))
    assert keys(plan(template, platform=replace(PLATFORM, accelerator="kvm", cpus=64, qemu="/opt/qemu"))) == before
    install = {k: v for k, v in keys(plan(template, variables={"cpus": "8"})).items() if k != "export"}
    assert install == {k: v for k, v in before.items() if k != "export"}  # an OVA says how many CPUs it wants
    template.write_text(template.read_text().replace("timeout: 5m", "timeout: 9m"))
    assert keys(plan(template)) == before


def test_what_counts_changes_its_phase_and_all_after_it(template: Path) -> None:
    before = keys(plan(template))
    (template.parent.parent / "first.sh").write_text("echo edited\n")
    after = keys(plan(template))
    assert [name for name in before if before[name] != after[name]] == [
        "provision-1", "provision-2", "seal", "export",
    ]  # fmt: skip
    assert keys(plan(template, variables={"size": "2 GiB"}))["install"] != before["install"]
    other = replace(PLATFORM, machine_types={"q35": "pc-q35-8.0"})
    assert keys(plan(template, platform=other))["install"] != before["install"]


def test_a_phase_knows_the_files_that_its_recipe_was_made_from(template: Path) -> None:
    found = {phase.name: phase.sources for phase in plan(template).phases}
    script = str(template.parents[1] / "first.sh")
    assert script in found["provision-1"]
    assert script not in {name for phase, names in found.items() if phase != "provision-1" for name in names}
    assert any("http_seed/tiny/" in name for name in found["install"])
    before = found["provision-1"][script]
    text = (template.parents[1] / "first.sh").read_text()
    (template.parents[1] / "first.sh").write_text("echo something else\n")
    (template.parents[1] / "first.sh").write_text(text)
    now = {phase.name: phase for phase in plan(template).phases}["provision-1"]
    assert now.recipe == plan(template).phases[2].recipe
    assert now.sources[script] != before, "what was put back has another change time"


def test_a_phase_that_is_never_the_same_again_has_a_key_of_its_own_and_so_have_all_after_it(template: Path) -> None:
    loaded = load(template, variables={}, host=HOST)
    inputs = PlanInputs(loaded, PLATFORM, "sha256:1", {}, Path("output"), b"salt")
    plain, once, other = (
        keys(make_plan(replace(inputs, once=words))) for words in ({}, {"provision-1": "a"}, {"provision-1": "b"})
    )
    names = list(plain)
    at = names.index("provision-1")
    assert [plain[n] for n in names[:at]] == [once[n] for n in names[:at]]
    assert not {plain[n] for n in names[at:]} & {once[n] for n in names[at:]}
    assert not {once[n] for n in names[at:]} & {other[n] for n in names[at:]}


def test_a_variable_counts_where_it_is_used(template: Path) -> None:
    """The tiny seed names the host; the token only enters the first provisioner."""
    before = keys(plan(template))
    assert keys(plan(template, variables={"hostname": "db"}))["install"] != before["install"]
    changed = keys(plan(template, variables={"token": "other-token-1"}))
    assert changed["install"] == before["install"]
    assert changed["provision-1"] != before["provision-1"]


def test_no_recipe_holds_a_secret(template: Path) -> None:
    found = plan(template)
    text = json.dumps([p.recipe.to_json() for p in found.phases])
    assert "hunter22" not in text
    assert "hunter22" not in found.to_json()
    salted = keys(plan(template, salt=b"other"))
    assert salted["provision-1"] != keys(found)["provision-1"]


def test_the_plan_names_the_machine_and_the_arguments_for_qemu_without_secrets(template: Path) -> None:
    args = "extra_args: [-smbios, 'type=1,serial={{ vars.token }}', '-x', '{{ seed.url }}'], memory: 512 MiB"
    machine = plan(edited(template, "memory: 512 MiB", args)).describe()["machine"]
    assert machine["extra_args"] == ["-smbios", "type=1,serial={{ vars.token }}", "-x", "{{ seed.url }}"]
    assert (machine["type"], machine["firmware"], machine["memory"]) == ("pc-q35-7.2", "bios", 512 * 2**20)
    assert machine["disks"] == [
        {"id": "main", "size": 2**30, "bus": "virtio", "serial": "", "block_size": 512, "device": []}
    ]
    assert [nic["model"] for nic in machine["nics"]] == ["virtio-net-pci"]


def test_a_host_without_the_firmware_is_named(template: Path) -> None:
    template.write_text(template.read_text().replace("memory: 512 MiB", "memory: 512 MiB, firmware: uefi"))
    assert plan(template).phases
    with pytest.raises(HostError, match="no uefi firmware"):
        plan(template, platform=replace(PLATFORM, uefi={}))


@pytest.mark.parametrize("path", sorted((PROJECT / "images").glob("*.yml")), ids=lambda p: p.stem)
def test_every_shipped_template_is_wired(path: Path) -> None:
    for layers in (Layers.LIVE, Layers.OFF, Layers.NONE):
        check_wiring(plan(path, layers=layers), GIVEN)


def test_outcomes_that_come_first_are_waited_for_before_the_seed(template: Path) -> None:
    waits = "expect: [{on: {Install: ['<enter>']}}, {serial: Linux}, {on_serial: {panic: fail}}]"
    found = plan(with_waits(template, waits))
    steps = [step.name for step in found.phases[0].steps]
    first = steps.index("await-expectation")
    assert steps[first:] == [
        "await-expectation", "await-seed-fetch", "await-expectation", "await-expectation", "await-power-off",
    ]  # fmt: skip


def test_what_outcomes_type_counts_and_what_waits_look_for_alone_does_not(template: Path) -> None:
    def key(outcomes: str) -> str:
        return keys(plan(with_waits(template, f"expect: [{{{outcomes}}}]")))["install"]

    assert key("text: Install") == key("text: Other")
    typed = key("on: {Install: ['<enter>']}")
    assert typed == key("on: {Install: ['<enter>'], Panic: fail, Done: []}")
    assert len({typed, key("on: {Install: ['<esc>']}"), key("on_serial: {Install: ['<enter>']}"), key("text: x")}) == 4


def test_of_a_boot_commands_waits_what_they_type_counts(template: Path) -> None:
    def key(wait: str) -> str:
        return keys(plan(with_waits(template, f"boot: typed, boot_command: [a, {wait}b]")))["install"]

    assert key("") == key("{text: Install}, ") == key("{on: {Install: [], Panic: fail}, deadline: 1m}, ")
    assert len({key(""), key("{on: {Install: x}}, "), key("{on: {Other: x}}, "), key("{on: {Install: y}}, ")}) == 4


def with_waits(template: Path, waits: str) -> Path:
    other = template.with_name("waits.yml")
    text, old = template.read_text(), "install: {"
    assert old in text
    other.write_text(text.replace(old, f"{old}{waits}, "))
    return other


def test_the_initramfs_is_rebuilt_after_the_last_provisioner_for_what_the_outputs_need(template: Path) -> None:
    text = template.read_text()
    template.write_text(text.replace("outputs: [qcow2]", "outputs: [qcow2, ova, vhdx]\ninitramfs: rebuild"))
    names = [p.name for p in plan(template).phases]
    assert names[-4:] == ["provision-2", "initramfs", "seal", "export"]
    phase = plan(template).phases[-3]
    wanted = phase.recipe.counts["modules"]
    assert isinstance(wanted, list)
    assert {"mptspi", "hv_storvsc", "virtio_blk"} <= set(wanted)
    assert "e1000" not in wanted, "a network card can wait for the root file system"
    check_wiring(plan(template), GIVEN)
    template.write_text(text.replace("outputs: [qcow2]", "outputs: [raw]\ninitramfs: rebuild"))
    assert "initramfs" not in [p.name for p in plan(template).phases], "who flashes a raw disk knows the hardware"


def test_rebuilding_needs_a_way_in(template: Path) -> None:
    text = template.read_text()
    text = text[: text.index("provision:")] + "access: {none: true}\ninitramfs: rebuild\noutputs: [qcow2]\n"
    template.write_text(text)
    with pytest.raises(TemplateError, match="needs `access"):
        plan(template)


def test_an_output_that_nobody_has_is_told_before_anything_runs(template: Path) -> None:
    template.write_text(template.read_text().replace("[qcow2]", "[qcow2, {plugin: {name: to-the-moon}}]"))
    with pytest.raises(PluginError, match="no post-processor or output is called 'to-the-moon'"):
        plan(template)


@pytest.mark.parametrize("kind", OWN_KINDS)
def test_what_an_output_needs_every_build_is_given(kind: str, template: Path) -> None:
    template.write_text(template.read_text().replace("outputs: [qcow2]", f"outputs: [{kind}]"))
    check_wiring(plan(template), GIVEN)
