#!/bin/sh
# Installs QEMU's guest agent and has it started wherever the machine has its channel. May be run again.
#
# Debian, Ubuntu, Enterprise Linux, Fedora, openSUSE, Alpine, FreeBSD.
set -eu

say() { printf '%s\n' "qemu-guest-agent: $*"; }

has() { command -v "$1" >/dev/null; }

if has qemu-ga; then
    say "is there"
elif has apt-get; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update
    apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends qemu-guest-agent
elif has dnf; then
    dnf -y install --setopt=install_weak_deps=False qemu-guest-agent
elif has zypper; then
    zypper --non-interactive install --no-recommends qemu-guest-agent
elif has apk; then
    apk add qemu-guest-agent
elif [ "$(uname -s)" = FreeBSD ]; then
    env ASSUME_ALWAYS_YES=yes pkg install qemu-guest-agent
else
    say "no package manager that this script knows" >&2
    exit 1
fi

# Nothing is started now: a machine without the channel (ours need not have it) would call the unit failed.
if has systemctl; then
    # udev starts it where the channel is (a static unit in some distributions: nothing to enable)
    systemctl enable qemu-guest-agent 2>/dev/null || true
elif has rc-update; then
    rc-update add qemu-guest-agent default
elif has sysrc; then
    sysrc qemu_guest_agent_enable=YES qemu_guest_agent_flags="-d -v -l /var/log/qemu-ga.log"
fi
say "done"
