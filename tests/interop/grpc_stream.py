"""Both ends of streaming gRPC calls, by grpcio: what the mesh must carry unchanged.

    grpc_stream.py serve                      on $PORT, as an application beside a sidecar
    grpc_stream.py call CASE TARGET SERVICE   one case, through the sidecar at TARGET

Messages are plain bytes: no generated code. A failed case ends with a traceback and exit code 1.
"""

import os
import signal
import sys
import threading
import time
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

SERVICE = "weft.test.Stream"
HEALTH = "grpc.health.v1.Health"
MESSAGES = 1000
CHUNK = bytes(64 * 1024)
# Windows stay as they are announced: otherwise grpcio grows them to 16 MiB, and what holds back is itself.
FIXED_WINDOWS = (("grpc.http2.bdp_probe", 0),)
# For a call, with room for a busy machine.
TIMEOUT_S = 30


# The server.

class Seen:
    """What the server has noticed of its callers."""

    def __init__(self):
        self.cancelled = threading.Event()
        self.produced = 0


def both(requests, context):
    """Answers each message with itself; the trailers say how many there were."""
    count = 0
    metadata = dict(context.invocation_metadata())
    context.send_initial_metadata((("x-seen", metadata.get("x-sent", "")),))
    for request in requests:
        count += 1
        yield b"echo:" + request
    context.set_trailing_metadata((("x-count", str(count)), ("x-raw-bin", b"\x00\xff\x01")))


def fail(request, context):
    """A few messages, then a status with a message and trailers."""
    for n in range(3):
        yield str(n).encode()
    context.set_trailing_metadata((("x-why", "asked for"),))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "100 % naïve: " + request.decode())


def refuse(_request, context):
    """A status without any message: trailers only."""
    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "none left")


def handlers(seen):
    def hang(_request, context):
        seen.cancelled.clear()
        context.add_callback(seen.cancelled.set)
        yield b"begun"
        seen.cancelled.wait(TIMEOUT_S)

    def was_cancelled(_request, _context):
        return b"yes" if seen.cancelled.wait(TIMEOUT_S) else b"no"

    def flood(_request, _context):
        for _ in range(MESSAGES):
            seen.produced += 1
            yield CHUNK

    def produced(_request, _context):
        return str(seen.produced).encode()

    def total(requests, _context):
        return str(sum(len(request) for request in requests)).encode()

    return {
        "Both": grpc.stream_stream_rpc_method_handler(both),
        "Fail": grpc.unary_stream_rpc_method_handler(fail),
        "Refuse": grpc.unary_unary_rpc_method_handler(refuse),
        "Hang": grpc.unary_stream_rpc_method_handler(hang),
        "WasCancelled": grpc.unary_unary_rpc_method_handler(was_cancelled),
        "Flood": grpc.unary_stream_rpc_method_handler(flood),
        "Produced": grpc.unary_unary_rpc_method_handler(produced),
        "Total": grpc.stream_unary_rpc_method_handler(total),
    }


def serve():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=FIXED_WINDOWS)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers(Seen())),))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    reflection.enable_server_reflection([HEALTH, reflection.SERVICE_NAME], server)
    server.add_insecure_port("127.0.0.1:" + os.environ["PORT"])
    server.start()
    signal.signal(signal.SIGTERM, lambda *_: server.stop(grace=1))
    server.wait_for_termination()


# The client's cases.

def messages_go_both_ways(channel):
    call = channel.stream_stream(f"/{SERVICE}/Both")
    sent = [b"%d" % n for n in range(MESSAGES)]
    answers = call(iter(sent), timeout=TIMEOUT_S, metadata=(("x-sent", "first"),))
    assert dict(answers.initial_metadata())["x-seen"] == "first", answers.initial_metadata()
    assert list(answers) == [b"echo:" + message for message in sent]
    trailers = dict(answers.trailing_metadata())
    assert trailers["x-count"] == str(MESSAGES), trailers
    assert trailers["x-raw-bin"] == b"\x00\xff\x01", trailers
    assert answers.code() == grpc.StatusCode.OK


def each_message_is_answered_before_the_next(channel):
    """Neither side may wait for more: a proxy that gathers would hang here."""
    answered = threading.Semaphore(1)

    def one_by_one():
        for n in range(100):
            assert answered.acquire(timeout=TIMEOUT_S)
            yield b"%d" % n

    count = 0
    for answer in channel.stream_stream(f"/{SERVICE}/Both")(one_by_one(), timeout=TIMEOUT_S):
        assert answer == b"echo:%d" % count, answer
        count += 1
        answered.release()
    assert count == 100, count


