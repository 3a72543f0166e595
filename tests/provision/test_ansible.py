from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from factory.errors import CommandFailed, GuestCommandFailed, HostError
from factory.events import Note
from factory.provision.ansible import AnsibleProvisioner, inventory_of
from factory.secret import Secret
from tests.provision.guest import HostPrograms, soon, surroundings

pytestmark = pytest.mark.machine

PLAY = """
- hosts: web
  tasks:
    - name: write what we were told
      ansible.builtin.copy:
        dest: "{{ ansible_env.HOME }}/told"
        content: "{{ word }} {{ password }} {{ inventory_hostname }}"
    - name: say which user
      ansible.builtin.debug: {msg: "user {{ ansible_user }}"}
"""


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


@pytest.fixture
def playbook(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "site.yml").write_text(PLAY)
    return folder / "site.yml"


@pytest.mark.skipif(os.geteuid() != 0, reason="the guest is this host, and the home of its root is closed to others")
def test_a_playbook_runs_on_our_connection(tmp_path: Path, playbook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user_home = tmp_path / "user"
    user_home.mkdir()
    monkeypatch.setenv("HOME", str(user_home))

    async def body() -> None:
        async with surroundings(tmp_path) as context:
            provisioner = AnsibleProvisioner(
                playbook, extra_vars={"word": "it's", "password": Secret("s3cr3t-pw")}, groups=("web", "db")
            )
            await provisioner.run(context, soon(200))
            assert (context.host.home / "told").read_text() == "it's s3cr3t-pw default"
            assert any(line.startswith("TASK [write what we were told]") for line in context.lines())
            assert any('"msg": "user root"' in line for line in context.lines())
            assert os.listdir(context.workdir) == []
            assert "s3cr3t-pw" not in str(context.events)
            assert context.reconnects == 0

    run(body())
    assert not (user_home / ".ssh").exists()


def test_a_failed_task_is_named(tmp_path: Path, playbook: Path) -> None:
    playbook.write_text("- hosts: all\n  gather_facts: no\n  tasks:\n  - {name: go wrong, raw: 'echo oh no; exit 3'}\n")

    async def body() -> None:
        async with surroundings(tmp_path) as context:
            with pytest.raises(GuestCommandFailed, match=r"site\.yml: task 'go wrong': fatal: \[default\]") as caught:
                await AnsibleProvisioner(playbook).run(context, soon(200))
            assert caught.value.exit_status == 2
            assert "-vvv" in caught.value.hint
            assert any("PLAY RECAP" in line for line in caught.value.evidence.notes)

    run(body())


def test_a_host_without_ansible(tmp_path: Path, playbook: Path) -> None:
    class Without(HostPrograms):
        async def run(self, argv: Any, **options: Any) -> Any:
            return await super().run([f"no-such-{argv[0]}", *argv[1:]], **options)

    async def body() -> None:
        async with surroundings(tmp_path) as context:
            context.programs = Without()
            with pytest.raises(HostError, match="ansible-playbook is not installed on this host") as caught:
                await AnsibleProvisioner(playbook).run(context, soon())
            assert "ansible-core" in caught.value.hint

    run(body())


def test_requirements_that_cannot_be_had(tmp_path: Path, playbook: Path) -> None:
    calls: list[list[str]] = []

    class Offline(HostPrograms):
        async def run(self, argv: Any, **options: Any) -> Any:
            calls.append(list(argv))
            raise CommandFailed("ansible-galaxy ended with status 1")

    async def body() -> None:
        (playbook.parent / "requirements.yml").write_text("roles: [a.b]\ncollections: [c.d]\n")
        async with surroundings(tmp_path) as context:
            context.programs = Offline()
            provisioner = AnsibleProvisioner(playbook, requirements=playbook.parent / "requirements.yml")
            with pytest.raises(GuestCommandFailed) as caught:
                await provisioner.run(context, soon())
            assert "without one, put them into `roles_path`" in caught.value.hint
            assert calls[0][:3] == ["ansible-galaxy", "role", "install"]

    run(body())


def test_a_guest_without_python_is_noted(tmp_path: Path, playbook: Path) -> None:
    playbook.write_text("- hosts: all\n  gather_facts: no\n  tasks:\n  - {raw: 'true'}\n")
    tools = tmp_path / "tools"
    tools.mkdir()

    async def body() -> None:
        async with surroundings(tmp_path, path=str(tools)) as context:
            await AnsibleProvisioner(playbook).run(context, soon(200))
            assert any(isinstance(event, Note) and "has no Python" in event.message for event in context.events)

    run(body())


def test_the_inventory_holds_this_connection_alone(tmp_path: Path, playbook: Path) -> None:
    async def body() -> None:
        async with surroundings(tmp_path) as context:
            options = AnsibleProvisioner(playbook, groups=("a",), user="deploy", become=True)
            inventory = inventory_of(options, context, tmp_path / "key")
            host = inventory["all"]["hosts"]["default"]
            assert json.loads(json.dumps(inventory))["all"]["children"] == {"a": {"hosts": {"default": {}}}}
            assert host["ansible_port"] == context.host.address.port
            assert (host["ansible_user"], host["ansible_become"]) == ("deploy", True)
            assert host["ansible_ssh_private_key_file"] == str(tmp_path / "key")
            assert "IdentityAgent=none" in host["ansible_ssh_common_args"]

    run(body())
