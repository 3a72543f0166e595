#!/bin/sh
# SSH by key only, without forwarding of X and with fewer tries. May be run again.
#
#   PASSWORDS   yes keeps logins by password (default: no)
#
# Any OpenSSH; takes effect at the next connection.
set -eu

PASSWORDS=${PASSWORDS:-no}
main=/etc/ssh/sshd_config
[ -f "$main" ] || main=/usr/etc/ssh/sshd_config
ours=/etc/ssh/sshd_config.d/10-factory.conf

say() { printf '%s\n' "harden-ssh: $*"; }

if ! grep -qiE '^[[:space:]]*Include[[:space:]]+"?/(usr/)?etc/ssh/sshd_config\.d/' "$main"; then
    # the first value of a setting wins, so it goes to the top
    { printf 'Include /etc/ssh/sshd_config.d/*.conf\n'; cat "$main"; } > /etc/ssh/sshd_config.new
    cat /etc/ssh/sshd_config.new > /etc/ssh/sshd_config
    rm -f /etc/ssh/sshd_config.new
fi
mkdir -p /etc/ssh/sshd_config.d
cat > "$ours" <<CONFIG
# Written when this image was built.
PasswordAuthentication $PASSWORDS
KbdInteractiveAuthentication $PASSWORDS
PermitRootLogin prohibit-password
PermitEmptyPasswords no
X11Forwarding no
MaxAuthTries 4
LoginGraceTime 60
CONFIG
chmod 0644 "$ours"

if ! sshd=$(command -v sshd); then sshd=/usr/sbin/sshd; fi
mkdir -p /run/sshd
if ! "$sshd" -t; then
    rm -f "$ours"
    say "sshd refuses these settings; taken back" >&2
    exit 1
fi
if command -v systemctl >/dev/null; then
    systemctl reload ssh.service 2>/dev/null || systemctl reload sshd.service 2>/dev/null || true
elif command -v rc-service >/dev/null; then
    rc-service sshd reload || true
fi
say "done"
