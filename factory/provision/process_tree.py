"""Ends all that a command in the guest has started, by nothing but sh and what the kernel says in /proc.

OpenSSH makes the shell of a command the leader of a session, so the group of its number is all that it has started.
Others, dropbear among them, leave it in their own: there its descendants are found by their parents. A process that
made itself a daemon and lost its parents can't be told from the guest's own.
"""

from __future__ import annotations

import shlex

_LOOK = (
    "look() { more=1; while [ $more ]; do more=; for f in /proc/[0-9]*/stat; do"
    ' { read -r line < "$f"; } 2>/dev/null || continue;'
    " n=${f#/proc/}; n=${n%/stat};"
    ' case $all in *" $n "*) continue;; esac;'
    # Behind the name, which may hold anything: state, parent, group, session (proc(5)).
    ' set -- ${line##*") "};'
    ' case $all in *" $2 "*) ;; *) [ "$3" = $p ] || [ "$4" = $p ] || continue;; esac;'
    ' all="$all$n "; more=1; done; done; };'
)
_ALIVE = (
    "alive() { left=;"
    ' if [ ! -d /proc/self ]; then kill -0 -- -$p 2>/dev/null && left=" $p"; [ "$left" ]; return; fi;'
    " for n in $all; do { read -r line < /proc/$n/stat; } 2>/dev/null || continue;"
    ' set -- ${line##*") "}; [ "$1" = Z ] && continue; name=${line%") "*}; left="$left $n (${name#*"("})"; done;'
    ' [ "$left" ]; };'
)
_END = (
    "for s in TERM KILL; do look; alive || exit 0;"
    " kill -$s $all 2>/dev/null || sudo -n kill -$s $all 2>/dev/null;"
    " kill -$s -- -$p 2>/dev/null || sudo -n kill -$s -- -$p 2>/dev/null;"
    ' sleep 1; done; alive || exit 0; echo "still running:$left"; exit 1'
)


def end_command(pid_file: str) -> str:
    """The command line that ends the process that *pid_file* names, and its descendants.

    Its status is not 0 when something still runs then; it prints ``still running: PID (NAME) …``.
    """
    script = f'p=$(cat {shlex.quote(pid_file)} 2>/dev/null) && [ "$p" ] || exit 0; all=" $p "; {_LOOK} {_ALIVE} {_END}'
    return f"sh -c {shlex.quote(script)}"
