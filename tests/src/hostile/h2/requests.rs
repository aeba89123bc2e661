//! Requests over HTTP/2: pseudo-fields, fields, lengths and trailers that would become another message where they are
//! written as HTTP/1.1, or that two servers would read differently (RFC 9113 section 8).

use super::{
    Case,
    Expect::{Forwarded, Refused},
    GET, OPEN, POST,
    Step::{Begin, Frame, Head, Long},
    WHOLE, frame,
};
use crate::hostile::{
    Part::{Raw, Times},
    Sees::{Body, Field, No, Target},
};

const PSEUDO: &str = "9113 8.3.1";
const FIELDS: &str = "9113 8.2.1";
const HOP: &str = "9113 8.2.2";
const LENGTH: &str = "9113 8.1.1";
const TRAILERS: &str = "9113 8.1";
type Fields = &'static [(&'static str, &'static str)];

macro_rules! refused {
    ($name:literal, $rfc:expr, $fields:expr) => {
        Case::new($name, $rfc, &[Begin, Head(WHOLE, 1, $fields)], Refused(1))
    };
}

macro_rules! forwarded {
    ($name:literal, $rfc:expr, $fields:expr, $sees:expr) => {
        Case::new($name, $rfc, &[Begin, Head(WHOLE, 1, $fields)], Forwarded(1, $sees))
    };
}

/// GET with one field more.
macro_rules! with {
    ($name:literal, $value:literal) => {
        &[(":method", "GET"), (":scheme", "http"), (":path", "/g"), (":authority", "orders"), ($name, $value)]
    };
}

/// GET with another path.
macro_rules! path {
    ($path:literal) => {
        &[(":method", "GET"), (":scheme", "http"), (":path", $path), (":authority", "orders")]
    };
}

/// GET with another authority.
macro_rules! authority {
    ($authority:literal) => {
        &[(":method", "GET"), (":scheme", "http"), (":path", "/g"), (":authority", $authority)]
    };
}

/// POST with a length.
macro_rules! length {
    ($length:literal) => {
        &[
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/p"),
            (":authority", "orders"),
            ("content-length", $length),
        ]
    };
}

const TWO_LENGTHS: Fields = &[
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/p"),
    (":authority", "orders"),
    ("content-length", "5"),
    ("content-length", "6"),
];
const BOTH_HOSTS: Fields = with!("host", "evil");

