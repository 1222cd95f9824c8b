#!/bin/bash
# replay.sh AILIVE NAME [ARGUMENTS]: `ailive replay` of NAME.jsonl gives exactly the series of NAME.expected.
set -u -o pipefail
here=$(dirname "$0")
ailive=$1 name=$2
shift 2
unset PEAK_TRADE_AI_COMPONENT PEAK_TRADE_AI_RUN_ID
since=$(date +%s.%N)
actual=$(mktemp) || exit 1
trap 'rm -f "$actual"' EXIT
"$ailive" replay "$@" "$here/$name.jsonl" >"$actual" || exit 1
/usr/bin/python3 "$here/check.py" "$here/$name.expected" "$actual" --since "$since" --until "$(date +%s.%N)"
