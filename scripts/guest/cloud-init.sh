#!/bin/sh
# Makes cloud-init ready for an image that is cloned, or takes it off.
#
#   CLOUD_INIT     false removes it (default: true)
#   DATASOURCES    in which order to look; what is not there costs nothing (default below)
#
# Debian, Ubuntu, Enterprise Linux, Fedora, openSUSE, Alpine. May be run again.
set -eu

CLOUD_INIT=${CLOUD_INIT:-true}
DATASOURCES=${DATASOURCES:-NoCloud, ConfigDrive, OVF, VMware, OpenStack, Azure, GCE, Ec2, None}

say() { printf '%s\n' "cloud-init: $*"; }

has() { command -v "$1" >/dev/null; }

install_it() {
    if has apt-get; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get -q update
        apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends cloud-init cloud-guest-utils
    elif has dnf; then
        dnf -y install --setopt=install_weak_deps=False cloud-init cloud-utils-growpart
    elif has zypper; then
        zypper --non-interactive install --no-recommends cloud-init growpart
    elif has apk; then
        # the packages are in the community repository
        apk add cloud-init cloud-utils-growpart e2fsprogs-extra py3-netifaces 2>/dev/null ||
            apk add cloud-init cloud-utils-growpart e2fsprogs-extra
        setup-cloud-init
    else
        say "no package manager that this script knows" >&2
        exit 1
    fi
}

remove_it() {
    if has apt-get; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get -q -y -o DPkg::Lock::Timeout=300 purge cloud-init
    elif has dnf; then
        dnf -y remove cloud-init
    elif has zypper; then
        zypper --non-interactive remove cloud-init
    elif has apk; then
        apk del cloud-init
    fi
    rm -rf /var/lib/cloud /etc/cloud
}

case $CLOUD_INIT in
    false | False | no | 0)
        if has cloud-init; then
            remove_it
            say "removed"
        else
            say "is not there"
        fi
        exit 0
        ;;
esac

has cloud-init || install_it

# What an installer leaves behind for its own first start (subiquity, curtin, d-i) would bind every clone to it.
rm -f /etc/cloud/cloud-init.disabled /etc/cloud/ds-identify.cfg \
    /etc/cloud/cloud.cfg.d/99-installer.cfg \
    /etc/cloud/cloud.cfg.d/90-installer-network.cfg \
    /etc/cloud/cloud.cfg.d/20-disable-cc-dpkg-grub.cfg \
    /etc/cloud/cloud.cfg.d/curtin-preserve-sources.cfg \
    /etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg
mkdir -p /etc/cloud/cloud.cfg.d
cat > /etc/cloud/cloud.cfg.d/90-factory.cfg <<CONFIG
# Written when this image was built.
datasource_list: [ $DATASOURCES ]
manage_etc_hosts: localhost
growpart: {mode: auto, devices: ["/"], ignore_growroot_disabled: false}
resize_rootfs: true
CONFIG

# ifupdown (Debian): the installer's lines for the card would stand beside those that cloud-init writes, and the card be
# configured twice. In cloud-init's own file they work until it has something better to say.
interfaces=/etc/network/interfaces
ours=/etc/network/interfaces.d/50-cloud-init
if [ -f "$interfaces" ] && [ ! -e "$ours" ] && grep -q '^source.*/interfaces\.d/' "$interfaces"; then
    mkdir -p /etc/network/interfaces.d
    awk -v moved="$ours.new" '
        /^(auto|allow-[a-z]+|iface|mapping)[ \t]/ { move = ($2 != "lo") }
        /^(source|source-directory)[ \t]/ || /^[ \t]*$/ || /^#/ { print; next }
        move { print > moved; next }
        { print }
    ' "$interfaces" > "$interfaces.new"
    if [ -s "$ours.new" ]; then
        cat "$interfaces.new" > "$interfaces"
        mv "$ours.new" "$ours"
    fi
    rm -f "$interfaces.new"
fi

if has systemctl; then
    for unit in cloud-init-local cloud-init-main cloud-init-network cloud-init cloud-config cloud-final; do
        systemctl enable "$unit.service" 2>/dev/null || true    # names differ between versions
    done
fi
# Each clone begins anew.
cloud-init clean --logs >/dev/null 2>&1 || rm -rf /var/lib/cloud/instance /var/lib/cloud/instances
say "ready"
