#!/usr/bin/env bash
# clang-tidy over our own sources with the checks of .clang-tidy. Usage: tidy.sh BUILD_DIR (compile_commands.json)
set -eu
cd "$(dirname "$0")/../.."
find sdk sidecar bindings/python/src -name '*.c' -o -name '*.cc' | sort |
    xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p "$1"
