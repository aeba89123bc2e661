#!/usr/bin/env bash
# RabbitMQ 3.10 as Debian has it, unpacked by tests/interop/setup.sh, on loopback, as any user:
#   rabbitmq.sh start DIR [AMQP_PORT [MANAGEMENT_PORT]]   0 or none: a free port; waits until it serves
#   rabbitmq.sh stop DIR                                  ends it and its epmd; DIR may then be removed
# DIR gets the data, the log, `pid` (beam.smp's) and `ports.json`: {"amqp": "127.0.0.1:…", "management": "127.0.0.1:…"}.
# WEFT_RABBITMQ_ROOT says where it is unpacked, if not in target/interop/root of this checkout.
set -euo pipefail

usage() {
    sed -n 's/^# \{0,1\}//; 2,5p' "$0" >&2
    exit 2
}
[ $# -ge 2 ] || usage
action=$1 dir=$(mkdir -p "$2" && cd "$2" && pwd)
root=${WEFT_RABBITMQ_ROOT:-$(cd "$(dirname "$0")/../../.." && pwd)/target/interop/root}
server=$root/usr/lib/rabbitmq/lib/rabbitmq_server-3.10.8

export ERL_ROOTDIR=$root/usr/lib/erlang
export PATH=$ERL_ROOTDIR/bin:$PATH
export HOME=$dir LANG=C.UTF-8
export ERL_EPMD_ADDRESS=127.0.0.1

free_ports() {
    python3 - "$@" <<'PYTHON'
import socket, sys
held = []
for wanted in sys.argv[1:]:
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", int(wanted)))
    held.append(s)
print(*(s.getsockname()[1] for s in held))
PYTHON
}

start() {
    [ -x "$server/sbin/rabbitmq-server" ] || { echo "no RabbitMQ in $root: run tests/interop/setup.sh" >&2; exit 1; }
    local amqp management distribution epmd
    read -r amqp management distribution epmd < <(free_ports "${1:-0}" "${2:-0}" 0 0)
    cat >"$dir/rabbitmq.conf" <<CONF
listeners.tcp.1 = 127.0.0.1:$amqp
management.tcp.ip = 127.0.0.1
management.tcp.port = $management
log.console = false
log.file = rabbitmq.log
disk_free_limit.absolute = 50MB
CONF
    echo '[rabbitmq_management].' >"$dir/enabled_plugins"
    echo "$epmd" >"$dir/epmd.port"
    export ERL_EPMD_PORT=$epmd
    export RABBITMQ_NODENAME=weft-$amqp@localhost RABBITMQ_DIST_PORT=$distribution
    export RABBITMQ_CONFIG_FILE=$dir/rabbitmq.conf RABBITMQ_ENABLED_PLUGINS_FILE=$dir/enabled_plugins
    export RABBITMQ_CONF_ENV_FILE=/dev/null RABBITMQ_PLUGINS_DIR=$server/plugins
    export RABBITMQ_MNESIA_BASE=$dir/mnesia RABBITMQ_LOG_BASE=$dir/log RABBITMQ_PID_FILE=$dir/rabbitmq.pid
    export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
    # Makes the script become the server instead of standing in front of it.
    export RUNNING_UNDER_SYSTEMD=true
    setsid "$server/sbin/rabbitmq-server" >"$dir/console.log" 2>&1 </dev/null 9>&- &
    echo $! >"$dir/pid"
    for _ in $(seq 600); do
        if python3 - "$management" >/dev/null 2>&1 <<'PYTHON'
import sys, urllib.request
request = urllib.request.Request(f"http://127.0.0.1:{sys.argv[1]}/api/health/checks/local-alarms")
request.add_header("Authorization", "Basic Z3Vlc3Q6Z3Vlc3Q=")
urllib.request.urlopen(request, timeout=5)
PYTHON
        then
            echo "{\"amqp\": \"127.0.0.1:$amqp\", \"management\": \"127.0.0.1:$management\"}" >"$dir/ports.json"
            cat "$dir/ports.json"
            return
        fi
        kill -0 "$(cat "$dir/pid")" 2>/dev/null || break
        sleep 0.2
    done
    tail -n 30 "$dir/console.log" "$dir"/log/*.log >&2 || true
    stop
    exit 1
}

stop() {
    local pid
    pid=$(cat "$dir/pid" 2>/dev/null) || return 0
    kill -TERM "$pid" 2>/dev/null || true
    for _ in $(seq 150); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.2
    done
    kill -KILL "$pid" 2>/dev/null || true
    # The name server that the runtime started for it, by its own port: nobody else's.
    ERL_EPMD_PORT=$(cat "$dir/epmd.port") "$ERL_ROOTDIR/bin/epmd" -kill >/dev/null 2>&1 || true
    rm -f "$dir/pid" "$dir/ports.json" "$dir/epmd.port"
}

case $action in
start) start "${3:-0}" "${4:-0}" ;;
stop) stop ;;
*) usage ;;
esac
