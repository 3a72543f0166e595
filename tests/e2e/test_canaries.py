"""The canary drill: thirty secrets go through a whole build; a search that knows nothing of the program finds none.

They travel as template variables into the seed, the environment and the text of scripts, and files; in the guest they
lie in logs, histories, temporary files, deleted files, a swap file and a swap disk, plain and encoded. One operation is
then left out on purpose: the build must fail and name what was left, and deliver nothing.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import subprocess
import tarfile
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from factory.deadline import Deadline
from factory.drivers.machine_spec import DiskSpec, Forward, NicSpec
from factory.drivers.protocols import GuestAddress
from factory.drivers.ssh_banner import wait_for_banner
from factory.quantity import Duration, Size
from tests.drivers.qemu.conftest import Lab, lab
from tests.e2e.command import PROJECT, Outcome, Place
from tests.seal.dirty_disk import program

__all__ = ["lab"]  # a fixture
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

SECRETS = {f"canary{n:02}": f'Kanari-{n * 104729:08}+/"q"=&<é>' for n in range(30)}
"""With what every encoding changes: quotes, slashes, signs, a letter that is no ASCII."""

# In the installer, as the seed's last command. The installed system is below /mnt.
SEED = r"""
HOSTNAME=canaries
SSH_KEY='{{ build.ssh_public_key }}'
ROOT_HASH='{{ vars.canary00 | sha512_crypt }}'
ANSWERS={{ (vars.canary01 ~ "|" ~ vars.canary02) | shell_quote }}
LATE_COMMAND='
  mkdir -p /mnt/var/log/installer
  echo "$ANSWERS" >/mnt/var/log/installer/answers
  cp /tmp/seed /mnt/root/preseed.cfg
'
"""
PLAIN = r"""
set -e
mkdir -p /var/log /var/tmp /var/lib/cloud/instances/i-1 /root/.cache/tool
echo "login with $A" >>/var/log/application.log
echo "password=$B" >>/root/.ash_history
echo "$C" >/tmp/left
echo "$D" >/var/tmp/.left
echo "$E" >/var/lib/cloud/instances/i-1/user-data.txt
echo "$F" >/root/.cache/tool/token
echo "said aloud: $A $B $C"
"""
ENCODED = r"""
set -e
printf %s "$A" | base64 >/var/log/base64.log
printf %s "$B" | od -An -v -tx1 | tr -d ' \n' >/tmp/hex
printf %s {{ vars.canary10 | urlencode | shell_quote }} >/var/log/url.log
printf %s {{ vars.canary11 | tojson | shell_quote }} >/tmp/json
printf '%s\n' {{ vars.canary12 | shell_quote }} >/var/log/quoted.log
printf %s "$A" | base64
"""
DELETED = r"""
set -e
i=0; while [ $i -lt 300 ]; do printf '%s %s %s %s\n' "$A" "$B" "$C" "$D"; i=$((i+1)); done >/root/deleted
printf %s "$E" | base64 >/root/deleted-base64
sync; rm /root/deleted /root/deleted-base64; sync
"""
SWAPPED = r"""
set -e
dd if=/dev/zero of=/swapfile bs=1M count=4 2>/dev/null; chmod 600 /swapfile; mkswap /swapfile >/dev/null
mkswap -L SWAP /dev/vdb >/dev/null
for target in /swapfile /dev/vdb; do
  for text in "$A" "$B" "$C" "$(printf %s "$D" | base64)"; do
    printf '%s\n' "$text" | dd of=$target bs=1 seek=$(( 8192 + (i=i+512) )) conv=notrunc 2>/dev/null
  done
