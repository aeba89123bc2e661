//! The request line: its words, its spaces, and the forms of a target.

use crate::hostile::{
    Case, Expect, FORWARDED, Part,
    Part::{End, Raw, Times},
    REFUSED,
    Sees::{Field, Target},
    forwarded, refused,
};

const RFC: &str = "9112 3";
const TARGET: &str = "9112 3.2";
/// The rest of a head.
const REST: Part = Raw(b" HTTP/1.1\r\nHost: orders\r\n\r\n");
/// What does not begin like HTTP is not answered as HTTP.
const NOT_HTTP: Expect = refused(&[]);

const fn bad(name: &'static str, input: &'static [Part]) -> Case {
    Case::new(name, RFC, input, REFUSED)
}

const fn bad_target(name: &'static str, input: &'static [Part]) -> Case {
    Case::new(name, TARGET, input, REFUSED)
}

pub(super) const CASES: &[Case] = &[
    bad("line-http-0-9", &[Raw(b"GET /\r\n")]),
    bad("line-without-version", &[Raw(b"GET /\r\nHost: orders\r\n\r\n")]),
    bad("line-without-target", &[Raw(b"GET HTTP/1.1\r\nHost: orders\r\n\r\n")]),
    bad("line-two-spaces", &[Raw(b"GET  / HTTP/1.1\r\nHost: orders\r\n\r\n")]).because("one space stands between the words of a request line; the lenient reading is for user agents' sake, and there are none in a mesh (RFC 9112 section 3)"),
    bad("line-two-spaces-before-version", &[Raw(b"GET /  HTTP/1.1\r\nHost: orders\r\n\r\n")]).because("as `line-two-spaces`"),
    bad("line-space-at-end", &[Raw(b"GET / HTTP/1.1 \r\nHost: orders\r\n\r\n")]),
    bad("line-tab-for-space", &[Raw(b"GET\t/\tHTTP/1.1\r\nHost: orders\r\n\r\n")]),
    bad("line-form-feed-for-space", &[Raw(b"GET\x0c/ HTTP/1.1\r\nHost: orders\r\n\r\n")]),
    bad("line-four-words", &[Raw(b"GET / /other HTTP/1.1\r\nHost: orders\r\n\r\n")]),
    bad("line-ends-in-bare-cr", &[Raw(b"GET / HTTP/1.1\rHost: orders\r\n\r\n")]),
    bad("line-cr-cr-lf", &[Raw(b"GET / HTTP/1.1\r\r\nHost: orders\r\n\r\n")]),
    bad("line-method-with-at", &[Raw(b"GE@T / HTTP/1.1\r\nHost: orders\r\n\r\n")]),
    bad("line-method-with-nul", &[Raw(b"GET\0 / HTTP/1.1\r\nHost: orders\r\n\r\n")]),
    bad("line-method-with-colon", &[Raw(b"GET: / HTTP/1.1\r\nHost: orders\r\n\r\n")]),
    bad("line-of-a-response", &[Raw(b"HTTP/1.1 200 OK\r\nHost: orders\r\n\r\n")]),
    Case::new("line-leading-space", RFC, &[Raw(b" GET / HTTP/1.1\r\nHost: orders\r\n\r\n")], NOT_HTTP),
    Case::new("line-binary", RFC, &[Raw(b"\x00\x01\x02\x03\r\n\r\n")], NOT_HTTP),
    Case::new("line-tls-hello", RFC, &[Raw(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")], NOT_HTTP),
    Case::new(
        "line-leading-crlf",
        "9112 2.2",
        &[Raw(b"\r\nGET / HTTP/1.1\r\nHost: orders\r\n\r\n")],
        FORWARDED,
    ),
    Case::new(
        "line-crlf-between-requests",
        "9112 2.2",
        &[
            Raw(b"GET /1 HTTP/1.1\r\nHost: orders\r\n\r\n"),
            Raw(b"\r\nGET /2 HTTP/1.1\r\nHost: orders\r\n\r\n"),
        ],
        Expect::Forwarded { messages: 2, sees: &[Target("/1")], closes: false },
    ),
    Case::new(
        "line-all-bare-lf",
        "9112 2.2",
        &[Raw(b"GET /lf HTTP/1.1\nHost: orders\nX: y\n\n")],
        forwarded(&[Target("/lf"), Field("x", "y")]),
    ),
    Case::new(
        "line-method-unknown",
        "9110 9.1",
        &[Raw(b"BREW / HTTP/1.1\r\nHost: orders\r\n\r\n")],
        FORWARDED,
    ),
    Case::new(
        "line-method-lower-case",
        "9110 9.1",
        &[Raw(b"get / HTTP/1.1\r\nHost: orders\r\n\r\n")],
        FORWARDED,
    ),
    Case::new(
        "line-method-endless",
        "9112 3",
        &[Times(b"A", 200_000), Raw(b" / HTTP/1.1\r\nHost: orders\r\n\r\n")],
        refused(&[400, 431]),
    ),
    bad("version-1-2", &[Raw(b"GET / HTTP/1.2\r\nHost: orders\r\n\r\n")]),
    bad("version-2-0", &[Raw(b"GET / HTTP/2.0\r\nHost: orders\r\n\r\n")]),
    bad("version-0-9-written", &[Raw(b"GET / HTTP/0.9\r\nHost: orders\r\n\r\n")]),
    bad("version-1-10", &[Raw(b"GET / HTTP/1.10\r\nHost: orders\r\n\r\n")]),
    bad("version-01-1", &[Raw(b"GET / HTTP/01.1\r\nHost: orders\r\n\r\n")]),
    bad("version-lower-case", &[Raw(b"GET / http/1.1\r\nHost: orders\r\n\r\n")]),
    bad("version-with-space", &[Raw(b"GET / HTTP /1.1\r\nHost: orders\r\n\r\n")]),
    bad("version-of-another-name", &[Raw(b"GET / HTTQ/1.1\r\nHost: orders\r\n\r\n")]),
    bad("version-preface-of-http-2-late", &[Raw(b"PRI * HTTP/1.1\r\nHost: orders\r\n\r\n")]),
    bad_target("target-with-space", &[Raw(b"GET /a b"), REST]),
    bad_target("target-with-tab", &[Raw(b"GET /a\tb"), REST]),
    bad_target("target-with-nul", &[Raw(b"GET /a\0b"), REST]),
    bad_target("target-with-cr", &[Raw(b"GET /a\rb"), REST]),
    bad_target("target-with-delete", &[Raw(b"GET /a\x7fb"), REST]),
    bad_target("target-with-raw-utf-8", &[Raw(b"GET /caf\xc3\xa9"), REST]),
    bad_target("target-with-latin-1", &[Raw(b"GET /caf\xe9"), REST]),
    Case::new("target-with-fragment", TARGET, &[Raw(b"GET /a#b"), REST], forwarded(&[Target("/a")])).because("the fragment, which is no part of a target, is cut off before anything looks at it, so sidecar and backend see one and the same path"),
    bad_target("target-only-fragment", &[Raw(b"GET #b"), REST]),
    bad_target("target-without-slash", &[Raw(b"GET orders"), REST]),
    bad_target("target-without-slash-of-path", &[Raw(b"GET a/b"), REST]),
    bad_target("target-only-query", &[Raw(b"GET ?a=b"), REST]),
    bad_target("target-authority-with-get", &[Raw(b"GET orders:80"), REST]),
    bad_target("target-star-with-get", &[Raw(b"GET *"), REST]),
    bad_target("target-star-and-more", &[Raw(b"OPTIONS *x"), REST]),
    Case::new(
        "target-connect-authority",
        "9110 9.3.6",
        &[Raw(b"CONNECT orders:80 HTTP/1.1\r\nHost: orders\r\n\r\n")],
        Expect::Passed { status: 200, body: b"" },
    )
    .inbound(REFUSED)
    .because("the outbound port opens tunnels for its own application; the peers are no forward proxies"),
    bad_target("connect-without-port", &[Raw(b"CONNECT orders HTTP/1.1\r\nHost: orders\r\n\r\n")]),
    bad_target("connect-port-0", &[Raw(b"CONNECT orders:0 HTTP/1.1\r\nHost: orders\r\n\r\n")]),
    bad_target("connect-port-too-large", &[Raw(b"CONNECT orders:99999 HTTP/1.1\r\nHost: orders\r\n\r\n")]),
    bad_target("connect-with-user", &[Raw(b"CONNECT evil@orders:80 HTTP/1.1\r\nHost: orders\r\n\r\n")]),
    bad_target("connect-absolute", &[Raw(b"CONNECT http://orders:80/ HTTP/1.1\r\nHost: orders\r\n\r\n")]),
    bad_target("connect-host-twice", &[Raw(b"CONNECT orders:80 HTTP/1.1\r\nHost: orders\r\nHost: evil\r\n\r\n")]),
    bad_target("connect-with-length", &[
        Raw(b"CONNECT orders:80 HTTP/1.1\r\nHost: orders\r\nContent-Length: 5\r\n\r\nhello"),
    ]),
    bad_target("connect-with-coding", &[
        Raw(b"CONNECT orders:80 HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ]),
    bad_target("target-connect-path", &[Raw(b"CONNECT / HTTP/1.1\r\nHost: orders\r\n\r\n")]),
    bad_target("target-absolute-without-host", &[Raw(b"GET http:///x"), REST]),
    bad_target("target-absolute-only-scheme", &[Raw(b"GET http://"), REST]),
    bad_target("target-absolute-bad-port", &[Raw(b"GET http://orders:port/"), REST]),
    bad_target("target-absolute-unknown-scheme", &[Raw(b"GET gopher://orders/x"), REST]),
    Case::new(
        "target-star-with-options",
        "9112 3.2.4",
        &[Raw(b"OPTIONS *"), REST],
        forwarded(&[Target("*")]),
    ),
    Case::new(
        "target-absolute-overrules-host",
        "9112 3.2.2",
        &[Raw(b"GET http://orders/x HTTP/1.1\r\nHost: evil\r\n\r\n")],
        forwarded(&[Target("/x"), Field("host", "orders")]),
    ),
    Case::new(
        "target-absolute-without-path",
        "9112 3.2.1",
        &[Raw(b"GET http://orders"), REST],
        forwarded(&[Target("/"), Field("host", "orders")]),
    ),
    Case::new(
        "target-absolute-only-query",
        "9112 3.2.1",
        &[Raw(b"GET http://orders?a=b"), REST],
        forwarded(&[Target("/?a=b"), Field("host", "orders")]),
    ),
    Case::new(
        "target-absolute-with-user",
        "9110 4.2.4",
        &[Raw(b"GET http://user:pw@orders/x"), REST],
        forwarded(&[Target("/x"), Field("host", "orders")]),
    ),
    Case::new(
        "target-two-slashes",
        TARGET,
        &[Raw(b"GET //evil/x"), REST],
        forwarded(&[Target("//evil/x"), Field("host", "orders")]),
    ),
    Case::new(
        "target-escaped-crlf",
        TARGET,
        &[Raw(b"GET /a%0d%0aX:%20b"), REST],
        forwarded(&[Target("/a%0d%0aX:%20b")]),
    ),
    Case::new("target-bad-escape", TARGET, &[Raw(b"GET /%zz%"), REST], forwarded(&[Target("/%zz%")])),
    Case::new("target-dots", TARGET, &[Raw(b"GET /a/../b/./c"), REST], forwarded(&[Target("/a/../b/./c")])),
    Case::new(
        "target-endless",
        "9112 3",
        &[Raw(b"GET /"), Times(b"a", 200_000), REST],
        refused(&[400, 414, 431]),
    ),
    Case::new("head-ends-in-line", "9112 8", &[Raw(b"GET / HT"), End], refused(&[])),
    Case::new(
        "head-ends-in-fields",
        "9112 8",
        &[Raw(b"GET / HTTP/1.1\r\nHost: orders\r\n"), End],
        refused(&[]),
    ),
];
