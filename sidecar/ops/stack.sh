# stack.sh - what up.sh, down.sh and status.sh share: where the local stack lies, its ports, and who belongs to it.
# Sourced at the top of the tree.
#
# A process is known by its pid and the kernel's start time of it: a pid that has been given to another process in the
# meantime is not ours. One line a process in $stack/processes: NAME PID START PORT.

# The contract's ports. Tests move them by these variables; nothing moves them by itself.
exporter_port=${PEAK_TRADE_AI_EXPORTER_PORT:-9110}
prom_port=${AILIVE_PROM_PORT:-9092}
web_port=${AILIVE_WEB_PORT:-8000}
shadow_port=${AILIVE_SHADOW_PORT:-9109}
stack=${AILIVE_STACK_DIR:-.local_tmp/ailive_stack}
exporter_url=http://127.0.0.1:$exporter_port
prom_url=http://127.0.0.1:$prom_port

say() { printf '%s\n' "$*" >&2; }

# The start time in clock ticks since boot; nothing when there is no such process.
start_of() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

is_ours() { # PID START
    [ -n "$2" ] && [ "$(start_of "$1")" = "$2" ] && ! grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null
}

answers() { curl -sf --max-time 10 -o /dev/null "$1"; }

wait_for() { # WHAT TENTHS COMMAND...: bounded
    local what=$1 left=$2
    shift 2
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || { say "not in time: $what"; return 1; }
        sleep 0.1
    done
}
