#!/bin/sh
# Sets what a login shows. May be run again.
#
#   MOTD   the text; empty leaves things as they are
set -eu

MOTD=${MOTD:-}
if [ -z "$MOTD" ]; then
    echo "motd: left as it is"
    exit 0
fi
printf '%s\n' "$MOTD" > /etc/motd
chmod 0644 /etc/motd
# Debian and Ubuntu also run scripts at login: help texts and advertisements in a server's log
if [ -d /etc/update-motd.d ]; then
    find /etc/update-motd.d -type f -exec chmod a-x {} +
fi
rm -f /run/motd.dynamic
echo "motd: written"
