#!/usr/bin/env bash
# Rounds of random kills that must stay exact: bash tests/torture.sh [--rounds N] [--seed S]
# Builds `release`, unless AILIVE_BIN names programs already built. One failed seed again: --rounds 1 --seed S.
set -eu
cd "$(dirname "$0")/.."
if [ -z "${AILIVE_BIN:-}" ]; then
    . sidecar/ops/packages.sh
    packages_install build run test
    cmake --preset release >/dev/null
    cmake --build --preset release >/dev/null
    export AILIVE_BIN=$PWD/build/release/bin
fi
exec /usr/bin/python3 tests/torture.py "$@"
