#!/bin/sh
# Makes an administrator: their key, sudo without a password. For images without cloud-init. May be run again.
#
#   ADMIN_USER   name (required)
#   ADMIN_KEY    SSH public key, or several on lines of their own (required)
set -eu

: "${ADMIN_USER:?set ADMIN_USER}" "${ADMIN_KEY:?set ADMIN_KEY}"

has() { command -v "$1" >/dev/null; }

if ! has sudo && ! has doas; then
    if has apt-get; then
        DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends sudo
    elif has dnf; then dnf -y install sudo
    elif has zypper; then zypper --non-interactive install --no-recommends sudo
    elif has apk; then apk add doas
    elif has pkg; then env ASSUME_ALWAYS_YES=yes pkg install sudo
    fi
fi
if ! id "$ADMIN_USER" >/dev/null 2>&1; then
    if has useradd; then
        useradd --create-home --shell /bin/bash "$ADMIN_USER"
        # no password fits, and the account is not locked for keys
        usermod --password '*' "$ADMIN_USER"
    elif has pw; then pw useradd "$ADMIN_USER" -m -s /bin/sh -h -
    else
        adduser -D -s /bin/sh "$ADMIN_USER"
        # OpenSSH without PAM takes `!` for "no login at all"
        sed -i "s/^$ADMIN_USER:!:/$ADMIN_USER:*:/" /etc/shadow
    fi
fi

home=$(awk -F: -v user="$ADMIN_USER" '$1 == user {print $6}' /etc/passwd)
group=$(id -g "$ADMIN_USER")
umask 077
mkdir -p "$home/.ssh"
printf '%s\n' "$ADMIN_KEY" > "$home/.ssh/authorized_keys"
chown -R "$ADMIN_USER:$group" "$home/.ssh"
if has restorecon; then restorecon -R "$home/.ssh"; fi

if has sudo; then
    folder=/etc/sudoers.d
    [ "$(uname -s)" = FreeBSD ] && folder=/usr/local/etc/sudoers.d
    printf '%s ALL=(ALL:ALL) NOPASSWD: ALL\n' "$ADMIN_USER" > "$folder/90-$ADMIN_USER"
    chmod 0440 "$folder/90-$ADMIN_USER"
    visudo -c -q -f "$folder/90-$ADMIN_USER"
elif has doas; then
    mkdir -p /etc/doas.d
    printf 'permit nopass %s\n' "$ADMIN_USER" > "/etc/doas.d/90-$ADMIN_USER.conf"
    chmod 0440 "/etc/doas.d/90-$ADMIN_USER.conf"
fi
echo "admin-user: $ADMIN_USER is ready"
