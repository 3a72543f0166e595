"""What a person names may be no file: it is refused at once, and never waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from factory.cli.program import cli
from factory.digest import content_digest
from factory.disk.qcow2_snapshots import snapshots
from factory.disk.reader import open_disk
from factory.disk.references import read_head
from factory.disk.writers import has_a_writer
from factory.drivers.checksums import Checksum
from factory.errors import FactoryError, VerificationFailed
from factory.opening import open_content, open_text, other_kind, read_content, require_content
from factory.outputs.delivery import foreign_files
from factory.outputs.manifest import differing
from factory.outputs.model import Part
from factory.outputs.ova_package import is_package, opened_tar
from factory.outputs.unpack import unpack
from factory.provision.shell import Script
from factory.template.packer.to_template.machine import virtual_size
from factory.template.yaml_source import read_yaml

pytestmark = [pytest.mark.unit, pytest.mark.timeout(20)]


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def test_what_is_no_file_has_no_content(pipe: Path, tmp_path: Path) -> None:
    for path, kind in ((pipe, "a named pipe"), (tmp_path, "a folder"), (Path("/dev/zero"), "a character device")):
        with pytest.raises(OSError, match=f"it is {kind}.*, and no file"):
            require_content(path)
        with pytest.raises(OSError, match=kind):
            open_content(path)
        with pytest.raises(OSError, match=kind):
            read_content(path)
        assert other_kind(path).startswith(kind)
    assert other_kind(tmp_path / "none") == ""
    with pytest.raises(FileNotFoundError):
        open_content(tmp_path / "none")


def test_files_and_what_links_to_them_have(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    with open_content(tmp_path / "link") as stream:
        assert stream.read() == b"content"


def test_a_text_may_come_through_a_pipe(pipe: Path) -> None:
    with open_text(pipe) as nobody_writes:
        assert nobody_writes.read() == b""
    reading, writing = os.pipe()
    os.write(writing, b"name: x")
    os.close(writing)
    with open_text(Path(f"/dev/fd/{reading}")) as stream:
        assert stream.read() == b"name: x"
    os.close(reading)


@pytest.mark.parametrize(
    "arguments", [["init"], ["convert"], ["lint"], ["lint", "--fix"], ["seal"], ["verify"], ["fmt"]]
)
def test_commands_refuse_a_pipe_at_once(pipe: Path, arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, [*arguments, str(pipe)])
    assert result.exit_code in (2, 3, 8) or isinstance(result.exception, FactoryError), result.output
    said = result.output + str(result.exception)
    assert any(words in said for words in ("named pipe", "no file", "manifest.json")), said


@pytest.mark.parametrize("name", [".", "manifest.json"])
def test_verify_refuses_a_manifest_that_is_a_pipe(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "manifest.json")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VerificationFailed, match=r"can't read manifest.json: it is a named pipe \(FIFO\), and no file"):
        CliRunner().invoke(cli, ["verify", name], catch_exceptions=False)


def test_a_pipe_in_an_artifact_is_no_file_of_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "disk.raw")
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  disk.raw\n")
    assert next(differing(tmp_path)) == "disk.raw is a named pipe (FIFO), and no file"
    os.remove(tmp_path / "SHA256SUMS")
    os.mkfifo(tmp_path / "SHA256SUMS")
    assert "named pipe" in next(differing(tmp_path))
    os.mkfifo(tmp_path / "manifest.json")
    assert foreign_files(tmp_path) == ["SHA256SUMS", "disk.raw", "manifest.json"]


def test_disks_and_packages_that_are_pipes_are_refused(pipe: Path) -> None:
    for read in (snapshots, has_a_writer, read_head, is_package, Script.file, lambda p: opened_tar(p).__enter__()):
        with pytest.raises(OSError, match="named pipe"):
            read(pipe)
    with pytest.raises(OSError, match="named pipe"), open_disk(pipe, "raw"):
        pass
    for packing in ("", "gz", "xz", "zstd", "tar.gz"):
        with pytest.raises(OSError, match="named pipe"):
            unpack(pipe, Part("main", "disk", "raw", packing=packing), pipe.with_name("out"))
    assert virtual_size(pipe) is None


@pytest.mark.parametrize("name", ["f.pkr.hcl", "f.pkr.json", "f.json", "f.yml"])
@pytest.mark.parametrize("command", ["validate", "inspect"])
def test_a_template_that_is_a_pipe_which_nobody_writes_to_is_told_as_one(
    command: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, [command, name])
    assert result.exit_code
    said = result.output + str(getattr(result.exception, "problems", ""))
    assert "a named pipe that nobody writes to" in said
    assert "has no build" not in said


def test_fmt_says_what_it_cannot_rewrite(pipe: Path, tmp_path: Path) -> None:
    said = CliRunner().invoke(cli, ["fmt", str(pipe)]).output
    assert "is a named pipe (FIFO)" in said
    assert "no file or folder" not in said
    assert "there is no file or folder" in CliRunner().invoke(cli, ["fmt", str(tmp_path / "none")]).output


def test_what_plans_read_is_refused_too(pipe: Path) -> None:
    with pytest.raises(OSError, match="named pipe"):
        content_digest(pipe)
    with pytest.raises(OSError, match="named pipe"):
        Checksum("sha256", "0" * 64).of(pipe)
    with pytest.raises(FactoryError, match="expected a mapping") as caught:
        read_yaml(pipe)
    assert "a named pipe that nobody writes to" in str(caught.value.hint or getattr(caught.value, "problems", ""))
