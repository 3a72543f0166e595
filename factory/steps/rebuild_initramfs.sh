#!/bin/sh
# Puts kernel modules into the initramfs, with the guest's own tools: MODULES holds their names, separated by spaces.
# Names that the newest kernel has no module for are told and left out.
set -eu

kernel=$(find /lib/modules -mindepth 1 -maxdepth 1 | sed 's|.*/||' | sort -V 2>/dev/null | tail -n 1)
[ -n "$kernel" ] || { echo "there is no kernel below /lib/modules" >&2; exit 1; }
file_of() { # file_of MODULE: its path; names are written with '_' or '-'
  find "/lib/modules/$kernel" -name "$1.ko*" -o -name "$(echo "$1" | tr _ -).ko*" | head -n 1
}
built_in() {
  grep -qE "/($1|$(echo "$1" | tr _ -))[.]ko" "/lib/modules/$kernel/modules.builtin" 2>/dev/null
}
add=
for module in ${MODULES:-}; do
  if [ -n "$(file_of "$module")" ]; then
    add="$add $module"
  elif ! built_in "$module"; then
    echo "kernel $kernel has no $module"
  fi
done
add=${add# }
[ -n "$add" ] || { echo "there is nothing to add of: ${MODULES:-}"; exit 0; }

if command -v update-initramfs >/dev/null 2>&1; then
  mkdir -p /etc/initramfs-tools
  touch /etc/initramfs-tools/modules
  for module in $add; do
    grep -qx "$module" /etc/initramfs-tools/modules || echo "$module" >>/etc/initramfs-tools/modules
  done
  update-initramfs -u -k all
elif command -v dracut >/dev/null 2>&1; then
  mkdir -p /etc/dracut.conf.d
  printf 'add_drivers+=" %s "\n' "$add" >/etc/dracut.conf.d/90-platform-drivers.conf
  dracut --force --regenerate-all
elif command -v mkinitcpio >/dev/null 2>&1; then
  mkdir -p /etc/mkinitcpio.conf.d
  printf 'MODULES+=(%s)\n' "$add" >/etc/mkinitcpio.conf.d/90-platform-drivers.conf
  mkinitcpio -P
elif command -v mkinitfs >/dev/null 2>&1; then
  mkdir -p /etc/mkinitfs/features.d
  for module in $add; do
    file_of "$module" | sed "s|^/lib/modules/$kernel/||"
  done >/etc/mkinitfs/features.d/platform.modules
  grep -q '[" ]platform[" ]' /etc/mkinitfs/mkinitfs.conf || sed -i 's/^features="/&platform /' /etc/mkinitfs/mkinitfs.conf
  mkinitfs "$kernel"
else
  echo "this guest has none of update-initramfs, dracut, mkinitcpio and mkinitfs" >&2
  exit 3
fi
echo "the initramfs has now: $add"
