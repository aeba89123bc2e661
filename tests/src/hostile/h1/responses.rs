//! Heads of responses that split, that no server may send, or that never come.

use super::{GET, POST};
use crate::hostile::{
    Answer::{self, Close, Keep},
    Case, Expect, Part,
    Part::{Raw, Times},
};

const RFC: &str = "9112 4";
const ASK: &[Part] = &[GET, Raw(b"\r\n")];
const HELLO: Expect = Expect::Passed { status: 200, body: b"hello" };

const fn bad(name: &'static str, rfc: &'static str, answer: Answer) -> Case {
    Case::new(name, rfc, ASK, Expect::BadAnswer).answer(answer)
}

const fn good(name: &'static str, rfc: &'static str, answer: Answer) -> Case {
    Case::new(name, rfc, ASK, HELLO).answer(answer)
}

pub(super) const CASES: &[Case] = &[
    bad("answer-none", "9112 8", Close(&[])),
    bad("answer-half-a-head", "9112 8", Close(&[Raw(b"HTTP/1.1 200 OK\r\nContent-Le")])),
    bad("answer-garbage", RFC, Close(&[Raw(b"\x00\x01\x02\x03 no http\r\n\r\n")])),
    bad("answer-http-0-9", RFC, Close(&[Raw(b"<html>hello</html>")])),
    bad("answer-version-2", RFC, Close(&[Raw(b"HTTP/2 200\r\nContent-Length: 5\r\n\r\nhello")])),
    bad("answer-icy", RFC, Close(&[Raw(b"ICY 200 OK\r\nContent-Length: 5\r\n\r\nhello")])),
    bad("answer-version-lower-case", RFC, Close(&[Raw(b"http/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")])),
    bad("answer-status-two-digits", RFC, Close(&[Raw(b"HTTP/1.1 99 No\r\nContent-Length: 5\r\n\r\nhello")])),
    bad("answer-status-four-digits", RFC, Close(&[Raw(b"HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello")])).because("no status has four digits, and readers that take three of them see another one"),
    bad("answer-status-letters", RFC, Close(&[Raw(b"HTTP/1.1 2xx OK\r\nContent-Length: 5\r\n\r\nhello")])),
    bad("answer-status-negative", RFC, Close(&[Raw(b"HTTP/1.1 -20 OK\r\nContent-Length: 5\r\n\r\nhello")])),
    bad("answer-status-000", RFC, Close(&[Raw(b"HTTP/1.1 000 No\r\nContent-Length: 5\r\n\r\nhello")])),
    bad("answer-reason-nul", RFC, Close(&[Raw(b"HTTP/1.1 200 O\0K\r\nContent-Length: 5\r\n\r\nhello")])),
    bad("answer-reason-cr", RFC, Close(&[Raw(b"HTTP/1.1 200 O\rK\r\nContent-Length: 5\r\n\r\nhello")])),
    good("answer-reason-absent", RFC, Keep(&[Raw(b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello")])),
    good("answer-reason-of-words", RFC, Keep(&[Raw(b"HTTP/1.1 200 Quite All Right\r\nContent-Length: 5\r\n\r\nhello")])),
    bad("answer-name-space-before-colon", "9112 5.1", Close(&[Raw(
        b"HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 5\r\n\r\nhello",
    )])),
    bad("answer-name-space-inside", "9112 5.1", Close(&[Raw(
        b"HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 5\r\n\r\nhello",
    )])),
    bad("answer-line-without-colon", "9112 5.1", Close(&[Raw(
        b"HTTP/1.1 200 OK\r\ngarbage\r\nContent-Length: 5\r\n\r\nhello",
    )])),
    bad("answer-value-nul", "9110 5.5", Close(&[Raw(b"HTTP/1.1 200 OK\r\nX: a\0\r\nContent-Length: 5\r\n\r\nhello")])),
    bad("answer-value-bare-cr", "9110 5.5", Close(&[Raw(
        b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: evil\r\nContent-Length: 5\r\n\r\nhello",
    )])),
    bad("answer-value-control-byte", "9110 5.5", Close(&[Raw(
        b"HTTP/1.1 200 OK\r\nX: a\x01\r\nContent-Length: 5\r\n\r\nhello",
    )])),
    bad("answer-folded", "9112 5.2", Close(&[Raw(
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\nhello",
    )])),
    bad("answer-folded-first", "9112 5.2", Close(&[Raw(
        b"HTTP/1.1 200 OK\r\n Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
    )])),
    good("answer-all-bare-lf", "9112 2.2", Keep(&[Raw(b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello")])),
    bad("answer-head-too-long", "9110 5.4", Close(&[
        Raw(b"HTTP/1.1 200 OK\r\nX: "),
        Times(b"y", 1_000_000),
        Raw(b"\r\nContent-Length: 5\r\n\r\nhello"),
    ])),
    bad("answer-too-many-fields", "9110 5.4", Close(&[
        Raw(b"HTTP/1.1 200 OK\r\n"),
        Times(b"X: y\r\n", 10_000),
        Raw(b"Content-Length: 5\r\n\r\nhello"),
    ])),
    good("answer-after-100", "9110 15.2", Keep(&[
        Raw(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ])),
    good("answer-after-103", "9110 15.2", Keep(&[
        Raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ])),
    good("answer-after-100-with-length", "9110 8.6", Keep(&[
        Raw(b"HTTP/1.1 100 Continue\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ])),
    good("answer-after-many-100", "9110 15.2", Keep(&[
        Times(b"HTTP/1.1 100 Continue\r\n\r\n", 50),
        Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ])),
    good("answer-after-flood-of-102", "9110 15.2", Close(&[
        Times(b"HTTP/1.1 102 Processing\r\nX: 0123456789012345678901234567890123456789\r\n\r\n", 10_000),
        Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ])),
    bad("answer-only-100", "9110 15.2", Close(&[Raw(b"HTTP/1.1 100 Continue\r\n\r\n")])),
    good("answer-with-hop-fields", "9110 7.6.1", Keep(&[Raw(
        b"HTTP/1.1 200 OK\r\nConnection: x-hop, content-length\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nContent-Length: 5\r\n\r\nhello",
    )])),
    good("answer-names-of-the-mesh", "9110 7.6", Keep(&[Raw(
        b"HTTP/1.1 200 OK\r\nWeft-Error: overloaded\r\nContent-Length: 5\r\n\r\nhello",
    )])),
    Case::new(
        "answer-before-the-body",
        "9112 9.3",
        &[POST, Raw(b"Content-Length: 5\r\n\r\nhello")],
        Expect::Passed { status: 413, body: b"" },
    )
    .answer(Close(&[Raw(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")])),
    good("answer-leading-crlf", RFC, Keep(&[Raw(b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")])),
];
