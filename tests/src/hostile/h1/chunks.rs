//! Chunked bodies: sizes, extensions, ends and trailers.

use super::{POST, SMUGGLED};
use crate::hostile::{
    Case, Expect, FORWARDED, Part,
    Part::{End, Raw, Times},
    Sees::{Body, No},
    forwarded,
};

const RFC: &str = "9112 7.1";
/// The rest of the head.
const CHUNKED: Part = Raw(b"Transfer-Encoding: chunked\r\n\r\n");
const HELLO: Expect = forwarded(&[Body(b"hello"), No("content-length")]);

const fn broken(name: &'static str, input: &'static [Part]) -> Case {
    Case::new(name, RFC, input, Expect::Broken)
}

const fn good(name: &'static str, input: &'static [Part]) -> Case {
    Case::new(name, RFC, input, HELLO)
}

pub(super) const CASES: &[Case] = &[
    broken("chunk-size-absent", &[POST, CHUNKED, Raw(b"\r\nhello\r\n0\r\n\r\n")]),
    broken("chunk-size-only-extension", &[POST, CHUNKED, Raw(b";a\r\nhello\r\n0\r\n\r\n")]),
    broken("chunk-size-0x", &[POST, CHUNKED, Raw(b"0x5\r\nhello\r\n0\r\n\r\n")]),
    broken("chunk-size-negative", &[POST, CHUNKED, Raw(b"-5\r\nhello\r\n0\r\n\r\n")]),
    broken("chunk-size-plus", &[POST, CHUNKED, Raw(b"+5\r\nhello\r\n0\r\n\r\n")]),
    broken("chunk-size-leading-space", &[POST, CHUNKED, Raw(b" 5\r\nhello\r\n0\r\n\r\n")]),
    broken("chunk-size-underscore", &[POST, CHUNKED, Raw(b"0_5\r\nhello\r\n0\r\n\r\n")]),
    broken("chunk-size-letter", &[POST, CHUNKED, Raw(b"5g\r\nhello\r\n0\r\n\r\n")]),
    broken("chunk-size-nul", &[POST, CHUNKED, Raw(b"5\0\r\nhello\r\n0\r\n\r\n")]),
    broken("chunk-size-space-inside", &[POST, CHUNKED, Raw(b"0 5\r\nhello\r\n0\r\n\r\n")]),
    broken("chunk-size-overflow", &[POST, CHUNKED, Raw(b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n")]),
    broken("chunk-size-wraps-to-five", &[POST, CHUNKED, Raw(b"10000000000000005\r\nhello\r\n0\r\n\r\n")]),
    broken("chunk-size-bare-lf", &[POST, CHUNKED, Raw(b"5\nhello\r\n0\r\n\r\n")]),
    broken("chunk-size-bare-cr", &[POST, CHUNKED, Raw(b"5\rhello\r\n0\r\n\r\n")]),
    broken("chunk-size-cr-cr-lf", &[POST, CHUNKED, Raw(b"5\r\r\nhello\r\n0\r\n\r\n")]),
    broken("chunk-extension-bare-lf", &[POST, CHUNKED, Raw(b"5;a\nhello\r\n0\r\n\r\n")]),
    broken("chunk-extension-bare-cr", &[POST, CHUNKED, Raw(b"5;a\rb\r\nhello\r\n0\r\n\r\n")]),
    broken("chunk-longer-than-size", &[POST, CHUNKED, Raw(b"3\r\nhello\r\n0\r\n\r\n")]),
    broken("chunk-end-missing", &[POST, CHUNKED, Raw(b"5\r\nhello0\r\n\r\n")]),
    broken("chunk-end-bare-lf", &[POST, CHUNKED, Raw(b"5\r\nhello\n0\r\n\r\n")]).because("after chunk data there is CRLF and nothing else; readers that skip two bytes there would eat the next one"),
    broken("chunk-end-bare-cr", &[POST, CHUNKED, Raw(b"5\r\nhello\r0\r\n\r\n")]),
    broken("chunk-end-two-other-bytes", &[POST, CHUNKED, Raw(b"5\r\nhelloXX0\r\n\r\n")]),
    broken("chunk-end-lf-cr", &[POST, CHUNKED, Raw(b"5\r\nhello\n\r0\r\n\r\n")]),
    broken("chunk-body-ends-in-chunk", &[POST, CHUNKED, Raw(b"9\r\nhello"), End]),
    broken("chunk-body-ends-in-size", &[POST, CHUNKED, Raw(b"5\r\nhello\r\n1"), End]),
    broken("chunk-body-ends-before-last", &[POST, CHUNKED, Raw(b"5\r\nhello\r\n"), End]),
    broken("chunk-body-ends-without-final-crlf", &[POST, CHUNKED, Raw(b"5\r\nhello\r\n0\r\n"), End]),
    broken("chunk-last-bare-lf", &[POST, CHUNKED, Raw(b"5\r\nhello\r\n0\n\n")]),
    broken("chunk-last-then-bare-cr", &[POST, CHUNKED, Raw(b"5\r\nhello\r\n0\r\n\rX")]),
    broken(
        "chunk-extensions-flood",
        &[POST, CHUNKED, Raw(b"5;"), Times(b"a=b;", 50_000), Raw(b"\r\nhello\r\n0\r\n\r\n")],
    ),
    broken(
        "chunk-extensions-flood-in-many",
        &[
            POST,
            CHUNKED,
            Times(b"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n", 2_000),
            Raw(b"0\r\n\r\n"),
        ],
    )
    .because("the limit is on all extensions of a body, as its sender can have no use for this many"),
    good("chunk-size-capital-hex", &[POST, CHUNKED, Raw(b"0000A\r\nhellohello\r\n0\r\n\r\n")])
        .expecting(forwarded(&[Body(b"hellohello")])),
    good("chunk-size-leading-zeros", &[POST, CHUNKED, Raw(b"0000000000000000005\r\nhello\r\n0\r\n\r\n")]),
    good("chunk-size-trailing-space", &[POST, CHUNKED, Raw(b"5 \r\nhello\r\n0\r\n\r\n")]),
    good("chunk-extension", &[POST, CHUNKED, Raw(b"5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n")]),
    good("chunk-extension-open-quote", &[POST, CHUNKED, Raw(b"5;a=\"\r\nhello\r\n0\r\n\r\n")]),
    good("chunk-last-many-zeros", &[POST, CHUNKED, Raw(b"5\r\nhello\r\n0000\r\n\r\n")]),
    good("chunk-a-byte-each", &[POST, CHUNKED, Times(b"1\r\nx\r\n", 2_000), Raw(b"0\r\n\r\n")])
        .expecting(FORWARDED),
    Case::new(
        "chunk-body-then-request",
        "9112 9.3.2",
        &[POST, CHUNKED, Raw(b"5\r\nhello\r\n0\r\n\r\n"), SMUGGLED],
        Expect::Forwarded { messages: 2, sees: &[Body(b"hello")], closes: false },
    ),
    Case::new(
        "chunk-empty-body-then-request",
        "9112 9.3.2",
        &[POST, CHUNKED, Raw(b"0\r\n\r\n"), SMUGGLED],
        Expect::Forwarded { messages: 2, sees: &[Body(b"")], closes: false },
    ),
    Case::new(
        "trailer-plain",
        "9112 7.1.2",
        &[POST, CHUNKED, Raw(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")],
        HELLO,
    ),
    Case::new(
        "trailer-content-length",
        "9110 6.5.1",
        &[POST, CHUNKED, Raw(b"5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n")],
        HELLO,
    ),
    Case::new(
        "trailer-announced-content-length",
        "9110 6.5.1",
        &[
            POST,
            Raw(b"Trailer: content-length, host, transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Raw(b"5\r\nhello\r\n0\r\nContent-Length: 50\r\nHost: evil\r\nTransfer-Encoding: x\r\n\r\n"),
        ],
        HELLO,
    ),
    Case::new(
        "trailer-transfer-encoding",
        "9110 6.5.1",
        &[POST, CHUNKED, Raw(b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n")],
        HELLO,
    ),
    Case::new(
        "trailer-host",
        "9110 6.5.1",
        &[POST, CHUNKED, Raw(b"5\r\nhello\r\n0\r\nHost: evil\r\n\r\n")],
        HELLO,
    ),
    Case::new(
        "trailer-without-colon",
        "9112 7.1.2",
        &[POST, CHUNKED, Raw(b"5\r\nhello\r\n0\r\ngarbage\r\n\r\n")],
        Expect::Broken,
    ),
    Case::new(
        "trailer-request-line",
        "9112 7.1.2",
        &[POST, CHUNKED, Raw(b"5\r\nhello\r\n0\r\nGET /smuggled HTTP/1.1\r\nHost: orders\r\n\r\n")],
        Expect::Broken,
    ),
    Case::new(
        "trailer-space-before-colon",
        "9112 5.1",
        &[POST, CHUNKED, Raw(b"5\r\nhello\r\n0\r\nX-Sum : 1\r\n\r\n")],
        Expect::Broken,
    ),
    Case::new(
        "trailer-folded",
        "9112 5.2",
        &[POST, CHUNKED, Raw(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n 2\r\n\r\n")],
        Expect::Broken,
    ).because("a folded line is refused wherever it stands (RFC 9112 section 5.2), in a trailer as well"),
    Case::new(
        "trailer-bare-cr",
        "9112 2.2",
        &[POST, CHUNKED, Raw(b"5\r\nhello\r\n0\r\nX-Sum: 1\rY: 2\r\n\r\n")],
        Expect::Broken,
    ),
    Case::new(
        "trailer-nul",
        "9110 5.5",
        &[POST, CHUNKED, Raw(b"5\r\nhello\r\n0\r\nX-Sum: \0\r\n\r\n")],
        Expect::Broken,
    ),
    Case::new(
        "trailer-flood",
        "9110 5.4",
        &[
            POST,
            CHUNKED,
            Raw(b"5\r\nhello\r\n0\r\n"),
            Times(b"X-Sum: 0123456789012345678901234567\r\n", 8_000),
            Raw(b"\r\n"),
        ],
        Expect::Broken,
    ),
];
