#!/usr/bin/env bash
# The one test command: installs what is missing, builds with `dev`, runs every test.
#   bash tests/run.sh [--full]
# Tiers: `dev` (ASan, UBSan, all tests), `tsan` (what is labelled tsan), `release` (what needs an unsanitized build:
# hot path, exported symbols, fork tests, torture). --full adds the fuzz preset.
# Ends with ctest's closing line and fails when anything fails.
set -u
cd "$(dirname "$0")/.." || exit 1
. sidecar/ops/packages.sh

full=0
case ${1:-} in
'') ;;
--full) full=1 ;;
*) echo "Usage: bash tests/run.sh [--full]" >&2; exit 2 ;;
esac

packages_install build run test || exit 1
packages_prometheus build/tools/prometheus || exit 1

failed=""
tier() { # tier PRESET [ctest options]: configure, build, test
    local preset=$1
    shift
    echo "== $preset"
    cmake --preset "$preset" >"build/$preset.log" 2>&1 && cmake --build --preset "$preset" >>"build/$preset.log" 2>&1 ||
        { tail -40 "build/$preset.log"; echo "The $preset build failed (build/$preset.log)"; failed="$failed $preset"; return 1; }
    ctest --preset "$preset" "$@" </dev/null || failed="$failed $preset"
}

mkdir -p build
tier release -L release
tier tsan
[ "$full" -eq 1 ] && tier fuzz
tier dev
[ -z "$failed" ] && exit 0
echo "FAILED tiers:$failed"
exit 1
