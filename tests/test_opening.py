"""What a person names may be no file: it is refused at once, and never waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from factory.cli.program import cli
from factory.digest import content_digest
from factory.drivers.checksums import Checksum
from factory.errors import FactoryError
from factory.opening import open_content, open_text, read_content, require_content
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


def test_what_plans_read_is_refused_too(pipe: Path) -> None:
    with pytest.raises(OSError, match="named pipe"):
        content_digest(pipe)
    with pytest.raises(OSError, match="named pipe"):
        Checksum("sha256", "0" * 64).of(pipe)
    with pytest.raises(FactoryError, match="expected a mapping") as caught:
        read_yaml(pipe)
    assert "a named pipe that nobody writes to" in str(caught.value.hint or getattr(caught.value, "problems", ""))