done
printf '/swapfile none swap sw 0 0\nLABEL=SWAP none swap sw 0 0\n' >>/etc/fstab
sync
"""


def shell(text: str, secrets: str) -> dict[str, object]:
    """A provisioner whose environment holds the secrets of these numbers, as A, B, C…"""
    names = dict(zip("ABCDEFGH", secrets.split(), strict=False))
    return {"shell": {"inline": [text], "env": {k: f"{{{{ vars.canary{n} }}}}" for k, n in names.items()}}}


def template(seal: dict[str, object]) -> str:
    return yaml.safe_dump(
        {
            "format": 1,
            "name": "canaries",
            "variables": {name: {"sensitive": True} for name in SECRETS},
            "source": {"iso": {"build": {"script": "scripts/iso/tiny", "inputs": ["scripts/iso/tiny.d"]}}},
            "machine": {
                "memory": "512 MiB",
                "disks": [{"id": "main", "size": "192 MiB"}, {"id": "swap", "size": "32 MiB"}],
            },
            "install": {"profile": "tiny", "boot": "direct", "seed_files": [{"name": "seed", "content": SEED}]},
            "access": {"ssh": {"user": "root"}},
            "provision": [
                shell(PLAIN, "03 04 05 06 07 08"),
                shell(ENCODED, "09 13"),
                {"file": {"content": "{{ vars.canary14 }}\n", "destination": "/var/log/file.log", "mode": "0600"}},
                {"file": {"content": "{{ vars.canary15 | tojson }}\n", "destination": "/etc/service.conf~"}},
                shell(DELETED, "16 17 18 19 20"),
                shell(SWAPPED, "21 22 23 24"),
                shell('printf "%s %s %s %s %s" "$A" "$B" "$C" "$D" "$E" >/tmp/rest', "25 26 27 28 29"),
            ],
            "seal": seal,
            "outputs": ["qcow2", "ova"],
            "verify": {"boot": False},
        },
        sort_keys=False,
        width=10_000,
    )


# --- a search of its own ---------------------------------------------------------------------------------------------


def spellings(value: str) -> Iterator[bytes]:
    """How the drill writes a secret, spelled out anew: nothing of the program's own list is used."""
    raw = value.encode()
    yield raw
    yield raw.hex().encode()
    yield json.dumps(value)[1:-1].encode()
    yield json.dumps(value, ensure_ascii=False)[1:-1].encode()
    yield json.dumps(value)[1:-1].translate({ord(c): f"\\u{ord(c):04x}" for c in "<>&'"}).encode()  # Jinja's tojson
    yield urllib.parse.quote(value, safe="").encode()
    yield urllib.parse.quote(value).encode()
    for shift in range(3):  # base64 of a text in which the secret begins at each of three places
        whole = base64.b64encode(b"\0" * shift + raw + b"\0" * 3)
        yield whole[4 if shift else 0 : len(raw) // 3 * 4 - 4]


class Search:
    """grep, for all spellings at once."""

    def __init__(self, scratch: Path) -> None:
        self._names = {spelling: name for name, value in SECRETS.items() for spelling in spellings(value)}
        self._patterns, self._scratch = scratch / "patterns", scratch
        self._patterns.write_bytes(b"\n".join(self._names))

    def found(self, *places: Path) -> set[str]:
        """Names of the secrets that are in any of these files."""
        argv: list[str | Path] = ["grep", "-a", "-o", "-h", "-z", "-F", "-f", self._patterns, "--", *places]
        done = subprocess.run(argv, stdout=subprocess.PIPE, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"})
        assert done.returncode in (0, 1), "grep itself has failed"
        return {self._names[spelling] for spelling in done.stdout.split(b"\0") if spelling}

    def found_in(self, text: str) -> set[str]:
        path = self._scratch / "text"
        path.write_text(text)
        return self.found(path)

    def raw(self, image: Path) -> Path:
        """The bytes that a machine reads from an image."""
        path = self._scratch / f"{image.parent.name[:8]}-{image.name}.raw"
        subprocess.run(["qemu-img", "convert", "-O", "raw", image, path], check=True)
        return path


@pytest.fixture
def search(tmp_path: Path) -> Search:
    return Search(tmp_path)


@dataclass(frozen=True, slots=True)
class Drill:
    place: Place
    project: Path
    sealed: Outcome
    leaky: Outcome
    leaky_output: bool
    """Whether the build that must fail has delivered something."""


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Drill:
    place, project = Place(tmp_path_factory.mktemp("canaries")), tmp_path_factory.mktemp("project")
    for folder in ("boot_configs", "http_seed", "scripts"):
        (project / folder).symlink_to(PROJECT / folder)
    (project / "images").mkdir()
    (project / "values.yml").write_text(yaml.safe_dump(SECRETS))
    path = project / "images/canaries.yml"
    build = (str(path), "--var-file", str(project / "values.yml"))
    # The leaky one first: what it has stored, but for its seal, is where the other goes on.
    path.write_text(template({"except": ["shell-history"]}))
    leaky = place.build(*build)
    delivered = (place.output / "canaries").exists()
    path.write_text(template({"shrink": True}))
    return Drill(place, project, place.build(*build), leaky, delivered)


def test_all_thirty_were_planted(drill: Drill, search: Search) -> None:
    """In disks, and in what the guest had not yet written of them: a search that finds nothing proves nothing."""
    layers = drill.place.root / "cache/layers"
    disks = [search.raw(disk) for disk in layers.glob("*/*.qcow2")]
    assert search.found(*disks, *layers.glob("*/memory")) >= set(SECRETS) - {"canary00"}, "of that one there is a hash"
    assert search.found_in(json.dumps(SECRETS, ensure_ascii=False)) == set(SECRETS)


def test_none_is_in_what_was_delivered(drill: Drill, search: Search, tmp_path: Path) -> None:
    assert drill.sealed.code == 0, drill.sealed.stderr
    artifact = drill.place.output / "canaries"
    with tarfile.open(artifact / "canaries.ova") as tar:
        tar.extractall(tmp_path / "ova")
    files = [*artifact.iterdir(), *(tmp_path / "ova").iterdir()]
    assert {"seal.json", "seal.html", "manifest.json", "canaries-disk1.vmdk"} <= {f.name for f in files}
    images = [f for f in files if f.suffix in {".qcow2", ".vmdk"}]
    assert len(images) == 4, "two disks, twice"
    assert search.found(*files, *map(search.raw, images)) == set()


def test_none_is_in_logs_journal_names_and_what_was_printed(drill: Drill, search: Search) -> None:
    root = drill.place.root
    everything = [p for folder in ("runs", "cache") for p in (root / folder).rglob("*")]
    # A layer's disks and memory are the machine itself, and its build.json the build's own secrets: for the owner only.
    written = [p for p in everything if p.is_file() and p.suffix != ".qcow2" and p.name not in {"memory", "build.json"}]
    assert {"journal.jsonl", "plan.json", "recipe.json"} <= {p.name for p in written}
    assert {str(p): found for p in written if (found := search.found(p))} == {}
    assert search.found_in("\n".join(str(p) for p in root.rglob("*"))) == set()
    for outcome in (drill.sealed, drill.leaky):
        printed = "\n".join(json.dumps(e, ensure_ascii=False) for e in outcome.events) + outcome.stderr
        assert search.found_in(printed) == set()
    said = [e["line"] for e in drill.leaky.named("guest_output")]
    assert any(line.startswith("said aloud: ") for line in said), "the guest's line is there, masked"


def test_what_a_missing_operation_leaves_is_found_and_nothing_is_delivered(drill: Drill) -> None:
    assert drill.leaky.code == 8, drill.leaky.stderr
    assert not drill.leaky_output
    (failed,) = drill.leaky.named("step_failed")
    assert "secret:canary04" in failed["message"]
    assert "/root/.ash_history" in failed["message"]


def test_the_shrunk_image_boots_and_fills_a_larger_disk(drill: Drill, tmp_path: Path, lab: Lab) -> None:
    image = drill.place.output / "canaries/canaries.qcow2"
    shrunk = json.loads(program("qemu-img", "info", "--output=json", image))["virtual-size"]
    assert shrunk < 192 * 2**20
    disk, swap = tmp_path / "disk.qcow2", tmp_path / "swap.qcow2"
    program("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, disk, "512M")
    other = image.with_name("canaries-swap.qcow2")
    program("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", other, swap)

    async def boot() -> None:
        spec = lab.spec(
            memory=Size.parse("512 MiB"),
            disks=(DiskSpec("main", disk, boot_index=0), DiskSpec("swap", swap)),
            nics=(NicSpec("net", forwards=(Forward(22),)),),
        )
        deadline = Deadline.after(Duration(300), "the shrunk image to answer by SSH, and to power off")
        async with lab.start(spec) as machine:
            await machine.resume()
            address = GuestAddress("127.0.0.1", await machine.forwarded_port(22))
            await wait_for_banner(address, deadline=deadline, emit=lab.events.append)
            await machine.execute("system_powerdown")
            await machine.wait_for_shutdown(deadline)

    asyncio.run(boot())
    raw = tmp_path / "booted.raw"
    program("qemu-img", "convert", "-O", "raw", disk, raw)
    said = program("dumpe2fs", "-h", f"{raw}?offset={2**20}")
    facts = dict(re.findall(r"^(Block count|Block size): +(\d+)$", said, re.MULTILINE))
    assert int(facts["Block count"]) * int(facts["Block size"]) > 500 * 2**20
    assert program("e2fsck", "-f", "-n", f"{raw}?offset={2**20}")
