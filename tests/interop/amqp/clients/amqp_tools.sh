#!/usr/bin/env bash
# amqp-tools (Debian): a shell script that declares, publishes, gets, consumes by a command for each message, deletes.
# Usage: amqp_tools.sh --amqp HOST:PORT; ends with 0 and a line `ok`. AMQP_TOOLS_ROOT says where they are unpacked, if
# not in target/interop/root of this checkout and not on the system.
set -euo pipefail

[ "${1:-}" = --amqp ] || { echo "Usage: $0 --amqp HOST:PORT" >&2; exit 2; }
server=(--server="${2%:*}" --port="${2##*:}")
root=${AMQP_TOOLS_ROOT:-$(cd "$(dirname "$0")/../../../.." && pwd)/target/interop/root}
export PATH=$root/usr/bin:$PATH LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu

fail() {
    echo "amqp-tools: $*" >&2
    exit 1
}

queue=amqp-tools-$$
[ "$(amqp-declare-queue "${server[@]}" -q $queue -d)" = $queue ] || fail "the queue's name"
amqp-publish "${server[@]}" -r $queue -p -C text/plain -b one
printf 'two\nlines' | amqp-publish "${server[@]}" -r $queue -p
printf 'first\nsecond\n' | amqp-publish "${server[@]}" -r $queue -l
[ "$(amqp-get "${server[@]}" -q $queue)" = one ] || fail "get"
[ "$(amqp-consume "${server[@]}" -q $queue -c 1 cat)" = "$(printf 'two\nlines')" ] || fail "consume"
# A message whose command fails stays.
amqp-consume "${server[@]}" -q $queue -c 1 false || true
[ "$(amqp-consume "${server[@]}" -q $queue -c 2 -p 1 cat)" = "$(printf 'first\nsecond')" ] || fail "what was left"
amqp-get "${server[@]}" -q $queue && fail "the queue is not empty"
# An exclusive queue of the consumer's own, bound to an exchange.
amqp-consume "${server[@]}" -e amq.topic -r "tools.#" -c 1 cat >"/tmp/$queue" 2>/dev/null &
consumer=$!
for _ in $(seq 50); do
    amqp-publish "${server[@]}" -e amq.topic -r tools.a -b "by topic"
    kill -0 $consumer 2>/dev/null || break
    sleep 0.2
done
wait $consumer
[ "$(cat "/tmp/$queue")" = "by topic" ] || fail "by topic: $(cat "/tmp/$queue")"
rm "/tmp/$queue"
[ "$(amqp-delete-queue "${server[@]}" -q $queue)" = 0 ] || fail "delete"
amqp-get "${server[@]}" -q $queue 2>/dev/null && fail "a queue that is gone"
amqp-publish --url="amqp://guest:wrong@$2" -r $queue -b x 2>/dev/null && fail "a wrong password"
echo ok
