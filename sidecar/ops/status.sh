#!/usr/bin/env bash
# What of the local stack runs. Exit status 0: all that up.sh started.
#   bash sidecar/ops/status.sh
set -u
cd "$(dirname "$0")/../.." || exit 1
. sidecar/ops/stack.sh

[ $# -eq 0 ] || { say "Usage: bash sidecar/ops/status.sh"; exit 2; }
[ -s "$stack/processes" ] || { echo "down: no stack in $stack"; exit 1; }

status=0
while read -r name pid start port; do
    if is_ours "$pid" "$start"; then
        printf '%-10s up    pid %-7s :%s  %s\n' "$name" "$pid" "$port" "$stack/log/$name.log"
    else
        printf '%-10s DOWN  pid %-7s :%s  %s\n' "$name" "$pid" "$port" "$stack/log/$name.log"
        status=1
    fi
done <"$stack/processes"
exit "$status"
