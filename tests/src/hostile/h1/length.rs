//! Content-Length: repeated, conflicting, malformed, and beside what disguises itself as one.

use super::{GET, POST, SMUGGLED};
use crate::hostile::{
    Case, Expect, FORWARDED,
    Part::{End, Raw},
    REFUSED,
    Sees::{Body, Field},
    forwarded,
};

const RFC: &str = "9112 6.3";

/// One request with this length, and a body of five bytes.
const fn length(name: &'static str, input: &'static [crate::hostile::Part]) -> Case {
    Case::new(name, RFC, input, REFUSED)
}

pub(super) const CASES: &[Case] = &[
    length("lengths-differ", &[POST, Raw(b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello")]),
    length(
        "lengths-differ-in-case-of-name",
        &[POST, Raw(b"content-length: 5\r\nCONTENT-LENGTH: 0\r\n\r\nhello")],
    ),
    length(
        "lengths-differ-far-apart",
        &[POST, Raw(b"Content-Length: 5\r\nX: y\r\nContent-Length: 0\r\n\r\nhello")],
    ),
    Case::new(
        "lengths-equal",
        "9110 8.6",
        &[POST, Raw(b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello")],
        forwarded(&[Field("content-length", "5"), Body(b"hello")]),
    ),
    length("length-list-equal", &[POST, Raw(b"Content-Length: 5, 5\r\n\r\nhello")]),
    length("length-list-differs", &[POST, Raw(b"Content-Length: 5, 6\r\n\r\nhello")]),
    length(
        "length-list-in-two-lines",
        &[POST, Raw(b"Content-Length: 5\r\nContent-Length: 5, 6\r\n\r\nhello")],
    ),
    length("length-negative", &[POST, Raw(b"Content-Length: -5\r\n\r\nhello")]),
    length("length-negative-zero", &[POST, Raw(b"Content-Length: -0\r\n\r\n"), SMUGGLED]),
    length("length-plus", &[POST, Raw(b"Content-Length: +5\r\n\r\nhello")]),
    length("length-overflow", &[POST, Raw(b"Content-Length: 99999999999999999999999999\r\n\r\nhello")]),
    length("length-wraps-to-five", &[POST, Raw(b"Content-Length: 18446744073709551621\r\n\r\nhello")]),
    length("length-wraps-32-bits-plus", &[POST, Raw(b"Content-Length: +4294967301\r\n\r\nhello")]),
    length("length-hexadecimal", &[POST, Raw(b"Content-Length: 0x5\r\n\r\nhello")]),
    length("length-empty", &[POST, Raw(b"Content-Length:\r\n\r\nhello")]),
    length("length-fraction", &[POST, Raw(b"Content-Length: 5.0\r\n\r\nhello")]),
    length("length-exponent", &[POST, Raw(b"Content-Length: 5e0\r\n\r\nhello")]),
    length("length-space-inside", &[POST, Raw(b"Content-Length: 5 0\r\n\r\nhello")]),
    length("length-letter-after", &[POST, Raw(b"Content-Length: 5a\r\n\r\nhello")]),
    length("length-quoted", &[POST, Raw(b"Content-Length: \"5\"\r\n\r\nhello")]),
    length("length-semicolon", &[POST, Raw(b"Content-Length: 5;\r\n\r\nhello")]),
    length("length-comma-after", &[POST, Raw(b"Content-Length: 5,\r\n\r\nhello")]),
    length("length-vertical-tab", &[POST, Raw(b"Content-Length: \x0b5\r\n\r\nhello")]),
    length("length-no-break-space", &[POST, Raw(b"Content-Length: 5\xa0\r\n\r\nhello")]),
    length("length-full-width-digit", &[POST, Raw(b"Content-Length: \xef\xbc\x95\r\n\r\nhello")]),
    length("length-folded", &[POST, Raw(b"Content-Length:\r\n 5\r\n\r\nhello")]),
    length("length-space-before-colon", &[POST, Raw(b"Content-Length : 5\r\n\r\nhello")]),
    length("length-nul-in-name", &[POST, Raw(b"Content-Length\0: 5\r\n\r\nhello")]),
    Case::new(
        "length-in-tabs",
        "9110 5.5",
        &[POST, Raw(b"Content-Length:\t5\t\r\n\r\nhello")],
        forwarded(&[Field("content-length", "5"), Body(b"hello")]),
    ),
    Case::new(
        "length-leading-zeros",
        "9110 8.6",
        &[POST, Raw(b"Content-Length: 0000005\r\n\r\nhello")],
        forwarded(&[Body(b"hello")]),
    ),
    Case::new("length-underscore", "9110 5.1", &[POST, Raw(b"Content_Length: 5\r\n\r\n")], REFUSED).because(
        "a gateway that makes variables of fields reads it as the length; no honest client sends it",
    ),
    length(
        "length-underscore-beside-length",
        &[POST, Raw(b"Content-Length: 5\r\nContent_Length: 0\r\n\r\nhello")],
    )
    .because("as `length-underscore`"),
    Case::new(
        "length-body-ends-early",
        "9112 8",
        &[POST, Raw(b"Content-Length: 9\r\n\r\nhello"), End],
        Expect::Broken,
    ),
    Case::new(
        "length-body-is-followed-by-request",
        "9112 9.3.2",
        &[POST, Raw(b"Content-Length: 5\r\n\r\nhello"), SMUGGLED],
        Expect::Forwarded { messages: 2, sees: &[Body(b"hello")], closes: false },
    ),
    Case::new(
        "length-body-is-followed-by-garbage",
        "9112 9.3.2",
        &[POST, Raw(b"Content-Length: 5\r\n\r\nhello\x01\x02\x03\r\n\r\n")],
        Expect::Forwarded { messages: 1, sees: &[Body(b"hello")], closes: true },
    ),
    Case::new(
        "length-on-get",
        "9110 9.3.1",
        &[GET, Raw(b"Content-Length: 5\r\n\r\nhello")],
        forwarded(&[Field("content-length", "5"), Body(b"hello")]),
    ),
    Case::new("length-zero-on-get", "9110 8.6", &[GET, Raw(b"Content-Length: 0\r\n\r\n")], FORWARDED),
];
