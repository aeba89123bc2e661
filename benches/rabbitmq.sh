#!/usr/bin/env bash
# RabbitMQ as Debian has it, from where benches/setup.sh unpacked it, in the foreground: rabbitmq.sh ROOT DIR PORT
# Loopback, defaults, no plugins, data in DIR. It and its name server end when this does: killed, for the data is nobody's.
set -euo pipefail

root=$1 dir=$2 port=$3
erlang=$root/usr/lib/erlang
server=$(echo "$root"/usr/lib/rabbitmq/lib/rabbitmq_server-*)
mkdir -p "$dir/bin"

# Debian's own names /usr/lib/erlang.
cat >"$dir/bin/erl" <<SCRIPT
#!/bin/sh
export EMU=beam PROGNAME=erl ROOTDIR=$erlang BINDIR=$(echo "$erlang"/erts-*/bin)
exec "\$BINDIR/erlexec" "\$@"
SCRIPT
chmod +x "$dir/bin/erl"
: >"$dir/enabled_plugins"
cat >"$dir/rabbitmq.conf" <<CONF
listeners.tcp.1 = 127.0.0.1:$port
log.console = false
log.file = rabbitmq.log
CONF

export PATH=$dir/bin:$PATH HOME=$dir LANG=C.UTF-8
# One name server for this node alone; both its port and the node's are derived, as nobody here uses them.
export ERL_EPMD_PORT=$((port > 40000 ? port - 10000 : port + 10000)) ERL_EPMD_ADDRESS=127.0.0.1
export RABBITMQ_DIST_PORT=$((port > 40000 ? port - 20000 : port + 20000))
export RABBITMQ_NODENAME=weft-bench-$port@localhost RABBITMQ_CONFIG_FILE=$dir/rabbitmq.conf
export RABBITMQ_CONF_ENV_FILE=/dev/null RABBITMQ_ENABLED_PLUGINS_FILE=$dir/enabled_plugins
export RABBITMQ_PLUGINS_DIR=$server/plugins RABBITMQ_MNESIA_BASE=$dir/mnesia RABBITMQ_LOG_BASE=$dir/log
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
# Makes its script become the server instead of standing in front of it.
export RUNNING_UNDER_SYSTEMD=true

"$(echo "$erlang"/erts-*/bin/epmd)" &
epmd=$!
"$server/sbin/rabbitmq-server" &
node=$!
trap 'kill -KILL $node $epmd; wait' TERM INT
wait $node || true
kill -KILL $epmd
