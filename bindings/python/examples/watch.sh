#!/usr/bin/env bash
# watch.sh [IPC_URL]: runs watch.py with $PY_CMD; default: `uv run python` where uv is, else python3.
set -eu
cd "$(dirname "$0")"
if [ -z "${PY_CMD:-}" ]; then
    PY_CMD=python3
    command -v uv >/dev/null && PY_CMD="uv run python"
fi
# shellcheck disable=SC2086  # a command with its arguments
exec $PY_CMD watch.py "$@"
