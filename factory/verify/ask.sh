#!/bin/sh
# Asks a guest what it is: prints lines `factory:NAME VALUE`, of the random seed its digest only. It is run in guests of
# every kind, so it is POSIX sh, and every program in it may be missing.
# shellcheck disable=SC2034 # the rest of a line is read to be dropped
say() { [ -z "$2" ] || printf 'factory:%s %s\n' "$1" "$2"; }
# Units that are still starting are neither failed nor well, and services make their keys while they start.
if command -v systemctl >/dev/null 2>&1 && [ -d /run/systemd/system ]; then
  say state "$(systemctl is-system-running --wait 2>/dev/null)"
  systemctl --failed --plain --no-legend 2>/dev/null | while read -r unit rest; do say failed "$unit"; done
elif command -v rc-status >/dev/null 2>&1; then
  rc-status --crashed --nocolor 2>/dev/null | while read -r unit rest; do say failed "$unit"; done
fi
for file in /etc/machine-id /var/lib/dbus/machine-id /etc/hostid; do
  [ ! -s "$file" ] || { say machine-id "$(head -c 64 "$file" | tr -cd 'A-Za-z0-9-')"; break; }
done
for file in /etc/ssh/ssh_host_*_key.pub; do
  [ ! -s "$file" ] || say host-key "$(cut -d ' ' -f 1,2 "$file")"
done
for file in /etc/dropbear/dropbear_*_host_key; do
  [ -s "$file" ] || continue
  say host-key "$(dropbearkey -y -f "$file" 2>/dev/null | grep -E '^(ssh|ecdsa)-' | cut -d ' ' -f 1,2)"
done
say hostname "$(hostname 2>/dev/null || uname -n)"
dhcp=$(cat /run/systemd/netif/leases/* 2>/dev/null | sed -n 's/^CLIENTID=//p' | sort | head -n 4 | tr '\n' ' ')
[ -n "$dhcp" ] || dhcp=$(cat /var/lib/dhcpcd/duid /var/lib/dhcpcd5/duid /etc/dhcpcd.duid 2>/dev/null | head -n 1)
[ -n "$dhcp" ] || dhcp=$(cat /var/lib/dhcp/*.leases /var/lib/dhclient/*.leases /var/db/dhclient.leases.* 2>/dev/null |
  grep -o -E '(dhcp-client-identifier|default-duid) [^;]*' | sort -u | tr '\n' ' ')
# With no identifier of its own a client is known by its card's address.
[ -n "$dhcp" ] || dhcp=$(cat /sys/class/net/e*/address 2>/dev/null | tr '\n' ' ')
[ -n "$dhcp" ] || dhcp=$(ifconfig 2>/dev/null | grep -o -i -E '(ether|hwaddr) [0-9a-f:]{17}' | tr '\n' ' ')
say dhcp "$dhcp"
for file in /var/lib/systemd/random-seed /var/lib/seedrng/seed.credit /var/lib/seedrng/seed.no-credit \
  /var/lib/urandom/random-seed /var/lib/misc/random-seed /var/lib/random-seed /boot/entropy /var/db/entropy-file; do
  [ -s "$file" ] || continue
  say random-seed "$( (sha256sum "$file" || sha256 -q "$file") 2>/dev/null | cut -d ' ' -f 1)"
  break
done
say root-kib "$(df -P -k / | awk 'NR == 2 {print $2}')"
say end yes
