//! Responses of an upstream whose length can be read in two ways, or that go on after their end: what is meant for
//! one request must never answer another.

use super::GET;
use crate::hostile::{
    Answer::{self, Close, Keep},
    Case, Expect, Part,
    Part::{Raw, Times},
};

const RFC: &str = "9112 6.3";
const ASK: &[Part] = &[GET, Raw(b"\r\n")];
const ASK_HEAD: &[Part] = &[Raw(b"HEAD /g HTTP/1.1\r\nHost: orders\r\n\r\n")];
const HELLO: Expect = Expect::Passed { status: 200, body: b"hello" };
/// A response that nobody asked for.
const EXTRA: Part = Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");

const fn bad(name: &'static str, answer: Answer) -> Case {
    Case::new(name, RFC, ASK, Expect::BadAnswer).answer(answer)
}

const fn good(name: &'static str, answer: Answer, expect: Expect) -> Case {
    Case::new(name, RFC, ASK, expect).answer(answer)
}

pub(super) const CASES: &[Case] = &[
    bad("answer-lengths-differ", Keep(&[Raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    )])),
    good(
        "answer-lengths-equal",
        Keep(&[Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello")]),
        HELLO,
    ),
    good("answer-length-list-equal", Keep(&[Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello")]), HELLO),
    bad("answer-length-list-differs", Keep(&[Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello")])),
    bad("answer-length-negative", Keep(&[Raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello")])),
    bad("answer-length-plus", Keep(&[Raw(b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello")])),
    bad("answer-length-overflow", Keep(&[Raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551621\r\n\r\nhello",
    )])),
    bad("answer-length-empty", Keep(&[Raw(b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello")])),
    bad("answer-length-letters", Keep(&[Raw(b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello")])),
    bad("answer-body-short", Close(&[Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello")])),
    good(
        "answer-body-then-more",
        Keep(&[Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloEXTRA")]),
        HELLO,
    ),
    good(
        "answer-then-second-answer",
        Keep(&[Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), EXTRA]),
        HELLO,
    ),
    good(
        "answer-coding-overrules-length",
        Keep(&[Raw(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        )]),
        HELLO,
    ),
    good(
        "answer-coding-then-length",
        Keep(&[Raw(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        )]),
        HELLO,
    ),
    bad("answer-coding-twice", Close(&[Raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    )])),
    bad("answer-coding-gzip-chunked", Close(&[Raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    )])),
    bad("answer-coding-unknown", Close(&[Raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    )])),
    bad("answer-coding-identity-beside-length", Close(&[Raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
    )])),
    bad("answer-coding-in-http-1-0", Close(&[Raw(
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    )])).because("a coding in an HTTP/1.0 message says that its sender, or someone between, is at fault with its framing (RFC 9112 section 6.1), so none of it is passed on"),
    bad("answer-coding-space-before-colon", Close(&[Raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    )])),
    bad("answer-chunk-size-bad", Keep(&[Raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    )])),
    bad("answer-chunk-size-overflow", Keep(&[Raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
    )])),
    bad("answer-chunk-end-missing", Keep(&[Raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
    )])),
    bad("answer-chunks-without-last", Close(&[Raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    )])),
    good(
        "answer-chunks-then-second-answer",
        Keep(&[Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), EXTRA]),
        HELLO,
    ),
    good(
        "answer-trailer-content-length",
        Keep(&[Raw(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: content-length\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n",
        )]),
        HELLO,
    ),
    good("answer-until-close", Close(&[Raw(b"HTTP/1.1 200 OK\r\n\r\nhello")]), HELLO),
    good("answer-until-close-in-http-1-0", Close(&[Raw(b"HTTP/1.0 200 OK\r\n\r\nhello")]), HELLO),
    good(
        "answer-204-with-body",
        Keep(&[Raw(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello")]),
        Expect::Passed { status: 204, body: b"" },
    ),
    good(
        "answer-204-with-second-answer",
        Keep(&[Raw(b"HTTP/1.1 204 No Content\r\n\r\n"), EXTRA]),
        Expect::Passed { status: 204, body: b"" },
    ),
    good(
        "answer-204-with-coding",
        Keep(&[Raw(b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")]),
        Expect::Passed { status: 204, body: b"" },
    ),
    good(
        "answer-304-with-body",
        Keep(&[Raw(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello")]),
        Expect::Passed { status: 304, body: b"" },
    ),
    Case::new("answer-head-with-body", "9110 9.3.2", ASK_HEAD, Expect::Passed { status: 200, body: b"" })
        .answer(Keep(&[Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")])),
    Case::new("answer-head-with-second-answer", "9110 9.3.2", ASK_HEAD, Expect::Passed { status: 200, body: b"" })
        .answer(Keep(&[Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 52\r\n\r\n"), EXTRA])),
    Case::new("answer-head-with-chunks", "9110 9.3.2", ASK_HEAD, Expect::Passed { status: 200, body: b"" })
        .answer(Keep(&[Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")])),
    Case::new("answer-head-lengths-differ", "9110 8.6", ASK_HEAD, Expect::BadAnswer)
        .answer(Keep(&[Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n")])),
    Case::new("answer-head-length-negative", "9110 8.6", ASK_HEAD, Expect::BadAnswer)
        .answer(Keep(&[Raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n")])),
    bad("answer-304-length-list", Keep(&[Raw(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5, 6\r\n\r\n")])),
    good(
        "answer-chunk-extensions-flood",
        Keep(&[
            Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;"),
            Times(b"a=b;", 50_000),
            Raw(b"\r\nhello\r\n0\r\n\r\n"),
        ]),
        Expect::BadAnswer,
    ),
];
