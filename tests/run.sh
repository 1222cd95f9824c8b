#!/usr/bin/env bash
# The one test command: installs what is missing, builds with `dev`, runs every test.
#   bash tests/run.sh [--full]
# Tiers: `dev` (ASan, UBSan, all tests), `tsan` (what is labelled tsan), `release` (what needs an unsanitized build:
# hot path, exported symbols, fork tests, torture). --full adds the fuzz preset and what is labelled full (the packages
# in a fresh Debian root).
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
labels=release
if [ "$full" -eq 1 ]; then
    packages_install full || exit 1
    labels='release|full'
    export AILIVE_FULL=1
fi
tier release -L "$labels"
tier tsan -j 2
[ "$full" -eq 1 ] && tier fuzz
tier dev -j 2
[ -z "$failed" ] && exit 0
echo "FAILED tiers:$failed"
exit 1
