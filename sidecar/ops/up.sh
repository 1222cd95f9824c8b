#!/usr/bin/env bash
# The local stack: the sidecar on :9110, Debian's Prometheus on :9092 with the rules, and a mock of peak_trade_web
# (:8000) and shadow_mvs (:9109) where the real ones do not run. A busy port is an error, never another port.
#   bash sidecar/ops/up.sh      everything lies in .local_tmp/ailive_stack; down.sh ends it, status.sh shows it
# $AILIVE_BIN: the folder of a built `ailive`; without it, it is built. Event file: $PEAK_TRADE_AI_EVENTS_JSONL, else
# events.jsonl in the stack's folder.
set -u
cd "$(dirname "$0")/../.." || exit 1
. sidecar/ops/packages.sh
. sidecar/ops/stack.sh

[ $# -eq 0 ] || { say "Usage: bash sidecar/ops/up.sh"; exit 2; }

if [ -s "$stack/processes" ]; then
    bash sidecar/ops/status.sh >/dev/null && { say "The stack is up already: bash sidecar/ops/status.sh"; exit 1; }
    bash sidecar/ops/down.sh >/dev/null || exit 1 # what is left of one that lost a process
fi

bin=${AILIVE_BIN:-}
if [ -z "$bin" ]; then
    packages_install build run || exit 1
    mkdir -p .local_tmp
    cmake --preset release -DAILIVE_TESTS=OFF -B build/demo >.local_tmp/build.log 2>&1 &&
        cmake --build build/demo >>.local_tmp/build.log 2>&1 ||
        { tail -30 .local_tmp/build.log >&2; say "up: the build failed"; exit 1; }
    bin=$PWD/build/demo/bin
fi
[ -x "$bin/ailive" ] || { say "up: there is no program $bin/ailive: build it, or leave \$AILIVE_BIN out"; exit 1; }
packages_prometheus build/tools/prometheus || exit 1

# Every port before anything is started. The real services may hold theirs: they must serve metrics then.
wanted="$exporter_port $prom_port"
mock=""
if answers "http://127.0.0.1:$web_port/metrics"; then say "peak_trade_web: the one that runs on :$web_port"; else
    wanted="$wanted $web_port"; mock="--web 127.0.0.1:$web_port"; fi
if answers "http://127.0.0.1:$shadow_port/metrics"; then say "shadow_mvs: the one that runs on :$shadow_port"; else
    wanted="$wanted $shadow_port"; mock="$mock --shadow 127.0.0.1:$shadow_port"; fi
# shellcheck disable=SC2086
busy=$("$bin/ailive" port $wanted) || { say "up: $(printf '%s\n' "$busy" | grep -v 'is free$')"; exit 1; }

mkdir -p "$stack/log" || exit 1
: >"$stack/processes"

launch() { # NAME PORT COMMAND...
    local name=$1 port=$2 pid
    shift 2
    setsid "$@" >"$stack/log/$name.log" 2>&1 </dev/null &
    pid=$!
    printf '%s %s %s %s\n' "$name" "$pid" "$(start_of "$pid")" "$port" >>"$stack/processes"
}

give_up() {
    say "up: $1; its log ends with:"
    tail -5 "$stack/log/$2.log" >&2
    bash sidecar/ops/down.sh >/dev/null
    exit 1
}

# The configuration as it stands, with this stack's ports, rules by their absolute path, and a scrape a second.
sed -e "s/127.0.0.1:9110/127.0.0.1:$exporter_port/; s/127.0.0.1:8000/127.0.0.1:$web_port/" \
    -e "s/127.0.0.1:9109/127.0.0.1:$shadow_port/; s/: 15s/: 1s/; s|rules/\*.yml|$PWD/sidecar/ops/prometheus/&|" \
    sidecar/ops/prometheus/prometheus.yml >"$stack/prometheus.yml"

launch sidecar "$exporter_port" "$bin/ailive" sidecar --listen "127.0.0.1:$exporter_port" --state "$stack/state" \
    --jsonl "${PEAK_TRADE_AI_EVENTS_JSONL:-$stack/events.jsonl}"
# shellcheck disable=SC2086
[ -z "$mock" ] || launch mock "$web_port" "$bin/ailive" mock $mock
launch prometheus "$prom_port" prometheus --config.file="$stack/prometheus.yml" --log.level=warn \
    --storage.tsdb.path="$stack/tsdb" --storage.tsdb.retention.time=2d --web.listen-address="127.0.0.1:$prom_port"

wait_for "the sidecar is ready" 600 answers "$exporter_url/-/ready" || give_up "the sidecar did not start" sidecar
wait_for "Prometheus is ready" 600 answers "$prom_url/-/ready" || give_up "Prometheus did not start" prometheus
all_up() {
    curl -sf --max-time 10 "$prom_url/api/v1/query?query=sum(up)" | grep -q ',"3"\]'
}
wait_for "all three targets are up ($prom_url/targets)" 600 all_up || give_up "a target is not up" prometheus

cat <<TEXT
The local stack is up.
  metrics     $exporter_url/metrics
  events      ${PEAK_TRADE_AI_EVENTS_JSONL:-$stack/events.jsonl} (append contract lines), or the SDK
  Prometheus  $prom_url/targets  $prom_url/alerts
  prove it    PROM_URL=$prom_url EXPORTER_URL=$exporter_url $bin/ailive local-verify
  end it      bash sidecar/ops/down.sh
TEXT
