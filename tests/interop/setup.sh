#!/usr/bin/env bash
# Brings the software of others that interop tests run, into target/interop of this checkout and nowhere else:
#   target/interop/venv   Python with requirements.txt
#   target/interop/root   Debian packages, unpacked without installing (no daemon is started, no root needed)
#   target/interop/node   npm packages, where the machine has Node.js
#   target/interop/cargo  programs from the Rust registry
# Idempotent, and quick when all is there. Where something cannot be had it says what, and ends with 1; the tests
# that need it then report themselves as skipped.
set -uo pipefail
cd "$(dirname "$0")/../.."

dir=$PWD/target/interop
venv=$dir/venv
root=$dir/root
requirements=tests/interop/requirements.txt
mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9
failed=0

miss() {
    echo "interop: $*" >&2
    failed=1
}

# `apt-get`, once with fresh lists if the package is not found with those that are there.
apt_get() {
    apt-get -qq "$@" >"$dir/apt.log" 2>&1 && return
    [ "$(id -u)" = 0 ] && apt-get -qq update >>"$dir/apt.log" 2>&1 && apt-get -qq "$@" >>"$dir/apt.log" 2>&1
}

python_packages() {
    cmp -s "$requirements" "$venv/requirements.txt" && return
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        [ "$(id -u)" = 0 ] && DEBIAN_FRONTEND=noninteractive apt_get install -y --no-install-recommends python3-venv
    fi
    rm -rf "$venv"
    python3 -m venv "$venv" >"$dir/pip.log" 2>&1 &&
        "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements" >>"$dir/pip.log" 2>&1 &&
        cp "$requirements" "$venv/requirements.txt" && return
    miss "no Python environment: $(tail -n 1 "$dir/pip.log")"
}

# debian PACKAGE PROGRAM: the program of a Debian package, unless the system has it.
debian() {
    command -v "$2" >/dev/null && return
    [ -x "$root/usr/bin/$2" ] || [ -x "$root/usr/sbin/$2" ] && return
    unpack "$2" "$1"
}

# unpack NAME PACKAGE...: these packages into the root, whatever the system has.
unpack() {
    local at
    at=$(mktemp -d "$dir/apt-XXXXXX")
    if (cd "$at" && apt_get download "${@:2}" && for one in ./*.deb; do dpkg-deb -x "$one" "$root" || exit 1; done); then
        rm -r "$at"
    else
        rm -r "$at"
        miss "no $1: Debian's ${*:2} do not download: $(tail -n 1 "$dir/apt.log")"
        return 1
    fi
}

# RabbitMQ with the Erlang that it needs: started by tests/interop/amqp/rabbitmq.sh, never by the system.
rabbitmq() {
    local runtime=$root/usr/lib/erlang done=$root/usr/lib/rabbitmq/unpacked
    [ -e "$done" ] && return
    unpack RabbitMQ rabbitmq-server erlang-base erlang-{asn1,crypto,eldap,inets,mnesia,os-mon,parsetools} \
        erlang-{public-key,runtime-tools,ssl,syntax-tools,tools,xmerl} || return
    # Debian's scripts say where they are installed; these are somewhere else.
    sed -i 's|^\( *\)ROOTDIR=/usr/lib/erlang$|\1ROOTDIR=${ERL_ROOTDIR:-/usr/lib/erlang}|' \
        "$runtime"/bin/erl "$runtime"/erts-*/bin/erl && touch "$done"
}

amqp_tools() {
    [ -x "$root/usr/bin/amqp-publish" ] || unpack amqp-tools amqp-tools librabbitmq4 libpopt0
}

# node PACKAGE VERSION
node_package() {
    local have=$dir/node/node_modules/$1/package.json
    grep -qs "\"version\": \"$2\"" "$have" && return
    command -v npm >/dev/null || { miss "no $1: there is no npm"; return; }
    mkdir -p "$dir/node"
    npm install --prefix "$dir/node" --no-audit --no-fund --no-save "$1@$2" >"$dir/npm.log" 2>&1 ||
        miss "no $1: $(tail -n 1 "$dir/npm.log")"
}

# cargo_program CRATE VERSION ARGUMENT...: a program from the Rust registry. Some minutes the first time, so it comes last.
cargo_program() {
    "$dir/cargo/bin/$1" --version 2>/dev/null | grep -qF "$2" && return
    CARGO_TARGET_DIR=$dir/cargo/build cargo install --quiet --locked --debug --root "$dir/cargo" "$1@$2" "${@:3}" \
        >"$dir/cargo.log" 2>&1 && rm -rf "$dir/cargo/build" || miss "no $1: $(tail -n 1 "$dir/cargo.log")"
}

python_packages
debian prometheus prometheus
debian victoria-metrics victoria-metrics
debian kubernetes-client kubectl
debian valgrind valgrind
debian nginx-light nginx
debian haproxy haproxy
# What an unpacked HAProxy needs and a bare Debian lacks.
[ -x "$root/usr/sbin/haproxy" ] && ! ls "$root"/usr/lib/*/liblua5.3.so.0 >/dev/null 2>&1 &&
    unpack "libraries of HAProxy" liblua5.3-0 libopentracing-c-wrapper0 libopentracing1
rabbitmq
amqp_tools
node_package amqplib 2.3.1
cargo_program rabbitmqadmin 2.35.0 --no-default-features
exit $failed
