#!/usr/bin/env bash
# rabbitmqadmin from the Rust registry (version 2): a person at a terminal declares, binds, publishes, gets, lists, purges, checks
# the node's health, sets users, rights and policies, exports and imports.
# Usage: rabbitmqadmin.sh PROGRAM --amqp HOST:PORT --management HOST:PORT; ends with 0 and a line `ok`.
set -euo pipefail

[ $# -ge 5 ] && [ "$4" = --management ] || { sed -n 4p "$0" >&2; exit 2; }
admin=("$1" --host "${5%:*}" --port "${5##*:}" --username guest --password guest --non-interactive)
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

fail() {
    echo "rabbitmqadmin: $*" >&2
    exit 1
}

# says EXPECTED ARGUMENT...: what it prints has the expected text in it ('' is anywhere). RABBITMQADMIN_SKIP is an
# expression of commands that are left out: on a management API older than this rabbitmqadmin.
says() {
    [[ -z ${RABBITMQADMIN_SKIP:-} || ! "${*:2}" =~ ^($RABBITMQADMIN_SKIP) ]] || return 0
    "${admin[@]}" "${@:2}" >"$work/said" 2>&1 || fail "${*:2}: $(cat "$work/said")"
    [ -z "$1" ] || grep -qE -- "$1" "$work/said" || fail "${*:2}: not '$1' but $(cat "$work/said")"
}

fails() {
    "${admin[@]}" "$@" >"$work/said" 2>&1 && fail "$*: it succeeds: $(cat "$work/said")"
    return 0
}

says "" exchanges declare --name adm2.x --type topic --durable true
says "" queues declare --name adm2.q --type classic --durable true --arguments '{"x-max-length": 100}'
says "" queues declare --name adm2.quorum --type quorum --durable true
says "" queues declare --name adm2.stream --type stream --durable true
says "" exchanges bind --source adm2.x --destination-type queue --destination adm2.q --routing-key 'a.#'
for payload in one two; do
    says "" publish message --exchange adm2.x --routing-key a.b --payload $payload
done
says one get messages --queue adm2.q --count 1 --ack-mode ack_requeue_false
says two get messages --queue adm2.q --count 1 --ack-mode ack_requeue_true
says 'adm2.q.*classic|classic.*adm2.q' queues list --columns name,queue_type
says adm2.stream queues list
says adm2.x exchanges list
says 'adm2.q' bindings list
says "" connections list
says "" channels list
says "" list consumers
says "" nodes list
says "" show overview
says "" health_check local_alarms
says "" health_check cluster_wide_alarms
says "" health_check port_listener --port "${3##*:}"
says "" health_check protocol_listener --protocol amqp
fails health_check port_listener --port 1
says "" queues purge --name adm2.q
says "" users declare --name adm2.user --password secret --tags monitoring
says "" vhosts declare --name adm2.vhost
says "" --vhost adm2.vhost permissions declare --user adm2.user --configure '.*' --write '.*' --read '.*'
says adm2.user permissions list
says adm2.user users list
says "" policies declare --name adm2.policy --pattern '^adm2' --apply-to queues --priority 3 --definition '{"max-length": 5}'
says adm2.policy policies list
says "" definitions export --file "$work/definitions"
says "" policies delete --name adm2.policy
says "" exchanges delete --name adm2.x
says "" definitions import --file "$work/definitions"
says adm2.policy policies list
says 'adm2.x' bindings list
for queue in adm2.q adm2.quorum adm2.stream; do
    says "" queues delete --name $queue
done
says "" exchanges delete --name adm2.x
says "" policies delete --name adm2.policy
says "" vhosts delete --name adm2.vhost
says "" users delete --name adm2.user
fails queues delete --name adm2.q
says "" queues delete --name adm2.q --idempotently
echo ok
