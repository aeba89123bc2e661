//! What stands around a message: pipelining, `Connection` and the fields that it names, upgrades, expectations.

use super::{GET, POST, SMUGGLED};
use crate::hostile::{
    Answer, Case, Expect, FORWARDED, Part,
    Part::Raw,
    REFUSED,
    Sees::{Body, Field, No, Target},
    forwarded,
};

const HOP: &str = "9110 7.6.1";
const UPGRADE: &str = "9110 7.8";
const TWO: Expect = Expect::Forwarded { messages: 2, sees: &[Target("/g")], closes: false };
const ONE_AND_CLOSED: Expect = Expect::Forwarded { messages: 1, sees: &[Target("/g")], closes: true };
const LAST: Expect = Expect::Forwarded { messages: 1, sees: &[], closes: true };
/// An upstream that agrees to a change that nobody asked for.
const SWITCH: Answer = Answer::Keep(&[Raw(
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nraw",
)]);

const fn good(name: &'static str, rfc: &'static str, input: &'static [Part], expect: Expect) -> Case {
    Case::new(name, rfc, input, expect)
}

pub(super) const CASES: &[Case] = &[
    good("pipelined-two", "9112 9.3.2", &[GET, Raw(b"\r\n"), SMUGGLED], TWO),
    good("pipelined-after-error", "9112 9.3.2", &[GET, Raw(b"Content-Length: x\r\n\r\n"), SMUGGLED], REFUSED),
    good(
        "pipelined-error-after-good",
        "9112 9.3.2",
        &[GET, Raw(b"\r\nGET / HTTP/9\r\n\r\n"), SMUGGLED],
        ONE_AND_CLOSED,
    ),
    good(
        "pipelined-after-close",
        "9112 9.6",
        &[GET, Raw(b"Connection: close\r\n\r\n"), SMUGGLED],
        ONE_AND_CLOSED,
    ),
    good(
        "pipelined-after-close-in-list",
        "9112 9.6",
        &[GET, Raw(b"Connection: x, Close\r\nX: y\r\n\r\n"), SMUGGLED],
        ONE_AND_CLOSED,
    ),
    good(
        "pipelined-after-http-1-0",
        "9112 9.3",
        &[Raw(b"GET /g HTTP/1.0\r\nHost: orders\r\n\r\n"), SMUGGLED],
        ONE_AND_CLOSED,
    ),
    good(
        "connection-names-length",
        HOP,
        &[POST, Raw(b"Connection: content-length\r\nContent-Length: 5\r\n\r\nhello")],
        forwarded(&[Body(b"hello")]),
    ),
    good(
        "connection-names-length-and-close",
        HOP,
        &[POST, Raw(b"Connection: close, Content-Length\r\nContent-Length: 5\r\n\r\nhello"), SMUGGLED],
        Expect::Forwarded { messages: 1, sees: &[Body(b"hello")], closes: true },
    ),
    good(
        "connection-names-coding",
        HOP,
        &[
            POST,
            Raw(
                b"Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            ),
        ],
        forwarded(&[Body(b"hello")]),
    ),
    good(
        "connection-names-host",
        HOP,
        &[GET, Raw(b"Connection: host\r\n\r\n")],
        forwarded(&[Field("host", "orders")]),
    ),
    good(
        "connection-names-a-field",
        HOP,
        &[GET, Raw(b"Connection: X-Hop\r\nX-Hop: 1\r\nX-End: 2\r\n\r\n")],
        forwarded(&[No("x-hop"), Field("x-end", "2")]),
    ),
    good(
        "connection-in-two-lines",
        HOP,
        &[GET, Raw(b"Connection: x-a\r\nConnection: x-b\r\nX-A: 1\r\nX-B: 2\r\n\r\n")],
        forwarded(&[No("x-a"), No("x-b")]),
    ),
    good("connection-names-garbage", HOP, &[GET, Raw(b"Connection: , ,(,x y,\xff\r\n\r\n")], FORWARDED),
    good(
        "hop-fields-without-connection",
        HOP,
        &[
            GET,
            Raw(b"Keep-Alive: timeout=9\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nUpgrade: x\r\n\r\n"),
        ],
        forwarded(&[No("keep-alive"), No("proxy-connection"), No("te"), No("upgrade")]),
    ),
    good(
        "te-keeps-only-trailers",
        "9110 10.1.4",
        &[GET, Raw(b"Connection: TE\r\nTE: gzip;q=0.5, trailers\r\n\r\n")],
        forwarded(&[]),
    ),
    good(
        "upgrade-h2c",
        "9113 3.1",
        &[
            GET,
            Raw(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"),
        ],
        forwarded(&[No("upgrade"), No("http2-settings")]),
    ),
    good(
        "upgrade-h2c-settings-not-named",
        "9113 3.1",
        &[GET, Raw(b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n")],
        forwarded(&[No("upgrade")]),
    ),
    good(
        "upgrade-h2c-in-a-list",
        "9113 3.1",
        &[GET, Raw(b"Connection: Upgrade\r\nUpgrade: websocket, H2C\r\n\r\n")],
        forwarded(&[No("upgrade")]),
    ),
    good(
        "upgrade-h2c-in-a-second-line",
        "9113 3.1",
        &[GET, Raw(b"Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n")],
        forwarded(&[No("http2-settings")]),
    ),
    good(
        "upgrade-h2c-with-body",
        "9113 3.1",
        &[POST, Raw(b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nhello")],
        forwarded(&[No("upgrade"), Body(b"hello")]),
    ),
    good(
        "upgrade-without-connection",
        UPGRADE,
        &[GET, Raw(b"Upgrade: websocket\r\n\r\n")],
        forwarded(&[No("upgrade")]),
    ),
    good(
        "upgrade-refused-then-request",
        UPGRADE,
        &[GET, Raw(b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), SMUGGLED],
        Expect::Forwarded { messages: 2, sees: &[Field("upgrade", "websocket")], closes: false },
    ),
    good(
        "upgrade-with-body-refused-then-request",
        UPGRADE,
        &[POST, Raw(b"Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 5\r\n\r\nhello"), SMUGGLED],
        Expect::Forwarded { messages: 2, sees: &[Body(b"hello")], closes: false },
    ),
    good(
        "upgrade-in-http-1-0",
        UPGRADE,
        &[Raw(b"GET /g HTTP/1.0\r\nHost: orders\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")],
        forwarded(&[No("upgrade")]),
    ),
    good("upgrade-agreed-unasked", UPGRADE, &[GET, Raw(b"\r\n")], Expect::BadAnswer).answer(SWITCH),
    good(
        "upgrade-agreed-after-h2c",
        UPGRADE,
        &[GET, Raw(b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n")],
        Expect::BadAnswer,
    )
    .answer(SWITCH),
    good(
        "upgrade-agreed-in-http-1-0",
        UPGRADE,
        &[Raw(b"GET /g HTTP/1.0\r\nHost: orders\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")],
        Expect::BadAnswer,
    )
    .answer(SWITCH).because("Upgrade of an HTTP/1.0 request is not passed on (RFC 9110 section 7.8), so the 101 was not asked for"),
    good(
        "expect-continue-with-body-at-once",
        "9110 10.1.1",
        &[POST, Raw(b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")],
        forwarded(&[Body(b"hello")]),
    ),
    good(
        "expect-continue-then-request-as-body",
        "9110 10.1.1",
        &[POST, Raw(b"Expect: 100-continue\r\nContent-Length: 40\r\n\r\n"), SMUGGLED],
        FORWARDED,
    ),
    good(
        "expect-continue-without-body",
        "9110 10.1.1",
        &[GET, Raw(b"Expect: 100-continue\r\n\r\n"), SMUGGLED],
        TWO,
    ),
    good(
        "expect-continue-in-http-1-0",
        "9110 10.1.1",
        &[Raw(b"POST /p HTTP/1.0\r\nHost: orders\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")],
        forwarded(&[Body(b"hello")]),
    ),
    good(
        "proxy-authorization-stays-here",
        "9110 11.7.2",
        &[GET, Raw(b"Proxy-Authorization: Basic x\r\n\r\n")],
        FORWARDED,
    ),
    good(
        "head-then-request",
        "9110 9.3.2",
        &[Raw(b"HEAD /g HTTP/1.1\r\nHost: orders\r\n\r\n"), SMUGGLED],
        TWO,
    )
    .answer(Answer::Close(&[Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\n")])),
    good(
        "delete-with-body",
        "9110 9.3.5",
        &[Raw(b"DELETE /g HTTP/1.1\r\nHost: orders\r\nContent-Length: 5\r\n\r\nhello")],
        forwarded(&[Body(b"hello")]),
    ),
    good(
        "http-1-0-keep-alive",
        "9112 9.3",
        &[Raw(b"GET /g HTTP/1.0\r\nHost: orders\r\nConnection: keep-alive\r\n\r\n"), SMUGGLED],
        TWO,
    ),
    good(
        "http-1-0-post-without-length",
        "9112 6.3",
        &[Raw(b"POST /g HTTP/1.0\r\nHost: orders\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: orders\r\n\r\n")],
        LAST,
    ),
];
