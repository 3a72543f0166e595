from __future__ import annotations

from pathlib import Path

import pytest

from factory import log_files
from factory.log_files import mask_logs, open_log
from factory.secret import MASK, Redactor

pytestmark = pytest.mark.unit

SECRET = "correct horse"


def test_a_log_is_its_owners_alone_and_is_added_to(tmp_path: Path) -> None:
    for text in (b"one\n", b"two\n"):
        with open_log(tmp_path / "qemu.log") as log:
            log.write(text)
    assert (tmp_path / "qemu.log").read_bytes() == b"one\ntwo\n"
    assert (tmp_path / "qemu.log").stat().st_mode & 0o777 == 0o600


def test_every_log_of_a_run_is_masked_and_all_else_in_it_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "_PIECE", 7)  # so that each secret lies in several
    (tmp_path / "install").mkdir()
    (tmp_path / "install" / "serial.log").write_bytes(
        b"\xff\r\nroot=correct horse\r\n\x1b[1m\xe2\x82\xac correct horse"
    )
    (tmp_path / "install" / "qemu.argv").write_bytes(b"qemu -append 'pw=correct horse'\n")
    (tmp_path / "other.log").write_bytes(b"nothing\xfe\r\n")
    (tmp_path / "screen.png").write_bytes(b"correct horse")
    (tmp_path / "link.log").symlink_to(tmp_path / "screen.png")
    (tmp_path / ".old.log.masked").write_bytes(b"correct ho")
    untouched = (tmp_path / "other.log").stat()
    assert mask_logs(tmp_path, Redactor([SECRET])) == ()
    mask = MASK.encode()
    assert (tmp_path / "install" / "serial.log").read_bytes() == (
        b"\xff\r\nroot=" + mask + b"\r\n\x1b[1m\xe2\x82\xac " + mask
    )
    assert (tmp_path / "install" / "serial.log").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "install" / "qemu.argv").read_bytes() == b"qemu -append 'pw=" + mask + b"'\n"
    assert (tmp_path / "other.log").stat().st_ino == untouched.st_ino
    assert (tmp_path / "screen.png").read_bytes() == b"correct horse"
    assert not list(tmp_path.rglob(".*"))


def test_a_log_that_cant_be_written_anew_is_removed_if_it_holds_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: str, flags: int) -> int:
        raise OSError(28, "No space left on device", path)

    (tmp_path / "serial.log").write_bytes(b"correct horse")
    (tmp_path / "qemu.log").write_bytes(b"nothing")
    monkeypatch.setattr(log_files, "owner_only", full)
    assert mask_logs(tmp_path, Redactor([SECRET])) == (tmp_path / "serial.log",)
    assert [p.name for p in tmp_path.iterdir()] == ["qemu.log"]
