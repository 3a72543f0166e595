#!/bin/sh
# Points the finished image to another package mirror than the one it was built from. Run it last. May be run again.
#
#   RELEASED_MIRROR   URL of the mirror; empty leaves things as they are
#   BUILD_MIRROR      URL to replace (Debian, Ubuntu, Alpine, openSUSE; default: the one that is there)
set -eu

RELEASED_MIRROR=${RELEASED_MIRROR:-}
RELEASED_MIRROR=${RELEASED_MIRROR%/}
if [ -z "$RELEASED_MIRROR" ]; then
    echo "package-mirror: left as it is"
    exit 0
fi

say() { printf '%s\n' "package-mirror: $*"; }

# Replaces the URL in front of the archive's own path, in place. $1: file, $2: old URL (plain text)
replace() {
    old=$(printf '%s' "$2" | sed 's/[][\.*^$|]/\\&/g')
    new=$(printf '%s' "$RELEASED_MIRROR" | sed 's/[&|\]/\\&/g')
    sed -i "s|$old|$new|g" "$1"
}

done_one=no
if [ -d /etc/apt ]; then
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        [ -f "$file" ] || continue
        # the archive proper, not the security archive, which is another host's
        old=${BUILD_MIRROR:-$(sed -n -E \
            -e 's/^deb(-src)? +(\[[^]]*\] +)?(https?:[^ ]+) .*/\3/p' -e 's/^URIs: *(https?:[^ ]+).*/\1/p' "$file" |
            grep -v -i security | head -n 1)}
        [ -n "$old" ] || continue
        replace "$file" "${old%/}"
        done_one=yes
    done
elif [ -f /etc/apk/repositories ]; then
    old=${BUILD_MIRROR:-$(sed -n -E 's#^(https?://.*)/(v3\.[0-9]+|edge|latest-stable)/main$#\1#p' /etc/apk/repositories | head -n 1)}
    if [ -n "$old" ]; then
        replace /etc/apk/repositories "${old%/}"
        done_one=yes
    fi
elif [ -d /etc/zypp/repos.d ]; then
    for file in /etc/zypp/repos.d/*.repo; do
        old=${BUILD_MIRROR:-$(sed -n -E 's#^baseurl=(https?://.*)/(distribution|update)/.*#\1#p' "$file" | head -n 1)}
        [ -n "$old" ] || continue
        replace "$file" "${old%/}"
        done_one=yes
    done
elif [ -d /etc/yum.repos.d ]; then
    # Fedora and Enterprise Linux ask a list of mirrors; a fixed one takes its place
    for file in /etc/yum.repos.d/*.repo; do
        grep -qE '^#? ?baseurl=' "$file" || continue
        sed -i -E -e 's/^(mirrorlist|metalink)=/#\1=/' \
            -e "s|^#? ?baseurl=https?://[^\$]*/(\\\$contentdir/)?|baseurl=$RELEASED_MIRROR/|" "$file"
        done_one=yes
    done
fi
if [ "$done_one" = no ]; then
    say "found no package source to change" >&2
    exit 1
fi
say "the image uses $RELEASED_MIRROR"
