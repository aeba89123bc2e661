#!/usr/bin/env bash
# Says everything that Weft's broker is told to RabbitMQ 3.10 itself: the matrix against its own recording, the tutorials
# and each client. What fails here is wrong in the test, not in the broker.
# Usage: reference.sh [--record]   with it the matrix is recorded anew (tests/interop/amqp/rabbitmq-3.10.jsonl)
set -uo pipefail
cd "$(dirname "$0")"

interop=$(cd ../../.. && pwd)/target/interop
python=$interop/venv/bin/python
work=$(mktemp -d)
stop() {
    ./rabbitmq.sh stop "$work"
    rm -r "$work"
}
trap stop EXIT
./rabbitmq.sh start "$work" >/dev/null || exit 1
read -r amqp management < <(python3 -c '
import json, sys
ports = json.load(open(sys.argv[1]))
print(ports["amqp"], ports["management"])' "$work/ports.json")
where=(--amqp "$amqp" --management "$management")
failed=0

says() {
    local started=$SECONDS
    if timeout 280 "${@:2}" "${where[@]}" >"$work/said" 2>&1; then
        echo "$1: passed ($((SECONDS - started)) s)"
    else
        echo "$1: FAILED"
        tail -n 40 "$work/said"
        failed=1
    fi
}

if [ "${1:-}" = --record ]; then
    says "matrix, recorded" python3 matrix.py --record rabbitmq-3.10.jsonl
fi
says matrix python3 matrix.py --compare rabbitmq-3.10.jsonl
says tutorials "$python" tutorials/run.py
for client in pika_async aio_pika_robust py_amqp kombu_producers celery_worker; do
    says $client "$python" clients/$client.py
done
says amqplib node clients/amqplib.js
says amqp-tools clients/amqp_tools.sh
says "rabbitmqadmin 3" clients/rabbitmqadmin_3.sh "$interop/root/usr/bin/rabbitmqadmin"
# It reads the lists of queues and nodes as RabbitMQ 4 gives them.
export RABBITMQADMIN_SKIP='queues list|nodes list'
[ ! -x "$interop/cargo/bin/rabbitmqadmin" ] || says rabbitmqadmin clients/rabbitmqadmin.sh "$interop/cargo/bin/rabbitmqadmin"
exit $failed
