"""Packer's data sources, ``http`` against a server that runs here."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from factory.drivers.data_sources import DataSources, read_http
from factory.drivers.ssh_keys import load_key
from factory.errors import TemplateError
from factory.template.load import check_all, load_all
from factory.template.packer_files import Purpose

pytestmark = pytest.mark.machine
TEMPLATE = """data "http" "release" {
  url             = "ADDRESS/release"
  request_headers = { Accept = "application/json" }
}
data "sshkey" "build" {
  type = "ed25519"
}
source "qemu" "vm" {
  iso_url              = jsondecode(data.http.release.body).url
  iso_checksum         = "none"
  ssh_username         = "root"
  ssh_private_key_file = data.sshkey.build.private_key_path
  http_content         = { "/key" = data.sshkey.build.public_key }
}
build {
  sources = ["source.qemu.vm"]
}
"""


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path != "/release":
            self.send_error(404)
            return
        body = json.dumps({"url": "http://example.com/x.iso", "accept": self.headers["Accept"]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Twice", "a")
        self.send_header("X-Twice", "b")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.end_headers()
        self.wfile.write(b"got " + body)

    def log_message(self, *arguments: object) -> None:
        """Tests are quiet."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_http_gives_body_and_headers_of_the_answer(address: str) -> None:
    got = read_http({"url": f"{address}/release", "request_headers": {"Accept": "text/plain"}})
    assert json.loads(got["body"])["accept"] == "text/plain"
    assert got["request_headers"]["X-Twice"] == "a, b"
    assert got["url"] == f"{address}/release"
    assert read_http({"url": address, "method": "POST", "request_body": "words"})["body"] == "got words"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "ADDRESS/gone"}, "/gone answered with 404"),
        ({"url": "http://127.0.0.1:9/x"}, "can't be read: .*refused"),
        ({"url": "file:///etc/passwd"}, "is not an address that begins with http"),
        ({}, "is not an address"),
        ({"url": "ADDRESS", "method": "FETCH"}, "“FETCH” is not one of HEAD, GET"),
    ],
)
def test_http_says_what_went_wrong(options: dict[str, str], message: str, address: str) -> None:
    with pytest.raises(TemplateError, match=message):
        read_http({k: v.replace("ADDRESS", address) for k, v in options.items()})


def test_a_key_is_made_once_and_kept(tmp_path: Path) -> None:
    made = DataSources(tmp_path)("sshkey", "a", {"name": "x/y", "type": "ed25519"})
    path = Path(made["private_key_path"])
    assert path.stat().st_mode & 0o777 == 0o600
    assert made["public_key"] == f"ssh-ed25519 {load_key(path.read_bytes()).get_base64()} x_y"
    assert DataSources(tmp_path)("sshkey", "b", {"name": "x/y", "type": "ed25519"}) == made
    with pytest.raises(TemplateError, match="“dsa” is not a kind of key"):
        DataSources(tmp_path)("sshkey", "a", {"type": "dsa"})


def test_other_kinds_name_the_seam(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="can't read data sources of this kind") as caught:
        DataSources(tmp_path)("amazon-ami", "a", {})
    assert "group factory.data_sources" in str(caught.value.problems[0].hint or caught.value.hint)


def test_builds_read_data_sources_and_a_check_does_not(address: str, tmp_path: Path) -> None:
    template = tmp_path / "t.pkr.hcl"
    template.write_text(TEMPLATE.replace("ADDRESS", address))
    builds, problems = check_all(template)
    assert builds == ()
    assert {p.severity for p in problems} == {"warning"}
    assert "“iso_url” has no value yet" in " ".join(p.message for p in problems)
    with pytest.raises(TemplateError, match="has no value yet"):
        load_all(template)
    (loaded,) = load_all(template, data_reader=DataSources(tmp_path))
    assert loaded.template.source.iso is not None
    assert loaded.template.source.iso.urls == ("http://example.com/x.iso",)
    assert loaded.template.access.ssh is not None
    assert loaded.template.access.ssh.private_key == str(tmp_path / "keys/packer_ed25519.pem")
    builds, problems = check_all(template, purpose=Purpose.CHECK, data_reader=DataSources(tmp_path))
    assert len(builds) == 1


def test_a_data_source_that_fails_is_told_at_its_place(address: str, tmp_path: Path) -> None:
    template = tmp_path / "t.pkr.hcl"
    template.write_text(TEMPLATE.replace("ADDRESS/release", f"{address}/gone"))
    with pytest.raises(TemplateError) as caught:
        load_all(template, data_reader=DataSources(tmp_path))
    problem = caught.value.problems[0]
    assert problem.place is not None
    assert (problem.place.line, "data source http.release" in problem.message) == (1, True)
