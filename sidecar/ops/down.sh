#!/usr/bin/env bash
# Ends what up.sh started, and nothing else: by pid, after a look at the start time. State and logs stay.
#   bash sidecar/ops/down.sh
set -u
cd "$(dirname "$0")/../.." || exit 1
. sidecar/ops/stack.sh

[ $# -eq 0 ] || { say "Usage: bash sidecar/ops/down.sh"; exit 2; }
[ -s "$stack/processes" ] || { echo "Nothing to end: no stack in $stack"; exit 0; }

gone() { ! is_ours "$1" "$2"; }
status=0
# Prometheus first, the sidecar last: so the last scrape is whole.
while read -r name pid start port; do
    is_ours "$pid" "$start" || { echo "$name (pid $pid) has ended already"; continue; }
    kill -TERM "$pid"
    wait_for "$name (pid $pid) ends" 300 gone "$pid" "$start" || kill -KILL "$pid"
    wait_for "$name (pid $pid) is gone" 300 gone "$pid" "$start" || { status=1; continue; }
    echo "$name (pid $pid, port $port) ended"
done < <(tac "$stack/processes")
[ "$status" -eq 0 ] && rm -f "$stack/processes"
exit "$status"
