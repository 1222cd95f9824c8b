#!/usr/bin/env bash
# Every benchmark, one table: bash bench/run.sh [--quick] [--only NAME]...
#
#   --only NAME   that benchmark alone (record, codec, ...); the table is printed, docs/performance.md stays
#   --quick       whether the benchmarks work, in seconds: figures mean nothing, nothing is written
#
# Builds `release`, runs one benchmark after the other, keeps its JSON line in build/bench/NAME.json and writes the
# table of docs/performance.md. Nothing else should run on the machine. A missed goal is no failure; a wrong count is.
set -u
cd "$(dirname "$0")/.." || exit 1
. sidecar/ops/packages.sh

all="record end_to_end idle_host codec tail replay scrape sidecar_idle start python bindings peers"
quick="" only=""
while [ $# -gt 0 ]; do
    case $1 in
    --quick) quick=--quick ;;
    --only) shift && only="$only ${1:?--only needs a name}" ;;
    *) echo "Usage: bash bench/run.sh [--quick] [--only NAME]..." >&2; exit 2 ;;
    esac
    shift
done
for name in $only; do
    case " $all " in *" $name "*) ;; *) echo "No benchmark is called $name: $all" >&2; exit 2 ;; esac
done

packages_install build run test bench || exit 1
out=build/bench${quick:+-quick}
mkdir -p "$out"
cmake --preset release >"$out/build.log" 2>&1 && cmake --build --preset release >>"$out/build.log" 2>&1 ||
    { tail -40 "$out/build.log"; echo "The release build failed ($out/build.log)"; exit 1; }

failed=""
for name in ${only:-$all}; do
    echo "== $name"
    program=build/release/bin/bench_$name
    [ -x "$program" ] || program="/usr/bin/python3 bench/bench_$name.py"
    # shellcheck disable=SC2086
    $program $quick >"$out/$name.txt" || failed="$failed $name"
    sed '$d' "$out/$name.txt"
    tail -1 "$out/$name.txt" >"$out/$name.json"
done

if [ -n "$only$quick$failed" ]; then
    /usr/bin/python3 bench/table.py "$out" ${only:-$all} || exit 1
else
    /usr/bin/python3 bench/table.py "$out" --write docs/performance.md $all || exit 1
fi
[ -z "$failed" ] && exit 0
echo "FAILED:$failed"
exit 1
