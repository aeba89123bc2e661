//! Header blocks: what RFC 7541 says is no block ends the connection, since the two sides' tables differ from then on.

use crate::hostile::{
    Part::{self, Raw, Times},
    Sees::Field,
    h2::{
        Case, Expect,
        Expect::{Connection, Forwarded},
        Step::{Begin, Frame, Long},
        WHOLE,
        code::{COMPRESSION, PROTOCOL},
        frame::{CONTINUATION, END_HEADERS, END_STREAM, HEADERS},
    },
};

/// `:method GET`, `:scheme http`, `:path /`, and `:authority orders`.
const PLAIN: Part = Raw(b"\x82\x86\x84\x01\x06orders");

/// The plain request, then these bytes in its block: no block.
macro_rules! bad {
    ($name:literal, $rfc:literal, $($more:expr),+) => {
        Case::new(
            $name,
            $rfc,
            &[Begin, Long(HEADERS, WHOLE, 1, &[PLAIN, $($more),+])],
            Connection(&[COMPRESSION, PROTOCOL]),
        )
    };
}

/// The plain request, then these bytes in its block, which are `x: y` somehow.
macro_rules! good {
    ($name:literal, $rfc:literal, $($more:expr),+) => {
        Case::new($name, $rfc, &[Begin, Long(HEADERS, WHOLE, 1, &[PLAIN, $($more),+])], X_IS_Y)
    };
}

const X_IS_Y: Expect = Forwarded(1, &[Field("x", "y")]);

pub(super) const CASES: &[Case] = &[
    bad!("hpack-index-0", "7541 6.1", Raw(b"\x80")),
    bad!("hpack-index-past-both-tables", "7541 2.3.3", Raw(b"\xbe")),
    bad!("hpack-index-far-past", "7541 2.3.3", Raw(b"\xff\xff\xff\x7f")),
    bad!("hpack-name-index-past-both-tables", "7541 2.3.3", Raw(b"\x7e\x01y")),
    bad!("hpack-index-ends-early", "7541 5.1", Raw(b"\xff")),
    bad!("hpack-index-continues-into-nothing", "7541 5.1", Raw(b"\xff\x80")),
    bad!(
        "hpack-integer-overflow",
        "7541 5.1",
        Raw(b"\xff\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")
    ),
    bad!("hpack-integer-of-many-zeros", "7541 5.1", Raw(b"\xff"), Times(b"\x80", 1_000), Raw(b"\x01")),
    bad!("hpack-string-longer-than-block", "7541 5.2", Raw(b"\x00\x05x\x01y")),
    bad!("hpack-string-length-overflow", "7541 5.2", Raw(b"\x00\x7f\xff\xff\xff\xff\xff\xff\xff\xff\x7fx")),
    bad!("hpack-value-missing", "7541 6.2.2", Raw(b"\x00\x01x")),
    bad!("hpack-name-missing", "7541 6.2.2", Raw(b"\x00")),
    bad!("hpack-huffman-end-symbol", "7541 5.2", Raw(b"\x00\x01x\x84\xff\xff\xff\xff")),
    bad!("hpack-huffman-padding-of-a-byte", "7541 5.2", Raw(b"\x00\x01x\x83\x64\x02\xff")),
    bad!("hpack-huffman-padding-of-zeros", "7541 5.2", Raw(b"\x00\x01x\x81\xf2")),
    bad!("hpack-size-update-over-the-limit", "7541 6.3", Raw(b"\x3f\xe1\xff\x03")),
    bad!("hpack-size-update-after-a-field", "7541 4.2", Raw(b"\x20")),
    Case::new(
        "hpack-size-update-over-the-limit-first",
        "7541 6.3",
        &[Begin, Long(HEADERS, WHOLE, 1, &[Raw(b"\x3f\xe1\xff\x03"), PLAIN])],
        Connection(&[COMPRESSION, PROTOCOL]),
    ),
    Case::new(
        "hpack-size-update-first",
        "7541 4.2",
        &[Begin, Long(HEADERS, WHOLE, 1, &[Raw(b"\x20"), PLAIN, Raw(b"\x00\x01x\x01y")])],
        X_IS_Y,
    ),
    Case::new(
        "hpack-size-updates-two-first",
        "7541 4.2",
        &[Begin, Long(HEADERS, WHOLE, 1, &[Raw(b"\x20\x3f\x11"), PLAIN, Raw(b"\x00\x01x\x01y")])],
        X_IS_Y,
    ),
    Case::new(
        "hpack-index-of-an-evicted-entry",
        "7541 4.3",
        &[
            Begin,
            Long(HEADERS, WHOLE, 1, &[PLAIN, Raw(b"\x40\x01x\x01y")]),
            Long(HEADERS, WHOLE, 3, &[Raw(b"\x20"), PLAIN, Raw(b"\xbe")]),
        ],
        Connection(&[COMPRESSION, PROTOCOL]),
    ),
    good!("hpack-literal", "7541 6.2.2", Raw(b"\x00\x01x\x01y")),
    good!("hpack-literal-never-indexed", "7541 6.2.3", Raw(b"\x10\x01x\x01y")),
    good!("hpack-literal-indexed", "7541 6.2.1", Raw(b"\x40\x01x\x01y")),
    good!("hpack-literal-huffman", "7541 5.2", Raw(b"\x00\x81\xf3\x81\xf5")),
    Case::new(
        "hpack-entry-of-an-earlier-block",
        "7541 2.3.2",
        &[
            Begin,
            Long(HEADERS, WHOLE, 1, &[PLAIN, Raw(b"\x40\x01x\x01y")]),
            Long(HEADERS, WHOLE, 3, &[PLAIN, Raw(b"\xbe")]),
        ],
        Forwarded(3, &[Field("x", "y")]),
    ),
    Case::new(
        "hpack-block-split-in-a-string",
        "9113 4.3",
        &[
            Begin,
            Frame(HEADERS, END_STREAM, 1, b"\x82\x86\x84\x01\x06ord"),
            Frame(CONTINUATION, END_HEADERS, 1, b"ers\x00\x01x\x01y"),
        ],
        X_IS_Y,
    ),
    Case::new("hpack-empty-block", "9113 8.3.1", &[Begin, Frame(HEADERS, WHOLE, 1, b"")], Expect::Refused(1)),
    Case::new(
        "hpack-bomb-of-one-entry",
        "9113 10.5.1",
        // An entry of 4,000 bytes, named 12,000 times: 48 MB in 16 KB.
        &[
            Begin,
            Long(
                HEADERS,
                WHOLE,
                1,
                &[PLAIN, Raw(b"\x40\x01x\x7f\xa1\x1e"), Times(b"y", 4_000), Times(b"\xbe", 12_000)],
            ),
        ],
        Expect::Refused(1),
    ),
    Case::new(
        "hpack-bomb-in-continuations",
        "9113 10.5.1",
        &[
            Begin,
            Long(HEADERS, END_STREAM, 1, &[PLAIN, Raw(b"\x40\x01x\x7f\xa1\x1e"), Times(b"y", 4_000)]),
            Long(CONTINUATION, 0, 1, &[Times(b"\xbe", 16_000)]),
            Long(CONTINUATION, 0, 1, &[Times(b"\xbe", 16_000)]),
            Long(CONTINUATION, END_HEADERS, 1, &[Times(b"\xbe", 16_000)]),
        ],
        Expect::Refused(1),
    ),
];
