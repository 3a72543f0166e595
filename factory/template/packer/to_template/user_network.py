"""The user network of ``qemuargs``: which is the builder's own, and what a template wants of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from factory.template.model import Forward, LateText, Text
from factory.template.packer.qemu_builder import QemuSource
from factory.template.packer.to_template.notes import Notes
from factory.template.packer.to_template.qemu_options import OF_NETWORKS, left_out_options, option_list, properties
from factory.template.packer.to_template.texts import ARGUMENTS, late_text

_FORWARD = re.compile(r"(tcp|udp|):([^:]*):([^:-]*)-([^:]*):([^:]*)")
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_PORT = re.compile(r"[1-9]\d{0,4}")
LAST_PORT = 65535
_LATE_PORT = "its port is not known before the machine runs"


@dataclass(slots=True)
class UserNetwork:
    forward: list[Forward] = field(default_factory=list)
    options: list[Text] = field(default_factory=list)


def own_networks(source: QemuSource, arguments: Sequence[tuple[str, str]]) -> tuple[set[str], int]:
    """The ids of networks that are the builder's own: user mode with the guest's port forwarded.

    With them, what the template's own forward leads to, where that is not the communicator's port; else 0.
    """
    found, guest_port = {"user.0"}, 0
    port = source.winrm_port if source.communicator == "winrm" else source.ssh_port
    users = [(n, v) for n, v in arguments if n == "netdev" and is_user_network(v)]
    for name, value in arguments:
        # Without a mapping of Packer's, its port is the one of this host that the template forwards itself.
        own = re.search(rf"hostfwd=(?:tcp)?:[^,]*:{port}-[^,]*:(\d+)(?:,|\Z)", value)
        if source.skip_nat_mapping and own and name in ("netdev", "net", "nic"):
            guest_port = int(own[1])
            found.add(properties(value).get("id", ""))
        forwards = "SSHHostPort" in value or re.search(rf"hostfwd=[^,]*-[^,]*:{port}(?:,|\Z)", value)
        if (name, value) in users and forwards:
            found.add(properties(value).get("id", ""))
    # One that forwards nothing (nobody connects, or the template forgot) is still the builder's own card.
    others = [properties(v).get("id", "") for _, v in users]
    return (found if len(found) > 1 else {*found, *others[:1]}), guest_port


def is_user_network(value: str) -> bool:
    known = properties(value)
    return "user" in (known.get("", ""), known.get("type", ""))


def read_user_network(switch: str, value: str, named: Callable[[str], str], notes: Notes) -> UserNetwork:
    """What *value* asks for beyond the builder's own forward; *named* fills in what is known of the build."""
    found = UserNetwork()
    for name, content in option_list(value):
        if name == "hostfwd":
            if "SSHHostPort" not in content:
                _forward(switch, content, found, notes)
        elif name not in OF_NETWORKS:
            _option(switch, name, named(content), found, notes)
    return found


def forward_of(text: str) -> Forward | str:
    """What a ``hostfwd=`` says; else why it can't be: QEMU's form (net/slirp.c) has both colons also where the protocol
    and the address are empty.

    Without an address of this host QEMU listens on all of them; here that must be said.
    """
    if "{{" in text:
        return _LATE_PORT
    found = _FORWARD.fullmatch(text)
    if not found:
        return "QEMU wants [tcp|udp]:[address]:port-[address]:port"
    protocol, address, port, guest_address, guest_port = found.groups()
    for given in (address, guest_address):
        if given and not _IPV4.fullmatch(given):
            return f"“{given}” is no IPv4 address, and QEMU takes no names"
    if port == "0":
        return "the kernel would choose its port, and nobody would know it"
    for given in (port, guest_port):
        if not _PORT.fullmatch(given) or int(given) > LAST_PORT:
            return f"“{given}” is no port from 1 to {LAST_PORT}"
    return Forward(
        host=int(port), guest=int(guest_port), protocol="udp" if protocol == "udp" else "tcp",
        address=address or "127.0.0.1", guest_address=guest_address,
    )  # fmt: skip


def _forward(switch: str, text: str, found: UserNetwork, notes: Notes) -> None:
    forward = forward_of(text)
    if isinstance(forward, str):
        left_out_options(notes, switch, [f"hostfwd={text}"], forward)
        return
    found.forward.append(forward)
    if f":{forward.address}:" not in text:
        notes.add("qemuargs", f"“hostfwd={text}” listens on 127.0.0.1 alone; name an address to let others in")


def _option(switch: str, name: str, content: str, found: UserNetwork, notes: Notes) -> None:
    if "SSHHostPort" in content:
        left_out_options(notes, switch, [f"{name}={content}"], _LATE_PORT)
        return
    text = late_text(content, ARGUMENTS, "qemuargs", notes)
    if isinstance(text, LateText):
        found.options.append(LateText(f"{name}={text.source}", text.variables))
    else:
        found.options.append(f"{name}={text}")