/// The cases.
pub const CASES: &[Case] = &[
    refused!("h2-no-method", PSEUDO, &[(":scheme", "http"), (":path", "/"), (":authority", "orders")]),
    refused!("h2-no-path", PSEUDO, &[(":method", "GET"), (":scheme", "http"), (":authority", "orders")]),
    refused!("h2-no-scheme", PSEUDO, &[(":method", "GET"), (":path", "/"), (":authority", "orders")]),
    refused!("h2-no-authority-no-host", PSEUDO, &[(":method", "GET"), (":scheme", "http"), (":path", "/")]),
    refused!("h2-method-twice", PSEUDO, with!(":method", "POST")),
    refused!("h2-path-twice", PSEUDO, with!(":path", "/other")),
    refused!("h2-scheme-twice", PSEUDO, with!(":scheme", "https")),
    refused!("h2-authority-twice", PSEUDO, with!(":authority", "evil")),
    refused!("h2-pseudo-unknown", PSEUDO, with!(":foo", "bar")),
    refused!("h2-pseudo-of-a-response", PSEUDO, with!(":status", "200")),
    refused!(
        "h2-pseudo-after-field",
        PSEUDO,
        &[(":method", "GET"), (":scheme", "http"), (":authority", "orders"), ("x", "y"), (":path", "/g")]
    ),
    refused!("h2-pseudo-in-capitals", PSEUDO, with!(":Path", "/other")),
    refused!(
        "h2-method-empty",
        PSEUDO,
        &[(":method", ""), (":scheme", "http"), (":path", "/"), (":authority", "orders")]
    ),
    refused!(
        "h2-method-with-space",
        PSEUDO,
        &[
            (":method", "GET /smuggled HTTP/1.1"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "orders"),
        ]
    ),
    refused!(
        "h2-method-with-crlf",
        PSEUDO,
        &[
            (":method", "GET / HTTP/1.1\r\nHost: evil\r\n\r\n"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "orders"),
        ]
    ),
    refused!("h2-path-empty", PSEUDO, path!("")),
    refused!("h2-path-without-slash", PSEUDO, path!("g")),
    refused!("h2-path-with-space", PSEUDO, path!("/a b")),
    refused!("h2-path-with-request-line", PSEUDO, path!("/ HTTP/1.1\r\nHost: evil\r\n\r\nGET /smuggled")),
    refused!("h2-path-with-lf", PSEUDO, path!("/a\nb")),
    refused!("h2-path-with-nul", PSEUDO, path!("/a\0b")),
    refused!("h2-path-with-tab", PSEUDO, path!("/a\tb")),
    refused!("h2-path-with-utf-8", PSEUDO, path!("/caf\u{e9}")).because("a target is ASCII; one server takes other bytes as UTF-8, the next as Latin-1, a third escapes them"),
    refused!("h2-path-star-with-get", PSEUDO, path!("*")),
    refused!("h2-path-absolute", PSEUDO, path!("http://evil/")),
    forwarded!("h2-path-two-slashes", PSEUDO, path!("//evil/x"), &[Target("//evil/x")]),
    forwarded!("h2-path-with-fragment", PSEUDO, path!("/a#b"), &[Target("/a")]).because("the fragment, which is no part of a target, is cut off before anything looks at it, so sidecar and backend see one and the same path"),
    forwarded!("h2-path-escaped-crlf", PSEUDO, path!("/a%0d%0ab"), &[Target("/a%0d%0ab")]),
    forwarded!(
        "h2-path-star-with-options",
        PSEUDO,
        &[(":method", "OPTIONS"), (":scheme", "http"), (":path", "*"), (":authority", "orders")],
        &[Target("*")]
    ),
    refused!("h2-authority-with-user", PSEUDO, authority!("evil@orders")).because("user information has no place in an `:authority` (RFC 9113 section 8.3.1)"),
    refused!("h2-authority-with-space", PSEUDO, authority!("orders evil")),
    refused!("h2-authority-with-slash", PSEUDO, authority!("orders/evil")),
    refused!("h2-authority-with-crlf", PSEUDO, authority!("orders\r\nX: y")),
    refused!("h2-authority-with-two-ports", PSEUDO, authority!("orders:1:2")).because("what is no host goes no further, as in HTTP/1"),
    refused!("h2-authority-list", PSEUDO, authority!("orders, evil")),
    forwarded!(
        "h2-authority-and-other-host",
        PSEUDO,
        BOTH_HOSTS,
        &[Field("authority", "orders"), No("host")]
    ),
    forwarded!(
        "h2-host-without-authority",
        PSEUDO,
        &[(":method", "GET"), (":scheme", "http"), (":path", "/g"), ("host", "orders")],
        &[Target("/g")]
    ),
    refused!(
        "h2-host-twice-without-authority",
        PSEUDO,
        &[(":method", "GET"), (":scheme", "http"), (":path", "/g"), ("host", "orders"), ("host", "evil"),]
    ),
    refused!("h2-name-in-capitals", FIELDS, with!("X-Upper", "y")),
    refused!("h2-name-empty", FIELDS, with!("", "y")),
    refused!("h2-name-with-space", FIELDS, with!("x y", "z")),
    refused!("h2-name-with-colon", FIELDS, with!("x:y", "z")),
    refused!("h2-name-with-crlf", FIELDS, with!("x: a\r\ntransfer-encoding", "chunked")),
    refused!("h2-name-with-nul", FIELDS, with!("x\0", "z")),
    refused!("h2-name-with-utf-8", FIELDS, with!("x\u{e9}", "z")),
    refused!("h2-value-with-crlf", FIELDS, with!("x", "a\r\ny: b")),
    refused!(
        "h2-value-with-request",
        FIELDS,
        with!("x", "a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: orders\r\n\r\n")
    ),
    refused!("h2-value-with-cr", FIELDS, with!("x", "a\rb")),
    refused!("h2-value-with-lf", FIELDS, with!("x", "a\nb")),
    refused!("h2-value-with-nul", FIELDS, with!("x", "a\0b")),
    refused!("h2-value-leading-space", FIELDS, with!("x", " a")).because("a value must not begin or end with white space (RFC 9113 section 8.2.1); the peers trim it as they write HTTP/1.1, the sidecar writes HTTP/2"),
    refused!("h2-value-trailing-tab", FIELDS, with!("x", "a\t")).because("as `h2-value-leading-space`"),
    forwarded!("h2-value-with-tab", FIELDS, with!("x", "a\tb"), &[Field("x", "a\tb")]),
    refused!("h2-connection", HOP, with!("connection", "close")),
    refused!("h2-connection-names-a-field", HOP, with!("connection", "x-hop")),
    refused!("h2-keep-alive", HOP, with!("keep-alive", "timeout=5")),
    refused!("h2-proxy-connection", HOP, with!("proxy-connection", "keep-alive")),
    refused!("h2-transfer-encoding", HOP, with!("transfer-encoding", "chunked")),
    refused!("h2-upgrade", HOP, with!("upgrade", "websocket")),
    refused!("h2-te-gzip", HOP, with!("te", "gzip")),
    refused!("h2-te-trailers-and-more", HOP, with!("te", "trailers, gzip")),
    forwarded!("h2-te-trailers", HOP, with!("te", "trailers"), &[]),
    refused!("h2-transfer-encoding-underscore", FIELDS, with!("transfer_encoding", "chunked")).because(
        "a gateway that makes variables of fields reads it as the coding; no honest client sends it",
    ),
    refused!("h2-content-length-underscore", FIELDS, with!("content_length", "5")).because(
        "a gateway that makes variables of fields reads it as the length; no honest client sends it",
    ),
    Case::new(
        "h2-length-above-body",
        LENGTH,
        &[Begin, Head(OPEN, 1, length!("9")), Frame(frame::DATA, frame::END_STREAM, 1, b"hello")],
        Refused(1),
    ),
    Case::new(
        "h2-length-below-body",
        LENGTH,
        &[Begin, Head(OPEN, 1, length!("3")), Frame(frame::DATA, frame::END_STREAM, 1, b"hello")],
        Refused(1),
    ),
    Case::new(
        "h2-length-zero-with-smuggled-body",
        LENGTH,
        &[
            Begin,
            Head(OPEN, 1, length!("0")),
            Frame(frame::DATA, frame::END_STREAM, 1, b"GET /smuggled HTTP/1.1\r\nHost: orders\r\n\r\n"),
        ],
        Refused(1),
    ),
    Case::new("h2-length-without-body", LENGTH, &[Begin, Head(WHOLE, 1, length!("5"))], Refused(1)),
    Case::new(
        "h2-length-in-two-data",
        LENGTH,
        &[
            Begin,
            Head(OPEN, 1, length!("5")),
            Frame(frame::DATA, 0, 1, b"hel"),
            Frame(frame::DATA, frame::END_STREAM, 1, b"lo!"),
        ],
        Refused(1),
    ),
    Case::new(
        "h2-length-no-number",
        LENGTH,
        &[Begin, Head(OPEN, 1, length!("five")), Frame(frame::DATA, frame::END_STREAM, 1, b"hello")],
        Refused(1),
    ),
    Case::new(
        "h2-length-plus",
        LENGTH,
        &[Begin, Head(OPEN, 1, length!("+5")), Frame(frame::DATA, frame::END_STREAM, 1, b"hello")],
        Refused(1),
    ),
    Case::new(
        "h2-lengths-differ",
        LENGTH,
        &[Begin, Head(OPEN, 1, TWO_LENGTHS), Frame(frame::DATA, frame::END_STREAM, 1, b"hello")],
        Refused(1),
    ),
    Case::new(
        "h2-length-right",
        LENGTH,
        &[Begin, Head(OPEN, 1, length!("5")), Frame(frame::DATA, frame::END_STREAM, 1, b"hello")],
        Forwarded(1, &[Field("content-length", "5"), Body(b"hello")]),
    ),
    Case::new(
        "h2-body-without-length",
        LENGTH,
        &[Begin, Head(OPEN, 1, POST), Frame(frame::DATA, frame::END_STREAM, 1, b"hello")],
        Forwarded(1, &[Body(b"hello")]),
    ),
    Case::new(
        "h2-trailers",
        TRAILERS,
        &[Begin, Head(OPEN, 1, POST), Frame(frame::DATA, 0, 1, b"hello"), Head(WHOLE, 1, &[("x-sum", "1")])],
        Forwarded(1, &[Body(b"hello")]),
    ),
    Case::new(
        "h2-trailers-without-end",
        TRAILERS,
        &[Begin, Head(OPEN, 1, POST), Frame(frame::DATA, 0, 1, b"hello"), Head(OPEN, 1, &[("x-sum", "1")])],
        Refused(1),
    ),
    Case::new(
        "h2-trailers-with-pseudo",
        TRAILERS,
        &[
            Begin,
            Head(OPEN, 1, POST),
            Frame(frame::DATA, 0, 1, b"hello"),
            Head(WHOLE, 1, &[(":path", "/other")]),
        ],
        Forwarded(1, &[Body(b"hello")]),
    )
    .because("the library leaves pseudo-fields out of trailers before the sidecar sees them: what goes on has none"),
    Case::new(
        "h2-trailers-in-capitals",
        TRAILERS,
        &[Begin, Head(OPEN, 1, POST), Frame(frame::DATA, 0, 1, b"hello"), Head(WHOLE, 1, &[("X-Sum", "1")])],
        Refused(1),
    ),
    Case::new(
        "h2-trailers-with-length",
        "9110 6.5.1",
        &[
            Begin,
            Head(OPEN, 1, POST),
            Frame(frame::DATA, 0, 1, b"hello"),
            Head(WHOLE, 1, &[("content-length", "9")]),
        ],
        Forwarded(1, &[Body(b"hello")]),
    ),
    Case::new(
        "h2-trailers-with-crlf",
        TRAILERS,
        &[
            Begin,
            Head(OPEN, 1, POST),
            Frame(frame::DATA, 0, 1, b"hello"),
            Head(WHOLE, 1, &[("x", "a\r\n\r\nGET / HTTP/1.1")]),
        ],
        Refused(1),
    ),
    refused!(
        "h2-connect-with-path",
        "9113 8.5",
        &[(":method", "CONNECT"), (":scheme", "http"), (":path", "/"), (":authority", "orders:80"),]
    ),
    refused!("h2-connect-without-authority", "9113 8.5", &[(":method", "CONNECT")]),
    refused!("h2-protocol-without-connect", "8441 4", with!(":protocol", "websocket")),
    Case::new("h2-plain", PSEUDO, &[Begin, Head(WHOLE, 1, GET)], Forwarded(1, &[Target("/g")])),
    Case::new(
        "h2-header-list-too-long",
        "9113 10.5.1",
        &[
            Begin,
            Head(frame::END_STREAM, 1, GET),
            // Three literals of 16,000 bytes a frame would be too much at once: one a frame, in twenty frames.
            Long(frame::CONTINUATION, 0, 1, &[Raw(b"\x00\x01x\x7f\x81\x7c"), Times(b"y", 16_000)]),
            Long(frame::CONTINUATION, 0, 1, &[Raw(b"\x00\x01x\x7f\x81\x7c"), Times(b"y", 16_000)]),
            Long(frame::CONTINUATION, 0, 1, &[Raw(b"\x00\x01x\x7f\x81\x7c"), Times(b"y", 16_000)]),
            Long(frame::CONTINUATION, 0, 1, &[Raw(b"\x00\x01x\x7f\x81\x7c"), Times(b"y", 16_000)]),
            Long(frame::CONTINUATION, 0, 1, &[Raw(b"\x00\x01x\x7f\x81\x7c"), Times(b"y", 16_000)]),
            Long(frame::CONTINUATION, 0, 1, &[Raw(b"\x00\x01x\x7f\x81\x7c"), Times(b"y", 16_000)]),
            Long(frame::CONTINUATION, 0, 1, &[Raw(b"\x00\x01x\x7f\x81\x7c"), Times(b"y", 16_000)]),
            Long(frame::CONTINUATION, 0, 1, &[Raw(b"\x00\x01x\x7f\x81\x7c"), Times(b"y", 16_000)]),
            Long(
                frame::CONTINUATION,
                frame::END_HEADERS,
                1,
                &[Raw(b"\x00\x01x\x7f\x81\x7c"), Times(b"y", 16_000)],
            ),
        ],
        Refused(1),
    ),
];
