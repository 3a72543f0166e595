#!/bin/sh
# Brings a fresh system up to date and adds packages.
#
#   PACKAGES   names, separated by spaces (default: none)
#   UPGRADE    no leaves installed packages as they are (default: yes)
#   TZ         time zone to set (default: leave it)
#
# Debian, Ubuntu, Enterprise Linux, Fedora, openSUSE, Alpine, FreeBSD. May be run again.
set -eu

PACKAGES=${PACKAGES:-}
UPGRADE=${UPGRADE:-yes}
ZONE=${TZ:-}
unset TZ                                # it would change what this script's own programs print

say() { printf '%s\n' "base-packages: $*"; }

with_apt() {
    export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l
    options="-y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=300"
    apt-get -q update
    # shellcheck disable=SC2086  # words on purpose, here and below
    [ "$UPGRADE" = no ] || apt-get -q $options dist-upgrade
    # shellcheck disable=SC2086
    [ -z "$PACKAGES" ] || apt-get -q $options install --no-install-recommends $PACKAGES
    # shellcheck disable=SC2086
    apt-get -q $options autoremove --purge
    apt-get -q clean
}

with_dnf() {
    [ "$UPGRADE" = no ] || dnf -y upgrade --refresh
    # shellcheck disable=SC2086
    [ -z "$PACKAGES" ] || dnf -y install --setopt=install_weak_deps=False $PACKAGES
    dnf -y autoremove
    dnf clean all
}

with_zypper() {
    zypper --non-interactive --gpg-auto-import-keys refresh
    # 102: a restart is wanted; 103: zypper updated itself and wants another run
    if [ "$UPGRADE" != no ]; then
        zypper_tolerant patch --auto-agree-with-licenses --no-recommends --with-interactive
        zypper_tolerant patch --auto-agree-with-licenses --no-recommends --with-interactive
    fi
    # shellcheck disable=SC2086
    [ -z "$PACKAGES" ] || zypper_tolerant install --no-recommends $PACKAGES
    zypper --non-interactive clean --all
}

zypper_tolerant() {
    code=0
    zypper --non-interactive "$@" || code=$?
    case $code in 0 | 102 | 103) ;; *) return "$code" ;; esac
}

with_apk() {
    apk update
    [ "$UPGRADE" = no ] || apk upgrade
    # shellcheck disable=SC2086
    [ -z "$PACKAGES" ] || apk add $PACKAGES
    rm -rf /var/cache/apk/*
}

with_pkg() {
    export ASSUME_ALWAYS_YES=yes
    if [ "$UPGRADE" != no ] && command -v freebsd-update >/dev/null; then
        # exits 2 when there is nothing to install
        PAGER='cat' freebsd-update --not-running-from-cron fetch
        PAGER='cat' freebsd-update --not-running-from-cron install || [ $? -eq 2 ]
    fi
    pkg bootstrap -f
    pkg update -f
    [ "$UPGRADE" = no ] || pkg upgrade
    # shellcheck disable=SC2086
    [ -z "$PACKAGES" ] || pkg install $PACKAGES
    pkg clean -a
}

# Small systems come without the table of time zones.
install_zones() {
    if command -v apt-get >/dev/null; then
        DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends tzdata
    elif command -v dnf >/dev/null; then dnf -y install tzdata
    elif command -v zypper >/dev/null; then zypper --non-interactive install --no-recommends timezone
    elif command -v apk >/dev/null; then apk add tzdata
    fi
}

set_zone() {
    [ -n "$ZONE" ] || return 0
    [ -d /usr/share/zoneinfo/Europe ] || [ "$ZONE" = UTC ] || install_zones
    if [ ! -e "/usr/share/zoneinfo/$ZONE" ]; then
        [ "$ZONE" = UTC ] && return 0       # no zone data is UTC already
        say "there is no time zone '$ZONE' in /usr/share/zoneinfo" >&2
        return 1
    fi
    ln -sf "/usr/share/zoneinfo/$ZONE" /etc/localtime
    if [ -e /etc/timezone ]; then printf '%s\n' "$ZONE" > /etc/timezone; fi
}

if command -v apt-get >/dev/null; then with_apt
elif command -v dnf >/dev/null; then with_dnf
elif command -v zypper >/dev/null; then with_zypper
elif command -v apk >/dev/null; then with_apk
elif [ "$(uname -s)" = FreeBSD ]; then with_pkg
else
    say "no package manager that this script knows (apt, dnf, zypper, apk, pkg)" >&2
    exit 1
fi
set_zone
say "done"