def a_status_and_trailers_arrive(channel):
    answers = channel.unary_stream(f"/{SERVICE}/Fail")("no".encode(), timeout=TIMEOUT_S)
    got = []
    try:
        for answer in answers:
            got.append(answer)
        raise AssertionError("the call did not fail")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
        assert error.details() == "100 % naïve: no", error.details()
        assert dict(error.trailing_metadata())["x-why"] == "asked for", error.trailing_metadata()
    assert got == [b"0", b"1", b"2"], got


def a_status_without_a_message_arrives(channel):
    try:
        channel.unary_unary(f"/{SERVICE}/Refuse")(b"", timeout=TIMEOUT_S)
        raise AssertionError("the call did not fail")
    except grpc.RpcError as error:
        assert (error.code(), error.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "none left"), error


def an_unknown_method_is_refused_by_the_application(channel):
    try:
        channel.unary_unary(f"/{SERVICE}/Absent")(b"", timeout=TIMEOUT_S)
        raise AssertionError("the call did not fail")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
        assert "weft-error" not in dict(error.trailing_metadata() or ()), error


def a_cancellation_reaches_the_application(channel):
    answers = channel.unary_stream(f"/{SERVICE}/Hang")(b"", timeout=TIMEOUT_S)
    assert next(answers) == b"begun"
    answers.cancel()
    assert channel.unary_unary(f"/{SERVICE}/WasCancelled")(b"", timeout=TIMEOUT_S) == b"yes"


def a_deadline_ends_the_call(channel):
    begun = time.monotonic()
    try:
        list(channel.unary_stream(f"/{SERVICE}/Hang")(b"", timeout=0.5))
        raise AssertionError("the call did not fail")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
    assert time.monotonic() - begun < 5
    assert channel.unary_unary(f"/{SERVICE}/WasCancelled")(b"", timeout=TIMEOUT_S) == b"yes"


def a_slow_reader_holds_the_sender_back(channel):
    """The sender has 64 MiB to give; what stands between holds a few. Then all of it arrives."""
    answers = channel.unary_stream(f"/{SERVICE}/Flood")(b"", timeout=TIMEOUT_S)
    assert next(answers) == CHUNK
    ask = channel.unary_unary(f"/{SERVICE}/Produced")
    produced, still = -1, 0
    deadline = time.monotonic() + TIMEOUT_S
    while still < 5 and time.monotonic() < deadline:
        now = int(ask(b"", timeout=TIMEOUT_S))
        still = still + 1 if now == produced else 0
        produced = now
        time.sleep(0.1)
    print(f"produced while nobody read: {produced} of {MESSAGES}")
    assert produced < MESSAGES // 4, f"{produced} messages were taken though nobody read"
    assert 1 + sum(1 for _ in answers) == MESSAGES


def a_large_upload_arrives_whole(channel):
    upload = (CHUNK for _ in range(MESSAGES))
    total = channel.stream_unary(f"/{SERVICE}/Total")(upload, timeout=TIMEOUT_S)
    assert int(total) == MESSAGES * len(CHUNK), total


def health_is_told_once_and_watched(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    asked = health_pb2.HealthCheckRequest(service="")
    assert stub.Check(asked, timeout=TIMEOUT_S).status == health_pb2.HealthCheckResponse.SERVING
    watched = stub.Watch(asked, timeout=TIMEOUT_S)
    assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
    watched.cancel()
    try:
        stub.Check(health_pb2.HealthCheckRequest(service="absent"), timeout=TIMEOUT_S)
        raise AssertionError("the call did not fail")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error


def reflection_shows_what_is_served(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    ask = reflection_pb2.ServerReflectionRequest
    asked = [ask(list_services=""), ask(file_containing_symbol=HEALTH)]
    listed, file = stub.ServerReflectionInfo(iter(asked), timeout=TIMEOUT_S)
    names = {service.name for service in listed.list_services_response.service}
    assert names == {HEALTH, reflection.SERVICE_NAME}, names
    assert file.file_descriptor_response.file_descriptor_proto, file


CASES = [
    messages_go_both_ways,
    each_message_is_answered_before_the_next,
    a_status_and_trailers_arrive,
    a_status_without_a_message_arrives,
    an_unknown_method_is_refused_by_the_application,
    a_cancellation_reaches_the_application,
    a_deadline_ends_the_call,
    a_slow_reader_holds_the_sender_back,
    a_large_upload_arrives_whole,
    health_is_told_once_and_watched,
    reflection_shows_what_is_served,
]


def call(case, target, service):
    options = (("grpc.default_authority", service), ("grpc.enable_http_proxy", 0), ("grpc.enable_retries", 0))
    with grpc.insecure_channel("ipv4:" + target, options=options + FIXED_WINDOWS) as channel:
        {case.__name__: case for case in CASES}[case](channel)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        call(*sys.argv[2:])
