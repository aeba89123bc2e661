//! Transfer-Encoding: beside a Content-Length, in disguise, and where it has no place.

use super::{GET, POST, SMUGGLED};
use crate::hostile::{
    Case, Expect, FORWARDED, Part,
    Part::Raw,
    REFUSED,
    Sees::{Body, No},
    forwarded, refused,
};

const RFC: &str = "9112 6.1";
/// A chunked body of `hello`.
const HELLO: Part = Raw(b"5\r\nhello\r\n0\r\n\r\n");
/// Read as the coding says, and nothing after it.
const OVERRULED: Expect =
    Expect::Forwarded { messages: 1, sees: &[No("content-length"), Body(b"hello")], closes: true };
/// A coding that we do not know (RFC 9112 section 6.1 suggests 501; it is no better understood for it).
const UNKNOWN: Expect = refused(&[400, 501]);

const fn bad(name: &'static str, input: &'static [Part]) -> Case {
    Case::new(name, RFC, input, UNKNOWN)
}

pub(super) const CASES: &[Case] = &[
    Case::new(
        "length-then-coding",
        RFC,
        &[POST, Raw(b"Content-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n"), HELLO, SMUGGLED],
        OVERRULED,
    ),
    Case::new(
        "coding-then-length",
        RFC,
        &[POST, Raw(b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"), HELLO, SMUGGLED],
        OVERRULED,
    ),
    Case::new(
        "coding-beside-bad-length",
        RFC,
        &[POST, Raw(b"Transfer-Encoding: chunked\r\nContent-Length: nine\r\n\r\n"), HELLO, SMUGGLED],
        OVERRULED,
    ).because("the coding overrules the length, which is not read; only the coding travels on, and the connection ends (RFC 9112 section 6.1)"),
    bad("bad-length-then-coding", &[POST, Raw(b"Content-Length: x\r\nTransfer-Encoding: chunked\r\n\r\n"), HELLO]),
    bad("coding-twice-in-list", &[POST, Raw(b"Transfer-Encoding: chunked, chunked\r\n\r\n"), HELLO]),
    bad("coding-twice-in-lines", &[
        POST,
        Raw(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
        HELLO,
    ]),
    bad("coding-xchunked", &[POST, Raw(b"Transfer-Encoding: xchunked\r\n\r\n"), HELLO]),
    bad("coding-chunkedx", &[POST, Raw(b"Transfer-Encoding: chunkedx\r\n\r\n"), HELLO]),
    bad("coding-xchunked-beside-length", &[
        POST,
        Raw(b"Transfer-Encoding: xchunked\r\nContent-Length: 15\r\n\r\n"),
        HELLO,
    ]),
    bad("coding-with-parameter", &[POST, Raw(b"Transfer-Encoding: chunked;q=1\r\n\r\n"), HELLO]),
    bad("coding-with-bare-semicolon", &[POST, Raw(b"Transfer-Encoding: chunked;\r\n\r\n"), HELLO]),
    bad("coding-then-identity", &[POST, Raw(b"Transfer-Encoding: chunked, identity\r\n\r\n"), HELLO]),
    bad("identity-then-coding", &[POST, Raw(b"Transfer-Encoding: identity, chunked\r\n\r\n"), HELLO]),
    bad("coding-then-identity-in-lines", &[
        POST,
        Raw(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"),
        HELLO,
    ]),
    bad("identity-then-coding-in-lines", &[
        POST,
        Raw(b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n"),
        HELLO,
    ]),
    bad("coding-identity", &[POST, Raw(b"Transfer-Encoding: identity\r\n\r\n"), HELLO]),
    bad("coding-identity-beside-length", &[POST, Raw(b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello")]),
    bad("coding-gzip-chunked", &[POST, Raw(b"Transfer-Encoding: gzip, chunked\r\n\r\n"), HELLO]),
    bad("coding-gzip-only", &[POST, Raw(b"Transfer-Encoding: gzip\r\n\r\n"), HELLO]),
    bad("coding-quoted", &[POST, Raw(b"Transfer-Encoding: \"chunked\"\r\n\r\n"), HELLO]),
    bad("coding-single-quoted", &[POST, Raw(b"Transfer-Encoding: 'chunked'\r\n\r\n"), HELLO]),
    bad("coding-empty", &[POST, Raw(b"Transfer-Encoding:\r\n\r\n"), HELLO]),
    bad("coding-empty-beside-length", &[POST, Raw(b"Transfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello")]),
    bad("coding-after-empty-element", &[POST, Raw(b"Transfer-Encoding: ,chunked\r\n\r\n"), HELLO]),
    bad("coding-before-empty-element", &[POST, Raw(b"Transfer-Encoding: chunked,\r\n\r\n"), HELLO]),
    bad("coding-space-before-colon", &[POST, Raw(b"Transfer-Encoding : chunked\r\n\r\n"), HELLO]),
    bad("coding-tab-before-colon", &[POST, Raw(b"Transfer-Encoding\t: chunked\r\n\r\n"), HELLO]),
    bad("coding-leading-space", &[POST, Raw(b" Transfer-Encoding: chunked\r\n\r\n"), HELLO]),
    bad("coding-vertical-tab", &[POST, Raw(b"Transfer-Encoding:\x0bchunked\r\n\r\n"), HELLO]),
    bad("coding-form-feed", &[POST, Raw(b"Transfer-Encoding: chunked\x0c\r\n\r\n"), HELLO]),
    bad("coding-no-break-space", &[POST, Raw(b"Transfer-Encoding: \xa0chunked\r\n\r\n"), HELLO]),
    bad("coding-nul-before", &[POST, Raw(b"Transfer-Encoding: \0chunked\r\n\r\n"), HELLO]),
    bad("coding-nul-in-name", &[POST, Raw(b"Transfer-Encoding\0: chunked\r\n\r\n"), HELLO]),
    bad("coding-folded", &[POST, Raw(b"Transfer-Encoding:\r\n chunked\r\n\r\n"), HELLO]),
    bad("coding-folded-tab", &[POST, Raw(b"Transfer-Encoding: x\r\n\tchunked\r\n\r\n"), HELLO]),
    bad("coding-after-bare-cr", &[POST, Raw(b"X: y\rTransfer-Encoding: chunked\r\n\r\n"), HELLO]),
    Case::new(
        "coding-underscore",
        "9110 5.1",
        &[POST, Raw(b"Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello")],
        REFUSED,
    )
    .because("a gateway that makes variables of fields reads it as the coding; no honest client sends it"),
    bad("coding-in-http-1-0", &[
        Raw(b"POST /p HTTP/1.0\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n"),
        HELLO,
    ]),
    bad("coding-and-length-in-http-1-0", &[
        Raw(b"POST /p HTTP/1.0\r\nHost: orders\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
        HELLO,
    ]),
    Case::new(
        "coding-after-tab",
        "9110 5.5",
        &[POST, Raw(b"Transfer-Encoding:\tchunked\t\r\n\r\n"), HELLO],
        forwarded(&[Body(b"hello")]),
    ),
    Case::new(
        "coding-in-capitals",
        "9112 7",
        &[POST, Raw(b"TRANSFER-ENCODING: CHUNKED\r\n\r\n"), HELLO],
        forwarded(&[Body(b"hello")]),
    ),
    Case::new(
        "coding-after-bare-lf",
        "9112 2.2",
        &[POST, Raw(b"X: y\nTransfer-Encoding: chunked\r\n\r\n"), HELLO],
        forwarded(&[Body(b"hello")]),
    ),
    Case::new(
        "coding-on-get",
        RFC,
        &[GET, Raw(b"Transfer-Encoding: chunked\r\n\r\n"), HELLO],
        forwarded(&[Body(b"hello")]),
    ),
    Case::new(
        "coding-on-get-then-request",
        RFC,
        &[GET, Raw(b"Transfer-Encoding: chunked\r\n\r\n"), HELLO, SMUGGLED],
        Expect::Forwarded { messages: 2, sees: &[Body(b"hello")], closes: false },
    ),
    Case::new("te-is-no-coding", "9110 10.1.4", &[GET, Raw(b"TE: chunked\r\nConnection: TE\r\n\r\n")], FORWARDED),
];
