#!/usr/bin/env bash
# The demo: a sidecar on :9110, a C producer that uses the SDK, and the series moving.
#   bash sidecar/demo.sh [--for SECONDS]
# Without --for it runs until Ctrl-C. Ends everything it started. Exit status 0: the series moved. Builds the programs,
# unless $AILIVE_DEMO_BIN names the folder of installed ones (/usr/bin).
set -u

usage() { echo "Usage: bash sidecar/demo.sh [--for SECONDS]   (port: \$PEAK_TRADE_AI_EXPORTER_PORT, default 9110)"; }

seconds=0
while [ $# -gt 0 ]; do
    case $1 in
    --for) case ${2:-} in '' | *[!0-9]*) usage >&2; exit 2 ;; esac; seconds=$2; shift 2 ;;
    --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
done

build() {
    cd "$(dirname "$0")/.." || exit 1
    . sidecar/ops/packages.sh
    packages_install build run || exit 1
    cmake --preset release -DAILIVE_TESTS=OFF -B build/demo >build-demo.log 2>&1 && cmake --build build/demo >>build-demo.log 2>&1 ||
        { tail -30 build-demo.log >&2; rm -f build-demo.log; echo "demo: the build failed" >&2; exit 1; }
    rm -f build-demo.log
    bin=$PWD/build/demo/bin
}
bin=${AILIVE_DEMO_BIN:-}
[ -n "$bin" ] || build

work=$(mktemp -d "${TMPDIR:-/tmp}/ailive-demo.XXXXXX") || exit 1
port=${PEAK_TRADE_AI_EXPORTER_PORT:-9110}
url=http://127.0.0.1:$port
export AILIVE_RUNTIME_DIR=$work/runtime AILIVE_SPOOL_DIR=$work/spool AILIVE_STATE_DIR=$work/state
unset AILIVE_IPC_URL AILIVE_DISABLED
pids=""

finish() {
    trap - INT TERM EXIT
    for pid in $pids; do kill "$pid" 2>/dev/null; done
    for pid in $pids; do wait "$pid" 2>/dev/null; done
    rm -rf "$work"
    exit "${1:-0}"
}
stopped=0
trap 'stopped=1' INT TERM
trap 'finish 1' EXIT

# The sum of one family's values on the exporter's page.
sum() { curl -sf --max-time 10 "$url/metrics" | awk -v f="$1" 'index($0, f "{") == 1 {s += $NF} END {printf "%d", s}'; }

wait_ready() {
    local i
    for i in $(seq 300); do
        curl -sf --max-time 10 "$url/-/ready" >/dev/null && return 0
        kill -0 "$sidecar" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

jsonl=$work/events.jsonl
: >"$jsonl"
"$bin/ailive" sidecar --listen "127.0.0.1:$port" --jsonl "$jsonl" &
sidecar=$!
pids=$sidecar
wait_ready || { echo "demo: the sidecar did not start" >&2; finish 1; }
"$bin/ailive-demo-watch" &
pids="$! $pids"
"$bin/ailive" emit --out "$jsonl" --n 0 --interval-ms 500 --run-id demo_jsonl >/dev/null &
pids="$! $pids"

cat <<TEXT

ailive demo: a C component with four recording threads, and a JSONL writer, both counted by one sidecar.
  metrics     $url/metrics
  readiness   $url/-/ready
Ctrl-C stops all of it.

    seconds   decisions     actions   stage latencies
TEXT
first=$(sum peaktrade_ai_decisions_total)
now=0
while [ "$stopped" -eq 0 ]; do
    sleep 1
    now=$((now + 1))
    kill -0 "$sidecar" 2>/dev/null || { echo "demo: the sidecar ended" >&2; finish 1; }
    last=$(sum peaktrade_ai_decisions_total)
    printf '%11d %11d %11d %17d\n' "$now" "$last" "$(sum peaktrade_ai_actions_total)" "$(sum ailive_stage_latency_seconds_count)"
    [ "$seconds" -gt 0 ] && [ "$now" -ge "$seconds" ] && break
done
curl -sf --max-time 10 "$url/metrics" | grep -E '^peaktrade_ai_decisions_total' | sort | head -12
if [ "${last:-0}" -gt "${first:-0}" ]; then
    echo "The series moved: decisions went from $first to $last."
    finish 0
fi
echo "demo: the series did not move" >&2
finish 1
