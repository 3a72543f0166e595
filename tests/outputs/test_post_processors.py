"""Post-processors on real files, and the same chains asked of Debian's Packer."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import json
import lzma
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factory.errors import PluginError, StepError
from factory.events import Event, Note
from factory.outputs.post.artifact import Artifact, Surroundings
from factory.outputs.post.compress import Form, form_of
from factory.outputs.post.run import check_chains, run_chains
from factory.template.model import PostProcess
from tests.provision.guest import HostPrograms

CONTENT = b"hello world"


def surroundings(folder: Path, events: list[Event] | None = None) -> Surroundings:
    async def run_scripts(options: Mapping[str, Any]) -> None:
        raise AssertionError("no script is expected")

    return Surroundings(
        build="one", builder="file", run_id="run", working=folder, programs=HostPrograms(), run_scripts=run_scripts,
        emit=(events if events is not None else []).append, time=1000,
    )  # fmt: skip


def delivered(folder: Path) -> Artifact:
    (folder / "out").mkdir(exist_ok=True)
    (folder / "out/one.txt").write_bytes(CONTENT)
    return Artifact(("out/one.txt",), "File", folder / "out")


def chain(*links: tuple[str, dict[str, Any]]) -> tuple[PostProcess, ...]:
    kept = ("checksum", "manifest", "shell-local", "artifice")
    return tuple(PostProcess(kind, kind, options, bool(options.pop("keep", kind in kept))) for kind, options in links)


def run(folder: Path, *chains: tuple[PostProcess, ...], around: Surroundings | None = None) -> tuple[Artifact, ...]:
    return asyncio.run(run_chains(chains, delivered(folder), around or surroundings(folder)))


@pytest.mark.unit
@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("x.tar.gz", Form("tar", "gzip")), ("x.tar", Form("tar", "")), ("x.zip", Form("zip", "")),
        ("x.gz", Form("", "gzip")), ("x.tar.zst", Form("tar", "zstd")), ("x.1.2.xz", Form("", "xz")),
        ("plain", Form("tar", "gzip")), ("x.odd", Form("tar", "gzip")), ("x.bzip2", Form("", "bzip2")),
    ],
)  # fmt: skip
def test_the_ending_says_how(name: str, form: Form) -> None:
    assert form_of(name) == form


def opened(path: Path) -> bytes:
    """What another program than ours finds in it."""
    if path.name.endswith(".zst"):
        return subprocess.run(["zstd", "-dc", path], check=True, capture_output=True).stdout
    if path.suffix == ".lz4":
        return subprocess.run(["lz4", "-dc", path], check=True, capture_output=True).stdout
    openers: Any = {".gz": gzip.open, ".bgzf": gzip.open, ".xz": lzma.open, ".bzip2": bz2.open}
    with openers[path.suffix](path, "rb") as stream:
        content: bytes = stream.read()
    return content


@pytest.mark.machine
@pytest.mark.parametrize("ending", ["gz", "bgzf", "xz", "bzip2", "zst", "lz4"])
def test_one_file_is_compressed(tmp_path: Path, ending: str) -> None:
    if ending in ("lz4", "zst") and shutil.which("lz4" if ending == "lz4" else "zstd") is None:
        pytest.fail("lz4 and zstd belong to what the tests need")
    run(tmp_path, chain(("compress", {"output": f"c/x.{ending}", "keep": True})))
    assert opened(tmp_path / f"c/x.{ending}") == CONTENT


@pytest.mark.unit
def test_what_is_not_kept_goes_when_every_chain_is_through(tmp_path: Path) -> None:
    left = run(tmp_path, chain(("compress", {"output": "x.tar"}), ("checksum", {"checksum_types": ["sha256"]})))
    assert [a.files for a in left] == [("x.tar",), ("x.tar", "packer_one_file_sha256.checksum")]
    assert not (tmp_path / "out").exists()
    with tarfile.open(tmp_path / "x.tar") as archive:
        assert [(m.name, m.mtime) for m in archive] == [("one.txt", 0)]


@pytest.mark.unit
def test_one_chain_that_keeps_the_artifact_keeps_it_for_all(tmp_path: Path) -> None:
    left = run(tmp_path, chain(("compress", {"output": "x.tar"})), chain(("manifest", {})))
    assert [a.files for a in left] == [("out/one.txt",), ("x.tar",)]
    assert (tmp_path / "out/one.txt").read_bytes() == CONTENT


@pytest.mark.unit
@pytest.mark.parametrize(
    ("before", "said"),
    [
        ((), "the artifact is kept"),
        ((chain(("manifest", {})),), "the artifact is kept; the other post-processors have run"),
        (
            (chain(("manifest", {}), ("compress", {"output": "one.zip"})),),
            "the artifact is not there any more: a post-processor took it away; the other post-processors have run",
        ),
    ],
)
def test_a_failure_says_what_is_left(tmp_path: Path, before: tuple[tuple[PostProcess, ...], ...], said: str) -> None:
    with pytest.raises(StepError) as caught:
        run(tmp_path, *before, chain(("artifice", {"files": ["nothing"]})))
    assert caught.value.hint == said


@pytest.mark.unit
def test_a_chain_that_fails_leaves_the_others_and_the_artifact(tmp_path: Path) -> None:
    events: list[Event] = []
    with pytest.raises(StepError, match="no file is called gone"):
        run(
            tmp_path,
            chain(("artifice", {"files": ["gone"]})),
            chain(("compress", {"output": "x.tar"})),
            around=surroundings(tmp_path, events),
        )
    assert (tmp_path / "x.tar").exists()
    assert (tmp_path / "out/one.txt").exists()
    assert [e.level for e in events if isinstance(e, Note)] == ["warning"]


@pytest.mark.unit
def test_several_files_need_an_archive(tmp_path: Path) -> None:
    delivered(tmp_path)
    (tmp_path / "out/two").write_text("2")
    artifact = Artifact(("out/one.txt", "out/two"), "VM", tmp_path / "out")
    with pytest.raises(StepError, match="2 files can't become the one file"):
        asyncio.run(run_chains((chain(("compress", {"output": "x.gz"})),), artifact, surroundings(tmp_path)))


@pytest.mark.unit
def test_a_manifest_grows_until_it_is_overwritten(tmp_path: Path) -> None:
    around = surroundings(tmp_path)
    for _ in range(2):
        run(tmp_path, chain(("manifest", {"output": "m.json"})), around=around)
    assert len(json.loads((tmp_path / "m.json").read_text())["builds"]) == 2
    over = replace(around, overwrites=frozenset({"manifest"}), truncated=set())
    run(tmp_path, chain(("manifest", {"output": "m.json"})), around=over)
    assert len(json.loads((tmp_path / "m.json").read_text())["builds"]) == 1
    (tmp_path / "m.json").write_text("{}")
    with pytest.raises(StepError, match="is no manifest of Packer's"):
        run(tmp_path, chain(("manifest", {"output": "m.json"})), around=around)


@pytest.mark.unit
def test_a_manifest_without_its_time_has_no_time(tmp_path: Path) -> None:
    run(tmp_path, chain(("manifest", {"output": "m.json", "strip_time": True})))
    run(tmp_path, chain(("manifest", {"output": "m.json"})))
    stripped, whole = json.loads((tmp_path / "m.json").read_text())["builds"]
    assert "build_time" not in stripped
    assert whole["build_time"] == 1000


@pytest.mark.unit
@pytest.mark.parametrize("ending", ["gz", "bgzf", "xz", "bzip2"])
def test_a_level_above_the_best_is_the_best(tmp_path: Path, ending: str) -> None:
    run(tmp_path, chain(("compress", {"output": f"x.{ending}", "compression_level": 99, "keep": True})))
    run(tmp_path, chain(("compress", {"output": f"y.{ending}", "compression_level": 9, "keep": True})))
    best = (tmp_path / f"y.{ending}").read_bytes()
    assert opened(tmp_path / f"x.{ending}") == CONTENT
    assert len((tmp_path / f"x.{ending}").read_bytes()) == len(best)


@pytest.mark.unit
def test_a_box_holds_what_vagrant_wants(tmp_path: Path) -> None:
    (tmp_path / "Vagrantfile.tpl").write_text("# mine\n")
    artifact = replace(delivered(tmp_path), details={"disks": ["out/one.txt"], "format": "qcow2", "size": 2**30 + 1})
    link = chain(("vagrant", {"output": "x.box", "vagrantfile_template": "Vagrantfile.tpl", "include": []}))
    asyncio.run(run_chains((link,), artifact, surroundings(tmp_path)))
    with tarfile.open(tmp_path / "x.box") as box:
        assert box.getnames() == ["metadata.json", "Vagrantfile", "box_0.img"]
        metadata = json.load(box.extractfile("metadata.json"))  # type: ignore[arg-type]
        vagrantfile = box.extractfile("Vagrantfile").read().decode()  # type: ignore[union-attr]
    assert metadata["provider"] == "libvirt"
    assert metadata["virtual_size"] == 2
    assert metadata["disks"] == [{"path": "box_0.img", "format": "qcow2"}]
    assert vagrantfile.endswith("# mine\n")


@pytest.mark.unit
def test_a_kind_that_nobody_has_is_said_before_anything_runs() -> None:
    with pytest.raises(PluginError, match="no post-processor or output is called 'amazon-import'") as caught:
        check_chains((chain(("amazon-import", {})),))
    assert "factory.outputs" in caught.value.hint


# --- what Packer makes of the same chains ---------------------------------------------------------------------------

CHAINS: list[list[dict[str, Any]]] = [
    [
        {"type": "compress", "output": "c/{{.BuildName}}.tar.gz", "keep_input_artifact": True},
        {"type": "checksum", "checksum_types": ["md5", "sha256"], "output": "s/{{.BuilderType}}.{{.ChecksumType}}"},
    ],
    [{"type": "compress", "output": "c/plain.tar", "keep_input_artifact": True}],
    [{"type": "compress", "output": "c/plain.zip", "keep_input_artifact": True}],
    [{"type": "compress", "output": "c/odd.ending", "keep_input_artifact": True}],
    [{"type": "compress", "keep_input_artifact": True}],
    [
        {"type": "artifice", "files": ["extra/*.bin"]},
        {"type": "compress", "output": "c/arti.tar"},
        {"type": "manifest", "output": "m.json", "strip_path": True, "custom_data": {"a": "b"}},
    ],
    [{"type": "manifest"}],
    [{"type": "checksum", "output": "sums/all"}],
]  # fmt: skip


def laid_out(folder: Path) -> Path:
    (folder / "extra").mkdir(parents=True)
    (folder / "extra/a.bin").write_text("x\n")
    (folder / "extra/b.bin").write_text("y\n")
    return folder


def files_of(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.suffix != ".tmpl")


def ours(folder: Path) -> None:
    def rendered(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("{{.BuildName}}", "one").replace("{{.BuilderType}}", "file")
        return value

    chains = []
    for links in CHAINS:
        made = []
        for link in links:
            options = {k: rendered(v) for k, v in link.items() if k not in ("type", "keep_input_artifact")}
            if "keep_input_artifact" in link:
                options["keep"] = link["keep_input_artifact"]
            made.append((link["type"], options))
        chains.append(chain(*made))
    run(folder, *chains)


@pytest.mark.machine
@pytest.mark.skipif(shutil.which("packer") is None, reason="packer is not installed")
def test_chains_leave_the_same_files_as_packer_s(tmp_path: Path) -> None:
    mine, theirs = laid_out(tmp_path / "mine"), laid_out(tmp_path / "theirs")
    ours(mine)
    builder = {"type": "file", "name": "one", "content": CONTENT.decode(), "target": "out/one.txt"}
    template = tmp_path / "t.json"
    template.write_text(json.dumps({"builders": [builder], "post-processors": CHAINS}))
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CHECKPOINT_DISABLE": "1"}
    subprocess.run(["packer", "build", template], cwd=theirs, env=environment, check=True, capture_output=True)
    assert files_of(mine) == files_of(theirs)
    for name in ("s/file.md5", "sums/all"):
        # The archive's own bytes differ by compressor; names and form must not.
        lines = [(folder / name).read_text().splitlines() for folder in (mine, theirs)]
        assert [line.partition("\t")[2] for line in lines[0]] == [line.partition("\t")[2] for line in lines[1]]
    assert (mine / "sums/all").read_text() == (theirs / "sums/all").read_text()
    for name in ("m.json", "packer-manifest.json"):
        found = [json.loads((folder / name).read_text()) for folder in (mine, theirs)]
        for manifest in found:
            assert manifest.pop("last_run_uuid")
            for build in manifest["builds"]:
                assert build.pop("packer_run_uuid")
                assert build.pop("build_time")
                for file in build["files"]:
                    size = file.pop("size")
                    assert file["name"] != "out/one.txt" or size == len(CONTENT)
        assert found[0] == found[1]
    for name in ("c/one.tar.gz", "c/plain.tar", "c/odd.ending", "c/arti.tar", "packer_one_file"):
        listed = []
        for folder in (mine, theirs):
            with tarfile.open(folder / name) as archive:
                listed.append([(m.name, m.size, m.mtime) for m in archive])
        assert listed[0] == listed[1], name
    with zipfile.ZipFile(mine / "c/plain.zip") as one, zipfile.ZipFile(theirs / "c/plain.zip") as other:
        assert one.namelist() == other.namelist()
