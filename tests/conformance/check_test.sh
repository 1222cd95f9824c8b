#!/bin/bash
# check_test.sh: check.py finds what is missing, too much, different or doubled, and nothing else.
set -u
here=$(dirname "$0")
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
failed=0

cat >"$folder/expected" <<'END'
peaktrade_ai_events_dropped_total{reason="other",source="unknown"} 10.0
peaktrade_ai_last_decision_timestamp_seconds{component="c",run_id="r"} <now>
peaktrade_ai_last_event_timestamp_seconds{source="sample_v1"} 1767571200.5
END
cat >"$folder/same" <<'END'
# TYPE peaktrade_ai_events_dropped_total counter
peaktrade_ai_live_heartbeat{component="c",run_id="r"} 1.0
peaktrade_ai_events_dropped_total{source="unknown",reason="other"} 10
peaktrade_ai_last_event_timestamp_seconds{source="sample_v1"} 1767571200.5
ailive_events_total{road="replay"} 3.0
peaktrade_ai_last_decision_timestamp_seconds{component="c",run_id="r"} 1767571300.25
END

# outcome STATUS WHAT FILE [ARGUMENTS]
outcome() {
    local wanted=$1 what=$2 file=$3
    shift 3
    /usr/bin/python3 "$here/check.py" "$folder/expected" "$file" "$@" >"$folder/out" 2>&1
    local got=$?
    [ "$got" -eq "$wanted" ] && return
    echo "FAILED: $what: status $got, wanted $wanted"
    cat "$folder/out"
    failed=1
}

# edited WHAT SED: the file after an edit must be found to differ.
edited() {
    sed "$2" "$folder/same" >"$folder/edited"
    outcome 1 "$1" "$folder/edited"
}

outcome 0 "equal series" "$folder/same"
outcome 0 "<now> within the run" "$folder/same" --since 1767571300 --until 1767571301
outcome 1 "<now> before the run" "$folder/same" --since 1767571301 --until 1767571302
outcome 1 "<now> after the run" "$folder/same" --since 1767571200 --until 1767571300
outcome 1 "another source" "$folder/same" --source-map sample_v1=sdk_v1
edited "a missing series" '/dropped_total{/d'
edited "a series too much" 's/^peaktrade_ai_events_dropped_total{.*/&\npeaktrade_ai_events_dropped_total{source="unknown",reason="bad_json"} 0/'
edited "another label value" 's/reason="other"/reason="othe"/'
edited "another count" 's/} 10$/} 11/'
edited "a value off by 2e-9" 's/} 10$/} 10.00000002/'
edited "a time off by 2 µs" 's/1767571200.5/1767571200.500002/'
edited "a series twice" 's/^peaktrade_ai_events_dropped_total{.*/&\n&/'
edited "no heartbeat" '/heartbeat/d'
edited "a heartbeat of 0" 's/\(heartbeat.*\) 1.0/\1 0.0/'
edited "two heartbeats" 's/^peaktrade_ai_live_heartbeat.*/&\npeaktrade_ai_live_heartbeat{component="d",run_id="r"} 1.0/'
edited "a line that is no series" 's/^# TYPE.*/nonsense/'
sed 's/sample_v1/sdk_v1/' "$folder/same" >"$folder/mapped"
outcome 0 "a mapped source" "$folder/mapped" --source-map sample_v1=sdk_v1
exit $failed
