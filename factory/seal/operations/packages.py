"""What package managers keep: downloads, lists, and the ids under which they report."""

from __future__ import annotations

from factory.seal.model import Family, Operation

_DEBIAN = frozenset({Family.DEBIAN})
_RPM = frozenset({Family.REDHAT, Family.SUSE})

OPERATIONS = (
    Operation(
        "apt-cache",
        "removes downloaded packages, package lists and apt's own caches",
        "hundreds of MB that the first `apt-get update` brings back",
        families=_DEBIAN,
        remove=(
            "/var/cache/apt/archives/*.deb",
            "/var/cache/apt/archives/partial/*",
            "/var/cache/apt/*.bin",
            "/var/lib/apt/lists/*",
            "/var/lib/apt/periodic/*",
            "/var/lib/apt/daily_lock",
            "/var/cache/debconf/*.dat-old",
            "/var/lib/dpkg/{status,available,diversions,statoverride}-old",
            "/var/cache/apt-xapian-index/*",
            "/var/lib/command-not-found/commands.db*",
            "/var/lib/update-notifier/*",
            "/var/lib/ubuntu-release-upgrader/release-upgrade-available",
        ),
        keep=("/var/lib/apt/lists/partial", "/var/lib/update-notifier/package-data-downloads"),
    ),
    Operation(
        "rpm-cache",
        "removes what dnf, yum, zypper and libdnf5 downloaded",
        "hundreds of MB that the next refresh brings back",
        families=_RPM,
        remove=(
            "/var/cache/{dnf,yum,libdnf5,PackageKit}/*",
            "/var/cache/zypp*/*",
            "/var/lib/dnf/repos/*",
        ),
    ),
    Operation(
        "rpm-db",
        "removes rpm's lock and memory-map files",
        "they belong to the running host",
        families=_RPM,
        remove=("/var/lib/rpm/__db.*", "/var/lib/rpm/.rpm.lock", "/usr/lib/sysimage/rpm/.rpm.lock"),
    ),
    Operation(
        "yum-uuid",
        "removes the ids under which a system is counted",
        "mirrors would take all clones for one machine",
        families=_RPM,
        remove=("/var/lib/yum/uuid", "/var/lib/zypp/AnonymousUniqueId", "/var/lib/dnf/countme*"),
    ),
    Operation(
        "apk-cache",
        "removes apk's downloads and indexes",
        "the next `apk update` brings them back",
        families=frozenset({Family.ALPINE}),
        remove=("/var/cache/apk/*", "/etc/apk/cache/*"),
    ),
    Operation(
        "pacman-cache",
        "removes pacman's downloads and databases of repositories",
        "the next `pacman -Sy` brings them back",
        families=frozenset({Family.ARCH}),
        remove=("/var/cache/pacman/pkg/*", "/var/lib/pacman/sync/*"),
    ),
    Operation(
        "snapd-cache",
        "removes snapd's download cache and this machine's registration",
        "the store knows a device by its serial, which must not be shared",
        remove=(
            "/var/lib/snapd/cache/*",
            "/var/lib/snapd/cookie/*",
            "/var/lib/snapd/device/private-keys-v1/*",
            "/var/lib/snapd/assertions/*/serial/**",
            "/var/lib/snapd/errtracker.db",
        ),
    ),
    Operation(
        "other-caches",
        "removes caches that programs make again: man, ldconfig, fontconfig, flatpak, language package managers",
        "space",
        remove=(
            "/var/cache/man/*",
            "/var/cache/{ldconfig/aux-cache,fontconfig/*,flatpak/*,fwupd/*,swcatalog/*,app-info/*}",
            "/usr/local/share/.cache/*",
            "/{root,home/*}/.{npm/_cacache,cargo/registry/cache,gem/specs,composer/cache}",
            "/{root,home/*}/go/pkg/mod/cache",
        ),
    ),
    Operation(
        "ca-certificates",
        "removes the system's own added CA certificates",
        "off: a template that adds a CA means to",
        default=False,
        remove=(
            "/etc/pki/CA/{certs,crl,newcerts}/*",
            "/etc/pki/CA/private/*.key",
            "/etc/pki/tls/{certs,private}/*.{crt,key,csr}",
            "/usr/local/share/ca-certificates/*.crt",
        ),
    ),
)
