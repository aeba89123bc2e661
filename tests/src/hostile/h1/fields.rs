//! Field lines: bytes of names and values, folding, ends of lines, and too much of it all.

use super::GET;
use crate::hostile::{
    Case, Expect, FORWARDED, Part,
    Part::{Raw, Times},
    REFUSED,
    Sees::{Field, No},
    forwarded, refused,
};

const NAME: &str = "9112 5.1";
const VALUE: &str = "9110 5.5";
const FOLD: &str = "9112 5.2";
/// Too long, by one name or another.
const TOO_LARGE: Expect = refused(&[400, 431]);

const fn bad(name: &'static str, rfc: &'static str, input: &'static [Part]) -> Case {
    Case::new(name, rfc, input, REFUSED)
}

pub(super) const CASES: &[Case] = &[
    bad("name-space-before-colon", NAME, &[GET, Raw(b"X-A : b\r\n\r\n")]),
    bad("name-tab-before-colon", NAME, &[GET, Raw(b"X-A\t: b\r\n\r\n")]),
    bad("name-space-inside", NAME, &[GET, Raw(b"X A: b\r\n\r\n")]),
    bad("name-empty", NAME, &[GET, Raw(b": b\r\n\r\n")]),
    bad("name-without-colon", NAME, &[GET, Raw(b"garbage\r\n\r\n")]),
    bad("name-of-a-request-line", NAME, &[GET, Raw(b"GET /smuggled HTTP/1.1\r\n\r\n")]),
    bad("name-nul", NAME, &[GET, Raw(b"X\0A: b\r\n\r\n")]),
    bad("name-cr", NAME, &[GET, Raw(b"X\rA: b\r\n\r\n")]),
    bad("name-high-byte", NAME, &[GET, Raw(b"X\xc3\xa9: b\r\n\r\n")]),
    bad("name-parenthesis", NAME, &[GET, Raw(b"X(A): b\r\n\r\n")]),
    bad("name-quoted", NAME, &[GET, Raw(b"\"X\": b\r\n\r\n")]),
    bad("name-slash", NAME, &[GET, Raw(b"X/A: b\r\n\r\n")]),
    bad("name-at", NAME, &[GET, Raw(b"X@A: b\r\n\r\n")]),
    bad("name-delete", NAME, &[GET, Raw(b"X\x7f: b\r\n\r\n")]),
    bad("name-pseudo", NAME, &[GET, Raw(b":path: /other\r\n\r\n")]),
    bad("value-nul", VALUE, &[GET, Raw(b"X: a\0b\r\n\r\n")]),
    bad("value-bare-cr", VALUE, &[GET, Raw(b"X: a\rb\r\n\r\n")]),
    bad("value-bare-cr-and-field", VALUE, &[GET, Raw(b"X: a\rY: b\r\n\r\n")]),
    bad("value-cr-at-end", VALUE, &[GET, Raw(b"X: a\r\r\n\r\n")]),
    bad("value-control-byte", VALUE, &[GET, Raw(b"X: a\x01b\r\n\r\n")]),
    bad("value-escape", VALUE, &[GET, Raw(b"X: a\x1b[2J\r\n\r\n")]),
    bad("value-delete", VALUE, &[GET, Raw(b"X: a\x7fb\r\n\r\n")]),
    bad("value-vertical-tab", VALUE, &[GET, Raw(b"X: a\x0bb\r\n\r\n")]),
    bad("fold-by-space", FOLD, &[GET, Raw(b"X: a\r\n b\r\n\r\n")]),
    bad("fold-by-tab", FOLD, &[GET, Raw(b"X: a\r\n\tb\r\n\r\n")]),
    bad("fold-empty-line", FOLD, &[GET, Raw(b"X: a\r\n \r\n\r\n")]),
    bad("fold-after-bare-lf", FOLD, &[GET, Raw(b"X: a\n b\r\n\r\n")]),
    bad("fold-of-first-line", FOLD, &[Raw(b"GET / HTTP/1.1\r\n Host: orders\r\nHost: orders\r\n\r\n")]),
    bad("fold-hides-coding", FOLD, &[GET, Raw(b"X: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]),
    bad("end-cr-cr-lf", "9112 2.2", &[GET, Raw(b"X: a\r\n\r\r\n\r\n")]),
    bad("end-cr-without-lf", "9112 2.2", &[GET, Raw(b"X: a\r\n\rGET /smuggled HTTP/1.1\r\n\r\n")]),
    Case::new("end-bare-lf", "9112 2.2", &[GET, Raw(b"X: a\n\n")], forwarded(&[Field("x", "a")])),
    Case::new("end-lf-after-crlf", "9112 2.2", &[GET, Raw(b"X: a\r\n\n")], forwarded(&[Field("x", "a")])),
    Case::new("value-high-bytes", VALUE, &[GET, Raw(b"X: \xe9\xff\r\n\r\n")], FORWARDED),
    Case::new("value-empty", VALUE, &[GET, Raw(b"X:\r\n\r\n")], forwarded(&[Field("x", "")])),
    Case::new("value-tab-inside", VALUE, &[GET, Raw(b"X: a\tb\r\n\r\n")], forwarded(&[Field("x", "a\tb")])),
    Case::new("value-only-spaces", VALUE, &[GET, Raw(b"X:  \t \r\n\r\n")], forwarded(&[Field("x", "")])),
    Case::new("name-all-token-bytes", NAME, &[GET, Raw(b"!#$%&'*+-.^_`|~9: b\r\n\r\n")], FORWARDED),
    Case::new("many-fields", "9110 5.4", &[GET, Times(b"X: y\r\n", 5_000), Raw(b"\r\n")], TOO_LARGE),
    Case::new("many-empty-names", NAME, &[GET, Times(b":\r\n", 5_000), Raw(b"\r\n")], TOO_LARGE),
    Case::new(
        "long-value",
        "9110 5.4",
        &[GET, Raw(b"X: "), Times(b"y", 300_000), Raw(b"\r\n\r\n")],
        TOO_LARGE,
    ),
    Case::new("long-name", "9110 5.4", &[GET, Times(b"x", 300_000), Raw(b": y\r\n\r\n")], TOO_LARGE),
    Case::new(
        "long-value-over-our-limit",
        "9110 5.4",
        &[GET, Raw(b"X: "), Times(b"y", 70_000), Raw(b"\r\n\r\n")],
        Expect::Refused { status: &[431], closes: false },
    ),
    Case::new("head-without-end", "9110 5.4", &[GET, Raw(b"X: "), Times(b"y", 2_000_000)], TOO_LARGE),
    Case::new(
        "names-of-the-mesh",
        "9110 7.6",
        &[GET, Raw(b"Weft-Error: overloaded\r\nWeft-Attempt: 7\r\n\r\n")],
        forwarded(&[No("weft-error")]),
    ),
];
