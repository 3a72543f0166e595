"""Who logs in to prove an image: a user that is there, in the home that passwd names."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from factory.disk.driver_readiness import Drivers
from factory.drivers.machine_spec import Bus
from factory.events import Event, Note
from factory.outputs.hardware_for_verify import TargetMachine
from factory.outputs.model import Exported, Exports, Part
from factory.quantity import Size
from factory.steps.verify_images import request_of
from factory.template.model import Template
from factory.verify import disks
from factory.verify.let_in import Account, NoSuchUser, account_of, write_key
from factory.verify.model import Request
from factory.verify.prove import Places, failures, prove

pytestmark = pytest.mark.unit

PASSWD = b"""root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
# a comment
broken:x:one:1::/:/bin/sh
short:x:1
build:x:1001:1002:Build,,,:/srv/build/:/bin/sh
build:x:7:7:another:/elsewhere:/bin/sh
\xff\xfe:x:5:5::/:/bin/sh
toor:x:0:0::/:
"""


class Guest:
    """An appliance that notes what is done in it."""

    def __init__(self, files: dict[str, bytes], folders: Sequence[str] = ("/root", "/srv/build")) -> None:
        self.files, self.folders, self.done = files, folders, list[tuple[Any, ...]]()

    async def call(self, method: str, *arguments: Any, **_: Any) -> Any:
        (path,) = arguments
        if method == "is_dir":
            return path in self.folders
        return path in self.files if method == "is_file" else self.files[path]

    async def batch(self, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        self.done += calls
        return []

    attempt = batch


def admitted(user: str, guest: Guest) -> list[tuple[Any, ...]]:
    appliance: Any = guest
    asyncio.run(write_key(appliance, user, "ssh-ed25519 AAAA"))
    return guest.done


def test_the_line_of_a_user_is_read_as_getpwnam_does() -> None:
    assert account_of(PASSWD, "build") == Account(1001, 1002, "/srv/build", "/bin/sh")
    assert account_of(PASSWD, "toor") == Account(0, 0, "/", "")
    for name in ("broken", "short", "nobody", "", "# a comment"):
        assert account_of(PASSWD, name) is None


def test_the_key_goes_to_the_home_that_passwd_names_and_is_the_users_own() -> None:
    done = admitted("build", Guest({"/etc/passwd": PASSWD}))
    assert ("write_append", "/srv/build/.ssh/authorized_keys", "ssh-ed25519 AAAA\n") in done
    assert ("chown", 1001, 1002, "/srv/build/.ssh") in done
    assert ("chown", 1001, 1002, "/srv/build/.ssh/authorized_keys") in done
    assert not [call for call in done if call[-1] == "/srv/build"], "a home that is there stays as it is"
    assert not [call for call in done if "/home" in str(call)]


def test_a_home_that_is_made_at_the_first_login_is_the_users_own() -> None:
    done = admitted("build", Guest({"/etc/passwd": PASSWD}, folders=()))
    assert done[:3] == [("mkdir_p", "/srv/build"), ("chmod", 0o700, "/srv/build"), ("chown", 1001, 1002, "/srv/build")]


def test_users_of_an_image_based_system_and_roots_of_systems_without_users_are_found() -> None:
    usr = Guest({"/etc/passwd": b"", "/usr/lib/passwd": PASSWD})
    assert ("chown", 1001, 1002, "/srv/build/.ssh") in admitted("build", usr)
    assert ("chown", 0, 0, "/root/.ssh") in admitted("root", Guest({}))


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("installer", "the image has no user 'installer'"),
        ("daemon", "the image's user 'daemon' may not log in: its shell is /usr/sbin/nologin"),
    ],
)
def test_who_can_not_log_in_is_told_at_once(user: str, said: str) -> None:
    guest = Guest({"/etc/passwd": PASSWD})
    with pytest.raises(NoSuchUser) as caught:
        admitted(user, guest)
    assert caught.value.message == said
    assert guest.done == [], "nothing is written for nobody"


def test_an_image_without_that_user_fails_at_once_and_no_machine_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def bases(*_: Any) -> list[Any]:
        return []

    async def admit(*_: Any, **__: Any) -> None:
        raise NoSuchUser("the image has no user 'installer'")

    monkeypatch.setattr(disks, "bases", bases)
    monkeypatch.setattr(disks, "admit", admit)
    machine = TargetMachine("q35", Bus.VIRTIO, "virtio-net-pci", "KVM")
    parts = (Part("main", "x.qcow2", "qcow2"),)
    files = tuple(
        Exported(Path(f"x.{kind}"), kind, Size(1), "0" * 64, parts=parts, target=machine) for kind in ("qcow2", "raw")
    )
    spec = SimpleNamespace(uefi=None, memory=Size(2**26))
    bench: Any = SimpleNamespace(keys=lambda comment: (b"", ""), images=None, appliance=None, spec=spec)
    events: list[Event] = []
    places = Places(tmp_path, tmp_path / "logs", tmp_path)
    request = Request(user="installer", run=("true",))
    verdict = asyncio.run(prove(Exports(files), request, bench, places, Drivers(unknown="x"), events.append))
    assert not verdict.passed
    assert failures(verdict) == [
        f"{key}: the image has no user 'installer'" for key in ("x.qcow2", "x.qcow2-clone-2", "x.raw")
    ]
    assert [e.message for e in events if isinstance(e, Note)] == [
        "nobody can log in: the image has no user 'installer'"
    ]


@pytest.mark.parametrize(
    ("seal", "user"), [({}, "installer"), ({"remove_users": ["installer"]}, "root"), (False, "installer")]
)
def test_a_user_that_the_seal_removes_is_not_logged_in_as(seal: object, user: str) -> None:
    template = Template.model_validate(
        {
            "format": 1, "name": "x", "source": {"image": {"path": "x.qcow2", "checksum": "none"}},
            "access": {"ssh": {"user": "installer", "port": 2222}}, "seal": seal,
        }
    )  # fmt: skip
    request = request_of(template)
    assert (request.user, request.port) == (user, 2222)
