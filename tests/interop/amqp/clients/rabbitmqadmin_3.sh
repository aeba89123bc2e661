#!/usr/bin/env bash
# rabbitmqadmin of RabbitMQ 3.x (Debian's rabbitmq-server has it): a person at a terminal declares, binds, publishes,
# gets, lists, purges, sets users, rights and policies, exports and imports.
# Usage: rabbitmqadmin_3.sh PROGRAM --amqp HOST:PORT --management HOST:PORT; ends with 0 and a line `ok`.
set -euo pipefail

[ $# -ge 5 ] && [ "$4" = --management ] || { sed -n 4p "$0" >&2; exit 2; }
admin=(python3 "$1" -H "${5%:*}" -P "${5##*:}" -u guest -p guest)
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

fail() {
    echo "rabbitmqadmin: $*" >&2
    exit 1
}

# says EXPECTED ARGUMENT...: what it prints has the expected text in it.
says() {
    "${admin[@]}" "${@:2}" >"$work/said" 2>&1 || fail "${*:2}: $(cat "$work/said")"
    grep -qF -- "$1" "$work/said" || fail "${*:2}: not '$1' but $(cat "$work/said")"
}

# tsv COLUMNS WHAT...: a listing without a frame.
tsv() {
    "${admin[@]}" -f tsv list "$2" ${1//,/ } | tail -n +2
}

says "exchange declared" declare exchange name=adm.x type=topic durable=true
says "queue declared" declare queue name=adm.q durable=true 'arguments={"x-max-length": 100}'
says "queue declared" declare queue name=adm.quorum queue_type=quorum
says "binding declared" declare binding source=adm.x destination=adm.q destination_type=queue 'routing_key=a.#'
says "Message published" publish exchange=adm.x routing_key=a.b payload=one
says "Message published" publish exchange=adm.x routing_key=a.b payload=two 'properties={"delivery_mode": 2, "message_id": "m", "headers": {"h": 1}}'
says "NOT routed" publish exchange=adm.x routing_key=b payload=three
says one get queue=adm.q ackmode=ack_requeue_false
says two get queue=adm.q ackmode=ack_requeue_true
"${admin[@]}" -f raw_json get queue=adm.q ackmode=ack_requeue_true >"$work/message"
python3 - "$work/message" <<'PYTHON' || fail "the message: $(cat "$work/message")"
import json, sys
(message,) = json.load(open(sys.argv[1]))
assert message["payload"] == "two" and message["redelivered"] and message["exchange"] == "adm.x", message
assert message["properties"] == {"message_id": "m", "delivery_mode": 2, "headers": {"h": 1}}, message
PYTHON
tsv name,durable queues | grep -qP '^adm.q\tTrue' || fail "queues: $(tsv name,durable queues)"
tsv name,type exchanges | grep -qP '^adm.x\ttopic' || fail "exchanges"
tsv source,destination,routing_key bindings | grep -qP '^adm.x\tadm.q\ta.#' || fail "bindings"
says purged purge queue name=adm.q
says "No items" get queue=adm.q
says "user declared" declare user name=adm.user password=secret tags=monitoring
says "vhost declared" declare vhost name=adm.vhost
says "permission declared" declare permission vhost=adm.vhost user=adm.user 'configure=.*' 'write=.*' 'read=.*'
says "policy declared" declare policy name=adm.policy 'pattern=^adm' 'definition={"max-length": 5}' apply-to=queues
tsv name,pattern policies | grep -qP '^adm.policy\t\^adm' || fail "policies"
tsv name,tags users | grep -q '^adm.user' || fail "users"
tsv user,vhost permissions | grep -qP '^adm.user\tadm.vhost' || fail "permissions"
says rabbitmq_version -f raw_json show overview
says "Exported definitions" export "$work/definitions"
says "queue deleted" delete queue name=adm.q
says "exchange deleted" delete exchange name=adm.x
says "policy deleted" delete policy name=adm.policy
says "Uploaded definitions" import "$work/definitions"
tsv source,destination,routing_key bindings | grep -qP '^adm.x\tadm.q\ta.#' || fail "the import brought no binding"
for one in "queue name=adm.q" "queue name=adm.quorum" "exchange name=adm.x" "policy name=adm.policy" "vhost name=adm.vhost" "user name=adm.user"; do
    says deleted delete $one
done
"${admin[@]}" delete queue name=adm.q >"$work/said" 2>&1 && fail "a queue that is gone was deleted"
grep -q "Not found" "$work/said" || fail "no 404: $(cat "$work/said")"
echo ok
