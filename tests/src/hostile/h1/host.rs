//! Host: missing, doubled, and what is no host.

use crate::hostile::{
    Case, Expect, FORWARDED, Part,
    Part::Raw,
    REFUSED,
    Sees::{Field, Target},
    forwarded, refused,
};

const RFC: &str = "9112 3.2";
/// A good host of nothing in the mesh.
const NOWHERE: Expect = Expect::Refused { status: &[400, 404], closes: false };

const fn bad(name: &'static str, input: &'static [Part]) -> Case {
    Case::new(name, RFC, input, REFUSED)
}

pub(super) const CASES: &[Case] = &[
    bad("host-missing", &[Raw(b"GET / HTTP/1.1\r\nX: y\r\n\r\n")]),
    bad("host-missing-absolute", &[Raw(b"GET http://orders/ HTTP/1.1\r\nX: y\r\n\r\n")]),
    bad("host-twice-equal", &[Raw(b"GET / HTTP/1.1\r\nHost: orders\r\nHost: orders\r\n\r\n")]),
    bad("host-twice-different", &[Raw(b"GET / HTTP/1.1\r\nHost: orders\r\nHost: evil\r\n\r\n")]),
    bad("host-twice-absolute", &[Raw(b"GET http://orders/ HTTP/1.1\r\nHost: orders\r\nHost: evil\r\n\r\n")]),
    bad("host-twice-in-http-1-0", &[Raw(b"GET / HTTP/1.0\r\nHost: orders\r\nHost: evil\r\n\r\n")]),
    bad("host-list", &[Raw(b"GET / HTTP/1.1\r\nHost: orders, evil\r\n\r\n")]),
    bad("host-space-inside", &[Raw(b"GET / HTTP/1.1\r\nHost: orders evil\r\n\r\n")]),
    bad("host-tab-inside", &[Raw(b"GET / HTTP/1.1\r\nHost: orders\tevil\r\n\r\n")]),
    bad("host-slash", &[Raw(b"GET / HTTP/1.1\r\nHost: orders/evil\r\n\r\n")]),
    bad("host-backslash", &[Raw(b"GET / HTTP/1.1\r\nHost: orders\\evil\r\n\r\n")]),
    bad("host-user", &[Raw(b"GET / HTTP/1.1\r\nHost: evil@orders\r\n\r\n")]).because(
        "as `host-open-bracket`; one that splits at the @ and one that does not would find two hosts",
    ),
    bad("host-query", &[Raw(b"GET / HTTP/1.1\r\nHost: orders?evil\r\n\r\n")]),
    bad("host-fragment", &[Raw(b"GET / HTTP/1.1\r\nHost: orders#evil\r\n\r\n")]),
    bad("host-with-scheme", &[Raw(b"GET / HTTP/1.1\r\nHost: http://orders\r\n\r\n")]),
    bad("host-two-ports", &[Raw(b"GET / HTTP/1.1\r\nHost: orders:80:81\r\n\r\n")])
        .because("as `host-open-bracket`"),
    bad("host-port-no-number", &[Raw(b"GET / HTTP/1.1\r\nHost: orders:evil\r\n\r\n")])
        .because("as `host-open-bracket`"),
    bad("host-port-too-large", &[Raw(b"GET / HTTP/1.1\r\nHost: orders:99999\r\n\r\n")])
        .because("as `host-open-bracket`"),
    bad("host-open-bracket", &[Raw(b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n")])
        .because("what is no host goes no further (RFC 9112 section 3.2: a server must answer 400)"),
    bad("host-nul", &[Raw(b"GET / HTTP/1.1\r\nHost: orders\0evil\r\n\r\n")]),
    bad("host-raw-utf-8", &[Raw(b"GET / HTTP/1.1\r\nHost: \xc3\xb6rders\r\n\r\n")]),
    bad("host-delete", &[Raw(b"GET / HTTP/1.1\r\nHost: orders\x7f\r\n\r\n")]),
    bad("host-space-before-colon", &[Raw(b"GET / HTTP/1.1\r\nHost : orders\r\n\r\n")]),
    bad("host-leading-space", &[Raw(b"GET / HTTP/1.1\r\n Host: orders\r\n\r\n")]),
    bad("host-folded", &[Raw(b"GET / HTTP/1.1\r\nHost: orders\r\n evil\r\n\r\n")]),
    Case::new("host-empty", RFC, &[Raw(b"GET / HTTP/1.1\r\nHost:\r\n\r\n")], NOWHERE)
        .inbound(forwarded(&[Field("host", "")])),
    Case::new("host-unknown", RFC, &[Raw(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")], NOWHERE)
        .inbound(forwarded(&[Field("host", "evil.example")]))
        .because(
            "the outbound port leads to services by their names; the peers have one backend for all names",
        ),
    Case::new("host-missing-in-http-1-0", RFC, &[Raw(b"GET /old HTTP/1.0\r\n\r\n")], refused(&[400]))
        .inbound(forwarded(&[Target("/old")])),
    Case::new(
        "host-name-in-mixed-case",
        "9110 5.1",
        &[Raw(b"GET / HTTP/1.1\r\nhOsT: orders\r\n\r\n")],
        FORWARDED,
    ),
    Case::new(
        "host-in-capitals",
        "9110 4.2.3",
        &[Raw(b"GET / HTTP/1.1\r\nHost: ORDERS\r\n\r\n")],
        forwarded(&[Field("host", "ORDERS")]),
    ),
    Case::new(
        "host-with-port",
        "9112 3.2",
        &[Raw(b"GET / HTTP/1.1\r\nHost: orders:8080\r\n\r\n")],
        forwarded(&[Field("host", "orders:8080")]),
    ),
    Case::new(
        "host-and-x-forwarded-host",
        "9110 7.2",
        &[Raw(b"GET / HTTP/1.1\r\nHost: orders\r\nX-Forwarded-Host: evil\r\nX-Host: evil\r\n\r\n")],
        forwarded(&[Field("host", "orders")]),
    ),
];
