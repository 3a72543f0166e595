"""What ties a system to one network card or one lease."""

from __future__ import annotations

from factory.seal.files import read_regular
from factory.seal.model import UNIX, Operation, Strip, Subject
from factory.seal.operations import netplan


async def _write_hostname(subject: Subject) -> None:
    if await subject.files.exists("/etc/hostname"):
        await subject.files.write("/etc/hostname", f"{subject.options.hostname}\n".encode())


async def _check_hostname(subject: Subject) -> list[str]:
    if not await subject.files.exists("/etc/hostname"):
        return []
    name = (await read_regular(subject.files, "/etc/hostname") or b"").decode("utf-8", "replace").strip()
    return [] if name == subject.options.hostname else [f"/etc/hostname still says {name!r}"]


OPERATIONS = (
    Operation(
        "dhcp-client-state",
        "removes DHCP leases, DUIDs and secrets of every client: dhclient, dhcpcd, NetworkManager, wicked, networkd",
        "two machines with one DUID or lease fight for one address",
        families=UNIX,
        remove=(
            "/var/lib/dhclient/*",
            "/var/lib/dhcp/*",
            "/var/lib/dhcp3/*",
            "/var/db/dhclient.leases.*",
            "/var/lib/dhcpcd/*",
            "/var/db/dhcpcd/*",
            "/etc/dhcpcd.{duid,secret}",
            "/var/lib/dibbler/*",
            "/var/lib/wicked/{duid.xml,iaid.xml,lease-*}",
            "/var/lib/NetworkManager/*.lease",
            "/var/lib/NetworkManager/{secret_key,timestamps,seen-bssids,NetworkManager-intern.conf}",
            "/var/lib/systemd/network/*",
            "/var/lib/connman/*/data",
            "/var/lib/odhcp6c/*",
            "/var/lib/udhcpd/*",
            "/tmp/resolv.conf.*",
        ),
        keep=("/var/lib/dhcpcd/usr", "/var/lib/dhcpcd/dev"),  # Debian's chroot for it
    ),
    Operation(
        "dhcp-server-state",
        "removes leases that a DHCP server gave",
        "they are of the build's network",
        remove=("/var/lib/dhcpd/*", "/var/lib/dnsmasq/*.leases", "/var/lib/misc/dnsmasq.leases"),
    ),
    Operation(
        "net-hwaddr",
        "removes hardware addresses from ifcfg files, NetworkManager profiles, /etc/network/interfaces and netplan",
        "a clone has another network card, and would come up without network",
        strip=(
            Strip(("/etc/sysconfig/network-scripts/ifcfg-*", "/etc/sysconfig/network/ifcfg-*"), r"^\s*(HWADDR|UUID)="),
            Strip(
                ("/etc/NetworkManager/system-connections/*",),
                r"^\s*(mac-address|timestamp|seen-bssids)\s*=",
            ),
            Strip(("/etc/network/interfaces", "/etc/network/interfaces.d/*"), r"^\s*hwaddress\s"),
        ),
        act=netplan.unbind,
        check=netplan.check,
    ),
    Operation(
        "udev-persistent-net",
        "removes rules that name network cards after their addresses",
        "on a clone the first card would be called eth1",
        remove=(
            "/etc/udev/rules.d/{70,75}-persistent-net.rules",
            "/etc/udev/rules.d/{70,75}-persistent-cd.rules",
            "/dev/.udev/**",
        ),
    ),
    Operation(
        "net-hostname",
        "removes host names from ifcfg files",
        "the name belongs to the machine that was built on",
        strip=(
            Strip(
                ("/etc/sysconfig/network-scripts/ifcfg-*", "/etc/sysconfig/network/ifcfg-*", "/etc/sysconfig/network"),
                r"^\s*(HOSTNAME|DHCP_HOSTNAME)=",
            ),
        ),
    ),
    Operation(
        "net-nmconn",
        "removes all NetworkManager profiles",
        "off: a profile may be the template's own work; addresses of cards go with net-hwaddr in any case",
        default=False,
        remove=("/etc/NetworkManager/system-connections/*",),
    ),
    Operation(
        "hostname",
        "writes a neutral name into /etc/hostname",
        "off: most templates choose the name on purpose; cloud-init or DHCP replaces it",
        families=UNIX,
        default=False,
        act=_write_hostname,
        check=_check_hostname,
    ),
    Operation(
        "firewall-rules",
        "removes firewall rules",
        "off: rules are mostly what a template is for",
        default=False,
        remove=(
            "/etc/sysconfig/{iptables,ip6tables}",
            "/etc/firewalld/{services,zones}/*",
            "/etc/iptables/rules.v[46]",
        ),
    ),
)
