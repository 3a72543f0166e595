"""What a build of a Packer template consists of, and what its keys count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from factory.cli.given import GIVEN
from factory.errors import PluginError, TemplateError
from factory.plan.model import Keeps, Plan, Power
from factory.plan.wiring import check_wiring
from factory.steps.contents import PlanInputs, make_plan
from factory.steps.deliver import refuse_existing
from factory.template.load import load_all
from factory.template.model import Layers, Loaded
from factory.template.verbatim_seed import LARGEST_DIGESTED, VerbatimFolder
from tests.steps.test_contents import PLATFORM

pytestmark = pytest.mark.unit
HCL = """source "qemu" "vm" {
  iso_url      = "a.iso"
  iso_checksum = "none"
  ssh_username = "root"
  MORE
}
build {
  sources = ["source.qemu.vm"]
  provisioner "shell-local" {
    script = "s.sh"
  }
  STEPS
}
"""


@pytest.fixture(autouse=True, name="folder")
def packer_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "http").mkdir()
    (tmp_path / "http/seed").write_text("one")
    (tmp_path / "s.sh").write_text("echo one\n")
    (tmp_path / "a.iso").write_bytes(b"iso")
    (tmp_path / "v.iso").write_bytes(b"virtio")
    return tmp_path


def loaded(more: str = "", steps: str = "") -> Loaded:
    Path("t.pkr.hcl").write_text(HCL.replace("MORE", more).replace("STEPS", steps))
    (found,) = load_all(Path("t.pkr.hcl"))
    return found


def planned(more: str = "", steps: str = "", layers: Layers | None = None) -> Plan:
    plan = make_plan(PlanInputs(loaded(more, steps), PLATFORM, "sha256:1", {}, Path("output"), b"salt", layers))
    check_wiring(plan, GIVEN)
    return plan


def test_one_machine_runs_from_the_first_key_to_the_end() -> None:
    plan = planned('boot_command = ["x"]\n  http_directory = "http"\n  qemuargs = [["-cdrom", "v.iso"]]')
    assert [(p.name, p.power, p.keeps) for p in plan.phases] == [
        ("prepare", Power.OFF, Keeps.NOTHING), ("install", Power.RUNNING, Keeps.MEMORY),
        ("provision-1", Power.RUNNING, Keeps.MEMORY), ("export", Power.OFF, Keeps.ARTIFACT),
    ]  # fmt: skip
    assert [s.name for s in plan.boot] == [
        "load-build-secrets", "fetch-media", "serve-seed", "make-media", "start-machine", "type-boot-command",
        "connect-guest",
    ]  # fmt: skip


def test_a_guest_that_nobody_reaches_ends_its_installation_itself() -> None:
    plan = planned('communicator = "none"')
    assert [p.name for p in plan.phases] == ["install", "export"]
    assert [s.name for s in plan.phases[0].steps][-1] == "await-power-off"
    image = planned('communicator = "none"\n  disk_image = true')
    assert [s.name for s in image.phases[0].steps][-3:] == ["start-machine", "run-on-host", "await-power-off"]


def test_what_needs_no_guest_runs_while_it_installs_itself(folder: Path) -> None:
    plan = planned('communicator = "none"')
    assert [s.name for s in plan.phases[0].steps][-2:] == ["run-on-host", "await-power-off"]
    (folder / "s.sh").write_text("other")
    assert keys(planned('communicator = "none"'))[0] != keys(plan)[0]


def test_what_can_not_be_kept_is_not_kept() -> None:
    assert {p.keeps for p in planned("memory = 8192").phases} >= {Keeps.MEMORY}
    for more in ("memory = 32768", 'qemuargs = [["-device", "nvme,drive=x,serial=1"]]'):
        assert Keeps.MEMORY not in {p.keeps for p in planned(more).phases}
    assert planned(layers=Layers.OFF).phases[2].keeps is Keeps.DISKS


def keys(plan: Plan) -> list[str]:
    return [p.key for p in plan.phases]


def test_contents_count_and_places_do_not(folder: Path) -> None:
    more = 'http_directory = "http"\n  cd_files = ["s.sh"]'
    before = keys(planned(more))
    assert keys(planned(more)) == before
    (folder / "s.sh").write_text("echo two\n")
    after = keys(planned(more))
    assert (after[0], after[1] != before[1]) == (before[0], True)  # the CD has another content
    (folder / "http/seed").write_text("two")
    assert keys(planned(more))[1] != after[1]
    (folder / "s2.sh").write_text("echo two\n")
    moved = HCL.replace('"s.sh"', '"s2.sh"')
    one = keys(planned())
    (folder / "t.pkr.hcl").write_text(moved.replace("MORE", "").replace("STEPS", ""))
    (found,) = load_all(Path("t.pkr.hcl"))
    two = make_plan(PlanInputs(found, PLATFORM, "sha256:1", {}, Path("output"), b"salt", None))
    assert [p.key for p in two.phases][:2] == one[:2]


def test_a_post_processor_that_nobody_has_stops_the_plan() -> None:
    with pytest.raises(PluginError, match="no post-processor or output is called 'amazon-import'"):
        planned(steps='post-processor "amazon-import" {}')


def test_a_provisioner_that_nobody_has_stops_the_plan() -> None:
    with pytest.raises(PluginError, match="no provisioner is called 'chef-solo'"):
        planned(steps='provisioner "chef-solo" {}')


def test_a_folder_that_is_there_is_an_error_unless_it_may_be_replaced(folder: Path) -> None:
    delivery = loaded().delivery
    assert delivery is not None
    assert delivery.folder == folder / "output-vm"
    refuse_existing(delivery)
    delivery.folder.mkdir()
    with pytest.raises(TemplateError, match="the output directory output-vm exists already"):
        refuse_existing(delivery)
    refuse_existing(replace(delivery, overwrites=True))


def test_everything_is_served_as_it_lies_there_and_nothing_else(folder: Path) -> None:
    (folder / "http/.hidden").write_text("h")
    (folder / "http/x.j2").write_text("{{ not ours }}")
    (folder / "http/out").symlink_to("/etc")
    with (folder / "http/large.iso").open("wb") as large:
        large.truncate(LARGEST_DIGESTED + 1)
    seed = VerbatimFolder(folder / "http", {"extra": "text"})
    assert {".hidden", "x.j2", "seed", "extra", "large.iso"} <= set(seed.names())
    assert seed.read("extra") == b"text"
    assert seed.read("x.j2") == folder / "http/x.j2"
    assert seed.read("out/passwd") is None
    assert seed.read("../s.sh") is None
    assert seed.recipe()["large.iso"] == {"size": LARGEST_DIGESTED + 1}
