# packages.sh - which Debian packages each command needs, and how they get there. Sourced by demo.sh, tests/run.sh
# and bench/run.sh.
#
#   packages_install build test ...   installs what is missing; asks for root only when something is
#                                     sets: build run test bench full
#   packages_prometheus DIR           puts Debian's prometheus and promtool on PATH without its service: an installed
#                                     one is used; else the package is unpacked below DIR, where nothing starts it

PACKAGES_BUILD="gcc g++ cmake ninja-build pkg-config libc6-dev libnng-dev libmsgpack-dev libmicrohttpd-dev libsimdjson-dev liblmdb-dev zlib1g-dev libzstd-dev libdeflate-dev libyaml-dev libgnutls28-dev libcrypt-dev libcurl4-gnutls-dev nettle-dev libjs-chart.js libncurses-dev"
PACKAGES_RUN="curl python3"
PACKAGES_TEST="openssl zstd libcmocka-dev nng-utils python3 python3-msgpack python3-dev python3-pytest python3-venv python3-setuptools python3-wheel mypy curl strace procps binutils git clang clang-format clang-tidy libclang-rt-14-dev valgrind"
command -v cargo >/dev/null || PACKAGES_TEST="$PACKAGES_TEST cargo" # Debian's, where no other is there
PACKAGES_TEST="$PACKAGES_TEST chromium python3-websocket tmux" # the live page, and top
PACKAGES_TEST="$PACKAGES_TEST scdoc groff-base lintian dpkg-dev zsh systemd" # pages, packages and units; nothing starts it
PACKAGES_BENCH="libspdlog-dev lttng-tools liblttng-ust-dev python3-prometheus-client mtail jq"

PACKAGES_FULL="debootstrap" # tests/run.sh --full

packages_say() { printf '%s\n' "$*" >&2; }

packages_missing() {
    local package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$package"
    done
}

packages_as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        packages_say "root is needed for: $*"
        return 1
    fi
}

packages_install() {
    local set wanted="" missing
    for set in "$@"; do
        case $set in
        build) wanted="$wanted $PACKAGES_BUILD" ;;
        run) wanted="$wanted $PACKAGES_RUN" ;;
        test) wanted="$wanted $PACKAGES_TEST" ;;
        bench) wanted="$wanted $PACKAGES_BENCH" ;;
        full) wanted="$wanted $PACKAGES_FULL" ;;
        *) packages_say "packages_install: no set named $set" && return 2 ;;
        esac
    done
    # shellcheck disable=SC2086
    missing=$(packages_missing $wanted)
    [ -z "$missing" ] && return 0
    packages_say "Installing Debian packages: $missing"
    # shellcheck disable=SC2086
    packages_as_root env DEBIAN_FRONTEND=noninteractive sh -c \
        'apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null' sh $missing && return 0
    packages_say "Could not install them. By hand: apt-get install $missing"
    return 1
}

packages_prometheus() {
    local dir=$1
    command -v prometheus >/dev/null && command -v promtool >/dev/null && return 0
    if [ ! -x "$dir/usr/bin/prometheus" ]; then
        packages_say "Unpacking Debian's prometheus into $dir (its service is neither installed nor started)"
        mkdir -p "$dir" && dir=$(cd "$dir" && pwd) || return 1
        [ -n "$(apt-cache show prometheus 2>/dev/null)" ] || packages_as_root apt-get update -qq || return 1
        (cd "$dir" && apt-get download -qq prometheus >/dev/null && dpkg-deb -x prometheus_*.deb . && rm -f prometheus_*.deb) ||
            { packages_say "Could not get it. By hand: apt-get install prometheus"; return 1; }
    fi
    PATH="$(cd "$dir" && pwd)/usr/bin:$PATH"
    export PATH
    prometheus --version >/dev/null 2>&1 || { packages_say "$dir/usr/bin/prometheus does not run. By hand: apt-get install prometheus"; return 1; }
}
