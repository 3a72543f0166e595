"""A step fails, its machine is kept, people look into it, script and template are mended, the same guest goes on."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import FACTORY, PROJECT, Outcome, Place

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


def broken_template(folder: Path) -> tuple[Path, Path]:
    """``images/tiny.yml`` with another last script; so far it is the same, and its layers are there."""
    whole = (PROJECT / "images/tiny.yml").read_text()
    head, _, rest = whole.partition("  - name: motd\n")
    script = folder / "last.sh"
    script.write_text("touch /root/half-done\necho about to break\nexit 3\n")
    template = folder / "broken.yml"
    template.write_text(f"{head}  - {{name: last, shell: {{script: last.sh}}}}\nou{rest.partition(chr(10) + 'ou')[2]}")
    for name in ("http_seed", "scripts", "boot_configs"):
        (folder / name).symlink_to(PROJECT / name)
    return template, script


def test_a_kept_machine_is_looked_into_mended_and_gone_on_with(tiny: Outcome, place: Place, tmp_path: Path) -> None:
    template, script = broken_template(tmp_path)
    seen: dict[str, subprocess.CompletedProcess[str]] = {}

    def look() -> None:
        for name, words in {
            "runs": ("runs", "--json"),
            "screen": ("screen", "tiny", "--json"),
            "ssh": ("ssh", "tiny", "ls /root"),
        }.items():
            seen[name] = place.run(*words)
        seen["attach"] = subprocess.run(
            [*FACTORY, "attach", "tiny"],
            input="\n", cwd=PROJECT, env=place.environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        script.write_text("test ! -e /root/half-done && echo mended $HOW\n")
        template.write_text(template.read_text().replace("last.sh}", "last.sh, env: {HOW: in both files}}"))
        seen["release"] = place.run("release", "tiny", "--retry")

    visitor = threading.Thread(target=look)

    def kept(event: dict[str, Any]) -> bool:
        if event["event"] == "note" and "factory release" in event["message"]:
            visitor.start()
        return False

    outcome = place.build(str(template), "--on-error", "keep", "--record", "--until", "provision-2", until=kept)
    visitor.join()
    assert {name: done.returncode for name, done in seen.items()} == dict.fromkeys(seen, 0), seen
    run = json.loads(seen["runs"].stdout)
    assert (run["state"], run["phase"]) == ("kept", "provision-2")
    assert "ended with status 3" in run["message"]
    assert any("tiny login:" in line for line in json.loads(seen["screen"].stdout)["lines"])
    assert seen["ssh"].stdout.split() == ["half-done"]
    assert "tiny login:" in seen["attach"].stdout
    # The second try begins at the failed step, in the guest as it was before that step.
    assert outcome.code == 0, outcome.stderr
    assert [line["line"] for line in outcome.named("guest_output")] == ["about to break", "mended in both files"]
    assert outcome.phases("phase_finished") == ["provision-2"]
    films = [e["message"] for e in outcome.named("note") if e["message"].startswith("recorded: ")]
    assert len(films) == 2
    assert Path(films[0].split()[1]).stat().st_size > 0
    assert place.left_over() == []


def test_a_script_out_of_time_is_ended_before_its_next_try(tiny: Outcome, place: Place, tmp_path: Path) -> None:
    """By tinyOS' dropbear, whose commands lead no session, and with a busybox for its tools."""
    template, script = broken_template(tmp_path)
    template.write_text(template.read_text().replace("{name: last,", "{name: last, timeout: 5s, retries: 1,"))
    script.write_text(
        "if [ -e /root/seen ]; then ps | grep '[s]leep 77' && exit 9; exit 0; fi\n"
        "touch /root/seen\necho started\nsleep 77 &\nsh -c 'sleep 77; true'\n"
    )
    outcome = place.build(str(template), "--until", "provision-2")
    assert outcome.code == 0, outcome.stderr
    assert [line["line"] for line in outcome.named("guest_output")] == ["started"]
    assert not any("still be running" in note["message"] for note in outcome.named("note"))
