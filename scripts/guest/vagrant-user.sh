#!/bin/sh
# Makes the user that Vagrant expects in a box: `vagrant`, its published key, sudo without a password.
# https://developer.hashicorp.com/vagrant/docs/boxes/base ; Vagrant replaces the key at the first `up`. May be run again.
set -eu

has() { command -v "$1" >/dev/null; }

if ! has sudo; then
    if has apt-get; then
        apt-get -q update
        DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends sudo
    elif has dnf; then dnf -y install sudo
    elif has zypper; then zypper --non-interactive install --no-recommends sudo
    elif has apk; then apk add sudo
    elif has pkg; then env ASSUME_ALWAYS_YES=yes pkg install sudo
    fi
fi
if ! id vagrant >/dev/null 2>&1; then
    if has useradd; then
        useradd --create-home --shell /bin/sh --comment Vagrant vagrant
        if [ -x /bin/bash ]; then usermod --shell /bin/bash vagrant; fi
        # no password fits, and the account is not locked for keys
        usermod --password '*' vagrant
    elif has pw; then pw useradd vagrant -m -s /bin/sh -h -
    else
        adduser -D -s /bin/sh vagrant
        sed -i 's/^vagrant:!:/vagrant:*:/' /etc/shadow
    fi
fi

# The older of its two published keys alone: every Vagrant knows it, and replaces it. Those before 2.4 leave the newer one
# (ed25519) where it is, and with it a door that is open to everybody.
home=$(awk -F: '$1 == "vagrant" {print $6}' /etc/passwd)
umask 077
mkdir -p "$home/.ssh"
cat > "$home/.ssh/authorized_keys" <<'KEYS'
ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ== vagrant insecure public key
KEYS
chown -R "vagrant:$(id -g vagrant)" "$home/.ssh"
if has restorecon; then restorecon -R "$home/.ssh"; fi

folder=/etc/sudoers.d
[ "$(uname -s)" = FreeBSD ] && folder=/usr/local/etc/sudoers.d
printf 'vagrant ALL=(ALL:ALL) NOPASSWD: ALL\n' > "$folder/vagrant"
chmod 0440 "$folder/vagrant"
visudo -c -q -f "$folder/vagrant"
echo "vagrant-user: ready"
