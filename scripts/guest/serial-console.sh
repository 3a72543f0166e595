#!/bin/sh
# Kernel messages and a login on the first serial line, besides the screen. May be run again.
#
#   SPEED   bits a second (default: 115200)
#
# GRUB of Debian, Ubuntu, Enterprise Linux, Fedora, openSUSE; on Alpine setup-disk has done it.
set -eu

SPEED=${SPEED:-115200}
ARGUMENTS="console=tty0 console=ttyS0,${SPEED}n8"

say() { printf '%s\n' "serial-console: $*"; }

has() { command -v "$1" >/dev/null; }

if grep -q 'console=ttyS0' /proc/cmdline; then
    say "the kernel uses it already"
elif has grubby; then
    grubby --update-kernel=ALL --args="$ARGUMENTS"
elif [ -f /etc/default/grub ]; then
    grep -q "console=ttyS0" /etc/default/grub ||
        sed -i "s/^\(GRUB_CMDLINE_LINUX=\"\)\(.*\)\"/\1\2 $ARGUMENTS\"/" /etc/default/grub
    if has update-grub; then
        update-grub
    else
        grub2-mkconfig -o /boot/grub2/grub.cfg
    fi
else
    say "no GRUB here: left as it is"
fi

# systemd's generator starts the login from console= by itself
if has systemctl; then
    systemctl enable serial-getty@ttyS0.service 2>/dev/null || true
elif [ -f /etc/inittab ]; then
    sed -i -E 's/^#(ttyS0:.*getty.*)/\1/' /etc/inittab
fi
say "done"
