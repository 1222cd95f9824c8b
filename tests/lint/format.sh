#!/usr/bin/env bash
# clang-format's output is the layout: names every file that differs.
set -eu
cd "$(dirname "$0")/../.."
find sdk sidecar bindings bench tests -name '*.[ch]' -o -name '*.cc' -o -name '*.hpp' | sort |
    xargs clang-format --dry-run -Werror
echo "every file has clang-format's layout"
